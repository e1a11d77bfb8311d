from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from spectraloom.analyze.explore import (
    MeanSpectra,
    label_text,
    mean_spectra,
    random_examples,
    similarity,
)
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError, LabelError

AXIS = Axis.regular(0.0, 40.0, 4)


def labelled() -> Spectra:
    """Two detectors; cesium over background, and background alone."""
    values = [
        [10, 2, 0, 0],
        [14, 4, 0, 0],
        [12, 3, 0, 9],
        [4, 2, 1, 1],
        [6, 2, 1, 1],
        [3, 3, 3, 3],
    ]
    return Spectra(
        values,
        AXIS,
        live_time=[20.0, 20.0, 10.0, 10.0, 10.0, 5.0],
        columns={
            "labels": [
                ("Cs137", "K40"), ("K40", "Cs137"), ("Cs137",), ("bg",), ("bg",), ("bg",)
            ],
            "detector": ["left", "left", "right", "left", "left", "right"],
        },
    )  # fmt: skip


def test_means_are_per_label_set_and_detector() -> None:
    means = mean_spectra(labelled())
    found = dict(zip(means.names, means.means.tolist(), strict=True))
    assert found == {
        "Cs137 + K40 (left)": [12.0, 3.0, 0.0, 0.0],
        "Cs137 (right)": [12.0, 3.0, 0.0, 9.0],
        "bg (left)": [5.0, 2.0, 1.0, 1.0],
        "bg (right)": [3.0, 3.0, 3.0, 3.0],
    }
    counted = dict(zip(means.names, means.n_spectra.tolist(), strict=True))
    assert counted["Cs137 + K40 (left)"] == counted["bg (left)"] == 2
    assert len(means) == 4
    assert means.axis == AXIS


def test_spread_is_the_sample_standard_deviation(rng: np.random.Generator) -> None:
    values = rng.poisson(50.0, (30, 4)).astype(np.uint8)
    means = mean_spectra(Spectra(values, AXIS, columns={"labels": ["a"] * 29 + ["b"]}))
    np.testing.assert_allclose(means.spreads[0], values[:29].std(axis=0, ddof=1))
    assert means.spreads[1].tolist() == [0.0] * 4
    assert means.names == ("a", "b")  # no detector, no brackets


def test_background_is_subtracted_per_detector_and_live_time() -> None:
    means = mean_spectra(labelled(), subtract="bg")
    found = dict(zip(means.names, means.means.tolist(), strict=True))
    # Left: twice the live time of its background; right: 10 s against 5 s as well.
    assert found["Cs137 + K40 (left)"] == [12 - 2 * 5, 3 - 2 * 2, -2, -2]
    assert found["Cs137 (right)"] == [12 - 6, 3 - 6, -6, 9 - 6]
    assert found["bg (left)"] == [5.0, 2.0, 1.0, 1.0]  # not from itself


@pytest.mark.parametrize("times", [None, np.nan, 0.0])
def test_without_live_times_the_background_is_subtracted_once(times: float | None) -> None:
    spectra = labelled().replace(live_time=times)
    means = mean_spectra(spectra, subtract="bg")
    found = dict(zip(means.names, means.means.tolist(), strict=True))
    assert found["Cs137 + K40 (left)"] == [7, 1, -1, -1]


def test_a_detector_without_background_takes_that_of_another() -> None:
    spectra = labelled()[:5]
    means = mean_spectra(spectra.replace(live_time=None), subtract="bg")
    found = dict(zip(means.names, means.means.tolist(), strict=True))
    assert found["Cs137 (right)"] == [7, 1, -1, 8]


def test_what_has_no_mean_is_refused() -> None:
    with pytest.raises(LabelError, match="no column 'labels'"):
        mean_spectra(Spectra(np.ones((2, 4)), AXIS))
    with pytest.raises(
        DataError, match=r"no spectrum is labelled 'K40' alone; labels: Cs137, Cs137"
    ):
        mean_spectra(labelled(), subtract="K40")
    with pytest.raises(DataError, match="there are no spectra"):
        mean_spectra(labelled()[:0])
    with pytest.raises(DataError, match="complex"):
        mean_spectra(Spectra(np.ones((2, 4)) * 1j, AXIS, "complex", columns={"labels": ["a", "b"]}))


def test_text_of_a_label_set_does_not_depend_on_order() -> None:
    assert label_text(("b", "a")) == label_text(("a", "b", "a")) == "a + b"
    assert label_text(()) == "no label"


# -- similarity --------------------------------------------------------------------------------


def means_of(vectors: dict[tuple[str, str], list[float]]) -> MeanSpectra:
    values = np.array(list(vectors.values()))
    return MeanSpectra(
        tuple(label for label, _ in vectors),
        tuple(detector for _, detector in vectors),
        values,
        np.zeros_like(values),
        np.ones(len(values)),
        AXIS,
    )


def test_similarity_is_the_cosine_of_every_pair(rng: np.random.Generator) -> None:
    means = means_of({(name, ""): rng.random(4).tolist() for name in "abcde"})
    alike = similarity(means)
    for i, j in itertools.product(range(5), repeat=2):
        a, b = means.means[i], means.means[j]
        assert alike.matrix[i, j] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert alike.names == tuple("abcde")


def test_pairs_that_deserve_a_look_are_flagged() -> None:
    means = means_of(
        {
            ("Cs", "left"): [1.0, 0.0, 0.0, 0.0],
            ("Cs", "right"): [1.0, 2.0, 0.0, 0.0],  # cosine 0.447 with its own label
            ("Co", "left"): [0.0, 0.0, 1.0, 0.1],
            ("Eu", "left"): [0.0, 0.0, 1.0, 0.0],  # cosine 0.995 with another label
        }
    )
    alike = similarity(means)
    assert [pair[:2] for pair in alike.too_far] == [("Cs (left)", "Cs (right)")]
    assert [pair[:2] for pair in alike.too_close] == [("Co (left)", "Eu (left)")]
    assert alike.too_far[0][2] == pytest.approx(1 / np.sqrt(5))
    assert alike.too_close[0][2] == pytest.approx(1 / np.sqrt(1.01))
    strict = similarity(means, threshold=0.999)
    assert strict.too_close == ()
    assert strict.threshold == 0.999
    loose = similarity(means, threshold=0.4)
    assert loose.too_far == ()
    assert [pair[:2] for pair in similarity(means, threshold=0.0).too_close] == [
        (means.names[i], means.names[j])
        for i, j in itertools.combinations(range(4), 2)
        if means.labels[i] != means.labels[j]
    ]


def test_only_the_window_is_compared() -> None:
    means = means_of({("a", ""): [1.0, 5.0, 1.0, 0.0], ("b", ""): [1.0, -5.0, 1.0, 0.0]})
    assert similarity(means).matrix[0, 1] < 0
    assert similarity(means, window=(20.0, 40.0)).matrix[0, 1] == pytest.approx(1.0)
    with pytest.raises(AxisError):
        similarity(means, window=(50.0, 60.0))


def test_background_of_two_detectors_is_not_too_far_after_subtraction(world: Any) -> None:
    """Subtracted from itself it was zero, and zero is like nothing."""
    training = world.training(np.random.default_rng(51), 20)
    both = training.with_columns(detector=["left", "right"] * 50)
    alike = similarity(mean_spectra(both, subtract="background"))
    assert not any("background" in pair[0] for pair in alike.too_far)


# -- examples ----------------------------------------------------------------------------------


def test_examples_are_drawn_per_label_in_order(world: Any) -> None:
    training = world.training(np.random.default_rng(52), 9)
    rng = np.random.default_rng(53)
    shuffled = training[rng.permutation(45)].with_columns(id=np.arange(45))
    drawn = random_examples(shuffled, 4, seed=1)
    assert [entry[0] for entry in drawn.labels] == np.repeat(world.names, 4).tolist()
    assert len(set(drawn.column("id").tolist())) == 20
    for spectrum in drawn:
        np.testing.assert_array_equal(spectrum.values[0], shuffled.values[spectrum.column("id")[0]])
    again = random_examples(shuffled, 4, seed=1)
    assert again.column("id").tolist() == drawn.column("id").tolist()
    other = random_examples(shuffled, 4, seed=2)
    assert other.column("id").tolist() != drawn.column("id").tolist()


def test_there_are_no_more_examples_than_spectra(world: Any) -> None:
    training = world.training(np.random.default_rng(54), 2)
    assert len(random_examples(training, 99)) == 10
    assert len(random_examples(training[:0], 3)) == 0
    with pytest.raises(DataError, match="at least 1"):
        random_examples(training, 0)


def test_examples_do_not_tell_the_order_of_labels_apart() -> None:
    drawn = random_examples(labelled(), 1)
    assert len(drawn) == 3  # Cs137 + K40 in either order, Cs137, bg


def test_every_spectrum_has_the_same_chance() -> None:
    spectra = Spectra(np.ones((10, 4)), AXIS, columns={"labels": ["a"] * 10, "id": np.arange(10)})
    drawn = np.concatenate([random_examples(spectra, 3, seed=s).column("id") for s in range(1000)])
    assert np.bincount(drawn, minlength=10) == pytest.approx(np.full(10, 300), abs=60)
