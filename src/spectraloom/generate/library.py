"""Libraries out of the simulator: templates behind absorbers, and signatures that deform."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.data import Library, Spectra
from spectraloom.data.columns import label_sets
from spectraloom.errors import DataError
from spectraloom.generate.gamma import absorber_name
from spectraloom.physics.gamma import (
    BACKGROUND,
    Absorber,
    GammaDetector,
    Surroundings,
    expected_counts,
    expected_spectrum,
)

Progress = Callable[[float, str], None]

_DECAYS = 1e6


def simulate_library(
    nuclides: Sequence[str],
    detector: GammaDetector,
    absorbers: Sequence[Absorber | None] = (None,),
    *,
    progress: Progress | None = None,
) -> Library:
    """Templates of sources as a detector sees them, bare and behind absorbers.

    Parameters
    ----------
    nuclides : sequence of str
        Names as in :func:`spectraloom.physics.nuclide`, or ``"background"``.
    detector : GammaDetector
        The detector; its axis becomes that of the library.
    absorbers : sequence
        Layers around the source, ``("Pb", 0.2)`` (material and cm) or None. Each makes a variant
        of every source; the background has one variant.
    progress : callable, optional
        Called with the fraction done and what is done.

    Returns
    -------
    Library
        Templates of unit area without counting noise. Variants are named as in
        :func:`~spectraloom.generate.simulate_gamma`: ``"Pb 0.2 cm"``, or ``"bare"``.

    Raises
    ------
    LabelError
        If a nuclide or a material is unknown.
    DataError
        If nothing is asked for, or next to nothing passes an absorber.
    """
    if not nuclides or not absorbers:
        raise DataError("a library needs a nuclide and an absorber, (None,) for bare sources")
    wanted = [
        (name, layer)
        for name in dict.fromkeys(nuclides)
        for layer in ((None,) if name == BACKGROUND else dict.fromkeys(absorbers))
    ]
    templates = []
    for number, (name, layer) in enumerate(wanted):
        if progress is not None:
            progress(number / len(wanted), f"{name}, {absorber_name(layer) or 'bare'}")
        templates.append(expected_spectrum(name, detector, layer))
    return Library(
        np.array(templates),
        detector.axis,
        tuple(name for name, _ in wanted),
        tuple(absorber_name(layer) or "bare" for _, layer in wanted),
    )


def simulate_signatures(
    nuclides: Sequence[str],
    detector: GammaDetector,
    material: str,
    thicknesses: Sequence[float],
    *,
    distance: float = 100.0,
    progress: Progress | None = None,
) -> Spectra:
    """Spectra of sources behind more and more of a material, without counting noise.

    They are what :class:`~spectraloom.analyze.ManifoldUnmixer` learns signatures from.

    Parameters
    ----------
    nuclides : sequence of str
        Names as in :func:`spectraloom.physics.nuclide`.
    detector : GammaDetector
        The detector.
    material : str
        Of the closed layer around the source.
    thicknesses : sequence of float
        cm, zero or more; two or more.
    distance : float
        From the source to the detector, cm.
    progress : callable, optional
        Called with the fraction done and what is done.

    Returns
    -------
    Spectra
        Counts per decay and 1e6 decays, sorted by nuclide and thickness, with the columns
        ``labels``, ``detector``, ``material`` and ``thickness``.

    Raises
    ------
    LabelError
        If a nuclide or a material is unknown.
    DataError
        If there are fewer than two thicknesses or one is negative.
    """
    values = np.unique(np.asarray(thicknesses, dtype=np.float64))
    if not nuclides or values.size < 2 or not (np.isfinite(values).all() and values[0] >= 0):
        raise DataError(
            "signatures that deform need a nuclide and two thicknesses or more, of zero or more "
            f"cm; got {list(nuclides)} and {list(thicknesses)}"
        )
    names = list(dict.fromkeys(nuclides))
    rows: list[FloatArray] = []
    for name in names:
        for thickness in values:
            if progress is not None:
                done = len(rows) / (len(names) * values.size)
                progress(done, f"{name} behind {thickness:g} cm of {material}")
            layers = ((material, float(thickness)),) if thickness > 0 else ()
            around = Surroundings(distance=distance, shells=layers)
            rows.append(_DECAYS * expected_counts(name, detector, around))
    n = len(rows)
    return Spectra(
        np.array(rows),
        detector.axis,
        columns={
            "labels": label_sets((name,) for name in np.repeat(names, values.size).tolist()),
            "detector": np.full(n, detector.name),
            "material": np.full(n, material),
            "thickness": np.tile(values, len(names)),
        },
        attrs={"source": "simulated by spectraloom.generate.simulate_signatures"},
    )
