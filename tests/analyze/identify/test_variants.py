from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spectraloom.analyze import nnls, variant_library
from spectraloom.analyze.identify.variants import background_library
from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError, LabelError


def two_kinds(world: Any) -> Spectra:
    """Cs137 with and without an absorber that takes the low channels away, and background."""
    rng = np.random.default_rng(2)
    behind = np.where(world.axis.centers < 500, 0.2, 1.0) * world.loadings[2]
    shapes = np.vstack([world.loadings[2], behind, world.loadings[4]])
    values = rng.poisson(2000 * np.repeat(shapes, [12, 18, 10], axis=0))
    labels = ["Cs137"] * 30 + ["background"] * 10
    absorber = ["none"] * 12 + ["lead"] * 18 + ["none"] * 10
    return Spectra(values, world.axis, columns={"labels": labels, "absorber": absorber})


def test_clusters_and_columns_find_the_same_variants(world: Any) -> None:
    spectra = two_kinds(world)
    clusters = variant_library(spectra, 2)
    column = variant_library(spectra, "absorber")
    assert clusters.names == column.names == ("Cs137", "Cs137", "background")
    assert set(column.variants) == {"lead", "none", ""}
    first = {row.tobytes() for row in clusters.templates}
    assert first == {row.tobytes() for row in column.templates}
    assert column.weights is not None
    np.testing.assert_array_equal(column.templates.sum(axis=1), column.weights)
    np.testing.assert_allclose(column.templates.sum(axis=0), spectra.values.sum(axis=0))


def test_one_variant_is_the_mean_and_nothing_depends_on_chance(world: Any) -> None:
    spectra = two_kinds(world)
    assert variant_library(spectra, 1).names == ("Cs137", "background")
    one, other = (variant_library(spectra, 3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.templates, other.templates)


def test_empty_spectra_are_no_variant(world: Any) -> None:
    spectra = two_kinds(world)
    values = spectra.values.copy()
    values[:12] = 0
    assert len(variant_library(spectra.replace(values=values), "absorber")) == 2
    values[:30] = 0
    with pytest.raises(DataError, match="Cs137 are empty"):
        variant_library(spectra.replace(values=values), 2)


def test_what_cannot_be_split_is_refused(world: Any) -> None:
    spectra = two_kinds(world)
    with pytest.raises(DataError, match="at least one variant"):
        variant_library(spectra, 0)
    with pytest.raises(LabelError, match="shield"):
        variant_library(spectra, "shield")
    with pytest.raises(DataError, match="exactly one label"):
        variant_library(spectra.with_columns(labels=[("Cs137", "Co60")] * 40))


def test_background_of_several_components_adds_up_and_spans_what_varies() -> None:
    rng = np.random.default_rng(8)
    channels = np.arange(64.0)
    steady, radon = np.exp(-channels / 30.0), np.exp(-0.5 * ((channels - 25.0) / 4.0) ** 2)
    parts = np.stack([steady / steady.sum(), radon / radon.sum()])
    amounts = np.column_stack([np.full(200, 3000.0), rng.uniform(0.0, 1500.0, 200)])
    spectra = Spectra(rng.poisson(amounts @ parts), Axis.regular(0, 640, 64))
    one = background_library(spectra, None, "background")
    two = background_library(spectra, None, "background", components=2)
    assert one is not None
    assert two is not None
    assert two.names == ("background", "background")
    assert two.templates.sum(axis=0).sum() == pytest.approx(one.templates.sum(), rel=0.01)
    # Every mixture of the true parts is a mixture of the two templates, up to noise.
    for amount in (0.0, 1500.0):
        truth = 3000.0 * parts[0] + amount * parts[1]
        fit = nnls(truth[np.newaxis], two.templates) @ two.templates
        assert np.abs(fit[0] - truth).sum() < 0.06 * truth.sum()
        plain = nnls(truth[np.newaxis], one.templates) @ one.templates
        assert np.abs(plain[0] - truth).sum() > 0.15 * truth.sum()
    assert background_library(spectra.replace(values=np.zeros((200, 64))), None, "b") is None
