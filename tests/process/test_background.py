from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError
from spectraloom.process import subtract_background

AXIS = Axis.regular(0.0, 3.0, 3)
GROSS = Spectra(
    np.array([[10, 20, 30], [1, 2, 3]], dtype=np.uint16), AXIS, live_time=[10.0, 5.0],
    columns={"labels": ["a", "b"]},
)  # fmt: skip
LONG = Spectra(np.array([[100, 400, 100]], dtype=np.uint16), AXIS, live_time=[100.0])


def test_scaled_by_live_time() -> None:
    net = subtract_background(GROSS, LONG)
    assert net.kind == "intensity"
    np.testing.assert_allclose(net.values, [[0, -20, 20], [-4, -18, -2]])
    np.testing.assert_allclose(net.variance, [[11, 24, 31], [1.25, 3.0, 3.25]])  # type: ignore[arg-type]
    assert net.column("labels").tolist() == ["a", "b"]
    np.testing.assert_array_equal(net.live_time, GROSS.live_time)  # type: ignore[arg-type]


def test_a_background_for_each() -> None:
    both = Spectra.concatenate([LONG, LONG.replace(live_time=[50.0])])
    np.testing.assert_allclose(
        subtract_background(GROSS, both).values, [[0, -20, 20], [-9, -38, -7]]
    )


def test_given_scales() -> None:
    np.testing.assert_allclose(
        subtract_background(GROSS, LONG, scale=0.0).values, GROSS.values.astype(float)
    )
    net = subtract_background(GROSS.replace(live_time=None), LONG, scale=[0.1, 0.01])
    np.testing.assert_allclose(net.values, [[0, -20, 20], [0, -2, 2]])


def test_variance_agrees_with_simulation() -> None:
    rng = np.random.default_rng(3)
    mean, background = np.array([30.0, 12.0, 7.0]), np.array([25.0, 10.0, 3.0])
    n = 40_000
    net = subtract_background(
        Spectra(rng.poisson(mean + background, (n, 3)), AXIS, live_time=10.0),
        Spectra(rng.poisson(4 * background, (n, 3)), AXIS, live_time=40.0),
    )
    assert net.variance is not None
    np.testing.assert_allclose(net.values.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(net.values.var(axis=0), net.variance.mean(axis=0), rtol=0.03)


def test_other_kinds() -> None:
    rates, other = (one.replace(kind="rate", live_time=None) for one in (GROSS, LONG))
    net = subtract_background(rates, other)
    np.testing.assert_array_equal(net.values[0], [-90, -380, -70])
    assert net.variance is None
    assert net.kind == "intensity"
    half_known = rates.replace(variance=np.ones((2, 3)))
    assert subtract_background(half_known, other).variance is None
    turned = GROSS.replace(values=GROSS.values * 1j, kind="complex")
    assert not subtract_background(turned, turned, scale=1).values.any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: subtract_background(GROSS, LONG.replace(axis=Axis.regular(0, 4, 3))), AxisError,
         "subtracting a background"),
        (lambda: subtract_background(GROSS, LONG.replace(kind="rate")), DataError, "to one kind"),
        (lambda: subtract_background(GROSS[[0, 1, 0]], GROSS), DataError, "2 backgrounds for 3"),
        (lambda: subtract_background(GROSS, LONG.replace(live_time=None)), DataError,
         "have none"),
        (lambda: subtract_background(GROSS.replace(live_time=[1, np.nan]), LONG), DataError,
         r"1 of 2 spectra \(rows 1\)"),
        (lambda: subtract_background(GROSS.replace(kind="intensity"),
                                     LONG.replace(kind="intensity")), DataError, "give scale="),
        (lambda: subtract_background(GROSS, LONG, scale=-1), DataError, "zero or more"),
        (lambda: subtract_background(GROSS, LONG, scale=np.nan), DataError, "finite"),
        (lambda: subtract_background(GROSS, LONG, scale=[1, 2, 3]), DataError, r"shape \(3,\)"),
    ],
)  # fmt: skip
def test_refusals_say_why(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
