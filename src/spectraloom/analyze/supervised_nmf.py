"""Supervised non-negative matrix factorisation: the model of GAMMA_FLOW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from spectraloom import __version__
from spectraloom._typing import Array, BoolArray, FloatArray, IntArray, Progress
from spectraloom.analyze.base import SpectralEstimator
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.given import is_number, labels_of, numeric_type, plain_settings
from spectraloom.analyze.least_squares import nnls, standard_errors
from spectraloom.analyze.loadings import (
    class_means,
    loadings_from_mixtures,
    loadings_without_labels,
    split_into_variants,
)
from spectraloom.analyze.quality import fit_quality
from spectraloom.analyze.share_rule import (
    decide_by_share,
    is_source,
    shares_of,
    source_shares,
    top_source,
)
from spectraloom.data.axis import Axis
from spectraloom.data.columns import label_sets
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError, LabelError

# Share of training spectra of one source that may be taken for several.
_SPURIOUS = 0.005
# Weights level off where the mean spectrum has less than this part of its maximum.
_WEIGHT_FLOOR = 1e-3
_CHUNK = 8192


class SupervisedNMF(TransformerMixin, SpectralEstimator):  # type: ignore[misc]
    """Classify, denoise and decompose spectra with one loading per class.

    The loadings are the mean spectra of the labelled classes, scaled to unit area; the scores
    are exact non-negative least squares, so that a score is the number of counts that a class
    contributes; a score divided by their sum is a share. A class is reported if its share is
    large enough (see :func:`~spectraloom.analyze.share_rule.decide_by_share`).

    Parameters
    ----------
    min_share : float
        Smallest share of everything at which a source is found; 0.1 in the reference.
    min_source_share : float or "auto"
        Smallest share *among the sources* of each further source. 0 is the rule of the
        reference, where a strong background hides weak companions. ``"auto"`` takes the value
        under which 99.5 % of the training spectra of one source show that source only.
    background : str or None
        Label that is no source.
    window : (float, float) or None
        Part of the axis to fit, in its unit: channels whose centres lie in it. A plain array has
        the axis of uncalibrated channels. None fits everything.
    weighting : {"poisson", "none"}
        ``poisson`` weighs squared residuals by the inverse of the mean loading, an approximation
        of the Poisson likelihood that keeps one weight per channel; used for counts and rates.
        ``none`` is the reference.
    variants : int or str
        Loadings per class: a number (k-means within each source), or the name of a column such
        as ``"absorber"`` whose values are the variants.
    n_components : int or None
        Number of loadings to propose where there are no labels (unsupervised start).
    random_state : int or None
        Seed of clustering and factorisation.

    Attributes
    ----------
    classes_ : ndarray of str, shape (n_classes,)
        Names, the background last.
    label_dtype_ : numpy.dtype or None
        Type of numeric labels, in which :meth:`predict` gives them back; None for texts.
    loadings_ : ndarray, shape (n_loadings, n_channels)
        Non-negative for counts; each has unit area inside the window.
    loading_classes_ : ndarray of int, shape (n_loadings,)
        Class of each loading.
    loading_names_ : ndarray of str, shape (n_loadings,)
        Class and variant of each loading.
    weights_ : ndarray, shape (n_channels,)
        Weights of the squared residuals, zero outside the window.
    min_source_share_ : float
        The value in use.
    start_ : {"means", "mixtures", "unlabelled"}
        Where the loadings came from.
    outlier_boundary_ : OutlierBoundary or None
        Set by :meth:`set_outlier_boundary`.
    axis_ : Axis or None
    n_features_in_ : int
    provenance_ : dict
        Version, data hash and settings.

    References
    ----------
    GAMMA_FLOW: V. Raedle et al., arXiv:2511.09326 (2025). D. D. Lee, H. S. Seung, Nature 401
    (1999) 788, doi:10.1038/44565.

    Examples
    --------
    >>> import numpy as np
    >>> from spectraloom import SupervisedNMF
    >>> X = np.array([[9.0, 1, 0], [8, 2, 0], [0, 1, 9], [0, 2, 8]])
    >>> model = SupervisedNMF(background=None).fit(X, ["left", "left", "right", "right"])
    >>> model.predict([[5.0, 1, 0]])
    array(['left'], dtype='<U5')
    """

    def __init__(
        self,
        *,
        min_share: float = 0.1,
        min_source_share: float | Literal["auto"] = "auto",
        background: str | None = "background",
        window: tuple[float, float] | None = None,
        weighting: Literal["poisson", "none"] = "poisson",
        variants: int | str = 1,
        n_components: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.min_share = min_share
        self.min_source_share = min_source_share
        self.background = background
        self.window = window
        self.weighting = weighting
        self.variants = variants
        self.n_components = n_components
        self.random_state = random_state

    # -- training ------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> SupervisedNMF:
        """Make the loadings.

        Parameters
        ----------
        X : Spectra or array_like, shape (n_spectra, n_channels)
            Training spectra. A plain array is taken as intensities.
        y : array_like of labels or label sets, optional
            By default the column ``labels`` of the spectra. Spectra with several labels serve
            only where a class never occurs alone. Without any labels, `n_components` loadings
            are proposed.

        Raises
        ------
        FitError
            If settings are out of range, or there are neither labels nor `n_components`.
        """
        self._check_settings()
        values = self._checked(X, reset=True)
        kind = X.kind if isinstance(X, Spectra) else "intensity"
        self._fitted = self._channels()
        labels = labels_of(X, y, len(values))
        self.label_dtype_ = numeric_type(y)
        loadings = self._make_loadings(X, values, labels)
        areas = np.abs(loadings[:, self._fitted]).sum(axis=1)
        if not areas.all():
            raise FitError(
                f"class {str(self.loading_names_[int(np.argmin(areas))])!r} has no counts in the "
                "window of the fit: remove its spectra or widen the window"
            )
        self.loadings_ = loadings / areas[:, np.newaxis]
        self.weights_ = self._make_weights(kind)
        self.min_source_share_ = self._settle_source_share(values, labels)
        self.outlier_boundary_: OutlierBoundary | None = None
        self.provenance_ = {
            "spectraloom": __version__,
            "model": type(self).__name__,
            "settings": plain_settings(self.get_params()),
            "n_spectra": len(values),
            "kind": kind,
            "data_sha256": X.fingerprint() if isinstance(X, Spectra) else None,
        }
        return self

    def _check_settings(self) -> None:
        if not _is_share(self.min_share):
            raise FitError(f"min_share is a number from 0 to below 1, got {self.min_share!r}")
        if self.min_source_share != "auto" and not _is_share(self.min_source_share):
            raise FitError(
                f"min_source_share is 'auto' or a number from 0 to below 1, got "
                f"{self.min_source_share!r}"
            )
        if self.background is not None and not isinstance(self.background, str):
            raise FitError(f"background is a label (a text) or None, got {self.background!r}")
        if self.weighting not in ("poisson", "none"):
            raise FitError(f"weighting is 'poisson' or 'none', got {self.weighting!r}")
        if not isinstance(self.variants, str) and not _is_count(self.variants):
            raise FitError(f"variants is a positive number or a column, got {self.variants!r}")
        if self.n_components is not None and not _is_count(self.n_components):
            raise FitError(f"n_components is a positive number, got {self.n_components!r}")
        if self.window is not None and np.shape(self.window) != (2,):
            raise FitError(f"window is None or (low, high), got {self.window!r}")

    def _channels(self) -> slice:
        if self.window is None:
            return slice(0, self.n_features_in_)
        axis = Axis.uncalibrated(self.n_features_in_) if self.axis_ is None else self.axis_
        return axis.window(*self.window)

    def _weighted_channels(self) -> slice:
        """Channels fitted, from the weights: those of a fitted model, whatever was set later."""
        used = np.flatnonzero(self.weights_)
        return slice(int(used[0]), int(used[-1]) + 1)

    def _make_loadings(self, X: Any, values: Array, labels: Array | None) -> FloatArray:
        if labels is None:
            return self._propose_loadings(values)
        names = sorted({label for entry in labels for label in entry})
        if self.background in names:
            names.remove(self.background)
            names.append(self.background)
        self.classes_ = np.asarray(names, dtype=np.str_)
        alone = np.array([len(entry) == 1 for entry in labels], dtype=bool)
        single = np.asarray([entry[0] if len(entry) == 1 else "" for entry in labels])
        if not set(names) <= set(single[alone].tolist()):
            present = np.array([[name in entry for name in names] for entry in labels])
            self._name_loadings(names, np.arange(len(names)), [""] * len(names), "mixtures")
            return loadings_from_mixtures(values, present, self.random_state)
        keys = self._variant_keys(X, values, single, alone)
        known = sorted(
            {(names.index(name), key) for name, key in zip(single[alone], keys, strict=True)}
        )
        classes = np.array([j for j, _ in known], dtype=np.int64)
        self._name_loadings(names, classes, [key for _, key in known], "means")
        combined = np.asarray(
            [f"{names.index(n)}\n{k}" for n, k in zip(single[alone], keys, strict=True)]
        )
        return class_means(values[alone], combined, [f"{j}\n{key}" for j, key in known])

    def _propose_loadings(self, values: Array) -> FloatArray:
        if self.n_components is None:
            raise FitError(
                "SupervisedNMF requires y to be passed, but the target y is None: give labels "
                "(a column 'labels' or y), or n_components to propose loadings without labels"
            )
        names = [f"component {j + 1}" for j in range(self.n_components)]
        self.classes_ = np.asarray(names, dtype=np.str_)
        self._name_loadings(names, np.arange(len(names)), [""] * len(names), "unlabelled")
        return loadings_without_labels(values, self.n_components, self.random_state)

    def _variant_keys(self, X: Any, values: Array, single: Array, alone: BoolArray) -> Array:
        if isinstance(self.variants, str):
            if not isinstance(X, Spectra):
                raise FitError(f"variants={self.variants!r} names a column, but X is a plain array")
            column = X.column(self.variants)[alone].astype(np.str_)
            return np.where(single[alone] == self.background, "", column)
        keys = np.full(int(alone.sum()), "", dtype="<U8")
        if self.variants == 1:
            return keys
        for name in self.classes_:
            if name == self.background:
                continue
            members = single[alone] == name
            clusters = split_into_variants(
                values[alone][members], self.variants, self._fitted, self.random_state
            )
            keys[members] = (clusters + 1).astype(np.str_)
        return keys

    def _name_loadings(
        self, names: Sequence[str], classes: IntArray, variants: Sequence[str], start: str
    ) -> None:
        self.loading_classes_ = np.asarray(classes, dtype=np.int64)
        self.loading_names_ = np.asarray(
            [f"{names[j]} {variant}".strip() for j, variant in zip(classes, variants, strict=True)],
            dtype=np.str_,
        )
        self.start_ = start

    def _make_weights(self, kind: str) -> FloatArray:
        weights = np.zeros(self.n_features_in_)
        weights[self._fitted] = 1.0
        if self.weighting == "poisson" and kind in ("counts", "rate"):
            mean = np.maximum(self.loadings_.mean(axis=0)[self._fitted], 0.0)
            weights[self._fitted] = 1.0 / np.maximum(mean, _WEIGHT_FLOOR * mean.max())
            weights /= weights.max()
        return weights

    def _settle_source_share(self, values: Array, labels: Array | None) -> float:
        if self.min_source_share != "auto":
            return float(self.min_source_share)
        source = is_source(self.classes_.tolist(), self.background)
        if labels is None or source.sum() < 2:
            return float(self.min_share)
        index = {name: j for j, name in enumerate(self.classes_.tolist())}
        rows = [i for i, e in enumerate(labels) if len(e) == 1 and e[0] != self.background]
        if not rows:
            return float(self.min_share)
        own = np.array([index[labels[i][0]] for i in rows])
        relative = source_shares(shares_of(self._class_scores(values[rows])), source)
        relative[np.arange(len(rows)), own] = 0.0
        spurious = float(np.quantile(relative.max(axis=1), 1.0 - _SPURIOUS))
        return float(np.clip(spurious, self.min_share, 0.5))

    def set_outlier_boundary(self, boundary: OutlierBoundary | None) -> SupervisedNMF:
        """Store the boundary that :meth:`analyze` flags outliers with.

        Parameters
        ----------
        boundary : OutlierBoundary or None
            E.g. ``study_outliers(...).boundary``; None takes it away.
        """
        check_is_fitted(self)
        self.outlier_boundary_ = boundary
        return self

    # -- using ---------------------------------------------------------------------------

    def transform(self, X: Any) -> FloatArray:
        """Scores: the amount of each loading, shape (n_spectra, n_loadings)."""
        return self._scores(self._checked(X))

    def inverse_transform(self, scores: Any) -> FloatArray:
        """Spectra that the scores stand for, shape (n_spectra, n_channels)."""
        check_is_fitted(self)
        return np.asarray(np.asarray(scores, dtype=np.float64) @ self.loadings_)

    def get_feature_names_out(self, input_features: Any = None) -> Array:  # noqa: ARG002
        """Names of the scores, for scikit-learn's ``set_output``."""
        check_is_fitted(self)
        return np.asarray(self.loading_names_, dtype=object)

    def shares(self, X: Any) -> FloatArray:
        """Share of each class, shape (n_spectra, n_classes); rows sum to one, or zero."""
        return shares_of(self._class_scores(self._checked(X)))

    def predict(self, X: Any) -> Array:
        """Name of the largest source, or the background, per spectrum.

        Numbers where the labels of the training were numbers.
        """
        top = self._top(self.shares(X))
        return top if self.label_dtype_ is None else top.astype(self.label_dtype_)

    def score(self, X: Any, y: Any = None) -> float:
        """Share of spectra whose largest source is among their labels (or rightly none is).

        Parameters
        ----------
        X : Spectra or array_like
        y : array_like of labels or label sets, optional
            By default the column ``labels`` of the spectra.
        """
        truth = labels_of(X, y, len(X))
        if truth is None:
            raise LabelError("there is nothing to score against: give y, or labelled spectra")
        sources = [set(entry) - {self.background} or {self.background} for entry in truth]
        found = self._top(self.shares(X)).tolist()
        return float(np.mean([name in entry for name, entry in zip(found, sources, strict=True)]))

    def predict_sets(self, X: Any) -> Array:
        """Set of the sources present per spectrum, largest first, as tuples of names."""
        result = self._decide(shares := self.shares(X))
        result &= is_source(self.classes_.tolist(), self.background)
        order = np.argsort(-shares, axis=1, kind="stable")
        return label_sets(
            tuple(self.classes_[j] for j in row if present[j])
            for row, present in zip(order, result, strict=True)
        )

    def denoise(self, X: Spectra) -> Spectra:
        """Spectra as the model explains them.

        Raises
        ------
        DataError
            If `X` is no Spectra; for arrays use ``inverse_transform(transform(X))``.
        """
        if not isinstance(X, Spectra):
            raise DataError(
                "denoise takes Spectra; for an array use inverse_transform(transform(X))"
            )
        return self._denoised(X, self.transform(X))

    def analyze(
        self, X: Spectra, *, denoise: bool = True, progress: Progress | None = None
    ) -> Result:
        """Amounts, labels, goodness of fit and outlier flags.

        Parameters
        ----------
        X : Spectra
            Spectra on the axis of the model.
        denoise : bool
            Whether the result carries the denoised spectra (as large as `X`).
        progress : callable, optional
            Called with the fraction done and a text.

        Returns
        -------
        Result
            Amounts are in the unit of the data (counts in the window of the fit); ``quality``
            holds the measures of :func:`~spectraloom.analyze.quality.fit_quality`; ``flags``
            holds ``empty`` and, with a boundary set, ``outlier``.

        Raises
        ------
        AxisError
            If the spectra lie on another axis.
        """
        if not isinstance(X, Spectra):
            raise DataError("analyze takes Spectra: wrap the array in Spectra(values, axis)")
        values = self._checked(X)
        scores = nnls(values, self.loadings_, weights=self.weights_, progress=progress)
        amounts = self._by_class(scores)
        shares = shares_of(amounts)
        features = self.features(X, scores)
        flags: dict[str, Array] = {"empty": np.asarray(~amounts.any(axis=1))}
        if self.outlier_boundary_ is not None:
            flags["outlier"] = self.outlier_boundary_.flags(features)
        return Result(
            tuple(self.classes_.tolist()),
            amounts,
            self._decide(shares),
            unit={"counts": "counts", "rate": "counts/s"}.get(X.kind, "intensity"),
            uncertainties=self._uncertainties(X),
            top=self._top(shares),
            quality=features,
            flags=flags,
            columns=X.columns,
            denoised=self._denoised(X, scores) if denoise else None,
            provenance={**self.provenance_, "analyzed_sha256": X.fingerprint()},
        )

    def features(self, X: Spectra, scores: FloatArray | None = None) -> dict[str, FloatArray]:
        """What the outlier analysis looks at, one value per spectrum and feature.

        The shares sorted from the largest down (``share_1`` ...), the norm of the scores, and
        every measure of the goodness of fit inside the window.

        Parameters
        ----------
        X : Spectra
        scores : ndarray, shape (n_spectra, n_loadings), optional
            If they are known already.
        """
        values = self._checked(X)
        if scores is None:
            scores = self._scores(values)
        amounts = self._by_class(scores)
        ordered = -np.sort(-shares_of(amounts), axis=1)
        features = {f"share_{rank + 1}": ordered[:, rank] for rank in range(ordered.shape[1])}
        features["score_norm"] = np.linalg.norm(amounts, axis=1)
        features |= self._quality(X, values, scores)
        return features

    # -- pieces --------------------------------------------------------------------------

    def _scores(self, values: Array) -> FloatArray:
        return nnls(values, self.loadings_, weights=self.weights_)

    def _by_class(self, scores: FloatArray) -> FloatArray:
        member = np.equal.outer(self.loading_classes_, np.arange(len(self.classes_)))
        return np.asarray(scores @ member.astype(np.float64))

    def _class_scores(self, values: Array) -> FloatArray:
        return self._by_class(self._scores(values))

    def _decide(self, shares: FloatArray) -> BoolArray:
        return decide_by_share(
            shares,
            self.classes_.tolist(),
            min_share=self.min_share,
            min_source_share=self.min_source_share_,
            background=self.background,
        )

    def _top(self, shares: FloatArray) -> Array:
        return top_source(
            shares, self.classes_.tolist(), min_share=self.min_share, background=self.background
        )

    def _denoised(self, X: Spectra, scores: FloatArray) -> Spectra:
        dtype = X.dtype if X.dtype.kind == "f" else np.dtype(np.float64)
        values = np.empty(X.shape, dtype=dtype)
        for start in range(0, len(X), _CHUNK):
            values[start : start + _CHUNK] = scores[start : start + _CHUNK] @ self.loadings_
        # Loadings of difference spectra may be negative, which counts cannot.
        signed = X.kind == "counts" and bool((self.loadings_ < 0).any())
        return X.replace(values=values, variance=None, kind="intensity" if signed else X.kind)

    def _quality(self, X: Spectra, values: Array, scores: FloatArray) -> dict[str, FloatArray]:
        loadings = self.loadings_[:, self._fitted]
        parts = []
        for start in range(0, max(len(values), 1), _CHUNK):
            rows = slice(start, start + _CHUNK)
            parts.append(
                fit_quality(
                    values[rows, self._fitted],
                    scores[rows] @ loadings,
                    n_parameters=len(loadings),
                    poisson=X.kind == "counts",
                )
            )
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _uncertainties(self, X: Spectra) -> FloatArray | None:
        variances = X.variance
        if X.kind == "counts":
            # A stored variance per channel leaves out that rebinned or smoothed neighbours vary
            # together. Taking the counts instead is an upper bound (Jensen's inequality), and
            # close wherever the templates change little from channel to channel.
            variances = X.values if variances is None else np.maximum(variances, X.values)
        if variances is None:
            return None
        return standard_errors(
            variances, self.loadings_, self.loading_classes_, weights=self.weights_
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.n_components is None
        return tags


def _is_share(value: Any) -> bool:
    return is_number(value) and bool(0 <= value < 1)


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and bool(value >= 1)
