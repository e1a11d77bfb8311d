"""Simulate from a few words or a scene, as the command line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spectraloom.data.spectra import Spectra
from spectraloom.errors import LabelError
from spectraloom.generate import (
    Scene,
    ScenePass,
    demo_detectors,
    read_scene,
    ready_scene,
    simulate_gamma,
)
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma import detector as ready_detector
from spectraloom.physics.gamma.detectors import detectors as ready_detectors


def simulate_from_text(
    nuclides: str,
    n: int,
    *,
    detector: str,
    counts: tuple[float, float],
    background: tuple[float, float] | None,
    absorbers: str,
    live_time: float,
    seed: int,
) -> Spectra:
    """Simulate spectra.

    Parameters
    ----------
    nuclides : str
        Entries separated by commas; ``+`` joins a mixture: ``"Cs137,Co60+Cs137"``.
    n : int
        Number of spectra.
    detector : str
        One of :func:`detector_names`.
    counts : (float, float)
        Least and most expected counts from sources.
    background : (float, float) or None
        Least and most expected background counts.
    absorbers : str
        Entries separated by commas: ``"none"`` or material and thickness in cm, ``"Pb 0.2"``.
    live_time : float
        Seconds.
    seed : int

    Raises
    ------
    LabelError
        If detector, nuclide or material is unknown.
    DataError
        If an absorber is malformed.
    """
    sets = [tuple(part.strip() for part in entry.split("+")) for entry in nuclides.split(",")]
    return simulate_gamma(
        sets,
        _detector(detector),
        n,
        counts=counts,
        absorbers=absorbers.split(","),
        background_counts=background,
        live_time=live_time,
        seed=seed,
    )


def detector_names() -> tuple[str, ...]:
    """Detectors that can be simulated by name: ready ones, then those of the demo."""
    return (*ready_detectors(), *demo_detectors())


def _detector(name: str) -> GammaDetector:
    of_demo = demo_detectors()
    if name in of_demo:
        return of_demo[name]
    try:
        return ready_detector(name)
    except LabelError as error:
        raise LabelError(f"{error}, and those of the demo: {', '.join(of_demo)}") from None


def find_scene(named: str, *, spectra: int | None = None, seed: int | None = None) -> Scene:
    """A scene from a file or the gallery.

    Parameters
    ----------
    named : str
        A TOML file, or a name out of :func:`spectraloom.generate.scenes`.
    spectra : int, optional
        Number of single spectra, instead of that of the scene. Of a scene that has passes only,
        the number of passes, which its entries share as they do there.
    seed : int, optional
        Instead of that of the scene.

    Returns
    -------
    Scene
        What it says.

    Raises
    ------
    LabelError
        If it is neither a file nor the name of a ready scene, or names something unknown.
    DataError
        If the file is no scene.
    """
    is_file = named.endswith(".toml") or Path(named).is_file()
    scene = read_scene(named) if is_file else ready_scene(named)
    scene = scene if seed is None else replace(scene, seed=seed)
    if spectra is None:
        return scene
    if scene.spectra:
        return replace(scene, spectra=spectra)
    return replace(scene, passes=_fewer_or_more(scene.passes, spectra))


def _fewer_or_more(passes: Sequence[ScenePass], n: int) -> tuple[ScenePass, ...]:
    """Entries with `n` passes together, in the old proportions; some may end without any."""
    ends = np.cumsum([one.passes for one in passes])
    shares = np.diff(np.rint(ends * n / ends[-1]).astype(int), prepend=0)
    return tuple(
        replace(one, passes=int(share)) for one, share in zip(passes, shares, strict=True) if share
    )
