"""Coarser bins: where their edges lie, and the information that is left."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectraloom.analyze.likelihood import (
    Resolution,
    adaptive_edges,
    fit_templates,
    information_loss,
    template_table,
)
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import DataError

FINE = Axis.regular(0.0, 3000.0, 1000)


def fine_library(axis: Axis, resolution: Resolution) -> Library:
    energy = axis.centers
    rows = []
    for peaks in ((662.0,), (1173.0, 1332.0), (122.0, 344.0, 779.0, 1408.0), ()):
        row = np.exp(-energy / 300.0) / 300.0
        for peak in peaks:
            sigma = float(resolution.at(np.array([peak]))[0]) / 2.3548
            row = row + np.exp(-0.5 * ((energy - peak) / sigma) ** 2) / sigma / len(peaks)
        rows.append(row * axis.widths)
    return Library(np.array(rows), axis, ("Cs137", "Co60", "Eu152", "background"))


@settings(max_examples=40, deadline=None)
@given(
    bins=st.floats(0.5, 30.0), fwhm=st.floats(0.01, 0.2), low=st.floats(0, 1000),
    high=st.floats(1100, 3000),
)  # fmt: skip
def test_edges_are_those_of_the_axis_and_grow(
    bins: float, fwhm: float, low: float, high: float
) -> None:
    resolution = Resolution(fwhm)
    edges = adaptive_edges(FINE, resolution, bins_per_fwhm=bins, window=(low, high))
    channels = FINE.window(low, high)
    assert np.isin(edges, FINE.edges).all()
    assert edges[0] == FINE.edges[channels.start]
    assert edges[-1] == FINE.edges[channels.stop]
    widths = np.diff(edges)
    assert (widths > 0).all()
    # Within a channel of what was asked for, but for the last that takes what is left.
    asked = resolution.at(0.5 * (edges[1:] + edges[:-1])) / bins
    assert (np.abs(widths - np.maximum(asked, 3.0)) <= 3.0 + 0.5 * asked)[:-1].all()


def test_counts_are_only_summed() -> None:
    resolution = Resolution(0.07)
    library = fine_library(FINE, resolution)
    rng = np.random.default_rng(0)
    spectra = Spectra(rng.poisson([[500, 500, 0, 5000]] @ library.templates * 3), FINE)
    edges = adaptive_edges(FINE, resolution)
    fit = fit_templates(spectra, template_table([library]), edges=edges)
    expected = [
        spectra.values[0, (FINE.centers > a) & (FINE.centers < b)].sum() for a, b in pairwise(edges)
    ]
    np.testing.assert_array_equal(fit.observed[0], expected)


@pytest.mark.parametrize("fwhm", [0.05, 0.07, 0.1])
def test_the_default_keeps_the_information(fwhm: float) -> None:
    resolution = Resolution(fwhm)
    table = template_table([fine_library(FINE, resolution)])
    edges = adaptive_edges(FINE, resolution)
    assert len(edges) < 0.75 * FINE.n_channels
    for amounts in ([1e3, 1e3, 1e3, 1e4], [50.0, 1e4, 50.0, 1e3], [1.0, 1.0, 1.0, 1e5]):
        loss = information_loss(table, FINE.edges, edges, np.array(amounts))
        assert (loss > 0).all()
        assert (loss < 0.01).all()
    coarse = adaptive_edges(FINE, resolution, bins_per_fwhm=0.7)
    worse = information_loss(table, FINE.edges, coarse, np.array([1e3, 1e3, 1e3, 1e4]))
    assert worse.max() > 0.05


def test_the_loss_is_that_of_the_fits_uncertainties() -> None:
    resolution = Resolution(0.07)
    library = fine_library(FINE, resolution)
    table = template_table([library])
    amounts = np.array([2e3, 1e3, 0.0, 1e4])
    spectra = Spectra(
        amounts[np.newaxis] @ (library.templates / library.templates.sum(1)[:, None]), FINE
    )
    edges = adaptive_edges(FINE, resolution, bins_per_fwhm=1.0)
    fine = fit_templates(spectra, table, tolerance=1e-12)
    coarse = fit_templates(spectra, table, edges=edges, tolerance=1e-12)
    loss = information_loss(table, FINE.edges, edges, amounts)
    present = [0, 1, 3]
    seen = (coarse.uncertainties[0, present] / fine.uncertainties[0, present]) ** 2 - 1
    np.testing.assert_allclose(loss[present], seen, rtol=0.02)
    assert np.isnan(loss[2])


def test_bad_settings() -> None:
    resolution = Resolution(0.07)
    with pytest.raises(DataError, match="bins per full width"):
        adaptive_edges(FINE, resolution, bins_per_fwhm=0.0)
    table = template_table([fine_library(FINE, resolution)])
    with pytest.raises(DataError, match="4 amounts are wanted"):
        information_loss(table, FINE.edges, FINE.edges, np.ones(3))
