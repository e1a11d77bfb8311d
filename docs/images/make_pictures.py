"""Draw the picture of the README from the simulated demonstration data.

Run it as ``python docs/images/make_pictures.py``; it writes beside itself. The same version of the
libraries gives the same picture.
"""

from __future__ import annotations

from pathlib import Path

import spectraloom as sl

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


if __name__ == "__main__":
    (Path(__file__).parent / "decomposed.png").write_bytes(decomposed())
