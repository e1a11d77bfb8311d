from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra deep")

from spectraloom._typing import FloatArray  # noqa: E402
from spectraloom.errors import FitError, FormatError  # noqa: E402
from spectraloom.nets import (  # noqa: E402
    InterpolatoryLayers,
    LearningSettings,
    TrainingSettings,
    decode_interpolation,
    learn_interpolation,
    rebuild_interpolation,
)

SETTINGS = LearningSettings(
    layers=InterpolatoryLayers((6, 6), (5, 5), (1, 2), (0.5,)),
    training=TrainingSettings(n_steps=60, steps_per_check=20, averaging=0.9),
    batch_size=6,
)


def moving_peaks(n: int = 12) -> FloatArray:
    channels = np.arange(40)
    centres = np.linspace(12.0, 26.0, n)
    peaks = np.exp(-0.5 * ((channels - centres[:, None]) / 4.0) ** 2)[:, None]
    return peaks / peaks.sum(axis=2, keepdims=True)


def test_learned_parameters_rebuild_the_network() -> None:
    spectra = moving_peaks()
    learned = learn_interpolation(spectra, [0, 11], [3, 8], SETTINGS)
    assert learned.weights.shape == (12, 2)
    np.testing.assert_allclose(learned.weights[[0, 11]], np.eye(2), atol=1e-4)
    network = rebuild_interpolation(learned.state, SETTINGS.layers).double()
    with torch.no_grad():
        again = network.project(torch.as_tensor(spectra)).numpy()
    np.testing.assert_allclose(again, learned.weights, atol=1e-12)
    decoded = decode_interpolation(learned.state, SETTINGS.layers, learned.weights)
    assert decoded.dtype == np.float64
    np.testing.assert_allclose(decoded.sum(axis=2), 1.0, rtol=1e-12)
    # The score is the error of what is decoded from the weights of the spectra kept aside, as
    # amplitudes: their squares sum to one.
    error = np.sum((np.sqrt(decoded) - np.sqrt(spectra))[[3, 8]] ** 2, axis=2)
    assert learned.record.best_score == pytest.approx(np.mean(10 * np.log10(error)), abs=1e-3)


def test_the_spectra_kept_aside_are_not_trained_on() -> None:
    spectra = moving_peaks()
    others = spectra.copy()
    others[[3, 8]] = others[[3, 8], :, ::-1]
    settings = replace(SETTINGS, training=TrainingSettings(n_steps=20, steps_per_check=20))
    first = learn_interpolation(spectra, [0, 11], [3, 8], settings)
    second = learn_interpolation(others, [0, 11], [3, 8], settings)
    assert all(np.array_equal(first.state[key], second.state[key]) for key in first.state)
    assert first.record.scores != second.record.scores


def test_noise_is_added_at_the_given_ratio() -> None:
    spectra = moving_peaks()
    settings = replace(SETTINGS, training=TrainingSettings(n_steps=1, steps_per_check=1))
    clean, silent, loud = (
        learn_interpolation(spectra, [0, 11], [3], replace(settings, noise_db=level)).state
        for level in (400.0, 200.0, 0.0)
    )
    assert all(np.array_equal(clean[key], silent[key]) for key in clean)
    assert any(not np.array_equal(clean[key], loud[key]) for key in clean)


def test_other_data_do_not_resume_a_training(tmp_path: Path) -> None:
    spectra = moving_peaks()
    settings = replace(SETTINGS, training=TrainingSettings(n_steps=2, steps_per_check=1))
    first = learn_interpolation(spectra, [0, 11], [3], settings, folder=tmp_path)
    again = learn_interpolation(spectra, [0, 11], [3], settings, folder=tmp_path, resume=True)
    assert first.record == again.record
    for others, held, given in (
        (spectra[:, :, ::-1], [3], settings),
        (spectra, [4], settings),
        (spectra, [3], replace(settings, noise_db=20.0)),
    ):
        with pytest.raises(FitError, match="another training"):
            learn_interpolation(others, [0, 11], held, given, folder=tmp_path, resume=True)


def test_rows_must_be_left_to_train_on() -> None:
    spectra = moving_peaks(4)
    for anchors, held in ([0, 3], [1, 2]), ([0, 3], []), ([0, 3], [3]):
        with pytest.raises(FitError, match="beside the anchors"):
            learn_interpolation(spectra, anchors, held, SETTINGS)


def test_parameters_of_other_layers_are_refused() -> None:
    settings = replace(SETTINGS, training=TrainingSettings(n_steps=1, steps_per_check=1))
    state = learn_interpolation(moving_peaks(), [0, 11], [3], settings).state
    with pytest.raises(FormatError, match="do not fit"):
        rebuild_interpolation(state, InterpolatoryLayers((6, 7), (5, 5), (1, 2), (0.5,)))
    with pytest.raises(FormatError, match="anchors"):
        rebuild_interpolation({}, SETTINGS.layers)
    empty = {key: np.zeros_like(array) for key, array in state.items()}
    empty["anchors"] = state["anchors"]
    with pytest.raises(FitError, match="empty spectrum"):
        decode_interpolation(empty, SETTINGS.layers, np.array([[0.5, 0.5]]))


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"code_weight": -1.0}, {"noise_db": float("nan")}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(FitError):
        replace(SETTINGS, **wrong)
