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


def identified() -> bytes:
    """Amounts with intervals, thresholds and limits in a spectrum of few counts, as PNG."""
    detector = demo_detectors()["east"]
    names = ["Am241", "Ba133", "Co60", "Cs137", "Eu152"]
    training = simulate_gamma([*names, "background"], detector, 600, seed=1)
    model = sl.Identifier(false_alarm_rate=1e-3).fit(training)
    short = simulate_gamma(
        [("Co60", "Cs137")], detector, 1, counts=(250, 250), background_counts=(800, 800), seed=4
    )
    answer = model.analyze(short)
    rows = [answer.names.index(name) for name in names]
    details = {name: values[0][rows] for name, values in answer.details.items()}
    figure = sl.plot.plot_amounts(
        names,
        answer.amounts[0][rows],
        np.asarray(answer.uncertainties)[0][rows],
        intervals=np.column_stack([details["interval_low"], details["interval_high"]]),
        thresholds=details["decision_threshold"],
        limits=details["detection_limit"],
        found=answer.decisions[0][rows].tolist(),
    )
    return sl.plot.as_png(figure, dpi=110)


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
    (here / "identified.png").write_bytes(identified())
    (here / "deforming.png").write_bytes(deforming())
