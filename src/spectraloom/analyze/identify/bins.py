"""Which bins of an axis an identifier fits: its channels, or bins that grow as the resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.identify.margins import covered
from spectraloom.analyze.likelihood import (
    BINS_PER_FWHM,
    LikelihoodFit,
    Resolution,
    TemplateTable,
    adaptive_edges,
    expected_spectra,
    information_loss,
)
from spectraloom.analyze.remembered import remembered
from spectraloom.data.axis import Axis
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FitError

_BACKGROUND = 1000.0  # counts that the loss of information is stated for
_SOURCE = 100.0
_MOST_LOST = 0.01  # of the information on a source, for what is fitted on coarser bins


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins that are fitted on any axis.

    Parameters
    ----------
    ends : (float, float)
        What the library covers.
    window : (float, float) or None
        Part of the axis.
    growing : Resolution or None
        What adaptive bins follow on calibrated axes; None takes the channels.
    per_fwhm : float
        Adaptive bins in a full width at half maximum.
    """

    ends: tuple[float, float]
    window: tuple[float, float] | None
    growing: Resolution | None
    per_fwhm: float = BINS_PER_FWHM

    def part(self, axis: Axis) -> tuple[float, float] | None:
        """Part of an axis that is fitted."""
        return covered(axis, *self.ends, self.window)

    def channels(self, axis: Axis) -> slice:
        """Channels that are fitted."""
        return _channels(axis, self.part(axis))

    def where(self, axis: Axis) -> dict[str, Any]:
        """Settings ``window`` and ``edges`` of a fit."""
        if self.growing is None or not axis.is_calibrated:
            return {"window": self.part(axis)}
        return {"edges": self._edges(axis)}

    def loss(self, table: TemplateTable, background: str | None, axis: Axis) -> dict[str, Any]:
        """Information that the bins leave out on an axis, as ``information_loss``.

        By how much they raise the smallest variance of each source, as a part of it, for 100
        counts of the source, like the mean of its templates, over 1000 of the background. Empty
        if there are channels only.
        """
        if self.growing is None or not axis.is_calibrated:
            return {}
        return {"information_loss": dict(_loss(table, background, axis, self))}

    def refined(self, table: TemplateTable, background: str | None, axis: Axis) -> Bins:
        """Bins half as wide, again and again, until under 1 % of the information is lost.

        Where the templates have narrower peaks than the resolution says, or where what sets a
        source apart is narrower than a peak.
        """
        bins = self
        if self.growing is None or not axis.is_calibrated:
            return bins
        channels = bins.channels(axis)
        while len(bins._edges(axis)) - 1 < channels.stop - channels.start:
            if all(lost <= _MOST_LOST for lost in _loss(table, background, axis, bins).values()):
                break
            bins = replace(bins, per_fwhm=2.0 * bins.per_fwhm)
        return bins

    def _edges(self, axis: Axis) -> FloatArray:
        if self.growing is None:
            return np.asarray(axis.edges)
        return _adaptive(axis, self.part(axis), self.growing, self.per_fwhm)

    def denoised(self, fit: LikelihoodFit, table: TemplateTable, spectra: Spectra) -> Spectra:
        """A fit as spectra, on the channels that were fitted."""
        first, last = (int(e) for e in np.searchsorted(spectra.axis.edges, fit.edges[[0, -1]]))
        values, edges = fit.fitted, spectra.axis.edges[first : last + 1]
        if len(edges) != len(fit.edges):
            values = expected_spectra(fit, table, spectra, edges)
        return spectra[:, first:last].replace(values=values, variance=None)


def width_of(axis: Axis, resolution: Resolution | None) -> Resolution:
    """Resolution that bins follow: the one given, or that of a NaI detector over keV.

    Raises
    ------
    FitError
        If none is given and the axis is no energy in keV.
    """
    if resolution is not None:
        return resolution
    if axis.quantity != "energy" or axis.unit != "keV":
        raise FitError(
            f"adaptive bins over {axis.describe()} need the resolution of the detector: give "
            "resolution=Resolution(...), or bins=None"
        )
    return Resolution()


def _channels(axis: Axis, window: tuple[float, float] | None) -> slice:
    return slice(0, axis.n_channels) if window is None else axis.window(*window)


@lru_cache(maxsize=32)
def _adaptive(
    axis: Axis, window: tuple[float, float] | None, resolution: Resolution, per_fwhm: float
) -> FloatArray:
    edges = adaptive_edges(axis, resolution, bins_per_fwhm=per_fwhm, window=window)
    edges.flags.writeable = False
    return edges


@remembered
def _loss(table: TemplateTable, background: str | None, axis: Axis, bins: Bins) -> dict[str, float]:
    channels = bins.channels(axis)
    fine = axis.edges[channels.start : channels.stop + 1]
    coarse = bins._edges(axis)
    mean = _mean_templates(table)
    found = {}
    for number, name in enumerate(table.names):
        if name == background:
            continue
        amounts = np.where(np.array(table.names) == background, _BACKGROUND, 0.0)
        amounts[number] = _SOURCE
        found[name] = float(information_loss(mean, fine, coarse, amounts)[number])
    return found


def _mean_templates(table: TemplateTable) -> TemplateTable:
    """The mean of the templates of each name: alike ones cannot be told apart on any bins."""
    member = np.equal.outer(np.arange(len(table.names)), table.groups).astype(np.float64)
    member /= member.sum(axis=1, keepdims=True)
    return replace(
        table,
        table=np.ascontiguousarray(np.einsum("gk,lkm->lgm", member, table.table)),
        slopes=np.ascontiguousarray(np.einsum("gk,lkm->lgm", member, table.slopes)),
        groups=np.arange(len(table.names)),
    )
