"""GAMMA_FLOW's pickled arrays: the real files, and hostile ones that must do nothing."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectraloom.errors import FormatError
from spectraloom.io.npy.gamma_flow import READER
from spectraloom.io.npy.pickled_arrays import MAX_STEPS, read_pickled
from spectraloom.io.source import Source


def record(**changes: Any) -> dict[str, Any]:
    entry = {
        "spectrum": np.array([1, 2, 3], dtype=np.int64),
        "labels": ["Co60", "background"],
        "calibration": {"offset": -12.0, "slope": 8.0, "quad": 0.001},
        "detector": "left",
        "absorber material": "Pb",
        "absorber thickness": "2.0",
    }
    return {k: v for k, v in {**entry, **changes}.items() if v is not ...}


def npy(entries: Any) -> bytes:
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_with(program: bytes, shape: str = "(1,)") -> bytes:
    """An ``.npy`` file of objects whose pickle is `program`."""
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + program


def read(content: bytes) -> Any:
    source = Source.from_bytes(content, "folder/test.npy")
    assert READER.sniff(source)
    return READER.read(source)


def test_fields_and_axis_convention() -> None:
    (spectra,) = read(npy([record(), record(**{"absorber material": "None"})]))
    assert spectra.values.tolist() == [[1.0, 2.0, 3.0]] * 2
    assert spectra.values.dtype == np.float64
    assert spectra.kind == "counts"
    assert spectra.labels.tolist() == [("Co60", "background")] * 2
    assert spectra.columns["detector"].tolist() == ["left", "left"]
    assert spectra.columns["absorber"].tolist() == ["Pb 2.0", ""]
    assert spectra.columns["material"].tolist() == ["Pb", ""]
    assert spectra.columns["thickness"].tolist() == [2.0, 2.0]
    assert spectra.columns["file"].tolist() == ["test.npy"] * 2
    assert spectra.columns["record"].tolist() == [0, 1]
    assert spectra.attrs == {"source": "test.npy", "format": "GAMMA_FLOW npy"}
    # At integer i the file's formula gives the middle of channel i; ours the lower edge.
    i = np.arange(3)
    middle = spectra.axis.value_at(i + 0.5)
    np.testing.assert_allclose(middle, -12.0 + 8.0 * i + 0.001 * i**2, rtol=1e-12)


def test_groups_by_calibration_keep_file_order() -> None:
    other = {"offset": 0.0, "slope": 3.0, "quad": 0.0}
    entries = [
        record(),
        record(calibration=other),
        record(spectrum=np.ones(3)),
        record(calibration=...),
    ]
    first, second, third = read(npy(entries))
    assert first.columns["record"].tolist() == [0, 2]
    assert first.values.tolist() == [[1, 2, 3], [1, 1, 1]]
    assert second.columns["record"].tolist() == [1]
    assert second.axis.values.tolist() == [-1.5, 1.5, 4.5, 7.5]
    assert not third.axis.is_calibrated


def test_other_ways_to_write_the_same() -> None:
    entries = [
        record(
            spectrum=np.array([1, 2, 3], dtype=">u2"),
            labels=np.array(["Co60", "background"]),
            calibration={"offset": np.float64(-12), "slope": np.int32(8), "quad": 0.001},
            detector=np.str_("left"),
            **{"absorber thickness": np.float32(2.0)},
        ),
        record(spectrum=[1, 2.0, 3]),
    ]
    (spectra,) = read(npy(entries))
    assert spectra.values.tolist() == [[1.0, 2.0, 3.0]] * 2
    assert spectra.labels.tolist() == [("Co60", "background")] * 2
    assert spectra.columns["absorber"].tolist() == ["Pb 2.0", "Pb 2.0"]


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickle_protocols_and_both_spellings_of_numpy(protocol: int) -> None:
    array = np.empty(1, dtype=object)
    array[0] = record()
    program = pickle.dumps(array, protocol)
    if protocol == 2:
        # Protocol 2 has no bytes; numpy writes texts through a codec, which is a call.
        with pytest.raises(FormatError, match="_codecs"):
            read(npy_with(program))
        return
    new = b"numpy._core.multiarray"
    assert new in program or b"numpy.core.multiarray" in program
    (one,) = read(npy_with(program))
    if protocol == 3:
        old = program.replace(new, b"numpy.core.multiarray")
        (two,) = read(npy_with(old))
        assert one.fingerprint() == two.fingerprint()


def test_further_entries_become_columns() -> None:
    entries = [record(live_time=2.5, note="a"), record(note="b", distance=3)]
    (spectra,) = read(npy(entries))
    assert spectra.live_time is not None
    np.testing.assert_array_equal(spectra.live_time, [2.5, np.nan])
    assert spectra.columns["note"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(spectra.columns["distance"], [np.nan, 3.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spectrum": ...}, "expected 'spectrum'"),
        ({"spectrum": "1,2,3"}, "expected 'spectrum'"),
        ({"spectrum": np.ones((2, 2))}, "expected 'spectrum'"),
        ({"spectrum": np.array([1.0, np.nan, 1])}, "finite"),
        ({"spectrum": np.array([1, -1, 1])}, "negative"),
        ({"spectrum": np.zeros(0)}, "one channel"),
        ({"calibration": {"offset": 1.0, "quad": 1.0}}, "lacks offset or slope"),
        ({"calibration": {"offset": 1.0, "slope": 2.0, "cubic": 1.0}}, "offset, slope and quad"),
        ({"calibration": {"offset": 1.0, "slope": "eight"}}, "expected a number"),
        ({"calibration": {"offset": 1.0, "slope": -8.0}}, "increase"),
        ({"labels": [1, 2]}, "labels"),
        ({"detector": 3}, "detector"),
        ({"absorber thickness": "thick"}, "thickness"),
        ({"extra": [1]}, "extra"),
        ({"live_time": "long"}, "live_time"),
        ({"live_time": 10**400}, "live_time"),
        ({"spectrum": [10**400]}, "spectrum"),
    ],
)
def test_malformed_records_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read(npy([record(**change)]))
    assert "folder/test.npy" in str(caught.value)


def test_plain_arrays_are_uncalibrated_spectra() -> None:
    for values, kind in (
        (np.arange(6, dtype=np.int32).reshape(2, 3), "counts"),
        (np.asfortranarray(np.arange(6.0).reshape(2, 3)), "counts"),
        (np.array([1.0, -2.0]), "intensity"),
        (np.array([[1j, 2.0]]), "complex"),
    ):
        stream = io.BytesIO()
        np.save(stream, values)
        (spectra,) = read(stream.getvalue())
        assert np.array_equal(spectra.values, np.atleast_2d(values))
        assert spectra.kind == kind
        assert not spectra.axis.is_calibrated
    for values in (np.zeros((2, 2, 2)), np.array(["a"]), np.zeros(2, dtype=[("a", float)])):
        stream = io.BytesIO()
        np.save(stream, values)
        with pytest.raises(FormatError):
            read(stream.getvalue())


def test_the_real_files_agree_with_numpys_own_reader(gamma_flow_zip: Path) -> None:
    with zipfile.ZipFile(gamma_flow_zip) as archive:
        for name in ("1_numpy_raw/multi-class_left.npy", "1_numpy_raw/Am241_simulated.npy"):
            content = archive.read(name)
            trusted = np.load(io.BytesIO(content), allow_pickle=True)  # the provider's own data
            (spectra,) = read(content)
            assert len(spectra) == len(trusted)
            assert np.array_equal(spectra.values, np.stack([e["spectrum"] for e in trusted]))
            assert spectra.labels.tolist() == [tuple(e["labels"]) for e in trusted]
            assert spectra.columns["detector"].tolist() == [e["detector"] for e in trusted]
            thickness = [float(e["absorber thickness"]) for e in trusted]
            assert spectra.columns["thickness"].tolist() == thickness
            c = trusted[0]["calibration"]
            i = np.arange(256)
            np.testing.assert_allclose(
                spectra.axis.value_at(i + 0.5), c["offset"] + c["slope"] * i + c["quad"] * i**2
            )


# -- hostile files --------------------------------------------------------------------------


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def hostile_objects(sentinel: Path) -> dict[str, Any]:
    touch = f"touch {sentinel}"
    python = f"open({str(sentinel)!r}, 'w').close()"
    return {
        "os.system": Calls(os.system, touch),
        "os.popen": Calls(os.popen, touch),
        "eval": Calls(eval, python),
        "exec": Calls(exec, python),
        "open": Calls(open, str(sentinel), "w"),
        "getattr": Calls(getattr, "", "join"),
        "numpy.load": Calls(np.load, str(sentinel)),
        "numpy.fromfile": Calls(np.fromfile, str(sentinel)),
        "numpy.memmap": Calls(np.memmap, str(sentinel), "uint8", "w+", 0, (10,)),
        "pickle.loads": Calls(pickle.loads, pickle.dumps(Calls(os.system, touch))),
        "bytearray": Calls(bytearray, 10**11),
        "numpy.zeros": Calls(np.zeros, 10**11),
    }


@pytest.mark.parametrize("name", list(hostile_objects(Path("x"))))
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_hostile_pickle_does_nothing(name: str, protocol: int, tmp_path: Path) -> None:
    sentinel = tmp_path / "pwned"
    hostile = hostile_objects(sentinel)[name]
    for content in (
        npy_with(pickle.dumps(hostile, protocol)),
        npy_with(pickle.dumps([record(labels=[hostile])], protocol)),
        npy([record(), record(detector=hostile)]),
    ):
        with pytest.raises(FormatError, match="refused"):
            read(content)
    assert not sentinel.exists()


def test_the_hostile_pickles_above_are_hostile(tmp_path: Path) -> None:
    """Read by the library's own machine they do run, so the test before can fail."""
    sentinel = tmp_path / "pwned"
    pickle.loads(pickle.dumps(hostile_objects(sentinel)["exec"]))
    assert sentinel.exists()


def build_array(descr: bytes, state: bytes) -> bytes:
    """Protocol-2 program: reconstruct an array, then give it a state."""
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R" + b"(K\x01" + descr + state + b"tb."
    )


DTYPE = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00%s\x89\x88\x87R"
    b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)


def programs() -> dict[str, bytes]:
    eight = DTYPE.replace(b"%s", b"f8")
    objects = DTYPE.replace(b"%s", b"O8")
    good = build_array(b"K\x01\x85" + eight, b"\x89C\x08" + struct.pack("<d", 1.0))
    huge = build_array(b"\x8a\x05\x00\x00\x00\x00\x10\x85" + eight, b"\x89C\x08" + bytes(8))
    scalar = b"\x80\x02cnumpy.core.multiarray\nscalar\n" + objects + b"C\x08AAAAAAAA\x86R."
    return {
        "good": good,
        "array of another size": huge,
        "negative shape": build_array(b"J\xff\xff\xff\xff\x85" + eight, b"\x89C\x08" + bytes(8)),
        "very many huge dimensions": build_array(
            b"(\x8a\xff" + b"\x7f" * 255 + b"q\x01" + b"h\x01" * 150_000 + b"t" + eight,
            b"\x89C\x00",
        ),
        "objects from bytes": build_array(b"K\x01\x85" + objects, b"\x89C\x08AAAAAAAA"),
        "scalar of objects": scalar,
        "void type": DTYPE.replace(b"%s", b"V8").join([b"\x80\x02", b"."]),
        "wrong type name": DTYPE.replace(b"%s", b"zz").join([b"\x80\x02", b"."]),
        "memory bomb": b"\x80\x02Nr\xff\xff\xff\x7f0N.",
        "extension registry": b"\x80\x02\x82\x01.",
        "persistent id": b"\x80\x02U\x01aQ.",
        "new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
        "text protocol": b"(lp0\nI1\na.",
        "state of a list": b"\x80\x02]}b.",
        "state of a name": b"\x80\x02cnumpy\nndarray\n}b.",
        "call of a text": b"\x80\x02X\x01\x00\x00\x00a)R.",
        "call of ndarray": b"\x80\x02cnumpy\nndarray\nK\x05\x85R.",
        "key that is no text": b"\x80\x02}K\x01K\x02s.",
        "no mark": b"\x80\x02]K\x01e.",
        "empty stack": b"\x80\x02\x85.",
        "left over": b"\x80\x02NN.",
        "long text": b"\x80\x02X\xff\xff\xff\x7fa.",
        "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.",
        "not in memory": b"\x80\x02h\x05.",
        "no end": b"\x80\x02N",
        "nothing": b"",
    }


def test_the_handwritten_array_is_well_formed() -> None:
    assert read_pickled(programs()["good"], "x").content.tolist() == [1.0]


@pytest.mark.parametrize("name", [name for name in programs() if name != "good"])
def test_damaged_and_malicious_programs_are_refused(name: str) -> None:
    start = time.process_time()
    with pytest.raises(FormatError):
        read_pickled(programs()[name], "x")
    with pytest.raises(FormatError):
        read(npy_with(programs()[name]))
    assert time.process_time() - start < 2.0


def test_deep_nesting_is_harmless() -> None:
    depth = 200_000
    for program in (
        b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".",
        b"\x80\x02N" + b"\x85" * depth + b".",
        b"\x80\x02" + b"}X\x01\x00\x00\x00a" * depth + b"N" + b"s" * depth + b".",
    ):
        with pytest.raises(FormatError, match="one-dimensional array"):
            read(npy_with(program))


def test_long_programs_are_refused() -> None:
    with pytest.raises(FormatError, match="steps"):
        read_pickled(b"\x80\x02" + b"N" * (MAX_STEPS + 10) + b".", "x")


def test_one_array_named_many_times_is_bounded() -> None:
    many = record(spectrum=np.zeros(100_000))
    with pytest.raises(FormatError, match="512 MiB"):
        read(npy([many] * 10_000))


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '|O', 'fortran_order': False, 'shape': (10",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 10000000000000000000000), }",
        b"{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': ('<f8', (100000, 100000)), 'fortran_order': False, 'shape': (1,), }",
        b"[" * 5000,
        b"__import__('os').system('true')",
    ],
)
def test_hostile_headers(header: bytes) -> None:
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + bytes(8)
    with pytest.raises(FormatError):
        read(content)


GOOD = npy([record(), record(labels=["Am241"])])


@pytest.mark.parametrize("length", range(6, len(GOOD)))
def test_truncated_anywhere(length: int) -> None:
    with pytest.raises(FormatError):
        read(GOOD[:length])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(6, len(GOOD) - 1), st.integers(0, 255)), max_size=4))
def test_mutated_bytes_give_spectra_or_an_error(changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for position, value in changes:
        content[position] = value
    try:
        groups = read(bytes(content))
    except FormatError:
        return
    assert sum(len(group) for group in groups) >= 1


def test_only_simple_instructions_are_needed() -> None:
    """numpy's own writer uses no instruction that we lack."""
    start = GOOD.index(b"\n") + 1
    assert {op.name for op, _, _ in pickletools.genops(GOOD[start:])} >= {"REDUCE", "BUILD"}
    assert len(read(GOOD)[0]) == 2
