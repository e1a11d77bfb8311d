"""Scenes from TOML, and a gallery of ready ones.

The keys of a file are the fields of the classes in :mod:`spectraloom.generate.scene`, with four
things written in another way: ``sources`` and ``passes`` are tables, ``axis`` is
``{ low, high, channels }``, ``background = false`` switches it off, and a detector is a name or the
table of what it has different from a ready one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from spectraloom._nearest import did_you_mean
from spectraloom.data import Axis
from spectraloom.errors import DataError, LabelError, SpectraloomError
from spectraloom.generate.scene import (
    Scene,
    SceneBackground,
    SceneDrift,
    ScenePass,
    SceneSource,
)
from spectraloom.generate.scene_checks import (
    MOST_CHOICES,
    absorber_parts,
    as_number,
    as_whole,
    layer_parts,
    with_density,
)
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.detectors import detector
from spectraloom.physics.gamma.materials import Material, shown

_LARGEST_FILE = 1_000_000  # bytes
_MOST_CHANNELS = 65536
_LAYERS = {"body": "radius", "floor": "height"}

_T = TypeVar("_T")


def scenes() -> dict[str, str]:
    """Ready scenes.

    Returns
    -------
    dict of str to str
        Name and description.
    """
    return {name: ready_scene(name).description for name in _ready()}


def ready_scene(name: str) -> Scene:
    """A scene of the gallery.

    Parameters
    ----------
    name : str
        One of :func:`scenes`.

    Returns
    -------
    Scene
        It can be changed with :func:`dataclasses.replace`.

    Raises
    ------
    LabelError
        If there is no such scene; the message names the nearest.

    Examples
    --------
    >>> ready_scene("handheld").detectors[0].name
    'CsI handheld'
    """
    known = _ready()
    if name not in known:
        raise LabelError(
            f"no scene {name!r}{did_you_mean(name, known)} (ready scenes: {', '.join(known)})"
        )
    return scene_from_text(known[name], name)


def read_scene(path: str | PathLike[str]) -> Scene:
    """Read a scene from a TOML file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Scene
        What the file says; without a name it is called as the file is.

    Raises
    ------
    DataError
        If the file is no TOML, has a key that does not exist, or a value out of range; the
        message says where.
    LabelError
        If a nuclide, a material or a detector is not known.
    OSError
        If the file cannot be read.
    """
    file = Path(path)
    with file.open("rb") as stream:
        stored = stream.read(_LARGEST_FILE + 1)
    if len(stored) > _LARGEST_FILE:
        raise DataError(f"{file}: a scene has at most {_LARGEST_FILE:,} bytes")
    try:
        return scene_from_text(stored.decode("utf-8"), file.stem)
    except UnicodeDecodeError:
        raise DataError(f"{file}: a scene is a text in UTF-8") from None
    except SpectraloomError as error:
        raise type(error)(f"{file}: {error}") from error


def scene_from_text(text: str, name: str = "") -> Scene:
    r"""Read a scene from TOML.

    Parameters
    ----------
    text : str
        TOML.
    name : str
        Of the scene, if the text does not say it.

    Raises
    ------
    DataError, LabelError
        As for :func:`read_scene`.

    Examples
    --------
    >>> scene_from_text('spectra = 9\n[[sources]]\nnuclides = ["Co-60"]').spectra
    9
    """
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"this is no TOML: {error}") from None
    return _scene({"name": name} | given)


def _scene(given: Mapping[str, Any]) -> Scene:
    _require_keys(given, Scene, "the scene")
    made = dict(given)
    for key, kind in (("sources", SceneSource), ("passes", ScenePass)):
        if key in made:
            made[key] = _entries(key, made[key], kind)
    background = made.get("background", True)
    if background is False:
        made["background"] = None
    elif background is True:
        made["background"] = SceneBackground()
    else:
        made["background"] = _within("background", background, _plain(SceneBackground))
    if "drift" in made:
        made["drift"] = _within("drift", made["drift"], _plain(SceneDrift))
    if "axis" in made:
        made["axis"] = _within("axis", made["axis"], _axis)
    if isinstance(made.get("detectors"), list):
        made["detectors"] = [
            _within(f"detectors {number}", one, _detector) if isinstance(one, Mapping) else one
            for number, one in enumerate(made["detectors"], start=1)
        ]
    return Scene(**made)


def _entries(key: str, given: Any, kind: type[SceneSource]) -> list[SceneSource]:
    if not isinstance(given, list) or len(given) > MOST_CHOICES:
        raise DataError(f"{key} are up to {MOST_CHOICES} tables, each under a line [[{key}]]")
    return [
        _within(f"{key} {number}", one, lambda table: _entry(table, kind))
        for number, one in enumerate(given, start=1)
    ]


def _entry(given: Mapping[str, Any], kind: type[SceneSource]) -> SceneSource:
    _require_keys(given, kind, f"{'passes' if kind is ScenePass else 'sources'}")
    if "nuclides" not in given:
        raise DataError("nuclides are missing")
    made = dict(given)
    if isinstance(made["nuclides"], str):
        raise DataError(f"nuclides is a list: write [{made['nuclides']!r}]")
    for key, length in _LAYERS.items():
        if key in made:
            made[key] = layer_parts(key, made[key], length)
    return kind(**made)


def _detector(given: Mapping[str, Any]) -> GammaDetector:
    """A ready detector with other numbers."""
    own = tuple(one.name for one in fields(GammaDetector))
    _require_names(given, ("like", *own), "a detector")
    if not isinstance(given.get("like"), str) or not isinstance(given.get("name"), str):
        raise DataError(
            "a detector is { name = ..., like = ... } with what is different, where `like` is the "
            f"name of a ready one; got {shown(given)}"
        )
    base = detector(given["like"])
    made = {key: value for key, value in given.items() if key != "like"}
    if "axis" in made:
        made["axis"] = _within("axis", made["axis"], _axis)
    if "crystal" in made:
        made["crystal"] = _within(
            "crystal", made["crystal"], lambda table: _crystal(table, base.crystal)
        )
    return replace(base, **made)


def _crystal(given: Mapping[str, Any], base: Crystal) -> Crystal:
    """A crystal with other sizes, materials and layers; ``density`` is that of its material."""
    _require_names(given, (*(one.name for one in fields(Crystal)), "density"), "a crystal")
    made = dict(given)
    for key in ("window", "side", "back"):
        if key in made:
            made[key] = _layers(key, made[key])
    if "density" in made:
        made["material"] = with_density(made.get("material", base.material), made.pop("density"))
    return replace(base, **made)


def _layers(key: str, given: Any) -> tuple[tuple[str | Material, Any], ...]:
    if not isinstance(given, list):
        raise DataError(f"{key} is a list of layers such as 'Al 0.1', in cm; got {shown(given)}")
    found = [absorber_parts(one) for one in given]
    return tuple(one for one in found if one is not None)


def _axis(given: Mapping[str, Any]) -> Axis:
    _require_names(given, ("low", "high", "channels"), "axis")
    if len(given) < 3:
        raise DataError("an axis is { low = 0, high = 3000, channels = 1024 }, in keV")
    low = as_number("low", given["low"])
    high = as_number("high", given["high"], above=low)
    return Axis.regular(low, high, as_whole("channels", given["channels"], 1, _MOST_CHANNELS))


def _plain(kind: Callable[..., _T]) -> Callable[[Mapping[str, Any]], _T]:
    def make(given: Mapping[str, Any]) -> _T:
        _require_keys(given, kind, "it")
        return kind(**given)

    return make


def _within(where: str, given: Any, make: Callable[[Mapping[str, Any]], _T]) -> _T:
    """Make something of a table; errors say which table it was."""
    if not isinstance(given, Mapping):
        raise DataError(f"{where} is a table, got {shown(given)}")
    try:
        return make(given)
    except SpectraloomError as error:
        raise type(error)(f"{where}: {error}") from error


def _require_keys(given: Mapping[str, Any], kind: Any, what: str) -> None:
    _require_names(given, tuple(one.name for one in fields(kind)), what)


def _require_names(given: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in given:
        if key not in known:
            raise DataError(
                f"there is no key {key!r}{did_you_mean(key, known)} (keys of {what}: "
                f"{', '.join(known)})"
            )


def _ready() -> dict[str, str]:
    """Texts of the gallery by name."""
    folder = files("spectraloom.generate").joinpath("scenes")
    found = {
        one.name.removesuffix(".toml"): one.read_text("utf-8")
        for one in folder.iterdir()
        if one.name.endswith(".toml")
    }
    return dict(sorted(found.items()))
