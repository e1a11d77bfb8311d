"""Reference spectra that a simulator is judged on: which they are, and without their background."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.data import Axis, Spectra
from spectraloom.data.library import single_labels
from spectraloom.errors import DataError, LabelError
from spectraloom.evaluate.steel_sphere_data import prepare_steel_sphere
from spectraloom.physics.gamma import nuclide
from spectraloom.physics.gamma.emission import EmissionLines

LOWEST_ENERGY = 40.0
"""keV; below it nothing is judged."""

# What lies in the drawers of a laboratory: single nuclides with daughters of minutes at most.
CALIBRATION_SOURCES = (
    "Am241",
    "Ba133",
    "Cd109",
    "Co57",
    "Co60",
    "Cs137",
    "Eu152",
    "Mn54",
    "Na22",
    "Y88",
)
_HIGHEST_ENERGY = 2800.0
_STRONG = 0.02  # photons per decay of a line that counts for the choice of what is fitted
_LEAST_PHOTONS = 0.01  # photons per decay above LOWEST_ENERGY
_OLDEST = 1e4 * 365.25 * 86400.0  # s; who lives longer comes as grams that absorb their own photons
_AGES = (0.1, 3.0)  # half-lives, but not more than _MOST_AGE
_MOST_AGE = 50.0 * 365.25 * 86400.0
_MOST_CHANGE = 0.05  # of the photons, by age
_GADRAS_TITLE = re.compile(
    r"(?P<nuclide>[A-Z][a-z]?\d{1,3}m?)[ _]Unshielded(?P<point>-Point)?", re.ASCII
)
_BACKGROUND_TITLE = "background"
# Crystals that names of detectors tell, such as NaITl.
_CRYSTALS = {"NaI": "NaI", "CsI": "CsI", "LaBr": "LaBr3", "CZT": "CZT", "CdZnTe": "CZT"}
_GERMANIUM = re.compile(r"HPGe|(?<![A-Za-z])Ge(?![a-z])")


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceSpectrum:
    """One spectrum to be simulated.

    Attributes
    ----------
    nuclide : str
        As :func:`~spectraloom.physics.gamma.nuclide` names it.
    counts : ndarray, shape (n_channels,)
        Without background; may be negative where there is none.
    variance : ndarray, shape (n_channels,)
        Of the counts.
    thickness : float
        Of the steel around the source, cm.
    """

    nuclide: str
    counts: FloatArray
    variance: FloatArray
    thickness: float = 0.0

    @property
    def name(self) -> str:
        """Nuclide, and steel in mm if there is any."""
        return f"{self.nuclide} {10.0 * self.thickness:g} mm" if self.thickness else self.nuclide


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceSet:
    """Spectra of one detector.

    Attributes
    ----------
    detector : str
        What tells it from others.
    axis : Axis
        In keV.
    spectra : tuple of ReferenceSpectrum
        Those that can be simulated.
    left_out : dict of str to str
        Why others are not judged, by title.
    crystal : str or None
        Material of the crystal, where the name of the detector tells it.
    """

    detector: str
    axis: Axis
    spectra: tuple[ReferenceSpectrum, ...]
    left_out: dict[str, str]
    crystal: str | None = None

    @property
    def nuclides(self) -> tuple[str, ...]:
        """Names of the nuclides, sorted."""
        return tuple(sorted({one.nuclide for one in self.spectra}))

    def of(self, names: Sequence[str]) -> tuple[ReferenceSpectrum, ...]:
        """Spectra of some nuclides."""
        return tuple(one for one in self.spectra if one.nuclide in names)


def reference_sets(groups: Sequence[Spectra]) -> list[ReferenceSet]:
    """Sort spectra of the GADRAS reference or of the steel-sphere layout by detector.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.read_groups` gives them.

    Returns
    -------
    list of ReferenceSet
        One for each detector; the steel spheres are one set.

    Raises
    ------
    DataError
        If the spectra are of neither layout.
    """
    steel = [one for one in groups if {"labels", "thickness", "gain_shift"} <= set(one.columns)]
    if steel:
        sets = [_steel_set(steel)]
    else:
        sets = [found for one in groups if "title" in one.columns for found in _gadras_sets(one)]
    sets = [one for one in map(_counted, sets) if len(one.nuclides) > 2]
    if not sets:
        raise DataError(
            "expected reference spectra to simulate: a GADRAS reference folder (titles such as "
            "'Cs137 Unshielded', and a background), or the steel-sphere layout (such as "
            "GRS_NaITl_Co60_STEEL5__2mm.dat); in either, three nuclides or more"
        )
    return sets


def _counted(one: ReferenceSet) -> ReferenceSet:
    """Without spectra in which nothing but background is counted."""
    judged = one.axis.edges[:-1] >= LOWEST_ENERGY
    empty = {some for some in one.spectra if not some.counts[judged].sum() > 0}
    left_out = one.left_out | {some.name: "nothing is counted above 40 keV" for some in empty}
    spectra = tuple(some for some in one.spectra if some not in empty)
    return replace(one, spectra=spectra, left_out=left_out)


def named_crystal(detectors: Sequence[str]) -> str | None:
    """Material of the crystal that names of a detector hold, if they agree on one.

    Parameters
    ----------
    detectors : sequence of str
        Names, such as ``NaITl``.

    Returns
    -------
    str or None
        ``NaI``, ``CsI``, ``LaBr3``, ``CZT`` or ``HPGe``.
    """
    found = {crystal for one in set(detectors) for crystal in _crystals_in(one)}
    return found.pop() if len(found) == 1 else None


def _crystals_in(name: str) -> set[str]:
    found = {crystal for part, crystal in _CRYSTALS.items() if part in name}
    return found | ({"HPGe"} if _GERMANIUM.search(name) else set())


def fitted_nuclides(names: Sequence[str]) -> tuple[str, str]:
    """The two nuclides that parameters are estimated from.

    Out of the usual calibration sources, if two of them are there: the one whose lines (2 % of the
    decays or more, 40 to 2800 keV) fall into the most half octaves of energy, for positions and
    widths; and, of the others with at most two such lines, if any, the one with the highest, for
    the continuum.

    Parameters
    ----------
    names : sequence of str
        What there is: two names or more.
    """
    usual = [name for name in names if name in CALIBRATION_SOURCES]
    candidates = sorted(usual if len(usual) > 1 else names)
    lines = {name: judged_lines(name, _STRONG).energies for name in candidates}

    def octaves(name: str) -> int:
        return len(set(np.floor(2.0 * np.log2(lines[name] / LOWEST_ENERGY)).tolist()))

    first = max(candidates, key=octaves)
    others = [name for name in candidates if name != first and lines[name].size]
    few = [name for name in others if lines[name].size <= 2]
    return first, max(few or others, key=lambda name: float(lines[name].max()))


def judged_lines(name: str, intensity: float = 0.0) -> EmissionLines:
    """Lines of a nuclide from 40 to 2800 keV, with daughters in equilibrium."""
    found = nuclide(name).lines.at_least(intensity).rows
    return EmissionLines(
        tuple(one for one in found if LOWEST_ENERGY <= one.energy <= _HIGHEST_ENERGY)
    )


def why_left_out(name: str, *, point: bool = False) -> str:
    """Why a nuclide cannot be judged, or an empty text.

    Parameters
    ----------
    name : str
        A nuclide.
    point : bool
        Whether it is known to be a point source.
    """
    try:
        found = nuclide(name)
    except LabelError:
        return "not in the tables"
    if judged_lines(name).intensities.sum() < _LEAST_PHOTONS:
        return "next to no gamma rays: what is there is bremsstrahlung"
    if found.half_life > _OLDEST and not point:
        return "lives so long that it comes as a body that absorbs its own photons"
    if _changes_with_age(name):
        return "its daughters depend on an age that is not stated"
    return ""


def _changes_with_age(name: str) -> bool:
    found = nuclide(name)
    at_once = _photons(found.lines)
    for halves in _AGES:
        aged = _photons(found.aged(min(halves * found.half_life, _MOST_AGE)))
        if 0.5 * np.abs(aged - at_once).sum() > _MOST_CHANGE:
            return True
    return False


def _photons(lines: EmissionLines) -> FloatArray:
    """Distribution over energy."""
    edges = np.arange(LOWEST_ENERGY, _HIGHEST_ENERGY + 1.0, 5.0)
    photons, _ = np.histogram(lines.energies, edges, weights=lines.intensities)
    return np.asarray(photons / max(photons.sum(), 1e-300))


def _steel_set(groups: Sequence[Spectra]) -> ReferenceSet:
    signatures = prepare_steel_sphere(groups, as_reference=False).signatures
    names = single_labels(signatures)
    left_out = {str(name): why_left_out(str(name)) for name in np.unique(names)}
    left_out = {name: why for name, why in left_out.items() if why}
    spectra = [
        ReferenceSpectrum(str(name), counts, np.asarray(counts), 0.1 * float(thickness))
        for name, counts, thickness in zip(
            names, signatures.values.astype(np.float64), signatures.column("thickness"), strict=True
        )
        if name not in left_out
    ]
    crystal = None
    if "detector" in signatures.columns:
        crystal = named_crystal(signatures.column("detector").astype(np.str_).tolist())
    return ReferenceSet("steel sphere", signatures.axis, tuple(spectra), left_out, crystal)


def _gadras_sets(group: Spectra) -> list[ReferenceSet]:
    """Sets of all detectors that share an axis: the n-th spectrum of a title is of the n-th."""
    seen: Counter[str] = Counter()
    detectors: list[dict[str, int]] = []
    for row, title in enumerate(group.column("title").astype(np.str_).tolist()):
        if seen[title] == len(detectors):
            detectors.append({})
        detectors[seen[title]][title] = row
        seen[title] += 1
    found = [_gadras_set(group, rows, number) for number, rows in enumerate(detectors)]
    return [one for one in found if one is not None]


def _gadras_set(group: Spectra, rows: dict[str, int], number: int) -> ReferenceSet | None:
    quiet = next((row for title, row in rows.items() if _is_background(title)), None)
    if quiet is None or group.live_time is None:
        return None
    background = group.values[quiet].astype(np.float64)
    spectra: dict[str, ReferenceSpectrum] = {}
    left_out: dict[str, str] = {}
    # Point sources first: a body of the same nuclide is left out then.
    for title, row in sorted(rows.items(), key=lambda item: "-Point" not in item[0]):
        told = _GADRAS_TITLE.fullmatch(title)
        if told is None or row == quiet:
            continue
        name = told["nuclide"]
        why = why_left_out(name, point=told["point"] is not None)
        if name in spectra or why:
            left_out[title] = why or "there is a point source of it"
            continue
        ratio = float(group.live_time[row] / group.live_time[quiet])
        counts = group.values[row].astype(np.float64)
        spectra[name] = ReferenceSpectrum(
            name, counts - ratio * background, counts + ratio**2 * background
        )
    text = group.axis.describe() + (f", no. {number + 1}" if number else "")
    return ReferenceSet(
        text, group.axis, tuple(one for _, one in sorted(spectra.items())), left_out
    )


def _is_background(title: str) -> bool:
    return title.strip().casefold() == _BACKGROUND_TITLE
