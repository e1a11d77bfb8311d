from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spectraloom.analyze import Identifier, nnls, variant_library
from spectraloom.analyze.identify.variants import background_library, single_sources
from spectraloom.data import Axis, Spectra
from spectraloom.data.columns import label_sets
from spectraloom.errors import DataError, FitError, LabelError


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


def behind_any_thickness(world: Any, n: int, seed: int) -> tuple[Spectra, np.ndarray]:
    """One source whose low channels are dimmed by an absorber of any thickness."""
    rng = np.random.default_rng(seed)
    thickness = rng.uniform(0.0, 3.0, n)
    low = np.where(world.axis.centers < 500, 1.0, 0.05)
    shapes = np.exp(-thickness[:, np.newaxis] * low) * world.loadings[2]
    shapes /= shapes.sum(axis=1, keepdims=True)
    counts = rng.uniform(2000.0, 40000.0, (n, 1))
    values = rng.poisson(counts * shapes)
    return Spectra(values, world.axis, columns={"labels": ["Cs137"] * n}), shapes


def test_parts_mix_to_spectra_between_and_beyond_those_of_the_training(world: Any) -> None:
    spectra, _ = behind_any_thickness(world, 80, 1)
    _, truth = behind_any_thickness(world, 60, 2)
    errors = {}
    for variants in ("nmf:2", 2, 1):
        library = variant_library(spectra, variants)
        fitted = nnls(truth, library.templates) @ library.templates
        errors[variants] = float(np.abs(fitted - truth).sum(axis=1).max())
    assert errors["nmf:2"] < 0.05
    assert errors["nmf:2"] < 0.5 * errors[2] < errors[1]


def test_parts_add_up_to_what_they_explain(world: Any) -> None:
    spectra = two_kinds(world)
    library = variant_library(spectra, "nmf:2")
    assert library.names == ("Cs137", "Cs137", "background")
    assert library.variants == ("1", "2", "")
    assert library.weights is not None
    assert library.weights.sum() == pytest.approx(spectra.values.sum(), rel=0.01)
    np.testing.assert_allclose(library.templates[2], spectra.values[30:].sum(axis=0))
    again = variant_library(spectra, "nmf:2")
    np.testing.assert_array_equal(library.templates, again.templates)
    assert len(variant_library(spectra, "nmf")) <= 5
    assert len(variant_library(spectra, "nmf:1")) == 2
    # A window decides what tells parts apart; templates still cover the whole axis.
    windowed = variant_library(spectra, "nmf:2", window=(0.0, 800.0))
    assert windowed.templates.shape[1] == spectra.n_channels
    assert windowed.templates[:2].sum() == pytest.approx(spectra.values[:30].sum(), rel=0.02)


def test_parts_that_cannot_be_are_refused(world: Any) -> None:
    spectra = two_kinds(world)
    for wrong in ("nmf:0", "nmf:x", "nmf:", "nmf:-1"):
        with pytest.raises(DataError, match="at least one"):
            variant_library(spectra, wrong)
    empty = spectra.values.copy()
    empty[:30] = 0
    with pytest.raises(DataError, match="Cs137 are empty"):
        variant_library(spectra.replace(values=empty), "nmf:2")
    below = spectra.replace(kind="intensity", values=spectra.values - 5.0)
    with pytest.raises(FitError, match="negative"):
        variant_library(below, "nmf:2")


def test_an_identifier_takes_parts_as_variants(world: Any) -> None:
    spectra, _ = behind_any_thickness(world, 60, 3)
    rng = np.random.default_rng(4)
    quiet = Spectra(
        rng.poisson(3000 * np.repeat(world.loadings[4:5], 60, axis=0)),
        world.axis,
        columns={"labels": ["background"] * 60},
    )
    model = Identifier(variants="nmf:2", n_bootstrap=0).fit(Spectra.concatenate([spectra, quiet]))
    assert model.library_.names == ("Cs137", "Cs137")
    assert all(entry[0] == "Cs137" for entry in model.analyze(spectra).labels)


def test_spectra_with_background_in_their_labels_are_told_what_to_do() -> None:
    spectra = Spectra(np.ones((3, 4)))
    labels = label_sets([("Co60", "background"), ("background",), ("background",)])
    with pytest.raises(FitError, match=r"1 of 3 have several labels, such as Co60\|background"):
        single_sources(spectra, labels, "background")
    with pytest.raises(FitError, match=r"to make a library of$"):
        single_sources(spectra, label_sets(["background"] * 3), "background")
