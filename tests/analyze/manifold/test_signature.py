from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from spectraloom import Axis
from spectraloom._typing import FloatArray
from spectraloom.analyze.manifold import (
    Deformation,
    SignatureModel,
    TabulatedSignature,
    join_signatures,
)
from spectraloom.errors import AxisError, DataError, LabelError

AXIS = Axis.regular(0.0, 100.0, 80)
STEEL = Deformation("thickness", "mm", 0.0, 30.0, softening=0.3)
SHIFT = Deformation("shift", "ppm", -5.0, 5.0)
WIDTH = Deformation("width", "ppm", 2.0, 6.0)


class Peaks:
    """Gaussian peaks that shift and broaden, in closed form."""

    def __init__(self, *centers: float) -> None:
        self.axis = AXIS
        self.centers = np.array(centers)
        self.names = tuple(f"peak{center:g}" for center in centers)
        self.deformations: tuple[Deformation, ...] = (SHIFT, WIDTH)

    def signature(self, values: FloatArray) -> FloatArray:
        shift, width = values
        z = (AXIS.edges - self.centers[:, np.newaxis] - shift) / width
        rows = np.diff(ndtr(z), axis=1)
        return rows / rows.sum(axis=1, keepdims=True)

    def derivative(self, values: FloatArray) -> FloatArray:
        step = 1e-5
        return np.stack(
            [
                (self.signature(values + step * unit) - self.signature(values - step * unit))
                / (2 * step)
                for unit in np.eye(2)
            ]
        )


class Shielded:
    """A continuum and two lines that a shield weakens by their own coefficients."""

    def __init__(self, name: str = "lines", deformation: Deformation = STEEL) -> None:
        self.axis = AXIS
        self.names = (name,)
        self.deformations = (deformation,)

    def signature(self, values: FloatArray) -> FloatArray:
        centers = AXIS.centers
        lines = np.exp(-0.5 * ((centers - np.array([[20.0], [70.0]])) / 4.0) ** 2)
        falls = np.exp(-np.array([0.2, 0.02]) * float(np.squeeze(values)))
        row = falls @ lines + 0.1 * np.exp(-centers / 30.0)
        return (row / row.sum())[np.newaxis]

    def derivative(self, values: FloatArray) -> FloatArray:
        step = 1e-5
        return (self.signature(values + step) - self.signature(values - step))[np.newaxis] / (
            2 * step
        )


@pytest.fixture(scope="module")
def peaks() -> TabulatedSignature:
    return TabulatedSignature.from_model(Peaks(30.0, 62.0), (41, 33))


@pytest.fixture(scope="module")
def shielded() -> TabulatedSignature:
    return TabulatedSignature.from_model(Shielded())


# -- coordinates -------------------------------------------------------------------------------


@pytest.mark.parametrize("one", [STEEL, SHIFT, WIDTH], ids=lambda one: one.name)
@given(u=st.floats(0.0, 1.0))
def test_coordinates_come_back(one: Deformation, u: float) -> None:
    value = one.from_unit(u)
    assert one.low <= value <= one.high
    assert one.to_unit(value) == pytest.approx(u, abs=1e-12)


@pytest.mark.parametrize("one", [STEEL, SHIFT, WIDTH], ids=lambda one: one.name)
def test_the_ends_are_exact(one: Deformation) -> None:
    assert one.from_unit([0.0, 1.0]).tolist() == [one.low, one.high]
    assert one.to_unit([one.low, one.high]).tolist() == [0.0, 1.0]


@given(value=st.floats(0.0, 30.0))
def test_the_slope_is_that_of_the_coordinate(value: float) -> None:
    step = 1e-6 * (value + 0.3)
    difference = (STEEL.to_unit(value + step) - STEEL.to_unit(value - step)) / (2 * step)
    assert STEEL.slope(value) == pytest.approx(difference, rel=1e-6)
    assert SHIFT.slope(value) == pytest.approx(0.1)


def test_a_softened_coordinate_is_logarithmic() -> None:
    # Equal factors of (thickness + softening) are equal steps.
    u = STEEL.to_unit(0.3 * 3.0 ** np.arange(5) - 0.3)
    assert np.diff(u) == pytest.approx(np.full(4, u[1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"low": 30.0}, "low < high"),
        ({"high": np.inf}, "low < high"),
        ({"low": np.nan}, "low < high"),
        ({"softening": 0.0}, "softening above -0"),
        ({"low": -1.0}, "softening above 1"),
        ({"softening": np.nan}, "softening above"),
    ],
)
def test_a_wrong_deformation_is_refused(change: dict[str, object], message: str) -> None:
    fields = {"name": "thickness", "unit": "mm", "low": 0.0, "high": 30.0, "softening": 0.3}
    with pytest.raises(DataError, match=message):
        Deformation(**{**fields, **change})  # type: ignore[arg-type]


def test_a_value_without_logarithm_is_refused() -> None:
    with pytest.raises(DataError, match=r"above -0\.3"):
        STEEL.to_unit([1.0, -0.3])


# -- tables ------------------------------------------------------------------------------------


def test_a_table_is_a_signature_model(peaks: TabulatedSignature) -> None:
    assert isinstance(peaks, SignatureModel)
    assert isinstance(Shielded(), SignatureModel)
    assert not isinstance(AXIS, SignatureModel)


def test_nodes_are_kept(peaks: TabulatedSignature, shielded: TabulatedSignature) -> None:
    model = Peaks(30.0, 62.0)
    for i, j in [(0, 0), (0, 32), (40, 0), (40, 32), (7, 19)]:
        values = np.array([SHIFT.from_unit(i / 40), WIDTH.from_unit(j / 32)])
        assert peaks.signature(values) == pytest.approx(model.signature(values), abs=1e-12)
    for i in (0, 1, 64, 128):
        value = STEEL.from_unit(i / 128)
        assert shielded.signature(value) == pytest.approx(Shielded().signature(value), abs=1e-12)


@given(shift=st.floats(-5.0, 5.0), width=st.floats(2.0, 6.0))
def test_two_coordinates_are_interpolated(
    peaks: TabulatedSignature, shift: float, width: float
) -> None:
    values, model = np.array([shift, width]), Peaks(30.0, 62.0)
    exact = model.signature(values)
    rows = peaks.signature(values)
    assert rows.min() >= 0
    assert rows.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-12)
    assert np.abs(rows - exact).max() < 2e-3 * exact.max()
    slopes = peaks.derivative(values)
    assert slopes.sum(axis=2) == pytest.approx(np.zeros((2, 2)), abs=1e-12)
    exact_slopes = model.derivative(values)
    assert np.abs(slopes - exact_slopes).max() < 0.03 * np.abs(exact_slopes).max()


@given(thickness=st.floats(0.0, 30.0))
def test_one_coordinate_is_interpolated(shielded: TabulatedSignature, thickness: float) -> None:
    exact = Shielded().signature(np.array([thickness]))
    rows = shielded.signature(thickness)
    assert rows.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.abs(rows / exact - 1).max() < 1e-4


@given(shift=st.floats(-4.9, 4.9), width=st.floats(2.1, 5.9))
def test_the_derivative_is_that_of_the_interpolation(
    peaks: TabulatedSignature, shift: float, width: float
) -> None:
    values = np.array([shift, width])
    step = 1e-6
    slopes = peaks.derivative(values)
    for j, unit in enumerate(np.eye(2)):
        ahead, behind = peaks.signature(values + step * unit), peaks.signature(values - step * unit)
        # The second derivative jumps at a node, so the difference is exact to the step only.
        assert slopes[j] == pytest.approx((ahead - behind) / (2 * step), abs=2e-6)


@given(u=st.floats(0.01, 0.99))
def test_the_derivative_along_a_logarithm_is_by_the_value(
    shielded: TabulatedSignature, u: float
) -> None:
    value = float(STEEL.from_unit(u))
    step = 1e-6 * (value + 0.3)
    difference = (shielded.signature(value + step) - shielded.signature(value - step)) / (2 * step)
    assert shielded.derivative(value)[0] == pytest.approx(difference, abs=1e-6)


def test_the_derivative_has_no_jump_at_a_node(peaks: TabulatedSignature) -> None:
    node = float(SHIFT.from_unit(17 / 40))
    low, high = (peaks.derivative([node + side, 3.3]) for side in (-1e-9, 1e-9))
    assert high == pytest.approx(low, abs=1e-8)


def test_overshoot_below_zero_is_cut_and_the_area_kept() -> None:
    # A channel that empties within one step makes a cubic overshoot.
    rows = np.zeros((9, 1, 3))
    rows[:, 0, 0] = 0.5
    rows[:4, 0, 1] = 0.5
    rows[4:, 0, 2] = 0.5
    table = TabulatedSignature(
        Axis.uncalibrated(3), ("a",), (Deformation("x", "", 0.0, 8.0),), rows
    )
    x = 4.5
    assert table._blend(np.array([x]), None).min() < 0
    assert table.signature(x).min() == 0
    assert table.signature(x).sum() == pytest.approx(1.0, abs=1e-14)
    step = 1e-6
    difference = (table.signature(x + step) - table.signature(x - step)) / (2 * step)
    assert table.derivative(x)[0] == pytest.approx(difference, abs=1e-8)


def test_a_value_a_digit_off_the_end_is_the_end(shielded: TabulatedSignature) -> None:
    assert np.array_equal(shielded.signature(30.0 + 1e-9), shielded.signature(30.0))


@pytest.mark.parametrize("values", [[30.1], [-0.1], [np.nan], [1.0, 2.0], [[1.0]]])
def test_values_that_are_not_covered_are_refused(
    shielded: TabulatedSignature, values: list[float]
) -> None:
    for ask in (shielded.signature, shielded.derivative):
        with pytest.raises(DataError, match=r"cover|one value for each"):
            ask(values)


def test_a_table_of_a_table_is_the_same(shielded: TabulatedSignature) -> None:
    again = TabulatedSignature.from_model(shielded, np.int64(129))  # type: ignore[arg-type]
    assert again.table == pytest.approx(shielded.table, rel=1e-12, abs=1e-15)


def test_copies_are_read_only(shielded: TabulatedSignature) -> None:
    twin = copy.deepcopy(shielded)
    assert np.array_equal(twin.table, shielded.table)
    assert (twin.names, twin.deformations, twin.axis) == (("lines",), (STEEL,), AXIS)
    with pytest.raises(ValueError, match="read-only"):
        twin.table[0] = 0


@pytest.mark.parametrize("n_nodes", [2, (5,), (5, 2), (5, 5, 5)])
def test_too_few_nodes_are_refused(n_nodes: int | tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="at least 3 nodes"):
        TabulatedSignature.from_model(Peaks(30.0), n_nodes)


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (DataError, "zero or more", {"table": "negative"}),
        (DataError, "zero or more", {"table": "nan"}),
        (DataError, "sums to 2", {"table": "double"}),
        (DataError, "at least 3 nodes", {"table": "short"}),
        (DataError, "shape", {"table": "flat"}),
        (DataError, "shape", {"names": ("a", "b", "c")}),
        (DataError, "several times", {"names": ("a", "a")}),
        (DataError, "at least one source", {"names": ()}),
        (DataError, "at least one deformation", {"deformations": ()}),
        (DataError, "several times", {"deformations": (SHIFT, SHIFT)}),
        (AxisError, "80 channels, the axis has 70", {"axis": Axis.uncalibrated(70)}),
    ],
)
def test_a_wrong_table_is_refused(
    peaks: TabulatedSignature, error: type[Exception], message: str, change: dict[str, object]
) -> None:
    good = peaks.table
    tables = {
        "negative": good - 1e-3,
        "nan": np.where(good == good.max(), np.nan, good),
        "double": 2 * good,
        "short": good[:2],
        "flat": good[0],
    }
    fields = {
        "axis": AXIS,
        "names": peaks.names,
        "deformations": peaks.deformations,
        "table": good,
    } | change
    if "table" in change:
        fields["table"] = tables[str(change["table"])]
    with pytest.raises(error, match=message):
        TabulatedSignature(**fields)  # type: ignore[arg-type]


# -- choosing and joining ------------------------------------------------------------------------


def test_sources_are_chosen_in_the_order_given(peaks: TabulatedSignature) -> None:
    values = [1.2, 3.4]
    turned = peaks.select(["peak62", "peak30"])
    assert turned.names == ("peak62", "peak30")
    assert np.array_equal(turned.signature(values), peaks.signature(values)[::-1])
    assert np.array_equal(turned.derivative(values), peaks.derivative(values)[:, ::-1])
    with pytest.raises(LabelError, match="no signature of Xx; there are peak30, peak62"):
        peaks.select(["peak30", "Xx"])


def test_joined_models_keep_their_signatures(peaks: TabulatedSignature) -> None:
    parts = [peaks.select(["peak30"]), Peaks(50.0, 70.0)]
    joined = join_signatures(parts, (41, 33))
    assert joined.names == ("peak30", "peak50", "peak70")
    values = np.array([SHIFT.from_unit(9 / 40), WIDTH.from_unit(0.5)])
    assert np.array_equal(joined.table[..., :1, :], parts[0].table)
    assert joined.signature(values)[1:] == pytest.approx(parts[1].signature(values), abs=1e-12)


def test_what_does_not_go_together_is_not_joined(shielded: TabulatedSignature) -> None:
    with pytest.raises(DataError, match="no signature models"):
        join_signatures([])
    with pytest.raises(DataError, match="several times"):
        join_signatures([shielded, shielded])
    longer = Deformation("thickness", "mm", 0.0, 40.0, softening=0.3)
    with pytest.raises(DataError, match="same coordinates"):
        join_signatures([shielded, Shielded("other", longer)])
    other = TabulatedSignature(
        Axis.uncalibrated(80), ("other",), shielded.deformations, shielded.table
    )
    with pytest.raises(AxisError, match="rebin first"):
        join_signatures([shielded, other])
