"""Identification under the likelihood: what is there, how much, and how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from spectraloom import __version__
from spectraloom._typing import Array, BoolArray, FloatArray, Progress
from spectraloom.analyze.base import SpectralEstimator
from spectraloom.analyze.given import labels_of, numeric_type, plain_settings
from spectraloom.analyze.identify.activity import count_rates
from spectraloom.analyze.identify.bins import Bins, width_of
from spectraloom.analyze.identify.calibration import Calibration, learned_boundary
from spectraloom.analyze.identify.components import learned_background
from spectraloom.analyze.identify.decision_limits import decision_limits
from spectraloom.analyze.identify.evidence import Evidence, decide, in_columns, largest, places
from spectraloom.analyze.identify.intervals import interval_details
from spectraloom.analyze.identify.joint import SURE, rows_of_fit, with_rows
from spectraloom.analyze.identify.margins import partly_covered, require_counts, table_of
from spectraloom.analyze.identify.misfit import (
    KnownMisfits,
    MisfitBoundary,
    misfit_per_count,
    trust_of,
)
from spectraloom.analyze.identify.scatter import learned_counts, scatter_of
from spectraloom.analyze.identify.selection import LARGE, select_names
from spectraloom.analyze.identify.settings import check_settings
from spectraloom.analyze.identify.significance import (
    NullDistribution,
    per_name_rate,
)
from spectraloom.analyze.identify.variants import (
    require_background,
    single_sources,
    variant_library,
)
from spectraloom.analyze.likelihood import (
    LikelihoodFit,
    Nuisances,
    Resolution,
    TemplateTable,
    fit_templates,
)
from spectraloom.analyze.likelihood.gain import gain_deviations
from spectraloom.analyze.share_rule import is_source
from spectraloom.data.axis import Axis
from spectraloom.data.columns import label_sets
from spectraloom.data.library import Library
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import AxisError, DataError, FitError

_TOLERANCE = 1e-3  # of the deviance: far below what any decision turns on


class Identifier(SpectralEstimator):
    """Decide which sources of a library are in spectra, with a stated false-alarm rate.

    Raw counts are explained by the templates of the library under the Poisson likelihood; the
    templates move to the calibration of the spectra, and gain, offset and resolution are fitted
    with the amounts. A source is present if the likelihood falls by more without it than chance
    explains at the false-alarm rate, and if it is more than the errors of the templates of the
    other sources could imitate.

    Parameters
    ----------
    library : Library or None
        Templates of the sources, and of the background if it has some. None makes it from the
        labelled spectra given to ``fit``.
    variants : int or str
        Templates per source if the library is made in ``fit``; see
        :func:`~spectraloom.analyze.identify.variants.variant_library`.
    background : str or None
        Name that is no source.
    background_components : int or "auto"
        Templates that the background is made of; more than one lets its shape vary. ``auto``
        takes as many as predict background best that they were not learned from, see
        :func:`~spectraloom.analyze.identify.components.components_needed`.
    false_alarm_rate : float
        Probability that a spectrum without sources is said to hold any (over all names).
    gain, offset, broadening : float or None
        Widths of the priors of the nuisances, see
        :class:`~spectraloom.analyze.likelihood.Nuisances`; None does not fit them.
    pileup : bool
        Whether random coincidences are fitted, where the axis is an energy.
    model_error : float
        Relative error of the templates: a source is not claimed on less than this part of the
        counts of the other sources, however significant.
    min_share : float
        Smallest share of all counts that the largest source needs for any to be claimed. 0 for
        alarms; 0.1 compares with GAMMA_FLOW's rule, and with labels that were given by eye.
    window : (float, float) or None
        Part of the axis to fit; never more than the library covers.
    bins : {"adaptive"} or None
        ``adaptive`` sums counts to bins that grow as the resolution does, on each axis its own,
        which is faster, and halves them until at most 1 % of the information on a source is lost
        on the axis of the library; what is lost is in the provenance of results. None takes the
        channels as they are.
    selection : {"auto", "all", "greedy"}
        ``all`` fits all names at once and tests each against the fit without it; where none is
        significant but all of them together are, as with names that look alike, it goes on as
        ``greedy``. ``greedy`` adds
        and drops names one by one, see
        :func:`~spectraloom.analyze.identify.selection.select_names`; in
        large libraries names imitate each other, and at once none would be significant.
        ``auto`` is greedy above 20 names.
    resolution : Resolution or None
        What the broadening widens, and adaptive bins follow.
    n_bootstrap : int
        Simulated spectra per level of counts that calibrate the test; 0 takes the theory of
        :meth:`~spectraloom.analyze.identify.significance.NullDistribution.theory`, as is done
        where there is no background and where the data are no counts.
    random_state : int or None
        Seed of clustering and simulation.

    Attributes
    ----------
    classes_ : ndarray of str, shape (n_classes,)
        Names, the background last.
    library_, background_ : Library
        Templates of the sources; of the background, or None. Counts of background on a calibrated
        axis are smoothed, see :func:`~spectraloom.analyze.identify.smoothing.smooth_counts`.
    table_ : TemplateTable
    null_ : NullDistribution
        Of the likelihood ratio of each source where it is absent: simulated for the mean of the
        background, and widened by what its change in time adds, if at least 40 spectra of it were
        given, in the order of time.
    misfit_boundary_ : MisfitBoundary or KnownMisfits or None
        Where a spectrum is called an outlier; None with fewer than two sources. It is learned by
        leaving sources out of simulated spectra, which real templates fit less well: on measured
        data it flags too many, until :meth:`calibrate_outliers` sets it from known spectra.
    fitted_with_ : dict
        Settings of the fit that the decisions were calibrated with; they stay in use when the
        parameters are set anew.
    numeric_labels_ : bool
        Whether labels were given as numbers.
    axis_ : Axis or None
        Axis that it was fitted on; spectra on other axes are welcome.
    n_features_in_ : int
    provenance_ : dict

    Examples
    --------
    >>> from spectraloom.generate import demo_detectors, simulate_gamma
    >>> detector = demo_detectors()["east"]
    >>> train = simulate_gamma(["Cs137", "Co60", "background"], detector, 90, seed=1)
    >>> model = Identifier(n_bootstrap=100).fit(train)
    >>> spectra = simulate_gamma(["Cs137"], detector, 1, background_counts=(2e3, 2e3), seed=2)
    >>> model.analyze(spectra).labels[0]
    ('background', 'Cs137')
    """

    def __init__(
        self,
        library: Library | None = None,
        *,
        variants: int | str = 4,
        background: str | None = "background",
        background_components: int | Literal["auto"] = 1,
        false_alarm_rate: float = 1e-3,
        gain: float | None = 0.02,
        offset: float | None = None,
        broadening: float | None = None,
        pileup: bool = True,
        model_error: float = 0.1,
        min_share: float = 0.0,
        window: tuple[float, float] | None = None,
        bins: Literal["adaptive"] | None = None,
        selection: Literal["auto", "all", "greedy"] = "auto",
        resolution: Resolution | None = None,
        n_bootstrap: int = 1000,
        random_state: int | None = 0,
    ) -> None:
        self.library = library
        self.variants = variants
        self.background = background
        self.background_components = background_components
        self.false_alarm_rate = false_alarm_rate
        self.gain = gain
        self.offset = offset
        self.broadening = broadening
        self.pileup = pileup
        self.model_error = model_error
        self.min_share = min_share
        self.window = window
        self.bins = bins
        self.selection = selection
        self.resolution = resolution
        self.n_bootstrap = n_bootstrap
        self.random_state = random_state

    # -- training ------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, *, progress: Progress | None = None) -> Identifier:
        """Make the library if there is none, and calibrate decisions on the background.

        Parameters
        ----------
        X : Spectra or array_like, shape (n_spectra, n_channels)
            Without a library: labelled spectra of sources and background, one label each. With
            one: spectra of the background (unlabelled, or labelled as background alone).
        y : array_like of labels, optional
            By default the column ``labels``.
        progress : callable, optional

        Raises
        ------
        FitError
            If settings are out of range, there is nothing to make a library of, or there is no
            background of the name that is set.
        """
        check_settings(self.get_params(deep=False))
        spectra = self._as_spectra(X, reset=True)
        if spectra.n_channels < 2:
            raise FitError("one channel (n_features = 1) cannot tell sources apart")
        labels = labels_of(X, y, len(spectra))
        self.numeric_labels_ = numeric_type(y) is not None
        self.library_, self.background_ = self._libraries(spectra, labels)
        sources = list(self.library_.unique_names)
        self.classes_ = np.asarray(
            sources + ([] if self.background_ is None else [self.background]), dtype=np.str_
        )
        self.settle(self._fitting())
        self.null_, false_alarms = self._calibrated(spectra, labels, progress)
        self.misfit_boundary_ = self._learned_misfit(spectra.axis)
        self.provenance_: dict[str, Any] = {
            "spectraloom": __version__,
            "model": type(self).__name__,
            "settings": self.plain_settings(),
            "n_spectra": len(spectra),
            "kind": spectra.kind,
            "data_sha256": spectra.fingerprint(),
            "false_alarms": false_alarms,
        }
        return self

    def _fitting(self) -> dict[str, Any]:
        """Settings of the moment that fits are made with, as JSON types."""
        large = len(self.library_.unique_names) > LARGE
        auto = "greedy" if large else "all"
        names = ("gain", "offset", "broadening", "pileup", "window", "bins", "resolution")
        plain = self.plain_settings()
        return {
            **{name: plain[name] for name in names},
            "selection": auto if self.selection == "auto" else self.selection,
        }

    def settle(self, fitting: Mapping[str, Any]) -> None:
        """Make the templates, and fix what spectra are fitted with, whatever is set later.

        Parameters
        ----------
        fitting : mapping
            Gain, offset, broadening, pileup, window, bins, resolution and selection, as JSON
            types.

        Raises
        ------
        FitError
            If a name has no counts in the window, or the selection is none.
        """
        if fitting["selection"] not in ("all", "greedy"):
            raise FitError(f"selection is 'all' or 'greedy', got {fitting['selection']!r}")
        self.fitted_with_ = dict(fitting)
        self._at_once = fitting["selection"] == "all"
        low_high, width = fitting["window"], fitting["resolution"]
        window = None if low_high is None else (float(low_high[0]), float(low_high[1]))
        axis = self.library_.axis
        self._resolution = None if width is None else Resolution(*width)
        growing = None if fitting.get("bins") is None else width_of(axis, self._resolution)
        self._bins = Bins((axis.edges[0], axis.edges[-1]), window, growing)
        self._nuisances = Nuisances(*(fitting[n] for n in ("gain", "offset", "broadening")))
        self.table_ = self._table(self.library_, self.background_)
        require_counts(self.table_, axis, window)
        self._bins = self._bins.refined(self.table_, self.background, axis)

    def plain_settings(self) -> dict[str, Any]:
        """Settings as JSON types, without the library."""
        settings = {**self.get_params(deep=False), "library": None}
        width = self.resolution
        settings["resolution"] = (
            None if width is None else [width.fwhm, width.energy, width.exponent]
        )
        return plain_settings(settings)

    def _as_spectra(self, X: Any, *, reset: bool = False) -> Spectra:
        if isinstance(X, Spectra):
            if reset:
                self._checked(X, reset=True)
            if X.kind == "complex":
                raise DataError("Identifier needs real spectra; take the magnitude")
            if not reset and not X.axis.is_calibrated and X.n_channels != self.n_features_in_:
                raise AxisError(
                    f"the spectra have {X.axis.describe()}, this Identifier knows "
                    f"{self.n_features_in_}: calibrate both, or give as many channels"
                )
            return X
        values = self._checked(X, reset=reset)
        if values.size and values.min() < 0:
            raise DataError("Negative values in data passed to Identifier: counts are expected")
        return Spectra(values, self.axis_ or Axis.uncalibrated(values.shape[1]))

    def _libraries(self, spectra: Spectra, labels: Array | None) -> tuple[Library, Library | None]:
        background = learned_background(
            spectra, labels, self.background, self.background_components, self.random_state
        )
        if self.library is None:
            chosen = single_sources(spectra, labels, self.background)
            library = variant_library(
                chosen, self.variants, window=self.window, background=None, seed=self.random_state
            )
            if background is None and not self.numeric_labels_:
                require_background(labels, self.background)
            return library, background
        names = [name for name in self.library.unique_names if name != self.background]
        if not names:
            raise FitError("the library holds no source")
        if background is None and len(names) < len(self.library.unique_names):
            background = self.library.select([str(self.background)])
        if background is None:
            require_background(labels, self.background)
        return self.library.select(names), background

    def _table(self, library: Library, background: Library | None) -> TemplateTable:
        broadened = self.fitted_with_["broadening"] is not None
        return table_of(library, background, broadened=broadened, resolution=self._resolution)

    def _calibrated(
        self, spectra: Spectra, labels: Array | None, progress: Progress | None
    ) -> tuple[NullDistribution, dict[str, Any]]:
        """Null distribution, and how it was found."""
        if not self.n_bootstrap or self.background_ is None:
            return self._theory(), {"chance": "theory"}
        return Calibration(
            self.library_,
            self.background_,
            self._table,
            self._fit,
            self._bins.channels,
            self._at_once,
            self.n_bootstrap,
            len(self.background_),
            self.random_state,
        ).null(spectra, labels, progress)

    def _theory(self) -> NullDistribution:
        return NullDistribution.theory(np.bincount(self.library_.groups).tolist())

    def _learned_misfit(self, axis: Axis) -> MisfitBoundary | KnownMisfits | None:
        if len(self.library_.unique_names) < 2 or self.n_bootstrap == 0:
            return None
        return learned_boundary(
            self.library_,
            self.background_,
            axis,
            self._table,
            self._fit,
            gain=self.gain or 0.0,
            model_error=self.model_error,
            seed=self.random_state,
        )

    # -- using ---------------------------------------------------------------------------

    def analyze(
        self,
        X: Spectra,
        *,
        intervals: Literal["score", "profile"] = "score",
        start: FloatArray | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Amounts with uncertainties, decisions, limits, goodness of fit and flags.

        Parameters
        ----------
        X : Spectra
            Raw counts on any calibrated axis of the library's quantity, or, under a Gaussian
            likelihood, rates with a variance or live time and intensities with a variance. Counts
            are better where there are any: few of them are not Gaussian.
        intervals : {"score", "profile"}
            How ``interval_low`` and ``interval_high`` are found: from the uncertainties, or from
            the profile of the likelihood, which takes longer, and holds better for few counts and
            several templates of a source.
        start : ndarray, shape (n_spectra, 3), optional
            Nuisances to start from.
        progress : callable, optional

        Returns
        -------
        Result
            ``details``: ``p_value``, ``significance``, ``decision_threshold`` and
            ``detection_limit`` of each name (in counts, at the false-alarm rate per name and 5 %
            missed), ``interval_low`` and ``interval_high`` (95 %), ``count_rate`` and
            ``count_rate_uncertainty`` with live time. ``quality``: measures of
            :func:`~spectraloom.analyze.quality.fit_quality`, ``dispersion``, fitted nuisances
            (with ``gain_uncertainty``; a count of energy E is recorded at E (1 + gain)),
            ``pile_up`` and ``outlier_probability``. ``flags``: see
            :func:`~spectraloom.analyze.identify.misfit.condition_flags`;
            ``ambiguous``: something is there beside what was found, but not which name it has;
            ``background_uncertain``: more counts of background than it was learned from;
            ``partly_covered``: over a tenth of a source that was found lies where the spectrum
            does not reach. Amounts are counts on the whole axis of the library.
        """
        check_is_fitted(self)
        spectra = self._as_spectra(X)
        names = self.classes_.tolist()
        sources = list(self.library_.unique_names)
        evidence = self._evidence()
        fit = self._fit_names(spectra, evidence, start=start, progress=progress)
        column = places(fit, names)
        amounts = fit.amounts[:, column]
        p_values, significance = (in_columns(one, len(names)) for one in evidence.tests(fit))
        rate = per_name_rate(self.false_alarm_rate, len(sources))
        moving = self._nuisances if self.library_.axis.is_calibrated else None
        critical = evidence.null_of(fit).critical(rate, *evidence.counts(fit))
        scatter = scatter_of(fit, self.background_)
        limits = decision_limits(
            fit, self.table_, sources, critical, rate,
            model_error=self.model_error, scatter=scatter, nuisances=moving,
        )  # fmt: skip
        absent, threshold, limit = (part[:, column] for part in limits)
        widened = np.sqrt(scatter)[:, np.newaxis]
        # An absent name has the uncertainty it would have around zero.
        errors = np.where(amounts > 0, fit.uncertainties[:, column] * widened, absent)
        source = is_source(names, self.background)
        decisions = decide(
            amounts, p_values, rate, source,
            model_error=self.model_error, min_share=self.min_share,
        )  # fmt: skip
        quality, flags = self._trust(spectra, fit, evidence, decisions)
        return Result(
            tuple(names),
            amounts,
            decisions,
            unit={"counts": "counts", "rate": "counts/s"}.get(spectra.kind, "intensity"),
            uncertainties=errors,
            top=largest(self.classes_, amounts, decisions, source, self.background or "nothing"),
            details={
                "p_value": p_values,
                "significance": significance,
                "decision_threshold": threshold,
                "detection_limit": limit,
                **count_rates(spectra, amounts, errors),
                **interval_details(
                    intervals, fit, self.table_, names, moving, (errors, absent), scatter, progress
                ),
            },
            quality=quality,
            flags=flags,
            columns=spectra.columns,
            denoised=self._bins.denoised(fit, self.table_, spectra),
            provenance={
                **self.provenance_,
                **self._bins.loss(self.table_, self.background, spectra.axis),
                "analyzed_sha256": spectra.fingerprint(),
            },
        )

    def likelihood_fit(self, X: Spectra) -> LikelihoodFit:
        """The fit that :meth:`analyze` judges, for what a result does not hold.

        Parameters
        ----------
        X : Spectra
            As for :meth:`analyze`.

        Returns
        -------
        LikelihoodFit
            With the amounts of the single templates of ``table_``, and the gain, offset and
            broadening that move them.
        """
        check_is_fitted(self)
        return self._fit_names(self._as_spectra(X))

    def predict(self, X: Any) -> Array:
        """Largest source found, or the background, per spectrum.

        Numbers where the labels of the training were numbers, and nan where there is no source.
        """
        top = np.asarray(self.analyze(self._as_spectra(X)).top)
        if not self.numeric_labels_:
            return top
        known = np.isin(top, self.library_.unique_names)
        return np.where(known, top, "nan").astype(np.float64)

    def predict_sets(self, X: Any) -> Array:
        """Set of the sources found per spectrum, largest first."""
        result = self.analyze(self._as_spectra(X))
        return label_sets(
            tuple(name for name in entry if name != self.background) for entry in result.labels
        )

    # -- pieces --------------------------------------------------------------------------

    def _fit(self, spectra: Spectra, table: TemplateTable, **settings: Any) -> LikelihoodFit:
        return fit_templates(
            spectra,
            table,
            **self._bins.where(spectra.axis),
            nuisances=self._nuisances if spectra.axis.is_calibrated else None,
            pileup=self.fitted_with_["pileup"]
            and spectra.axis.quantity == "energy"
            and spectra.kind == "counts",
            tolerance=_TOLERANCE,
            **settings,
        )

    def _fit_names(
        self, spectra: Spectra, evidence: Evidence | None = None, *, start: Any = None,
        progress: Progress | None = None,
    ) -> LikelihoodFit:  # fmt: skip
        """Fit all sources, or those that the selection takes."""
        sources = list(self.library_.unique_names)
        if not (self._at_once and len(spectra)):
            return self._selected(
                spectra, start, per_name_rate(self.false_alarm_rate, len(sources))
            )
        fit = self._fit(spectra, self.table_, tested=sources, start=start, progress=progress)
        unnamed = (evidence or self._evidence()).unnamed(fit).copy()
        if self.background_ is None or not unnamed.any():
            return fit
        # Names that imitate each other hide each other: the one that explains most is kept.
        part = self._selected(spectra[unnamed], None if start is None else start[unnamed], SURE)
        unnamed[unnamed] = named = np.asarray(part.amounts[:, : len(sources)].any(axis=1))
        return with_rows(fit, unnamed, rows_of_fit(part, named))

    def _evidence(self) -> Evidence:
        sources = tuple(self.library_.unique_names)
        return Evidence(self.null_, self._theory(), sources, self.background_)

    def _selected(self, spectra: Spectra, start: FloatArray | None, rate: float) -> LikelihoodFit:
        """Fit with the names that each spectrum needs."""
        sources = list(self.library_.unique_names)
        if not len(spectra):
            return self._fit(spectra, self.table_, tested=sources)

        def fit(rows: BoolArray, table: TemplateTable, tested: Sequence[str]) -> LikelihoodFit:
            begin = None if start is None else start[rows]
            return self._fit(spectra[rows], table, tested=tested, start=begin)

        always = [] if self.background_ is None else [str(self.background)]
        judge = self._evidence().judge
        return select_names(len(spectra), self.table_, always, fit, judge, rate)

    def _trust(
        self, spectra: Spectra, fit: LikelihoodFit, evidence: Evidence, decisions: BoolArray
    ) -> tuple[dict[str, FloatArray], dict[str, Array]]:
        """How good a fit is, and what speaks against it."""
        sources = list(evidence.sources)
        decisions = decisions[:, : len(sources)]
        quality, flags = trust_of(spectra, fit, self.table_, self._nuisances, self.misfit_boundary_)
        calibrated = self.library_.axis.is_calibrated
        ends = self._bins.part(self.library_.axis)
        flags["partly_covered"] = np.zeros(len(fit), dtype=bool)
        if ends is not None and calibrated:
            flags["partly_covered"] = partly_covered(fit, self.table_, ends, sources, decisions)
        flags["ambiguous"] = evidence.unnamed(fit)
        flags["background_uncertain"] = evidence.counts(fit)[1] > learned_counts(self.background_)
        if calibrated and "gain" in quality:
            wider = np.sqrt(scatter_of(fit, self.background_))
            deviations = gain_deviations(fit, self.table_, self._nuisances) * wider
            quality["gain_uncertainty"] = np.minimum(deviations, self._nuisances.spreads[0])
        return quality, flags

    def calibrate_outliers(self, known: Spectra, false_alarm_rate: float = 0.05) -> Identifier:
        """Set the outlier boundary from spectra that hold nothing unknown.

        The only honest statement on real data: a further spectrum like these is flagged with at
        most the stated probability. How many unknown sources are found is not stated: where the
        known spectra fit badly the boundary moves up, and unknown sources that were flagged
        before may pass.

        Parameters
        ----------
        known : Spectra
            Measured spectra of sources of the library and of background, alike those to come and
            none of those to be judged.
        false_alarm_rate : float
            Part of such spectra that is flagged; needs at least 1 / rate - 1 spectra.

        Returns
        -------
        Identifier
            Itself.
        """
        misfits = misfit_per_count(self.likelihood_fit(known))
        self.misfit_boundary_ = KnownMisfits.of(misfits, false_alarm_rate, self.random_state)
        return self

    def with_rate(self, false_alarm_rate: float) -> Identifier:
        """A copy that decides at another false-alarm rate; nothing is fitted again."""
        check_is_fitted(self)
        per_name_rate(false_alarm_rate, 1)
        other = copy(self)
        other.false_alarm_rate = false_alarm_rate
        return other

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.library is None
        tags.input_tags.positive_only = True
        return tags
