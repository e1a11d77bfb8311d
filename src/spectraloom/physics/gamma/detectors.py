"""Detectors that are ready to use, each standing for its kind.

Resolutions are those of instruments, which Sandia National Laboratories publishes with InterSpec
(``data/common_drfs.tsv``, from GADRAS 19.3) as three numbers: width at zero energy, per cent at
661 keV and a power. The formula of :class:`~spectraloom.physics.gamma.GammaDetector` was fitted to
the curve that they make between 40 and 2700 keV; it deviates by 5 % of the width at most. Sizes are
those of the instruments, and the aluminium in front is what their published efficiencies at 20 and
30 keV ask for. What is around and behind the crystals, dead times and resolving times are not
published: they are of the usual order (Knoll 2010, chapters 10, 12 and 17), and are assumptions.

No light curve is given: an axis stands for a calibration by peaks, which absorbs most of one, and
what remains differs from crystal to crystal.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from spectraloom._nearest import did_you_mean
from spectraloom.data import Axis
from spectraloom.errors import LabelError
from spectraloom.physics.gamma.crystal import Crystal, Layer
from spectraloom.physics.gamma.detector import PHOTOMULTIPLIER, THREE_INCH, GammaDetector

_FULL_SCALE = 3000.0  # keV; above the 2614.5 keV of Tl-208 in every background


def detectors() -> tuple[str, ...]:
    """Names of the detectors that :func:`detector` knows."""
    return tuple(_ready())


def detector(name: str, axis: Axis | None = None) -> GammaDetector:
    """A detector that is ready to use.

    Parameters
    ----------
    name : str
        One of :func:`detectors`.
    axis : Axis, optional
        Bin edges in keV. By default 0 to 3000 keV in as many even channels as suit the resolution.

    Returns
    -------
    GammaDetector
        It can be changed with :func:`dataclasses.replace`.

    Raises
    ------
    LabelError
        If there is no such detector; the message names the nearest.
    AxisError
        If the axis is not made of energy bins in keV.

    Examples
    --------
    >>> detector("NaI 3x3").crystal.size
    (7.62, 7.62)
    """
    ready = _ready()
    spelled = {_plain(known): known for known in ready}
    found = spelled.get(_plain(name))
    if found is None:
        raise LabelError(
            f"no detector {name!r}{did_you_mean(_plain(name), ready)} "
            f"(ready detectors: {', '.join(ready)})"
        )
    return ready[found] if axis is None else replace(ready[found], axis=axis)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("×", "x").split())


def _even(n_channels: int) -> Axis:
    return Axis.regular(0.0, _FULL_SCALE, n_channels)


@lru_cache(maxsize=1)
def _ready() -> dict[str, GammaDetector]:
    made = (*_sodium_iodide(), _caesium_iodide(), _lanthanum(), _czt(), _germanium(), _plastic())
    return {one.name: one for one in made}


def _canned(
    name: str, size: tuple[float, ...], aluminium: float, behind: tuple[Layer, ...] = ()
) -> Crystal:
    """A crystal with as much aluminium (cm) on all sides, and something else behind it."""
    can = (("Al", aluminium),)
    return Crystal(name, size, can, can, behind or can)


def _sodium_iodide() -> tuple[GammaDetector, GammaDetector]:
    cylinder = GammaDetector(
        "NaI 3x3",
        _even(1024),
        THREE_INCH,
        fwhm_662=0.0675,  # BNC SAM-940 3x3: -3 keV, 7 %, 0.65
        fwhm_exponent=0.711,
        dead_time=5e-6,
        pile_up_time=0.5e-6,
    )
    log = GammaDetector(
        "NaI 2x4x16",
        _even(1024),
        _canned("NaI", (40.64, 10.16, 5.08), 0.22),
        fwhm_662=0.0770,  # NaI 2x4x16: 0 keV, 7.7 %, 0.69
        fwhm_exponent=0.69,
        dead_time=5e-6,
        pile_up_time=0.5e-6,
    )
    return cylinder, log


def _caesium_iodide() -> GammaDetector:
    # Kromek D3S: its face is published as 12.5 cm2; half an inch of depth suits the published peak
    # efficiency of 0.115 at 662 keV. CsI(Tl) is slow (1 us), and so is what comes after it.
    return GammaDetector(
        "CsI handheld",
        _even(1024),
        _canned("CsI", (5.08, 2.46, 1.27), 0.15),
        fwhm_662=0.0685,  # -2.47 keV, 7.07 %, 0.484
        fwhm_exponent=0.538,
        dead_time=10e-6,
        pile_up_time=2e-6,
    )


def _lanthanum() -> GammaDetector:
    # Radioactivity of its own (La-138, Ac-227 series) is no part of this model.
    return GammaDetector(
        "LaBr3 1.5x1.5",
        _even(2048),
        _canned("LaBr3", (3.81, 3.81), 0.115, behind=PHOTOMULTIPLIER),
        fwhm_662=0.0240,  # BNC SAM-940 1.5x1.5 LaBr: 7 keV, 2.6 %, 0.52
        fwhm_exponent=0.561,
        noise=7.26,
        dead_time=3e-6,
        pile_up_time=0.2e-6,
    )


def _czt() -> GammaDetector:
    # Holes that are lost on their way give real peaks a tail on the left, which is left out.
    return GammaDetector(
        "CZT 1 cm3",
        _even(4096),
        _canned("CZT", (1.0, 1.0, 1.0), 0.165),
        fwhm_662=0.0195,  # Kromek GR1: 8.95 keV, 2.39 %, 0.344
        fwhm_exponent=0.434,
        noise=9.63,
        dead_time=10e-6,
        pile_up_time=1e-6,
    )


def _germanium() -> GammaDetector:
    # 59 x 63 mm is a coaxial crystal of 39 % relative efficiency (LAB14 of the same table). Devi et
    # al. (2025), doi 10.1038/s41598-025-32278-2, found an outer contact of 0.7 mm on one of 40 %;
    # end cap and hole are assumed.
    cap = (("Al", 0.15),)
    return GammaDetector(
        "HPGe coaxial",
        _even(8192),
        Crystal("HPGe", (5.9, 6.3), cap, cap, cap, hole=(0.9, 5.0), dead_layer=0.07),
        fwhm_662=0.00193,  # Fulcrum40h: 1.49 keV, 0.3 %, 0.294
        fwhm_exponent=0.504,
        noise=1.59,
        dead_time=20e-6,
        pile_up_time=0.5e-6,
    )


def _plastic() -> GammaDetector:
    # A slab as in portal monitors. Its resolution is assumed: there are no peaks to measure one.
    cover = (("PMMA", 0.1),)
    return GammaDetector(
        "plastic",
        _even(512),
        Crystal("PVT", (50.0, 30.0, 5.0), cover, cover, cover),
        fwhm_662=0.20,
        fwhm_exponent=0.5,
        dead_time=2e-6,
        pile_up_time=0.1e-6,
    )
