"""npz, zarr and our CSV layout give back every field of Spectra."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.stores import npz, zarr_store
from spectraloom.io.tables import text as table

STORES = {
    "npz": (npz.READER, npz.WRITER),
    "zarr": (zarr_store.READER, zarr_store.WRITER),
    "csv": (table.CSV_READER, table.CSV_WRITER),
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def there_and_back(spectra: Spectra, store: str) -> Spectra:
    reader, writer = STORES[store]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"spectra{writer.suffixes[0]}"
        writer.write(spectra, path)
        source = Source.from_path(path)
        assert reader.sniff(source)
        (found,) = reader.read(source)
    return found


def assert_same(found: Spectra, spectra: Spectra) -> None:
    assert found.fingerprint() == spectra.fingerprint()
    assert found.axis == spectra.axis
    assert found.axis.calibration == spectra.axis.calibration
    assert found.kind == spectra.kind
    assert dict(found.attrs) == dict(spectra.attrs)
    assert list(found.columns) == list(spectra.columns)
    assert found.values.dtype == spectra.values.dtype
    assert found.values.tobytes() == spectra.values.tobytes()
    assert (found.variance is None) == (spectra.variance is None)


@st.composite
def axes(draw: st.DrawFn, n: int) -> Axis:
    steps = draw(hnp.arrays(float, n + 1, elements=st.floats(1e-3, 1e3)))
    values = draw(st.floats(-1e3, 1e3)) + np.cumsum(steps)
    unit, quantity = draw(st.sampled_from([("keV", "energy"), ("ppm", "shift"), ("a,b;", 'q"')]))
    which = draw(st.integers(0, 5))
    if which == 0:
        return Axis.uncalibrated(n)
    if which == 1:
        return Axis.from_polynomial((draw(st.floats(-9, 9)), 3.0, 1e-3), n, unit=unit)
    if which == 2:
        return Axis.from_full_range_fraction((0.0, 3000.0, 10.0, 1.0, 0.1), n)
    if which == 3:
        return Axis.uncalibrated(n + 3)[2 : n + 2]
    if which == 4:
        return Axis.from_points(values[:n], quantity=quantity, unit=unit)
    return Axis.from_edges(values, quantity=quantity, unit=unit)


def column_of(n: int) -> st.SearchStrategy[object]:
    texts = st.lists(TEXT, min_size=n, max_size=n).map(lambda x: np.array(x, dtype=np.str_))
    sets = st.lists(st.lists(TEXT, max_size=3).map(tuple), min_size=n, max_size=n)
    kinds = ["|b1", "<i2", "<i8", "<u8", "<f2", "<f4", "<f8", "<M8[us]", "<M8[D]", "<M8[ns]"]
    # A text cannot tell one nan from another, so there is one nan only.
    plain = st.sampled_from(kinds).flatmap(
        lambda kind: hnp.arrays(
            kind,
            n,
            elements=hnp.from_dtype(np.dtype(kind), allow_nan=False) | st.just(np.nan)
            if kind[1] == "f"
            else None,
        )
    )
    return texts | sets | plain


@st.composite
def spectra_of(draw: st.DrawFn, *, tables: bool = False) -> Spectra:
    n, channels = draw(st.integers(0, 4)), draw(st.integers(2, 6))
    kind = draw(st.sampled_from(["counts", "rate", "intensity", "complex"][: 3 if tables else 4]))
    kinds = ["<u1", "<i4", "<i8", "<u8", "<f4", "<f8"] if kind != "complex" else ["<c8", "<c16"]
    finite = {"allow_nan": False, "allow_infinity": False}
    if kind == "counts":
        finite |= {"min_value": 0}
    dtype = np.dtype(draw(st.sampled_from(kinds)))
    if kind == "complex":
        finite = {"allow_nan": False, "allow_infinity": False}
    elements = hnp.from_dtype(dtype, **finite)
    values = draw(hnp.arrays(dtype, (n, channels), elements=elements))
    times = st.none() | hnp.arrays(float, n, elements=st.floats(0, 1e9) | st.just(np.nan))
    variance = None
    if not tables and draw(st.booleans()):
        variance = draw(hnp.arrays("<f8", (n, channels), elements=st.floats(0, 1e9)))
    return Spectra(
        values,
        draw(axes(channels)),
        kind,
        draw(times),
        draw(times),
        draw(st.dictionaries(TEXT, column_of(n), max_size=3)),
        variance,
        draw(st.dictionaries(TEXT, JSON, max_size=3)),
    )


@settings(max_examples=150)
@given(spectra_of())
def test_npz_is_lossless(spectra: Spectra) -> None:
    assert_same(there_and_back(spectra, "npz"), spectra)


@settings(max_examples=25)
@given(spectra_of())
def test_zarr_is_lossless(spectra: Spectra) -> None:
    assert_same(there_and_back(spectra, "zarr"), spectra)


@settings(max_examples=150)
@given(spectra_of(tables=True))
def test_csv_is_lossless(spectra: Spectra) -> None:
    assert_same(there_and_back(spectra, "csv"), spectra)


def example() -> Spectra:
    return Spectra(
        np.arange(12.0).reshape(3, 4) + 0.1,
        Axis.from_polynomial((0.1, 3.0), 4),
        live_time=[1.1, np.nan, 3.3],
        columns={"labels": [("Co60", "Cs137"), (), ("a|b",)], "a/b ü": ["x", "yy", ""]},
        attrs={"source": "somewhere", "depth": {"list": [1, None, 2.5]}},
    )


@pytest.mark.parametrize("store", STORES)
def test_a_whole_example(store: str) -> None:
    found = there_and_back(example(), store)
    assert_same(found, example())
    assert found.labels.tolist() == [("Co60", "Cs137"), (), ("a|b",)]


@pytest.mark.parametrize("store", STORES)
def test_attrs_must_be_json(store: str, tmp_path: Path) -> None:
    spectra = example().replace(attrs={"axis": np.zeros(3)})
    with pytest.raises(FormatError, match="JSON types"):
        STORES[store][1].write(spectra, tmp_path / "spectra")


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Spectra)])
@pytest.mark.parametrize("store", ["npz", "zarr"])
def test_each_field_counts(store: str, field: str) -> None:
    """The comparison above would notice a store that loses this field."""
    whole = example().replace(real_time=2.0, variance=np.full((3, 4), 2.5))
    other = {
        "values": whole.values + 1,
        "axis": Axis.from_polynomial((0.2, 3.0), 4),
        "kind": "rate",
        "live_time": None,
        "real_time": None,
        "columns": {},
        "variance": None,
        "attrs": {},
    }
    found = there_and_back(whole, store)
    with pytest.raises(AssertionError):
        assert_same(found.replace(**{field: other[field]}), whole)
