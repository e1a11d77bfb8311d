"""Libraries out of the simulator: templates behind absorbers, and signatures that deform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectraloom._typing import FloatArray, Progress
from spectraloom.data import Library, Spectra
from spectraloom.data.columns import label_sets
from spectraloom.errors import DataError
from spectraloom.generate.gamma import absorber_name, as_absorbers, as_source
from spectraloom.generate.scene_checks import as_detector
from spectraloom.physics.gamma import (
    BACKGROUND,
    Absorber,
    GammaDetector,
    Surroundings,
    expected_counts,
    expected_spectrum,
)
from spectraloom.physics.gamma.materials import Material, material_name

_DECAYS = 1e6


def simulate_library(
    nuclides: Sequence[str],
    detector: str | GammaDetector,
    absorbers: Sequence[str | Absorber | None] = (None,),
    *,
    progress: Progress | None = None,
) -> Library:
    """Templates of sources as a detector sees them, bare and behind absorbers.

    Parameters
    ----------
    nuclides : sequence of str
        Names as in :func:`spectraloom.physics.nuclide`, or ``"background"``. The library names
        them as the tables do, ``"Cs137"``.
    detector : str or GammaDetector
        The detector, or the name of a ready one as in
        :func:`spectraloom.physics.gamma.detector`; its axis becomes that of the library.
    absorbers : sequence
        Layers around the source, ``("Pb", 0.2)`` (material and cm) or ``"Pb 0.2"``, None or
        ``"none"``. Each makes a variant of every source; the background has one variant.
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
    names, seen_by = _as_sources(nuclides), as_detector(detector)
    layers = dict.fromkeys(as_absorbers(absorbers))
    wanted = [
        (name, layer) for name in names for layer in ((None,) if name == BACKGROUND else layers)
    ]
    templates = []
    for number, (name, layer) in enumerate(wanted):
        if progress is not None:
            progress(number / len(wanted), f"{name}, {absorber_name(layer) or 'bare'}")
        templates.append(expected_spectrum(name, seen_by, layer))
    return Library(
        np.array(templates),
        seen_by.axis,
        tuple(name for name, _ in wanted),
        tuple(absorber_name(layer) or "bare" for _, layer in wanted),
    )


def simulate_signatures(
    nuclides: Sequence[str],
    detector: str | GammaDetector,
    material: str | Material,
    thicknesses: Sequence[float],
    *,
    distance: float = 100.0,
    progress: Progress | None = None,
) -> Spectra:
    """Spectra of sources behind more and more of a material, without counting noise.

    They are what :class:`~spectraloom.analyze.ManifoldUnmixer` learns signatures from: fit it with
    ``background=None``, as they hold none, and with ``unit="cm"``, the unit of their thicknesses.

    Parameters
    ----------
    nuclides : sequence of str
        Names as in :func:`spectraloom.physics.nuclide`; labels are as the tables write them.
    detector : str or GammaDetector
        The detector, or the name of a ready one.
    material : str or Material
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
    names, seen_by, named = _as_sources(nuclides), as_detector(detector), material_name(material)
    rows: list[FloatArray] = []
    for name in names:
        for thickness in values:
            if progress is not None:
                done = len(rows) / (len(names) * values.size)
                progress(done, f"{name} behind {thickness:g} cm of {named}")
            layers = ((material, float(thickness)),) if thickness > 0 else ()
            around = Surroundings(distance=distance, shells=layers)
            rows.append(_DECAYS * expected_counts(name, seen_by, around))
    n = len(rows)
    return Spectra(
        np.array(rows),
        seen_by.axis,
        columns={
            "labels": label_sets((name,) for name in np.repeat(names, values.size).tolist()),
            "detector": np.full(n, seen_by.name),
            "material": np.full(n, named),
            "thickness": np.tile(values, len(names)),
        },
        attrs={"source": "simulated by spectraloom.generate.simulate_signatures"},
    )


def _as_sources(nuclides: Sequence[str]) -> list[str]:
    """Names as the tables write them, each once."""
    if isinstance(nuclides, str):
        raise DataError(f"nuclides is a sequence, not a text: write [{nuclides!r}]")
    if not nuclides:
        raise DataError("there must be at least one nuclide")
    return list(dict.fromkeys(as_source(name) for name in nuclides))
