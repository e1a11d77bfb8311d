"""Activities from count rates, where efficiencies are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, LabelError

Value = float | tuple[float, float]
_DEVIATIONS = 1.96  # of the 95 % intervals of the amounts


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Activity:
    """Activities of the names of a result.

    Every array has the shape (n, k); nan stands for names without efficiency and spectra without
    live time.

    Attributes
    ----------
    names : tuple of str, length k
    values, uncertainties : ndarray
        Becquerel, and their standard uncertainties, those of the efficiencies included.
    decision_threshold, detection_limit : ndarray or None
        Becquerel, at the efficiency given: its uncertainty does not move what is told from
        chance. None where the result has none.
    interval_low, interval_high : ndarray or None
        95 % interval in becquerel, with the uncertainty of the efficiency; the high end is inf
        where that is so large that the efficiency may be zero. None where the result has none.
    """

    names: tuple[str, ...]
    values: FloatArray
    uncertainties: FloatArray
    decision_threshold: FloatArray | None = None
    detection_limit: FloatArray | None = None
    interval_low: FloatArray | None = None
    interval_high: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        known = [
            name
            for name, column in zip(self.names, self.values.T, strict=True)
            if not np.isnan(column).all()
        ]
        return f"<Activity: {len(self)} spectra, becquerel of {', '.join(known) or 'no name'}>"


def activity(
    result: Result,
    efficiency: Mapping[str, Value],
    branching: Mapping[str, Value] | None = None,
) -> Activity:
    """Count rate over efficiency and branching, with uncertainties propagated.

    The amounts of a result belong to the whole template of a source, not to one peak. So an
    efficiency is the number of counts, anywhere on the axis of the library, per photon emitted
    (total efficiency) with the photons per decay as branching; or counts per decay, without. It
    has to belong to the absorber and the geometry that the templates were made with.

    Parameters
    ----------
    result : Result
        With a count rate: counts of spectra with live time, or amounts in counts/s.
    efficiency : mapping of str to float or (float, float)
        Of each name, above zero and at most one; with its standard uncertainty, if that is known.
    branching : mapping of str to float or (float, float), optional
        Photons per decay, likewise, but without an upper end; one by default.

    Raises
    ------
    DataError
        If there is no count rate, no uncertainty, or a factor is out of range.
    LabelError
        If the result does not know a name.

    Notes
    -----
    With the relative uncertainty r of the factor and d from the estimate a to the end of the
    interval of the rate, the end is the A that solves (A - a)^2 = d^2 + (1.96 r A)^2, as for the
    ratio of two normal variables.

    References
    ----------
    JCGM 100:2008 (GUM), 5.1.2, for uncorrelated relative uncertainties. E. C. Fieller, J. R. Stat.
    Soc. B 16 (1954) 175, doi:10.1111/j.2517-6161.1954.tb00159.x.
    """
    rates, errors, times = _rates_of(result)
    given = branching or {}
    unknown = sorted({*efficiency, *given} - set(result.names))
    if unknown:
        raise LabelError(
            f"the result has no {', '.join(unknown)}; it has {', '.join(result.names)}"
        )
    factors = np.full((len(result.names), 2), np.nan)
    for place, name in enumerate(result.names):
        if name in efficiency:
            one = _factor("efficiency", name, efficiency[name])
            other = _factor("branching", name, given.get(name, 1.0))
            factors[place] = one[0] * other[0], np.hypot(one[1] / one[0], other[1] / other[0])
    values = rates / factors[:, 0]
    scaled = {
        name: result.details[name] / times / factors[:, 0]
        for name in ("decision_threshold", "detection_limit", "interval_low", "interval_high")
        if name in result.details
    }
    if {"interval_low", "interval_high"} <= set(scaled):
        ends = _ends(values, scaled["interval_low"], scaled["interval_high"], factors[:, 1])
        scaled["interval_low"], scaled["interval_high"] = ends
    return Activity(
        result.names, values, np.hypot(errors / factors[:, 0], values * factors[:, 1]), **scaled
    )


def _ends(
    values: FloatArray, low: FloatArray, high: FloatArray, relative: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Ends of intervals, widened by the relative uncertainty of what the values were divided by."""
    lost = (_DEVIATIONS * relative) ** 2 + np.zeros_like(values)

    def root(end: FloatArray) -> FloatArray:
        return np.sqrt(np.maximum(lost * values**2 + (1.0 - lost) * (end - values) ** 2, 0.0))

    # The smaller root, without the difference of two alike numbers; it needs no 1 - lost.
    product = np.maximum(values**2 - (low - values) ** 2, 0.0)
    below = values + root(low)
    down = np.divide(product, below, out=0.0 * below, where=below > 0)
    open_above = lost >= 1.0
    up = (values + root(high)) / np.where(open_above, np.nan, 1.0 - lost)
    return down, np.where(open_above, np.inf, up)


def count_rates(spectra: Spectra, amounts: FloatArray, errors: FloatArray) -> dict[str, FloatArray]:
    """Details ``count_rate`` and ``count_rate_uncertainty``; none without live time."""
    if spectra.live_time is None or spectra.kind != "counts":
        return {}
    times = np.where(spectra.live_time > 0, spectra.live_time, np.nan)[:, np.newaxis]
    return {"count_rate": amounts / times, "count_rate_uncertainty": errors / times}


def _rates_of(result: Result) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rates, their uncertainties, and what amounts are divided by to be rates, shape (n, 1)."""
    if result.unit == "counts/s" and result.uncertainties is not None:
        return result.amounts, result.uncertainties, np.ones((len(result), 1))
    if result.uncertainties is not None and {"count_rate", "count_rate_uncertainty"} <= set(
        result.details
    ):
        errors = result.details["count_rate_uncertainty"]
        total = np.nansum(errors, axis=1, keepdims=True)
        # The result holds no live time, but uncertainties of counts and of rates.
        times = np.divide(
            np.nansum(result.uncertainties, axis=1, keepdims=True),
            total,
            out=np.full_like(total, np.nan),
            where=total > 0,
        )
        return result.details["count_rate"], errors, times
    raise DataError(
        "an activity needs count rates with uncertainties: give the spectra their live time and "
        "analyze them with an Identifier"
    )


def _factor(kind: str, name: str, given: Value) -> tuple[float, float]:
    value, error = (float(x) for x in (given if isinstance(given, tuple) else (given, 0.0)))
    if not (0 < value < np.inf and 0 <= error < np.inf):
        raise DataError(
            f"the {kind} of {name} is above zero, with an uncertainty of zero or more; got "
            f"{value:g} and {error:g}"
        )
    if kind == "efficiency" and value > 1:
        raise DataError(
            f"the efficiency of {name} is {value:g}, but no more than one count comes of a photon: "
            f"if that is per cent, write {value / 100:g}; if a decay makes several counts, give "
            "the efficiency per photon, and the photons per decay as branching"
        )
    return value, error
