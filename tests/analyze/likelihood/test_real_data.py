"""The fit on measured spectra: as good as the plain reference, and the same however it is run."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.special import gammaln, xlogy

from spectraloom.analyze.identify.variants import variant_library
from spectraloom.analyze.likelihood import (
    Nuisances,
    TemplateTable,
    fit_templates,
    template_table,
)
from spectraloom.analyze.likelihood import fit as fit_module
from spectraloom.analyze.likelihood.em import em_amounts
from spectraloom.data import Axis, Library, Spectra
from spectraloom.io import read_groups

WINDOW = (60.0, 2000.0)
VARIANTS = 2


def of_file(groups: list[Spectra], start: str) -> Spectra:
    """Spectra of the file whose name starts so."""
    pieces = [one[np.char.startswith(one.column("file").astype(np.str_), start)] for one in groups]
    return max(pieces, key=len)


@pytest.fixture(scope="module")
def measured(gamma_flow_zip: Path) -> tuple[list[Library], TemplateTable, Spectra]:
    """Two variants of each simulated source, a measured background, and measured mixtures."""
    groups = read_groups(gamma_flow_zip)
    simulated = max(groups, key=lambda one: int(np.sum(one.column("detector") == "simulated")))
    simulated = simulated[simulated.column("detector").astype(np.str_) == "simulated"]
    sources = variant_library(simulated[::9], VARIANTS, window=WINDOW, background=None, seed=1)
    under = of_file(groups, "background")
    mean = under.values.mean(axis=0, dtype=np.float64)
    background = Library(mean[np.newaxis], under.axis, ("background",))
    libraries = [sources, background]
    return libraries, template_table(libraries), of_file(groups, "multi-class")


def moved(library: Library, axis: Axis) -> np.ndarray:
    """Unit-area templates on other bins: differences of a monotone cubic through the sums."""
    shapes = library.templates / library.templates.sum(axis=1, keepdims=True)
    sums = np.concatenate([np.zeros((len(shapes), 1)), np.cumsum(shapes, axis=1)], axis=1)
    edges = np.clip(axis.edges, library.axis.edges[0], library.axis.edges[-1])
    return np.diff(PchipInterpolator(library.axis.edges, sums, axis=1)(edges), axis=1)


def log_likelihood(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.asarray((xlogy(counts, expected) - expected - gammaln(counts + 1)).sum(axis=1))


def test_the_likelihood_is_that_of_expectation_maximisation(
    measured: tuple[list[Library], TemplateTable, Spectra],
) -> None:
    libraries, table, spectra = measured
    few = spectra[:: len(spectra) // 12]
    fit = fit_templates(few, table, window=WINDOW, tolerance=1e-8)
    assert fit.converged.all()
    channels = few.axis.window(*WINDOW)
    shapes = np.vstack([moved(library, few.axis) for library in libraries])[:, channels]
    counts = np.asarray(few.values[:, channels], dtype=np.float64)
    np.testing.assert_array_equal(counts, fit.observed)
    amounts = em_amounts(counts, shapes, iterations=30_000)
    slow = log_likelihood(counts, amounts @ shapes)
    ours = log_likelihood(counts, fit.template_amounts @ shapes)
    # What we say was fitted is what the amounts add up to.
    np.testing.assert_allclose(fit.fitted, fit.template_amounts @ shapes, rtol=1e-6)
    np.testing.assert_allclose(ours, slow, rtol=1e-6)
    # Where the two differ, the plain one has not come to its end.
    assert (ours > slow - 1e-6).all()


def test_neither_threads_nor_chunks_nor_neighbours_matter(
    measured: tuple[list[Library], TemplateTable, Spectra],
) -> None:
    _, table, spectra = measured
    settings = {
        "window": WINDOW, "nuisances": Nuisances(gain=0.02), "pileup": True,
        "tested": list(dict.fromkeys(table.names))[:-1],
    }  # fmt: skip
    whole = fit_templates(spectra, table, **settings)
    for chunk, cores in ((1, 1), (7, 3), (10_000, 1)):
        with (
            mock.patch.object(fit_module, "CHUNK", chunk),
            mock.patch.object(os, "cpu_count", return_value=cores),
        ):
            other = fit_templates(spectra, table, **settings)
        for name in ("amounts", "covariance", "nuisances", "deviance", "ratios", "fitted"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
    alone = fit_templates(spectra[17:18], table, **settings)
    np.testing.assert_array_equal(alone.amounts[0], whole.amounts[17])
