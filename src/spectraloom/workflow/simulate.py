"""Simulate from a few words or a scene, as the command line gives them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.generate import Scene, demo_detectors, read_scene, ready_scene, simulate_gamma
from spectraloom.physics.gamma import Absorber


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
        Name of a ready detector.
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
    detectors = demo_detectors()
    if detector not in detectors:
        raise LabelError(f"there is no detector {detector!r}; there are {', '.join(detectors)}")
    sets = [tuple(part.strip() for part in entry.split("+")) for entry in nuclides.split(",")]
    return simulate_gamma(
        sets,
        detectors[detector],
        n,
        counts=counts,
        absorbers=[_absorber(entry) for entry in absorbers.split(",")],
        background_counts=background,
        live_time=live_time,
        seed=seed,
    )


def find_scene(named: str, *, spectra: int | None = None, seed: int | None = None) -> Scene:
    """A scene from a file or the gallery.

    Parameters
    ----------
    named : str
        A TOML file, or a name out of :func:`spectraloom.generate.scenes`.
    spectra : int, optional
        Number of single spectra, instead of that of the scene.
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
    if not scene.spectra:
        raise DataError(
            f"the scene {scene.name!r} has passes only, no single spectra: change their number in "
            "its file"
        )
    return replace(scene, spectra=spectra)


def _absorber(entry: str) -> Absorber | None:
    words = entry.split()
    if [word.lower() for word in words] == ["none"]:
        return None
    try:
        material, thickness = words
        return material, float(thickness)
    except ValueError:
        raise DataError(
            f"an absorber is 'none' or a material and a thickness in cm such as 'Pb 0.2', got "
            f"{entry.strip()!r}"
        ) from None
