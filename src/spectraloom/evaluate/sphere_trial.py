"""What the steel-sphere benchmark judges on: held-out thicknesses, mixtures, and bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.data import Axis, Library, Spectra
from spectraloom.data.library import single_labels
from spectraloom.errors import DataError
from spectraloom.evaluate.steel_sphere_data import SteelSphereSets

SPLIT_SEED = 100  # of the reference
IDENTIFY_SEED = 2  # of the reference
_THIN, _THICK = (18, 24), (51, 70)  # training thicknesses among the thinnest, and the others
_HELD_FOR_IDENTIFICATION = 19 / 96
_NEIGHBOURS = 5  # thicknesses on either side that the slope of the truth is taken from
_P4 = {"Co60": 0.2, "Ba133": 0.12, "Co57": 0.08, "Cs137": 0.1}
_P12 = {"Co60": 0.15, "Cs137": 0.1, "Y88": 0.15, "Tc99m": 0.1}
_P4_THICKNESS, _P12_THICKNESS = 5.2, 20.5
_BACKGROUND_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class SphereTrial:
    """Simulated spectra by thickness and nuclide, and what of them may be learned from.

    Parameters
    ----------
    spectra : Spectra
        All simulated spectra, columns ``labels`` and ``thickness``.
    names : tuple of str, length k
    thickness : ndarray, shape (m,)
        In mm, of which every nuclide was simulated.
    shapes : ndarray, shape (m, k, n_channels)
        Unit area.
    background : Library
    training : ndarray of bool, shape (m,)
    identify_training : ndarray of bool, shape (m,)
        The other split, for identification.
    """

    spectra: Spectra
    names: tuple[str, ...]
    thickness: FloatArray
    shapes: FloatArray
    background: Library
    training: BoolArray
    identify_training: BoolArray

    @property
    def axis(self) -> Axis:
        """Of all spectra."""
        return self.spectra.axis

    @property
    def under(self) -> FloatArray:
        """Background of unit area, shape (n_channels,)."""
        template = self.background.templates[0]
        return np.asarray(template / template.sum())

    def training_spectra(self, rows: BoolArray) -> Spectra:
        """Spectra at the thicknesses marked."""
        at = np.isin(self.spectra.column("thickness"), self.thickness[rows])
        return self.spectra[at]


@dataclass(frozen=True, slots=True)
class Protocol:
    """A mixture at one held-out thickness, as the reference judges it.

    Parameters
    ----------
    name : str
    thickness : int
        Number of the thickness.
    shares : dict of str to float
        Of all counts, by source; the rest is background.
    fitted : tuple of str
        Sources that the fit knows of.
    """

    name: str
    thickness: int
    shares: dict[str, float]
    fitted: tuple[str, ...]

    def shares_of(self, names: Sequence[str]) -> FloatArray:
        """Share of each name, zero where it is absent, and last that of the background."""
        shares = np.array([self.shares.get(name, 0.0) for name in names])
        return np.append(shares, 1.0 - shares.sum())


def prepare_sphere_trial(sets: SteelSphereSets) -> SphereTrial:
    """Split the thicknesses, and bring the signatures to unit area.

    By the reference's rule the first and the last thickness, 18 of the 24 thinnest others and 51
    of the 70 thickest are for training (seed 100); the thicknesses of the protocols are held out
    whatever the draw. For identification a fifth is held out (19 of 96, seed 2).

    Parameters
    ----------
    sets : SteelSphereSets

    Raises
    ------
    DataError
        If there is no background, or fewer than 8 thicknesses common to all nuclides.
    """
    if sets.background is None:
        raise DataError("the benchmark needs a measured background beside the simulations")
    given = single_labels(sets.signatures)
    at = sets.signatures.column("thickness").astype(np.float64)
    names = tuple(sorted(set(given.tolist())))
    common = set(at.tolist())
    for name in names:
        common &= set(at[given == name].tolist())
    thickness = np.array(sorted(common))
    if len(thickness) < 8:
        raise DataError(
            f"the benchmark needs 8 thicknesses that every nuclide has, found {len(thickness)}"
        )
    place = {(str(n), float(t)): row for row, (n, t) in enumerate(zip(given, at, strict=True))}
    rows = np.array([[place[name, t] for name in names] for t in thickness.tolist()])
    values = sets.signatures.values[rows].astype(np.float64)
    shapes = values / values.sum(axis=2, keepdims=True)
    background = Library(
        sets.background.values.sum(axis=0, dtype=np.float64)[np.newaxis],
        sets.background.axis,
        ("background",),
    )
    kept = np.sort(rows.ravel())
    training = _split(len(thickness))
    for wanted in (_P4_THICKNESS, _P12_THICKNESS):
        training[_nearest(thickness, wanted)] = False
    order = np.random.RandomState(IDENTIFY_SEED).permutation(len(thickness))
    identify = np.ones(len(thickness), dtype=bool)
    held = order[-max(round(_HELD_FOR_IDENTIFICATION * len(order)), 2) :]
    identify[held] = False
    for rows_kept in (training, identify):
        rows_kept[[0, -1]] = True
    return SphereTrial(
        sets.signatures[kept], names, thickness, shapes, background, training, identify
    )


def _split(n: int) -> BoolArray:
    rng = np.random.RandomState(SPLIT_SEED)
    n_thin = round((n - 2) * _THIN[1] / (_THIN[1] + _THICK[1]))
    training = np.zeros(n, dtype=bool)
    training[[0, -1]] = True
    inner = np.arange(1, n - 1)
    for part, (kept, of) in ((inner[:n_thin], _THIN), (inner[n_thin:], _THICK)):
        training[rng.permutation(part)[: round(len(part) * kept / of)]] = True
    return training


def _nearest(thickness: FloatArray, wanted: float) -> int:
    """Number of the inner thickness that is nearest."""
    return 1 + int(np.argmin(np.abs(thickness[1:-1] - wanted)))


def protocols_of(trial: SphereTrial) -> list[Protocol]:
    """Mixtures of the reference, as far as its nuclides are there.

    P4 with its four nuclides; P12 with Co60, Cs137, Y88 and Tc99m where there are more than four
    nuclides (or else the first four, by name, with the same shares), once with these known (P12k)
    and once with all fitted (P12a). With fewer than four nuclides the first ones share P4's parts.
    """
    known = set(trial.names)
    found = []
    if set(_P4) <= known:
        at = _nearest(trial.thickness, _P4_THICKNESS)
        found.append(Protocol("P4", at, dict(_P4), tuple(_P4)))
    if len(known) > len(_P12) or not found:
        shares = dict(_P12)
        if not set(_P12) <= known:
            shares = dict(zip(trial.names, _P12.values(), strict=False))
            scale = (1.0 - _BACKGROUND_SHARE) / sum(shares.values())
            shares = {name: share * scale for name, share in shares.items()}
        at = _nearest(trial.thickness, _P12_THICKNESS)
        found.append(Protocol("P12k", at, shares, tuple(shares)))
        if len(known) > len(shares):
            found.append(Protocol("P12a", at, shares, trial.names))
    return found


def expected_of(trial: SphereTrial, places: IntArray, shares: FloatArray) -> FloatArray:
    """Expected spectrum of one count, each source at its own thickness, shape (n_channels,).

    Parameters
    ----------
    trial : SphereTrial
    places : ndarray of int, shape (k,)
        Number of the thickness of each source.
    shares : ndarray, shape (k + 1,)
        Of the sources, and of the background.
    """
    rows = trial.shapes[places, np.arange(len(trial.names))]
    return np.asarray(shares[:-1] @ rows + shares[-1] * trial.under)


def slope_of(trial: SphereTrial, place: int) -> FloatArray:
    """Derivative of the true shapes by thickness, shape (k, n_channels).

    A parabola through the neighbouring thicknesses, as many on either side as there are up to five.
    """
    reach = min(_NEIGHBOURS, place, len(trial.thickness) - 1 - place)
    near = np.arange(place - reach, place + reach + 1)
    away = trial.thickness[near] - trial.thickness[place]
    design = np.vander(away, 3)
    flat = trial.shapes[near].reshape(len(near), -1)
    solved, *_ = np.linalg.lstsq(design, flat, rcond=None)
    return np.asarray(solved[1].reshape(trial.shapes.shape[1:]))


def bound_of(
    trial: SphereTrial, place: int, amounts: FloatArray, used: Sequence[int]
) -> tuple[FloatArray, float]:
    """Cramer-Rao bound with a common unknown thickness.

    Parameters
    ----------
    trial : SphereTrial
    place : int
        Number of the true thickness.
    amounts : ndarray, shape (k + 1,)
        True counts of the sources and the background.
    used : sequence of int
        Sources that are fitted.

    Returns
    -------
    deviations : ndarray, shape (len(used) + 1,)
        Of the amounts of the sources used, and of the background.
    thickness : float
        In mm.
    """
    rows = np.vstack([trial.shapes[place][list(used)], trial.under])
    turn = amounts[:-1] @ slope_of(trial, place)
    design = np.vstack([rows, turn])
    everywhere = np.full(len(trial.names), place)
    mu = np.maximum(expected_of(trial, everywhere, amounts), 1e-12)
    scale = 1.0 / np.sqrt(np.maximum(((design**2) / mu).sum(axis=1), 1e-300))
    scaled = (design / mu) @ design.T * np.outer(scale, scale)
    deviations = np.sqrt(np.diag(np.linalg.inv(scaled))) * scale
    return deviations[:-1], float(deviations[-1])
