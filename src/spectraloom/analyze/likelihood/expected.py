"""What a fit expects on other bins than it was made on."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.likelihood.door import as_given, templates_of
from spectraloom.analyze.likelihood.fit import PILEUP, LikelihoodFit
from spectraloom.analyze.likelihood.pileup import pileup_templates
from spectraloom.analyze.likelihood.tables import TemplateTable
from spectraloom.data.spectra import Spectra


def expected_spectra(
    fit: LikelihoodFit, table: TemplateTable, spectra: Spectra, edges: FloatArray
) -> FloatArray:
    """Expected values of the spectra that were fitted, shape (n, n_bins).

    Parameters
    ----------
    fit : LikelihoodFit
    table : TemplateTable
        The one that was fitted.
    spectra : Spectra
        Those that were fitted; pile-up is made from them.
    edges : ndarray, shape (n_bins + 1,)
        Edges of the axis of the spectra.
    """
    from spectraloom.analyze.likelihood.batch import expected_many

    n, n_bins = len(fit), len(edges) - 1
    extra = np.zeros((n, 0, n_bins))
    if PILEUP in fit.names:
        extra = pileup_templates(spectra.values, spectra.axis, edges)[:, np.newaxis, :]
    out = np.empty((n, n_bins))
    expected_many(
        templates_of(table), as_given(edges), as_given(extra), fit.template_amounts,
        fit.nuisances, out,
    )  # fmt: skip
    return out
