from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

torch = pytest.importorskip("torch", reason="needs the extra deep")

from spectraloom.errors import FitError  # noqa: E402
from spectraloom.nets import InterpolatoryAutoencoder, InterpolatoryLayers  # noqa: E402
from spectraloom.nets.interpolatory import amplitudes, log_mse, project_simplex  # noqa: E402

SMALL = InterpolatoryLayers((4, 5, 6), (3, 4, 5), (1, 2, 2), (0.5, 0.1))


def new_network(n_anchors: int = 2, n_sources: int = 3, channels: int = 40) -> Any:
    torch.manual_seed(5)
    spectra = torch.rand(n_anchors, n_sources, channels, dtype=torch.float64)
    spectra /= spectra.sum(dim=2, keepdim=True)
    return InterpolatoryAutoencoder(spectra, SMALL).double()


# -- simplex -----------------------------------------------------------------------------------


@given(
    st.integers(2, 5).flatmap(
        lambda d: st.lists(st.floats(-3.0, 3.0, allow_subnormal=False), min_size=d, max_size=d)
    )
)
def test_projection_is_the_nearest_point_of_the_simplex(point: list[float]) -> None:
    found = project_simplex(torch.tensor([point], dtype=torch.float64)).numpy()[0]
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1.0)
    # A quadratic programme, solved in another way.
    d = len(point)
    solved = minimize(
        lambda w: 0.5 * np.sum((w - point) ** 2),
        np.full(d, 1.0 / d),
        jac=lambda w: w - point,
        bounds=[(0.0, 1.0)] * d,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    )
    np.testing.assert_allclose(found, solved.x, atol=2e-6)


def test_points_of_the_simplex_stay() -> None:
    points = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(project_simplex(points), points)


# -- loss ----------------------------------------------------------------------------------------


def test_logarithmic_error_by_hand() -> None:
    truth = torch.zeros(2, 2, 2, dtype=torch.float64)
    estimate = truth.clone()
    estimate[0, 0] = torch.tensor([2.0, 0.0])  # feature 0: 4 / 4 = 1
    estimate[:, 1] = 3.0  # feature 1: 9
    expected = (math.log(1.0) + math.log(9.0)) / 2
    assert float(log_mse(estimate, truth)) == pytest.approx(expected)


def test_the_loss_adds_the_codes_with_their_weight() -> None:
    network = new_network()
    spectra = network.anchors.roll(3, dims=2)
    codes, anchor_codes = network.codes(spectra)
    mixed = network.barycentres(network.weights(codes, anchor_codes), anchor_codes)
    data = log_mse(network.decoded(mixed), spectra)
    shares = (1.0, *SMALL.shortcuts)
    terms = sum(s * log_mse(b, c) for s, b, c in zip(shares, mixed, codes, strict=True))
    expected = 1.2 * (data + 0.2 * terms)
    torch.testing.assert_close(network.loss(spectra, spectra, 0.2), expected)
    torch.testing.assert_close(network.loss(spectra, spectra, 0.0), data)


def test_amplitudes_are_square_roots_of_mean_square_one() -> None:
    spectra = torch.tensor([[[0.0, 0.25, 0.75]]], dtype=torch.float64)
    expected = torch.tensor([[[0.0, math.sqrt(0.75), 1.5]]], dtype=torch.float64)
    torch.testing.assert_close(amplitudes(spectra), expected)
    torch.testing.assert_close(amplitudes(7.0 * spectra), expected)


# -- network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_anchors", [2, 3, 4])
def test_anchors_are_the_corners(n_anchors: int) -> None:
    network = new_network(n_anchors)
    weights = network.project(network.anchors.square())
    torch.testing.assert_close(weights, torch.eye(n_anchors).double(), atol=1e-4, rtol=0)


def test_codes_have_the_lengths_of_their_levels() -> None:
    network = new_network()
    assert SMALL.lengths(40) == (40, 38, 18, 7)
    codes, anchors = network.codes(network.anchors[:1])
    assert [tuple(code.shape) for code in codes] == [(1, 6, 7), (1, 5, 18), (1, 4, 38)]
    assert [len(code) for code in anchors] == [2, 2, 2]


def test_a_level_is_a_convolution_normalised_by_the_anchors() -> None:
    network = new_network()
    level = network.encode[0]
    given = network.anchors
    kernel = level.conv.weight.detach().numpy()[1]  # second feature of the code
    line = sum(
        np.correlate(source, taps, mode="valid")
        for source, taps in zip(given[1].numpy(), kernel, strict=True)
    )
    both = level.conv(given)[:, 1].detach().numpy()
    np.testing.assert_allclose(both[1], line)
    normal = (line - both.mean()) / both.std(ddof=1)
    expected = np.where(normal > 0, normal, np.expm1(normal))
    np.testing.assert_allclose(level(given, 2)[1, 1].detach().numpy(), expected, rtol=1e-9)


def test_a_spectrum_has_one_code_whatever_is_beside_it() -> None:
    network = new_network()
    spectra = torch.rand(6, 3, 40, dtype=torch.float64)
    torch.testing.assert_close(network.project(spectra)[2:3], network.project(spectra[2:3]))


def test_decoded_spectra_have_unit_area() -> None:
    network = new_network(3)
    with torch.no_grad():
        network.decode[0].bias += 1.0  # untrained, it may decode to nothing at all
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]], dtype=torch.float64)
    decoded = network.at(weights).detach()
    assert decoded.shape == (2, 3, 40)
    assert float(decoded.min()) >= 0
    torch.testing.assert_close(decoded.sum(dim=2), torch.ones(2, 3).double())


def test_decoding_depends_on_the_weights_only() -> None:
    network = new_network()
    one = network.at(torch.tensor([[0.3, 0.7]], dtype=torch.float64)).detach()
    again = network.at(torch.tensor([[1.0, 0.0], [0.3, 0.7]], dtype=torch.float64)).detach()
    torch.testing.assert_close(one[0], again[1])
    assert float((again[0] - again[1]).abs().max()) > 0


@pytest.mark.parametrize("length", [23, 24, 31, 40])
def test_least_channels(length: int) -> None:
    least = SMALL.least_channels
    if length < least:
        with pytest.raises(FitError, match=f"at least {least} channels"):
            SMALL.lengths(length)
    else:
        assert SMALL.lengths(length)[-1] >= 1
    assert SMALL.lengths(least)[-1] == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: InterpolatoryLayers((4,), (3,), (1,), ()),
        lambda: InterpolatoryLayers((4, 4), (3,), (1, 1), (0.5,)),
        lambda: InterpolatoryLayers((4, 4), (3, 0), (1, 1), (0.5,)),
        lambda: InterpolatoryLayers((4, 4), (3, 3), (1, 1), (0.5, 0.1)),
        lambda: InterpolatoryAutoencoder(torch.ones(1, 2, 40), SMALL),
        lambda: InterpolatoryAutoencoder(torch.zeros(2, 2, 40), SMALL),
        lambda: InterpolatoryAutoencoder(torch.linspace(-0.1, 1, 160).reshape(2, 2, 40), SMALL),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(FitError):
        make()
