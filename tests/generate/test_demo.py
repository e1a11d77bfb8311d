from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.generate import DEMO_NUCLIDES, DEMO_UNKNOWN, demo_detectors, demo_sets
from spectraloom.physics.gamma import BACKGROUND


@pytest.fixture(scope="module")
def sets() -> dict[str, list[Spectra]]:
    return demo_sets(seed=3, scale=0.2)


def test_sets_play_their_parts(sets: dict[str, list[Spectra]]) -> None:
    labels = {name: [set(e) for part in parts for e in part.labels] for name, parts in sets.items()}
    classes = {*DEMO_NUCLIDES, BACKGROUND}
    assert all(len(entry) == 1 for entry in labels["training"])
    assert set.union(*labels["training"]) == classes
    assert all(BACKGROUND in entry and len(entry) <= 2 for entry in labels["single"])
    assert set.union(*labels["single"]) == classes
    assert all(len(entry) >= 3 for entry in labels["multi"])
    assert set.union(*labels["multi"]) <= classes
    assert set.union(*labels["unknown"]) == {*DEMO_UNKNOWN, BACKGROUND}
    assert not set(DEMO_UNKNOWN) & set(DEMO_NUCLIDES)


def test_measured_sets_come_from_two_detectors(sets: dict[str, list[Spectra]]) -> None:
    axes = {"simulated": sets["training"][0].axis}
    for name in ("single", "multi", "unknown"):
        for part, detector in zip(sets[name], ("east", "west"), strict=True):
            assert set(part.column("detector")) == {detector}
            axes[detector] = part.axis
    assert not axes["east"].isclose(axes["west"], tolerance=0.5)
    assert not axes["simulated"].isclose(axes["east"], tolerance=0.5)
    assert {d.name: d.axis for d in demo_detectors().values()} == axes


def test_sizes_scale() -> None:
    small, full = demo_sets(scale=0.01), demo_sets()
    count = {name: sum(map(len, parts)) for name, parts in full.items()}
    assert count == {"training": 2100, "single": 980, "multi": 600, "unknown": 300}
    assert sum(map(len, small["single"])) == 14  # every class at least once in each detector
    with pytest.raises(DataError, match="scale"):
        demo_sets(scale=0.0)


def test_seeds(sets: dict[str, list[Spectra]]) -> None:
    again, other = demo_sets(seed=3, scale=0.2), demo_sets(seed=4, scale=0.2)
    for name, parts in sets.items():
        for mine, same, different in zip(parts, again[name], other[name], strict=True):
            assert mine.fingerprint() == same.fingerprint()
            assert mine.fingerprint() != different.fingerprint()
    east, west = sets["single"]
    assert not np.array_equal(east.column("gain"), west.column("gain"))


def test_sources_can_be_told_apart_but_not_without_errors() -> None:
    # Plain least squares with the mean of every class, as a sanity check of the difficulty.
    training = demo_sets(seed=1)["training"][0]
    names = np.array([entry[0] for entry in training.labels])
    half = np.arange(len(training)) % 2 == 0
    classes = sorted(set(names))
    means = np.stack([training.values[half & (names == c)].mean(axis=0) for c in classes])
    means /= means.sum(axis=1, keepdims=True)
    found = [classes[int(nnls(means.T, row)[0].argmax())] for row in training.values[~half]]
    accuracy = np.mean(np.array(found) == names[~half])
    assert accuracy > 0.9
