"""Base of every estimator that works on spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from spectraloom._typing import Array
from spectraloom.data.axis import Axis, require_same_axis
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError


class SpectralEstimator(BaseEstimator):  # type: ignore[misc]
    """A scikit-learn estimator that remembers the axis it was fitted on.

    ``fit`` records ``n_features_in_`` and ``axis_`` (None if it was given a plain array);
    afterwards spectra on another axis are refused. Plain arrays are taken as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from spectraloom.data import Axis, Spectra
    >>> class Mean(SpectralEstimator):
    ...     def fit(self, X, y=None):
    ...         self.mean_ = self._checked(X, reset=True).mean(axis=0)
    ...         return self
    >>> model = Mean().fit(Spectra(np.ones((3, 8)), Axis.regular(0, 80, 8)))
    >>> model.axis_
    <Axis: 8 channels, 0 to 80 keV (energy)>
    """

    axis_: Axis | None

    def _checked(self, X: Any, *, reset: bool = False) -> Array:
        """Values of `X`, shape (n_spectra, n_channels), after checking axis and shape.

        Parameters
        ----------
        X : Spectra or array_like
        reset : bool
            True in ``fit``: remember axis and number of channels instead of comparing them.

        Raises
        ------
        AxisError
            If spectra lie on another axis than the model.
        DataError
            If the spectra are complex or there are none.
        """
        if not reset:
            check_is_fitted(self)
        if isinstance(X, Library):
            raise DataError(
                f"{type(self).__name__} is given spectra, not a library, which holds templates: an "
                "identifier takes one as Identifier(library).fit(background)"
            )
        if not isinstance(X, Spectra):
            checked: Array = validate_data(
                self, X, reset=reset, dtype=[np.float64, np.float32], ensure_non_negative=False
            )
            if reset:
                self.axis_ = None
            return checked
        if X.kind == "complex":
            raise DataError(
                f"{type(self).__name__} needs real spectra; take the real part or the magnitude"
            )
        if reset:
            if len(X) == 0:
                raise DataError(f"{type(self).__name__} cannot be fitted: there are no spectra")
            self.__dict__.pop("feature_names_in_", None)  # of an earlier fit on a table
            self.axis_ = X.axis
            self.n_features_in_ = X.n_channels
        elif self.axis_ is not None:
            require_same_axis(self.axis_, X.axis, f"this {type(self).__name__}")
        elif X.n_channels != self.n_features_in_:
            raise DataError(
                f"X has {X.n_channels} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        return X.values
