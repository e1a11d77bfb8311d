"""GAMMA_FLOW's own pipeline, restated faithfully, to compare with on the same spectra.

Its counts are interpolated at the channel centres of a standard calibration, its loadings are
plain class means, its fit is unweighted, and one share of everything decides. It is kept as a
yardstick: nothing else in Spectraloom interpolates counts.
"""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.axis import Axis
from spectraloom.data.spectra import Spectra

STANDARD_CALIBRATION = (-12.0, 8.15, 0.0012)  # keV at the centre of channel i
FIRST_CHANNEL = 7  # the fit leaves out the channels below
MIN_SHARE = 0.1


def interpolated_rebin(spectra: Spectra, axis: Axis) -> Spectra:
    """Counts per channel, interpolated linearly at the new channel centres; zero outside.

    Totals are not preserved, and the result is smoother than Poisson counts.

    Parameters
    ----------
    spectra : Spectra
    axis : Axis
        Where to interpolate.
    """
    values: FloatArray = np.stack(
        [
            np.interp(axis.centers, spectra.axis.centers, row, left=0.0, right=0.0)
            for row in np.asarray(spectra.values, dtype=np.float64)
        ]
    )
    return spectra.replace(values=values, axis=axis, variance=None)


def reference_model(first_kev: float, last_kev: float) -> SupervisedNMF:
    """Model with the reference's settings, fitted between two energies."""
    return SupervisedNMF(
        min_share=MIN_SHARE,
        min_source_share=0.0,
        weighting="none",
        window=(first_kev, last_kev),
    )
