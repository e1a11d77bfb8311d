"""Draw the pictures of the README from simulated spectra.

Run it as ``python docs/images/make_pictures.py``; it writes beside itself. The same version of the
libraries gives the same picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import spectraloom as sl
from spectraloom.analyze.manifold import InterpolatedSignature
from spectraloom.generate import demo_detectors, simulate_gamma

SHOWN = {"Ba133", "Co60", "Cs137", "background"}
MOST_COUNTS = 9_000  # enough to see the lines, few enough to see the noise


def decomposed() -> bytes:
    """A spectrum of three sources and background, its fit and the components, as PNG."""
    sets = sl.workflow.simulated_sets(seed=0)
    model = sl.SupervisedNMF().fit(sets.training)
    assert sets.multi is not None
    mixtures = sets.multi
    suited = [
        row
        for row, (labels, total) in enumerate(zip(mixtures.labels, mixtures.totals, strict=True))
        if set(labels) == SHOWN and total < MOST_COUNTS
    ]
    result = model.analyze(mixtures)
    # The smallest of its shares as large as possible, so that every component can be seen.
    row = max(suited, key=lambda one: sorted(result.shares[one])[-len(SHOWN)])
    return sl.plot.as_png(sl.plot.plot_denoised(mixtures, result, row, model=model), dpi=120)


def deforming() -> bytes:
    """Two signatures that change with the thickness of steel around the source, as PNG."""
    steel = 0.03 * 1.5 ** np.arange(12)  # cm
    spectra = simulate_gamma(
        ["Ba133", "Cs137"],
        demo_detectors()["east"],
        520,
        counts=(1e5, 1e5),
        absorbers=[None, *(("Fe", float(each)) for each in steel)],
        seed=0,
    )
    in_mm = spectra.with_columns(thickness=10.0 * spectra.columns["thickness"])
    signatures = InterpolatedSignature.from_spectra(in_mm)
    return sl.plot.as_png(sl.plot.plot_deformation(signatures), dpi=110)


if __name__ == "__main__":
    here = Path(__file__).parent
    (here / "decomposed.png").write_bytes(decomposed())
    (here / "deforming.png").write_bytes(deforming())
