"""Compute the results of photon transport that ship with the package.

They are the responses of the ready detectors, the natural background, and what the demonstration
needs, so that none of these waits for Monte Carlo::

    python scripts/build_gamma_responses.py

takes some minutes, and replaces the files in ``src/spectraloom/physics/gamma/tables/responses``.
The same version of the sources gives the same files up to the rounding of single precision.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np


def main() -> None:
    """Compute everything anew in an empty cache and copy it into the package."""
    from spectraloom.generate import demo_sets
    from spectraloom.physics.gamma import background_rates, detector, detectors, response_matrix
    from spectraloom.physics.gamma.incidence import from_where
    from spectraloom.physics.gamma.transport import cache
    from spectraloom.physics.gamma.transport.grid import PHOTON_ENERGIES

    for path in cache.SHIPPED.glob("*.npz"):
        path.unlink()
    for name in detectors():
        crystal = detector(name).crystal
        a_metre = [one for one, _ in from_where(crystal, 100.0, PHOTON_ENERGIES)]
        for incidence in dict.fromkeys(("front", "around", *a_metre)):
            response_matrix(crystal, incidence)
            sys.stderr.write(f"{name}, {incidence}\n")
    background_rates(detector(detectors()[0]))
    demo_sets()
    cache.SHIPPED.mkdir(exist_ok=True)
    for path in sorted(cache.cache_dir().glob("*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: shortened(stored[name]) for name in stored.files}
        np.savez_compressed(cache.SHIPPED / path.name, **arrays)


def shortened(array: np.ndarray) -> np.ndarray:
    """Single precision where noise is far above it; energies keep theirs."""
    return array.astype(np.float32) if array.size > 400 else array


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPECTRALOOM_CACHE_DIR"] = str(Path(folder) / "transport")
        main()
