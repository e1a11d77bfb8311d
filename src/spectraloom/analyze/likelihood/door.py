"""Arrays as compiled code takes them, and templates on bins."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.likelihood.parts import Templates
from spectraloom.analyze.likelihood.tables import TemplateTable


def as_given(array: Array) -> Array:
    """Contiguous view that cannot be written: compiled code then knows one kind of array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def templates_of(table: TemplateTable) -> Templates:
    """Arrays of a table as compiled code takes them."""
    return Templates(*(as_given(a) for a in (table.grid, table.table, table.slopes, table.nodes)))


def binned_templates(
    table: TemplateTable, edges: FloatArray, nuisances: FloatArray | None = None
) -> FloatArray:
    """Templates integrated over bins, moved by nuisances, shape (n_templates, n_bins).

    Parameters
    ----------
    table : TemplateTable
    edges : ndarray, shape (n_bins + 1,)
    nuisances : ndarray, shape (3,), optional
        Gain, offset and broadening; zero by default.
    """
    from spectraloom.analyze.likelihood.batch import place_templates
    from spectraloom.analyze.likelihood.moving import make_work

    bins = as_given(np.asarray(edges, dtype=np.float64))
    work = make_work(table.n_templates, len(bins) - 1)
    theta = np.zeros(3) if nuisances is None else np.array(nuisances, dtype=np.float64)
    none = as_given(np.zeros((0, len(bins) - 1)))
    place_templates(templates_of(table), bins, theta, none, work)
    return np.asarray(work.A)
