"""Example data without a download: four sets of simulated spectra and what is in them.

The sets play the parts of the GAMMA_FLOW example data. *Training* is simulated on one calibration,
bare of background, with many absorbers, and with spectra of pure background. *Single*, *multi* and
*unknown* stand for measurements of two detectors, ``east`` and ``west``, with calibrations of their
own, a little gain drift, few absorbers, and background in every spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.generate.gamma import simulate_gamma
from spectraloom.physics.gamma import BACKGROUND, Absorber, GammaDetector

DEMO_NUCLIDES = ("Am241", "Ba133", "Co60", "Cs137", "Eu152", "K40")
"""Sources that are in the training set."""

DEMO_UNKNOWN = ("Ra226", "U235", "U238")
"""Sources that are not."""

_MIXTURES = (
    ("Am241", "Cs137"),
    ("Am241", "Eu152"),
    ("Ba133", "Cs137"),
    ("Ba133", "K40"),
    ("Co60", "Cs137"),
    ("Co60", "Eu152"),
    ("Cs137", "Eu152"),
    ("Ba133", "Co60", "Cs137"),
)
# Next to nothing of americium's 59.5 keV passes more than these.
_THIN_ABSORBERS: tuple[Absorber | None, ...] = (
    None,
    ("air", 100.0),
    ("Al", 0.2),
    ("Al", 1.0),
    ("Al", 3.0),
    ("Fe", 0.1),
    ("Fe", 0.3),
    ("Pb", 0.02),
)
_TRAINING_ABSORBERS: tuple[Absorber | None, ...] = (
    *_THIN_ABSORBERS,
    ("Fe", 1.5),
    ("Pb", 0.1),
    ("Pb", 0.3),
)
_MEASURED_ABSORBERS: tuple[Absorber | None, ...] = (None, ("Al", 0.5), ("Fe", 0.3), ("Pb", 0.05))
_TRAINING_COUNTS = (1e3, 1e4)
_SINGLE_COUNTS = (150.0, 2e4)  # the least of these are hard to see above the background
_MEASURED_COUNTS = (1e3, 2e4)
_BACKGROUND_COUNTS = (1800.0, 2600.0)
_GAIN_DRIFT = 0.004
_SIZES = {"training": 2100, "single": 980, "multi": 600, "unknown": 300}


def demo_detectors() -> dict[str, GammaDetector]:
    """The detectors of the example data, by name.

    Returns
    -------
    dict of str to GammaDetector
        ``simulated``, on whose axis the training set lies, and ``east`` and ``west``, which
        differ from it and from each other in calibration and resolution. All have 512 channels.
    """
    return {
        "simulated": GammaDetector("simulated", Axis.from_polynomial((-8.0, 4.10, 3.0e-4), 512)),
        "east": GammaDetector(
            "east", Axis.from_polynomial((-6.5, 4.18, 2.2e-4), 512), fwhm_662=0.068
        ),
        "west": GammaDetector(
            "west", Axis.from_polynomial((-11.0, 4.05, 4.5e-4), 512), fwhm_662=0.076
        ),
    }


def demo_sets(seed: int = 0, scale: float = 1.0) -> dict[str, list[Spectra]]:
    """Draw the example data.

    Parameters
    ----------
    seed : int
        The same seed gives the same data.
    scale : float
        Multiplies the number of spectra, which is about 4000 at one.

    Returns
    -------
    dict of str to list of Spectra
        One Spectra per axis, as :func:`spectraloom.io.read_groups` gives them:

        ``training``
            one source and no background, or background alone; ``simulated`` detector
        ``single``
            one source and background, or background alone; ``east`` and ``west``
        ``multi``
            two or three sources and background; ``east`` and ``west``
        ``unknown``
            one source of :data:`DEMO_UNKNOWN` and background; ``east`` and ``west``

        Labels are written as in the GAMMA_FLOW data: background is the last label wherever it is
        in a spectrum.

    Raises
    ------
    DataError
        If the scale is not above zero.
    """
    if not 0 < scale < np.inf:
        raise DataError(f"scale is a number above zero, got {scale:g}")
    detectors = demo_detectors()
    classes = (*DEMO_NUCLIDES, BACKGROUND)
    # one seed for each set that is drawn: a training class, or a measured set of one detector
    seeds = iter(np.random.SeedSequence(seed).spawn(len(classes) + 6))

    def size(name: str, entries: int) -> int:
        return max(round(_SIZES[name] * scale), entries)

    def measured(
        name: str,
        nuclides: Sequence[str | tuple[str, ...]],
        counts: tuple[float, float] = _MEASURED_COUNTS,
    ) -> list[Spectra]:
        return [
            simulate_gamma(
                nuclides,
                detectors[detector],
                size(name, 2 * len(nuclides)) // 2,
                counts=counts,
                absorbers=_MEASURED_ABSORBERS,
                background_counts=_BACKGROUND_COUNTS,
                gain_drift=_GAIN_DRIFT,
                seed=np.random.default_rng(next(seeds)),
            )
            for detector in ("east", "west")
        ]

    def training(nuclide: str) -> Spectra:
        return simulate_gamma(
            [nuclide],
            detectors["simulated"],
            size("training", len(classes)) // len(classes),
            counts=_TRAINING_COUNTS,
            absorbers=_THIN_ABSORBERS if nuclide == "Am241" else _TRAINING_ABSORBERS,
            seed=np.random.default_rng(next(seeds)),
        )

    return {
        "training": [Spectra.concatenate([training(name) for name in classes])],
        "single": measured("single", classes, _SINGLE_COUNTS),
        "multi": measured("multi", _MIXTURES),
        "unknown": measured("unknown", DEMO_UNKNOWN),
    }
