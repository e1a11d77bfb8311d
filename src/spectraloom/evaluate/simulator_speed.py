"""How fast the simulator is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from spectraloom.data import Axis
from spectraloom.generate import simulate_gamma
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.transport.cache import without_files
from spectraloom.physics.gamma.transport.response_matrix import response_matrix

_HISTORIES = 400_000
_ENERGIES = np.geomspace(20.0, 3000.0, 50)
_BARE = Crystal(window=(), side=())
_SPECTRA = 10_000
_CHANNELS = 1024


def measure_simulator() -> dict[str, Any]:
    """Time a response of a bare 3-inch crystal of sodium iodide, and spectra out of it.

    Returns
    -------
    dict
        ``response_seconds`` for 50 energies of 400,000 photons each, ``histories_per_second``
        while it is computed, and ``spectra_per_second`` of one source of three, drawn from
        responses that are there. Compiling is left out, files of earlier runs are not used.
    """
    with without_files():
        response_matrix(_BARE, histories=100, energies=_ENERGIES)
        started = time.perf_counter()
        found = response_matrix(_BARE, histories=_HISTORIES, energies=_ENERGIES)
        seconds = time.perf_counter() - started
    detector = GammaDetector("3 inch", Axis.regular(0.0, 3000.0, _CHANNELS))
    names = ["Am241", "Cs137", "Co60"]
    simulate_gamma(names, detector, len(names), seed=0)
    started = time.perf_counter()
    simulate_gamma(names, detector, _SPECTRA, seed=1)
    return {
        "response_seconds": seconds,
        "histories_per_second": _HISTORIES * len(found.energies) / seconds,
        "spectra_per_second": _SPECTRA / (time.perf_counter() - started),
    }
