from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spectraloom._typing import Array
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.transport import cache
from spectraloom.physics.gamma.transport.cache import (
    CACHE_DIR_VARIABLE,
    Shapes,
    cache_dir,
    file_name,
    forget,
    remembered,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path / "kept"))
    forget()
    return tmp_path / "kept"


SHAPES: Shapes = {"a": (3,), "b": ("n", "n")}


def counted() -> tuple[list[int], Callable[[], dict[str, Array]]]:
    calls: list[int] = []

    def compute() -> dict[str, Array]:
        calls.append(1)
        return {"a": np.arange(3.0), "b": np.eye(2)}

    return calls, compute


def test_a_result_is_computed_once(folder: Path) -> None:
    calls, compute = counted()
    first = remembered("test", (1.5, "x", None), SHAPES, compute)
    again = remembered("test", (1.5, "x", None), SHAPES, compute)
    forget()
    from_disk = remembered("test", (1.5, "x", None), SHAPES, compute)
    assert len(calls) == 1
    assert len(list(folder.iterdir())) == 1
    for found in (first, again, from_disk):
        np.testing.assert_array_equal(found["a"], np.arange(3.0))
        np.testing.assert_array_equal(found["b"], np.eye(2))
        assert not found["a"].flags.writeable


def test_other_parameters_are_another_result() -> None:
    calls, compute = counted()
    parameters: list[tuple[object, ...]] = [
        (1.0,),
        (1.0 + 1e-15,),
        ("1.0",),
        (None,),
        (1.0, 2.0),
        ((1.0, 2.0),),
        (Crystal(),),
        (Crystal(dead_layer=1e-6),),
        (np.array([1.0, 3.0]),),
    ]
    names = {file_name("test", each) for each in parameters}
    assert len(names) == len(parameters)
    assert file_name("test", (1.0,)) != file_name("other", (1.0,))
    for each in parameters:
        remembered("test", each, SHAPES, compute)
    assert len(calls) == len(parameters)


def test_the_same_in_other_types_is_the_same_result() -> None:
    assert file_name("test", (2,)) == file_name("test", (np.float64(2.0),))
    assert file_name("test", (np.array([1, 2]),)) == file_name("test", ((1.0, 2.0),))
    assert file_name("test", (Crystal(size=(5, 5)),)) == file_name(
        "test", (Crystal(size=(5.0, 5.0)),)
    )


def test_what_cannot_be_spelled_is_refused() -> None:
    with pytest.raises(TypeError, match="numbers"):
        file_name("test", (object(),))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_broken_file_is_computed_anew(folder: Path, content: bytes) -> None:
    calls, compute = counted()
    folder.mkdir()
    path = folder / file_name("test", (1.0,))
    path.write_bytes(content)
    remembered("test", (1.0,), SHAPES, compute)
    forget()
    remembered("test", (1.0,), SHAPES, compute)
    assert len(calls) == 1
    with np.load(path) as stored:
        np.testing.assert_array_equal(stored["a"], np.arange(3.0))


def test_no_flipped_bit_is_an_error_or_another_result(folder: Path) -> None:
    calls, compute = counted()
    remembered("test", (1.0,), SHAPES, compute)
    path = folder / file_name("test", (1.0,))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at, bit in zip(rng.integers(len(whole), size=500), rng.integers(8, size=500), strict=True):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(bit)
        path.write_bytes(damaged)
        forget()
        found = remembered("test", (1.0,), SHAPES, compute)
        np.testing.assert_array_equal(found["a"], np.arange(3.0))
        np.testing.assert_array_equal(found["b"], np.eye(2))
    assert len(calls) > 100


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.arange(3.0)},
        {"a": np.arange(3.0), "c": np.eye(2)},
        {"a": np.arange(3.0), "b": np.eye(2), "c": np.eye(2)},
        {"a": np.arange(4.0), "b": np.eye(2)},
        {"a": np.arange(3.0), "b": np.ones((2, 3))},
        {"a": np.arange(3.0), "b": np.ones(2)},
        {"a": np.array([0.0, np.nan, 2.0]), "b": np.eye(2)},
        {"a": np.array(["0", "1", "2"]), "b": np.eye(2)},
    ],
)
def test_a_file_of_something_else_is_computed_anew(folder: Path, other: dict[str, Array]) -> None:
    calls, compute = counted()
    folder.mkdir()
    np.savez(folder / file_name("test", (1.0,)), **other)  # type: ignore[arg-type]
    found = remembered("test", (1.0,), SHAPES, compute)
    assert len(calls) == 1
    np.testing.assert_array_equal(found["a"], np.arange(3.0))
    np.testing.assert_array_equal(found["b"], np.eye(2))


@pytest.mark.parametrize("table", ["materials.json", "elements.npz", "fluorescence.json"])
def test_other_tables_of_materials_are_another_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    before = file_name("test", (1.0,))
    copied = tmp_path / "tables"
    copied.mkdir()
    for name in ("materials.json", "elements.npz", "fluorescence.json"):
        (copied / name).write_bytes((cache.SHIPPED.parent / name).read_bytes())
    monkeypatch.setattr(cache, "_TABLES", copied)
    assert file_name("test", (1.0,)) == before
    (copied / table).write_bytes((copied / table).read_bytes() + b" ")
    cache._digest_of_tables.cache_clear()
    assert file_name("test", (1.0,)) != before


def test_line_ends_of_a_checkout_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file_name("test", (1.0,))
    for path in cache.SHIPPED.parent.glob("*.*"):
        content = path.read_bytes()
        if path.suffix == ".json":
            content = content.replace(b"\n", b"\r\n")
        (tmp_path / path.name).write_bytes(content)
    monkeypatch.setattr(cache, "_TABLES", tmp_path)
    assert file_name("test", (1.0,)) == before


def test_a_file_with_objects_is_not_loaded(folder: Path) -> None:
    calls, compute = counted()
    folder.mkdir()
    name = folder / file_name("test", (1.0,))
    np.savez(name, a=np.array([{"an": "object"}], dtype=object))
    found = remembered("test", (1.0,), SHAPES, compute)
    assert len(calls) == 1
    np.testing.assert_array_equal(found["a"], np.arange(3.0))


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path / "file" / "below"))
    calls, compute = counted()
    remembered("test", (1.0,), SHAPES, compute)
    remembered("test", (1.0,), SHAPES, compute)
    assert len(calls) == 1  # memory still holds it


def test_nothing_unfinished_stays_when_writing_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full)
    calls, compute = counted()
    remembered("test", (1.0,), SHAPES, compute)
    assert len(calls) == 1
    assert list(folder.iterdir()) == []


def test_what_comes_with_the_package_is_found_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    np.savez(shipped / file_name("test", (1.0,)), a=np.full(3, 7.0), b=np.eye(2))
    monkeypatch.setattr(cache, "SHIPPED", shipped)
    calls, compute = counted()
    np.testing.assert_array_equal(remembered("test", (1.0,), SHAPES, compute)["a"], [7.0] * 3)
    assert calls == []


def test_memory_holds_only_the_last_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_KEPT", 2)
    memory = cache._Memory()
    for name in "abc":
        memory.put(name, {})
        memory.get("b")
    assert memory.get("a") is None
    assert memory.get("b") == {}
    assert memory.get("c") == {}


def test_the_folder_follows_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_DIR_VARIABLE)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "spectraloom" / "transport"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "spectraloom" / "transport"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_dir() == tmp_path / "Library" / "Caches" / "spectraloom" / "transport"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_dir() == tmp_path / "local" / "spectraloom" / "transport"
