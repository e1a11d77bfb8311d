from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError

xr = pytest.importorskip("xarray")

AXES = (
    Axis.uncalibrated(4),
    Axis.from_polynomial((-1.0, 2.0, 0.1), 4),
    Axis.from_full_range_fraction((0.0, 3000.0, 5.0), 4),
    Axis.from_edges([0, 1, 4, 9, 16]),
    Axis.from_points([1.0, 2.0, 4.0, 8.0], quantity="wavelength", unit="nm"),
)
# Names that the dataset uses itself, or once used for a column of another name.
NAMES = ("labels", "detector", "values", "column_values", "channel", "spectrum", "edge", "energy",
         "live_time", "wavelength", "variance")  # fmt: skip


def columns(n: int) -> st.SearchStrategy[dict[str, object]]:
    texts = st.lists(st.text(max_size=3).filter(lambda t: "\0" not in t), min_size=n, max_size=n)
    sets = st.lists(st.lists(st.text(max_size=3)).map(tuple), min_size=n, max_size=n)
    numbers = hnp.arrays(st.sampled_from(["f4", "f8", "i2", "u8", "?"]), n)
    dates = st.tuples(
        st.lists(st.integers(0, 20000), min_size=n, max_size=n), st.sampled_from(["D", "s", "ns"])
    ).map(lambda made: np.array(made[0], dtype="i8").astype(f"M8[{made[1]}]"))
    return st.dictionaries(st.sampled_from(NAMES), st.one_of(texts, sets, numbers, dates))


@st.composite
def any_spectra(draw: st.DrawFn) -> Spectra:
    n = draw(st.integers(0, 3))
    axis = draw(st.sampled_from(AXES))
    kind = draw(st.sampled_from(["counts", "rate", "intensity", "complex"]))
    dtype = "c16" if kind == "complex" else draw(st.sampled_from(["f4", "f8", "i4", "u2"]))
    values = draw(hnp.arrays(dtype, (n, 4), elements=st.integers(0, 1000)))
    times = st.one_of(st.none(), hnp.arrays(float, n, elements=st.sampled_from([0.5, 3, np.nan])))
    variance = draw(st.one_of(st.none(), hnp.arrays("f4", (n, 4), elements=st.integers(0, 9))))
    return Spectra(
        values, axis, kind, draw(times), draw(times), draw(columns(n)), variance,  # type: ignore[arg-type]
        draw(st.dictionaries(st.text(), st.one_of(st.text(), st.integers()))),
    )  # fmt: skip


@given(any_spectra())
def test_round_trip_is_lossless(spectra: Spectra) -> None:
    back = Spectra.from_xarray(spectra.to_xarray())
    assert back.fingerprint() == spectra.fingerprint()
    assert back.attrs == spectra.attrs
    assert list(back.columns) == list(spectra.columns)
    assert back.axis.calibration == spectra.axis.calibration
    for name, column in spectra.columns.items():
        assert back.columns[name].dtype == column.dtype


def test_dataset_is_labelled() -> None:
    spectra = Spectra(np.ones((2, 4)), AXES[1], live_time=[1, 2], columns={"detector": "left"})
    dataset = spectra.to_xarray()
    assert dict(dataset.sizes) == {"spectrum": 2, "channel": 4, "edge": 5}
    np.testing.assert_array_equal(dataset["energy"], AXES[1].centers)
    assert dataset["energy"].attrs["units"] == "keV"
    assert dataset["detector"].to_numpy().tolist() == ["left", "left"]
    assert "channel" not in Spectra([[1, 2]]).to_xarray().coords


def test_a_foreign_dataset_is_refused() -> None:
    with pytest.raises(DataError, match=r"not made by Spectra\.to_xarray"):
        Spectra.from_xarray(xr.Dataset({"values": (("a", "b"), np.ones((1, 2)))}))
