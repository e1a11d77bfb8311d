"""Unmixing with signatures that deform: what is there, how much, behind how much, and how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from spectraloom import __version__
from spectraloom._typing import Array, BoolArray, FloatArray, Progress
from spectraloom.analyze.base import SpectralEstimator
from spectraloom.analyze.given import labels_of, numeric_type, plain_settings
from spectraloom.analyze.identify.activity import count_rates
from spectraloom.analyze.identify.misfit import condition_flags
from spectraloom.analyze.identify.significance import per_name_rate
from spectraloom.analyze.identify.variants import background_library, require_background
from spectraloom.analyze.likelihood import Resolution
from spectraloom.analyze.manifold.answers import (
    absent_uncertainties,
    amount_intervals,
    at_range_end,
    denoised_spectra,
    fit_measures,
    latent_answers,
    latent_intervals,
    with_model_errors,
)
from spectraloom.analyze.manifold.at_once import choose_at_once, take_known
from spectraloom.analyze.manifold.autoencoder import LearnedSignature
from spectraloom.analyze.manifold.bins import informative_edges
from spectraloom.analyze.manifold.covered import edges_to_fit
from spectraloom.analyze.manifold.fit import require_list
from spectraloom.analyze.manifold.latents import LATENTS, Latents
from spectraloom.analyze.manifold.learned import (
    deformation_of,
    learn_signatures,
    rigid_signatures,
    signature_errors,
    source_spectra,
    tabulated,
    values_seen,
    without_empty_channels,
)
from spectraloom.analyze.manifold.misfit import misfit_p_values
from spectraloom.analyze.manifold.model_errors import (
    LeftOutErrors,
    ModelErrors,
    added_covariance,
    model_errors_on,
)
from spectraloom.analyze.manifold.selection import ManifoldSelection, select_sources
from spectraloom.analyze.manifold.settings import check_names, check_settings
from spectraloom.analyze.manifold.signature import SignatureModel
from spectraloom.analyze.manifold.table import ManifoldTable, manifold_table
from spectraloom.analyze.share_rule import is_source
from spectraloom.data.axis import Axis
from spectraloom.data.columns import label_sets
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError, LabelError

_TOLERANCE = 1e-3  # of the deviance: far below what any decision turns on
_MOST_TABLES = 8  # axes that tables are kept for


class ManifoldUnmixer(SpectralEstimator):
    """Decide which sources are in spectra, how much of each, and how far they are deformed.

    A source behind steel does not look like the bare source. Its signature deforms along a
    coordinate, such as the thickness of the steel, that was seen in training spectra. Amounts and
    deformation are fitted together under the Poisson likelihood, with gain, offset, resolution and
    the slope of the background if asked. Sources are chosen one by one by the likelihood ratio, at
    a stated false-alarm rate.

    Parameters
    ----------
    signatures : SignatureModel or None
        Signatures that deform. None learns them from the labelled spectra given to ``fit``.
    model : {"interpolated", "iae-joint", "iae-individual"}
        How they are learned: smooth curves through a few knots, or an interpolatory autoencoder
        for all sources or for each (needs the extra ``deep``).
    knots : int or sequence of float
        Of the curves.
    deformation : str
        Column of the training spectra that says how far a signature is deformed.
    unit : str
        Its unit.
    softening : float, "auto" or None
        Added to the value before its logarithm is the coordinate; None takes the value itself.
        ``auto`` is a hundredth of the range where values are zero or more, else None.
    background : str or None
        Name that is no source.
    background_components : int
        Templates that the background is made of; more than one lets its shape vary.
    individual : bool
        Whether every source has a deformation of its own; else all share one.
    tie, known, gain, offset, broadening, tilt : optional
        Priors of what is fitted beside amounts; see
        :class:`~spectraloom.analyze.manifold.latents.Latents`. None leaves a latent out.
    resolution : Resolution or None
        Width that is broadened; that of a NaI detector by default.
    false_alarm_rate : float
        Probability that a spectrum without sources is said to hold any (over all names).
    selection : {"greedy", "all"}
        ``greedy`` adds and drops sources one by one. ``all`` fits all at once and tests each
        against the fit without it.
    bins : "adaptive" or None
        ``adaptive`` sums neighbouring channels, as many as leave 99 % of the information on every
        amount and latent in counts; see
        :func:`~spectraloom.analyze.manifold.bins.informative_edges`. This is faster. An
        uncalibrated axis keeps its channels.
    window : (float, float) or None
        Part of the axis to fit; never more than the signatures cover.
    random_state : int or None
        Seed of what is learned.

    Attributes
    ----------
    classes_ : ndarray of str, shape (n_classes,)
        Names, the background last.
    signatures_ : TabulatedSignature
        What fits use.
    learned_ : SignatureModel or None
        Signatures as they were learned in ``fit``; None where they were given or loaded.
    learning_ : dict
        How signatures were learned, as JSON types.
    signature_errors_ : dict of str to float
        Relative error of each signature between the values that it was learned from; empty where
        that is not known. A misfit has to exceed what these errors make.
    left_out_ : LeftOutErrors or None
        The errors themselves; uncertainties, intervals and decisions allow for them.
    background_ : Library or None
    fitted_with_ : dict
        Settings of the fits; they stay in use when the parameters are set anew.
    numeric_labels_ : bool
        Whether labels were given as numbers.
    axis_ : Axis or None
        Axis that it was fitted on; spectra on other axes are welcome.
    n_features_in_ : int
    provenance_ : dict

    References
    ----------
    Phan et al., SemSun (2024), and MoSeVa; the page on signatures that deform has the formulas.
    """

    def __init__(
        self,
        signatures: SignatureModel | None = None,
        *,
        model: Literal["interpolated", "iae-joint", "iae-individual"] = "interpolated",
        knots: int | Sequence[float] = 7,
        deformation: str = "thickness",
        unit: str = "mm",
        softening: float | Literal["auto"] | None = "auto",
        background: str | None = "background",
        background_components: int = 1,
        individual: bool = False,
        tie: float | None = None,
        known: tuple[float, float] | None = None,
        gain: float | None = None,
        offset: float | None = None,
        broadening: float | None = None,
        tilt: float | None = None,
        resolution: Resolution | None = None,
        false_alarm_rate: float = 0.01,
        selection: Literal["greedy", "all"] = "greedy",
        bins: Literal["adaptive"] | None = None,
        window: tuple[float, float] | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.signatures = signatures
        self.model = model
        self.knots = knots
        self.deformation = deformation
        self.unit = unit
        self.softening = softening
        self.background = background
        self.background_components = background_components
        self.individual = individual
        self.tie = tie
        self.known = known
        self.gain = gain
        self.offset = offset
        self.broadening = broadening
        self.tilt = tilt
        self.resolution = resolution
        self.false_alarm_rate = false_alarm_rate
        self.selection = selection
        self.bins = bins
        self.window = window
        self.random_state = random_state

    # -- training ------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, *, progress: Progress | None = None) -> ManifoldUnmixer:
        """Learn signatures if there are none, and the background.

        Parameters
        ----------
        X : Spectra or array_like, shape (n_spectra, n_channels)
            Without signatures: labelled spectra of sources, one label each, with a column of the
            deformation, and of the background. With them: spectra of the background (unlabelled,
            or labelled as background alone). A plain array has no columns, so that its signatures
            do not deform.
        y : array_like of labels, optional
            By default the column ``labels``.
        progress : callable, optional

        Raises
        ------
        FitError
            If settings are out of range, or there is nothing to learn sources or background from.
        LabelError
            If there is no column of the deformation, or a name is both source and background.
        """
        check_settings(self.get_params(deep=False))
        spectra = self._as_spectra(X, reset=True)
        if spectra.n_channels < 2:
            raise FitError("one channel (n_features = 1) cannot tell sources apart")
        labels = labels_of(X, y, len(spectra))
        self.numeric_labels_ = numeric_type(y) is not None
        self.learned_: SignatureModel | None = None
        self.signature_errors_: dict[str, float] = {}
        self.left_out_: LeftOutErrors | None = None
        self.learning_: dict[str, Any] = {}
        if self.signatures is not None:
            self.signatures_ = tabulated(self.signatures)
        else:
            self._learn(spectra, labels, isinstance(X, Spectra), progress)
        self.background_ = (
            None
            if self.background is None
            else background_library(
                spectra, labels, self.background, self.background_components, self.random_state
            )
        )
        if self.background_ is not None:
            self.background_ = without_empty_channels(self.background_)
        sources = list(self.signatures_.names)
        if self.background in sources:
            raise LabelError(f"{self.background!r} is a source of the signatures and background")
        if self.background_ is None and not self.numeric_labels_:
            require_background(labels, self.background)
        self.classes_ = np.asarray(
            sources + ([] if self.background_ is None else [self.background]), dtype=np.str_
        )
        self.settle(self._fitting())
        self.provenance_ = {
            "spectraloom": __version__,
            "model": type(self).__name__,
            "settings": self.plain_settings(),
            "deformations": [one.describe() for one in self.signatures_.deformations],
            "n_spectra": len(spectra),
            "kind": spectra.kind,
            "data_sha256": spectra.fingerprint(),
        }
        return self

    def _learn(
        self, spectra: Spectra, labels: Array | None, deforming: bool, progress: Progress | None
    ) -> None:
        sources = source_spectra(spectra, labels, self.background)
        if sources.values.min() < 0:
            raise DataError(
                "Negative values in data passed to ManifoldUnmixer: signatures are learned from "
                "spectra of zero or more. Add up spectra at one value until their noise no longer "
                "goes below zero and set what is left of it to zero, or, where the shapes are "
                "known, give them as signatures=TabulatedSignature(...): the spectra that are "
                "analysed may then be negative"
            )
        if not deforming:
            self.signatures_ = rigid_signatures(sources, self.deformation, self.unit)
            self.learning_ = {"model": "mean"}
            return
        along = deformation_of(sources, self.deformation, self.unit, self.softening)
        learned = learn_signatures(
            sources, along, self.model, knots=self.knots, seed=self.random_state, progress=progress
        )
        self.learned_, self.signatures_ = learned, tabulated(learned)
        self.signature_errors_, self.left_out_ = signature_errors(
            sources, learned, knots=self.knots
        )
        card = dict(learned.card) if isinstance(learned, LearnedSignature) else {}
        self.learning_ = {
            "model": self.model,
            "n_spectra": len(sources),
            "values": values_seen(sources, along),
            **card,
        }

    def _fitting(self) -> dict[str, Any]:
        """Settings of the moment that fits are made with, as JSON types."""
        plain = self.plain_settings()
        return {
            name: plain[name] for name in (*LATENTS, "resolution", "selection", "bins", "window")
        }

    def settle(self, fitting: Mapping[str, Any]) -> None:
        """Fix what spectra are fitted with, whatever is set later.

        Parameters
        ----------
        fitting : mapping
            Latents, resolution, selection, bins and window, as JSON types.
        """
        check_names(one.name for one in self.signatures_.deformations)
        self.fitted_with_ = dict(fitting)
        width, known, part = (fitting[name] for name in ("resolution", "known", "window"))
        self._resolution = None if width is None else Resolution(*width)
        self._window = None if part is None else (float(part[0]), float(part[1]))
        chosen: dict[str, Any] = {name: fitting[name] for name in LATENTS}
        chosen["known"] = None if known is None else (float(known[0]), float(known[1]))
        self._latents = Latents(**chosen, resolution=self._resolution)
        self._tables: dict[Axis, ManifoldTable] = {}
        self._errors: dict[Axis, ModelErrors] = {}
        # Refuses here what would fail at the first spectrum.
        self.table_for(self.axis_ or Axis.uncalibrated(self.n_features_in_))

    def plain_settings(self) -> dict[str, Any]:
        """Settings as JSON types, without the signatures."""
        settings = {**self.get_params(deep=False), "signatures": None}
        width, knots, known = (settings[name] for name in ("resolution", "knots", "known"))
        settings["resolution"] = (
            None if width is None else [width.fwhm, width.energy, width.exponent]
        )
        settings["knots"] = knots if np.ndim(knots) == 0 else [float(knot) for knot in knots]
        settings["known"] = None if known is None else [float(value) for value in known]
        return plain_settings(settings)

    def _as_spectra(self, X: Any, *, reset: bool = False) -> Spectra:
        if isinstance(X, Spectra):
            if reset:
                self._checked(X, reset=True)
            if X.kind == "complex":
                raise DataError("ManifoldUnmixer needs real spectra; take the magnitude")
            return X
        values = self._checked(X, reset=reset)
        if values.size and values.min() < 0:
            raise DataError(
                "Negative values in data passed to ManifoldUnmixer: counts are expected"
            )
        return Spectra(values, self.axis_ or Axis.uncalibrated(values.shape[1]))

    # -- using ---------------------------------------------------------------------------

    def table_for(self, axis: Axis) -> ManifoldTable:
        """Signatures and background on the bins of an axis, as fits of spectra on it use them.

        Parameters
        ----------
        axis : Axis
            Of the quantity and unit of the signatures; an uncalibrated one has as many channels.

        Raises
        ------
        AxisError
            If the axis is of another kind, or the signatures do not cover any of it.
        """
        if axis not in self._tables:
            table = self._table_on(self._edges(axis))
            if self.fitted_with_["bins"] == "adaptive" and axis.is_calibrated:
                table = self._table_on(informative_edges(table))
            while len(self._tables) >= _MOST_TABLES:
                self._tables.pop(next(iter(self._tables)), None)
            self._tables[axis] = table
        return self._tables[axis]

    def errors_for(self, axis: Axis) -> ModelErrors:
        """Errors of signatures and background on the bins of :meth:`table_for`.

        Parameters
        ----------
        axis : Axis
        """
        table = self.table_for(axis)
        if axis not in self._errors:
            counted = None if self.background_ is None else self.background_.weights
            while len(self._errors) >= _MOST_TABLES:
                self._errors.pop(next(iter(self._errors)), None)
            self._errors[axis] = model_errors_on(
                table, self.signatures_.axis, self.left_out_, counted
            )
        return self._errors[axis]

    def _table_on(self, edges: FloatArray) -> ManifoldTable:
        return manifold_table(self.signatures_, self.background_, edges, self._latents)

    def _edges(self, axis: Axis) -> FloatArray:
        own = self.signatures_.axis
        under = None if self.background_ is None else self.background_.axis
        gain, offset = (float(self.fitted_with_[name] or 0.0) for name in ("gain", "offset"))
        return edges_to_fit(axis, own, under, gain, offset, self._window)

    def unmix(
        self, X: Spectra, *, names: Sequence[str] | None = None, progress: Progress | None = None
    ) -> ManifoldSelection:
        """Fits of spectra as they are, for intervals, samplers and studies.

        Parameters
        ----------
        X : Spectra
        names : sequence of str, optional
            Sources that are known to be there.
        progress : callable, optional

        Raises
        ------
        DataError
            If `names` is one text: put it into a list.
        LabelError
            If there is no signature of a name.
        """
        check_is_fitted(self)
        spectra = self._as_spectra(X)
        table = self.table_for(spectra.axis)
        if names is not None:
            require_list(names)
            unknown = [name for name in names if name not in self.signatures_.names]
            if unknown:
                raise LabelError(
                    f"there is no signature of {', '.join(unknown)}; there are "
                    f"{', '.join(self.signatures_.names)}"
                )
            return take_known(spectra, table, names, tolerance=_TOLERANCE, progress=progress)
        errors = self.errors_for(spectra.axis)
        if self.fitted_with_["selection"] == "greedy":
            return select_sources(
                spectra,
                table,
                false_alarm_rate=self.false_alarm_rate,
                errors=errors,
                tolerance=_TOLERANCE,
                progress=progress,
            )
        rate = per_name_rate(self.false_alarm_rate, len(self.signatures_.names))
        return choose_at_once(
            spectra, table, rate=rate, errors=errors, tolerance=_TOLERANCE, progress=progress
        )

    def analyze(
        self,
        X: Spectra,
        *,
        intervals: Literal["profile"] | None = None,
        names: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Amounts and deformations with uncertainties, decisions, goodness of fit and flags.

        Parameters
        ----------
        X : Spectra
            Raw counts on any calibrated axis of the quantity of the signatures; rates and
            intensities need a variance.
        intervals : "profile" or None
            ``profile`` follows the likelihood for the 95 % intervals of amounts (details
            ``interval_low`` and ``interval_high``) and latents, which also holds where counts are
            few, and takes some milliseconds for each; nan for names that were not chosen. By
            default latents have intervals from the curvature of the likelihood, and from its
            profile within two standard deviations of the end of a range, and where deformations
            are known no better than to a fiftieth of their range.
        names : sequence of str, optional
            Sources that are known to be there: they are fitted, and nothing is tested.
        progress : callable, optional

        Returns
        -------
        Result
            ``details``: ``p_value`` and ``significance`` of each source, ``count_rate`` and
            ``count_rate_uncertainty`` with live time. ``quality``: the deformation
            (``thickness``) with ``thickness_uncertainty`` and the 95 % interval ``thickness_low``
            to ``thickness_high``; where sources have their own, these are details. Where no source
            was found that deforms, the interval is the whole range and the value nan. Then
            the other latents likewise, measures of
            :func:`~spectraloom.analyze.quality.fit_quality`, and ``misfit_p_value``. ``flags``:
            ``outlier``, a misfit that chance and the errors of the signatures make with less than
            the false-alarm rate; and those of
            :func:`~spectraloom.analyze.identify.misfit.condition_flags`; ``at_range_end``: a
            deformation lies at an end of the range that was learned, and may lie beyond: its
            interval is open there.

        Raises
        ------
        DataError
            If `intervals` is something else.
        """
        if intervals not in (None, "profile"):
            raise DataError(f"intervals is 'profile' or None, got {intervals!r}")
        spectra = self._as_spectra(X)
        found = self.unmix(spectra, names=names, progress=progress)
        fit = found.fit
        model_errors = self.errors_for(spectra.axis)
        added, factors = added_covariance(fit, model_errors)
        wider = with_model_errors(fit, added)
        absent = absent_uncertainties(fit) * np.sqrt(factors)
        errors = np.where(fit.uncertainties > 0, wider.uncertainties, absent)
        profile = intervals == "profile"
        latents, details = latent_answers(
            wider,
            self.signatures_.deformations,
            latent_intervals(fit, profile=profile, added=added),
            found.chosen,
        )
        if profile:
            details |= amount_intervals(fit, added)
        decisions = self._decide(fit.amounts, found.chosen)
        known = [self.signature_errors_.get(name, 0.0) for name in fit.table.names]
        misfit = misfit_p_values(fit, np.array(known), model_errors.learned_from)
        misfit[~fit.observed.any(axis=1)] = np.nan  # nothing was seen that could fit or not
        outlier = np.nan_to_num(misfit, nan=1.0) < self.false_alarm_rate
        return Result(
            tuple(self.classes_.tolist()),
            fit.amounts,
            decisions,
            unit={"counts": "counts", "rate": "counts/s"}.get(spectra.kind, "intensity"),
            uncertainties=errors,
            top=self._top(fit.amounts, decisions),
            details={
                "p_value": found.p_values,
                "significance": found.significance,
                **details,
                **count_rates(spectra, fit.amounts, errors),
            },
            quality={**latents, **fit_measures(fit), "misfit_p_value": misfit},
            flags={
                **condition_flags(spectra, fit),
                "outlier": outlier,
                "at_range_end": at_range_end(fit, found.chosen),
            },
            columns=spectra.columns,
            denoised=denoised_spectra(spectra, fit),
            provenance={**self.provenance_, "analyzed_sha256": spectra.fingerprint()},
        )

    def predict(self, X: Any) -> Array:
        """Largest source found, or the background, per spectrum.

        Numbers where the labels of the training were numbers, and nan where there is no source.
        """
        check_is_fitted(self)
        spectra = self._as_spectra(X)
        found = self.unmix(spectra)
        top = self._top(found.fit.amounts, self._decide(found.fit.amounts, found.chosen))
        if not self.numeric_labels_:
            return top
        known = np.isin(top, self.signatures_.names)
        return np.where(known, top, "nan").astype(np.float64)

    def predict_sets(self, X: Any) -> Array:
        """Set of the sources found per spectrum, largest first."""
        check_is_fitted(self)
        fit_and_choice = self.unmix(self._as_spectra(X))
        amounts = fit_and_choice.fit.amounts
        decisions = self._decide(amounts, fit_and_choice.chosen)
        order = np.argsort(-amounts, axis=1, kind="stable")
        return label_sets(
            tuple(
                str(self.classes_[j])
                for j in row
                if decided[j] and self.classes_[j] != self.background
            )
            for row, decided in zip(order, decisions, strict=True)
        )

    # -- pieces --------------------------------------------------------------------------

    def _decide(self, amounts: FloatArray, chosen: BoolArray) -> BoolArray:
        # The background is no decision: it is reported wherever it was fitted.
        source = is_source(self.classes_.tolist(), self.background)
        return np.where(source, chosen & (amounts > 0), amounts > 0)

    def _top(self, amounts: FloatArray, decisions: BoolArray) -> Array:
        source = is_source(self.classes_.tolist(), self.background)
        candidates = np.where(source & decisions, amounts, -1.0)
        best = np.argmax(candidates, axis=1)
        found = candidates[np.arange(len(amounts)), best] >= 0
        nothing = "nothing" if self.background is None else self.background
        return np.where(found, self.classes_[best], nothing)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.signatures is None
        tags.input_tags.positive_only = True
        return tags
