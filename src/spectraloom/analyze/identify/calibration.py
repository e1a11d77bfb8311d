"""What chance, and the background, make of sources that are not there: simulated and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.identify.misfit import MisfitBoundary, misfit_per_count
from spectraloom.analyze.identify.mixtures import draw_mixtures, fit_shape, unit_templates
from spectraloom.analyze.identify.scatter import learned_counts, scatter_of
from spectraloom.analyze.identify.selection import sub_table
from spectraloom.analyze.identify.shape_drift import (
    FEWEST,
    ShapeDrift,
    background_rows,
    blocks_of_time,
)
from spectraloom.analyze.identify.significance import NullDistribution, bootstrap_null
from spectraloom.analyze.identify.tilted import tilted_counts
from spectraloom.analyze.identify.variants import background_library
from spectraloom.analyze.likelihood import LikelihoodFit, TemplateTable
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FitError

# Fitted counts at which chance is simulated.
_LEVELS = tuple(np.geomspace(100.0, 1e5, 10).round().tolist())
_MIXTURES = 100  # simulated with and without each source


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How the decisions of an identifier are calibrated with the fit that it will use.

    Parameters
    ----------
    library, background : Library
    table : callable
        ``table(library, background)`` gives the templates of both.
    fit : callable
        ``fit(spectra, table, tested=names)`` fits them.
    channels : callable
        ``channels(axis)`` gives the channels that are fitted.
    at_once : bool
        Whether all sources stand in one fit; otherwise each is calibrated beside the background
        alone.
    n_draws : int
        Simulated spectra for each level of counts.
    components : int
        Templates of the background.
    seed : int or None
    """

    library: Library
    background: Library
    table: Callable[[Library, Library | None], TemplateTable]
    fit: Callable[..., LikelihoodFit]
    channels: Callable[[Axis], slice]
    at_once: bool
    n_draws: int
    components: int
    seed: int | None

    def null(
        self,
        spectra: Spectra,
        labels: Array | None,
        progress: Callable[[float, str], None] | None = None,
    ) -> tuple[NullDistribution, dict[str, Any]]:
        """Null distribution of the ratios, and how it was found, as JSON types.

        Chance is simulated for the mean of the background; at least 40 measured spectra of it
        show what its changes add.

        Parameters
        ----------
        spectra : Spectra
            The background is among them, in the order of time.
        labels : ndarray of label sets or None
        progress : callable, optional
        """
        null = self._simulated(spectra.axis, progress)
        found: dict[str, Any] = {"chance": "simulated for the mean of the background"}
        if np.isfinite(learned := learned_counts(self.background)):
            found["background_counts"] = learned
        fitted = spectra.values[:, self.channels(spectra.axis)].sum(axis=1)
        rows = background_rows(labels, self._name, fitted)
        if spectra.kind != "counts" or len(rows) < FEWEST:
            few = f"not known: fewer than {FEWEST} spectra of its counts"
            return null, {**found, "change_of_background": few}
        drift = self._measured(spectra[rows], null)
        at = np.array([drift.reach])
        widened = np.sqrt(drift.inflation(at, at)[0])
        return replace(null, drift=drift), {
            **found,
            "change_of_background": f"cross-fitted in blocks of time on {len(rows)} spectra",
            "counts": drift.reach,
            "widening": dict(zip(self.library.unique_names, widened.tolist(), strict=True)),
        }

    @property
    def _name(self) -> str:
        return self.background.names[0]

    def _simulated(
        self, axis: Axis, progress: Callable[[float, str], None] | None
    ) -> NullDistribution:
        shape, table = fit_shape(self.background, axis), self.table(self.library, self.background)
        fitted = self.channels(axis)
        if not shape[fitted].sum() > 0:
            raise FitError(
                "the background has no counts in the part of the axis that is fitted: give "
                "spectra of background that cover it, or another window"
            )
        expected = shape / shape[fitted].sum()  # levels are counts that are fitted
        exact = replace(self.background, weights=None)  # here it is what spectra are drawn from
        blocks = [
            (names, unit_templates(self.library.select(names), axis)[0])
            for names in self._tested_together()
        ]

        def draw(total: float, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
            ratios, weights = [], []
            for names, shapes in blocks:
                counts, importance = tilted_counts(total * expected, shapes, fitted, n, rng)
                ratios.append(self._ratios(Spectra(counts, axis), names, table, exact))
                weights.append(np.repeat(importance[:, np.newaxis], len(names), axis=1))
            return np.hstack(ratios), np.hstack(weights)

        degrees = int(np.bincount(self.library.groups).max())
        return bootstrap_null(
            draw, _LEVELS, self.n_draws, degrees, seed=self.seed, progress=progress
        )

    def _measured(self, quiet: Spectra, null: NullDistribution) -> ShapeDrift:
        """How far the ratios of background exceed chance where it was learned at other times."""
        totals = quiet.values[:, self.channels(quiet.axis)].sum(axis=1).astype(np.float64)
        ratios = np.empty((len(quiet), len(self.library.unique_names)))
        for others, block in blocks_of_time(len(quiet)):
            under = background_library(quiet[others], None, self._name, self.components, self.seed)
            table = self.table(self.library, under)
            ratios[block] = np.hstack(
                [
                    self._ratios(quiet[block], names, table, under)
                    for names in self._tested_together()
                ]
            )
        return ShapeDrift.learn(null.p_values(ratios, totals), totals, totals)

    def _tested_together(self) -> list[list[str]]:
        sources = list(self.library.unique_names)
        return [sources] if self.at_once else [[name] for name in sources]

    def _ratios(
        self,
        spectra: Spectra,
        names: Sequence[str],
        table: TemplateTable,
        background: Library | None,
    ) -> FloatArray:
        """Likelihood ratios of some sources, divided by the scatter of what was fitted."""
        if not self.at_once:
            table = sub_table(table, np.isin(table.names, [*names, self._name]))
        return scaled_ratios(self.fit(spectra, table, tested=names), names, background)


def scaled_ratios(
    fit: LikelihoodFit, names: Sequence[str], background: Library | None
) -> FloatArray:
    """Likelihood ratios of some names, over the scatter of what was fitted, shape (n, k)."""
    place = [fit.names.index(name) for name in names]
    return fit.ratios[:, place] / scatter_of(fit, background)[:, np.newaxis]


def learned_boundary(
    library: Library,
    background: Library | None,
    axis: Axis,
    table: Callable[[Library, Library | None], TemplateTable],
    fit: Callable[..., LikelihoodFit],
    *,
    gain: float,
    model_error: float,
    seed: int | None,
) -> MisfitBoundary:
    """Learn from leaving each source out in turn what unexplained spectra look like.

    Parameters
    ----------
    library : Library
        Two sources or more.
    background : Library or None
    axis : Axis
        Of the spectra that are simulated.
    table, fit : callable
        As for :class:`Calibration`.
    gain : float
        Standard deviation of the gain of the simulated spectra.
    model_error : float
        Relative error of the templates on real spectra, which simulated ones lack.
    seed : int or None
    """
    rng = np.random.default_rng(seed)
    known: list[FloatArray] = []
    unknown: list[FloatArray] = []
    names = library.unique_names
    for name in names:
        rest = library.select([other for other in names if other != name])
        templates = table(rest, background)
        for group, sources in ((known, rest), (unknown, library.select([name]))):
            drawn = draw_mixtures(sources, background, axis, _MIXTURES, gain, rng)
            group.append(np.hypot(misfit_per_count(fit(drawn, templates)), model_error))
    return MisfitBoundary.learn(np.concatenate(known), np.concatenate(unknown))
