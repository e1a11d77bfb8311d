"""The decision boundary between spectra that a model explains and outliers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spectraloom._typing import Array, BoolArray
from spectraloom.errors import LabelError


@dataclass(frozen=True, slots=True)
class OutlierBoundary:
    """A threshold on one feature of the fit.

    Parameters
    ----------
    feature : str
        Name of the feature, as in ``Result.quality``.
    threshold : float
        Where the decision changes.
    outlier_above : bool
        Whether spectra above the threshold are the outliers.
    method : str
        How the threshold was found.
    accuracy, precision, recall, false_alarm : float
        Reached on held-out rows, where an outlier is the positive case; `false_alarm` is the
        share of the known that is flagged.
    """

    feature: str
    threshold: float
    outlier_above: bool
    method: str
    accuracy: float = float("nan")
    precision: float = float("nan")
    recall: float = float("nan")
    false_alarm: float = float("nan")

    def flags(self, features: Mapping[str, Array]) -> BoolArray:
        """Which spectra are outliers.

        Parameters
        ----------
        features : mapping of str to ndarray, shape (n_spectra,)

        Raises
        ------
        LabelError
            If the feature is not there, e.g. a measure of counts for spectra that are none.
        """
        if self.feature not in features:
            raise LabelError(
                f"the outlier boundary needs the feature {self.feature!r}, which these spectra do "
                f"not have; there are {', '.join(features)}"
            )
        values = features[self.feature]
        # A feature that cannot be computed explains nothing: such a spectrum is an outlier.
        beyond = values > self.threshold if self.outlier_above else values < self.threshold
        return np.asarray(beyond | ~np.isfinite(values))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not measured is None."""
        return {
            key: None if isinstance(value, float) and np.isnan(value) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> OutlierBoundary:
        """Boundary from what :meth:`to_dict` gave."""
        rates = {
            name: float("nan") if stored.get(name) is None else float(stored[name])
            for name in ("accuracy", "precision", "recall", "false_alarm")
        }
        return cls(
            str(stored["feature"]),
            float(stored["threshold"]),
            bool(stored["outlier_above"]),
            str(stored["method"]),
            **rates,
        )
