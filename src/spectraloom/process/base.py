"""Transformer: the scikit-learn face of the functions in this folder."""

from __future__ import annotations

from typing import Any, Self, overload

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra
from spectraloom.data.axis import require_same_axis


class Transformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the transformers: Spectra in, Spectra out; array in, array out.

    A subclass stores its settings in ``__init__`` and calls a pure function in ``_apply``. An
    array passed to :meth:`transform` is taken as spectra of the axis and the kind seen in
    :meth:`fit`; an array passed to :meth:`fit` is taken as intensities on uncalibrated channels.

    Attributes
    ----------
    axis_ : Axis
        Axis seen in :meth:`fit`.
    kind_ : str
        Kind of the spectra seen in :meth:`fit`.
    n_features_in_ : int
        Number of channels seen in :meth:`fit`.
    """

    _needs_fitted_axis = True

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Remember axis and kind of the spectra.

        Parameters
        ----------
        X : Spectra or array_like, shape (n_spectra, n_channels)
            Spectra to learn the axis from.
        y : object
            Ignored; there for scikit-learn's pipelines.
        """
        if isinstance(X, Spectra):
            self.__dict__.pop("feature_names_in_", None)  # of an earlier fit on a table
            self.axis_, self.kind_ = X.axis, X.kind
            self.n_features_in_ = X.n_channels
        else:
            values = validate_data(self, X, dtype=(np.float64, np.float32))
            self._check_array(values)
            self.axis_, self.kind_ = Axis.uncalibrated(values.shape[1]), "intensity"
        return self

    @overload
    def transform(self, X: Spectra) -> Spectra: ...

    @overload
    def transform(self, X: Array) -> Array: ...

    def transform(self, X: Any) -> Any:
        """Apply the step.

        Parameters
        ----------
        X : Spectra or array_like, shape (n_spectra, n_channels)
            Spectra to change.

        Returns
        -------
        Spectra or ndarray
            The same type as `X`.

        Raises
        ------
        AxisError
            If `X` are Spectra on another axis than seen in :meth:`fit`.
        """
        check_is_fitted(self)
        if isinstance(X, Spectra):
            if self._needs_fitted_axis:
                require_same_axis(self.axis_, X.axis, f"{type(self).__name__}.transform")
            return self._apply(X)
        values = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        self._check_array(values)
        return self._apply_to_array(values)

    def _check_array(self, values: Array) -> None:
        """Refuse a plain array that the step cannot work on."""

    def _apply_to_array(self, values: Array) -> Array:
        # A copy: the caller may write to an array it receives, never to Spectra.
        return np.array(self._apply(Spectra(values, self.axis_, self.kind_)).values)

    def _apply(self, spectra: Spectra) -> Spectra:
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")
