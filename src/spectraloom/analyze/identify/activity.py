"""Activities from count rates, where efficiencies are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, LabelError

Value = float | tuple[float, float]


class Activity(NamedTuple):
    """Activities of the names of a result.

    Attributes
    ----------
    values, uncertainties : ndarray, shape (n, k)
        Becquerel, and their standard uncertainties; nan for names without efficiency and spectra
        without live time.
    """

    values: FloatArray
    uncertainties: FloatArray


def activity(
    result: Result,
    efficiency: Mapping[str, Value],
    branching: Mapping[str, Value] | None = None,
) -> Activity:
    """Count rate over efficiency and branching, with uncertainties propagated.

    The amounts of a result belong to the whole template of a source, not to one peak. So an
    efficiency is the number of counts, anywhere on the axis of the library, per photon emitted
    (total efficiency) with the photons per decay as branching; or counts per decay, without.

    Parameters
    ----------
    result : Result
        With a count rate: counts of spectra with live time, or amounts in counts/s.
    efficiency : mapping of str to float or (float, float)
        Of each name, above zero; with its standard uncertainty, if that is known.
    branching : mapping of str to float or (float, float), optional
        Photons per decay, likewise; one by default.

    Raises
    ------
    DataError
        If there is no count rate, no uncertainty, or a factor is not above zero.
    LabelError
        If the result does not know a name.

    References
    ----------
    JCGM 100:2008 (GUM), 5.1.2, for uncorrelated relative uncertainties.
    """
    rates, errors = _rates_of(result)
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
    return Activity(values, np.hypot(errors / factors[:, 0], values * factors[:, 1]))


def count_rates(spectra: Spectra, amounts: FloatArray, errors: FloatArray) -> dict[str, FloatArray]:
    """Details ``count_rate`` and ``count_rate_uncertainty``; none without live time."""
    if spectra.live_time is None or spectra.kind != "counts":
        return {}
    times = np.where(spectra.live_time > 0, spectra.live_time, np.nan)[:, np.newaxis]
    return {"count_rate": amounts / times, "count_rate_uncertainty": errors / times}


def _rates_of(result: Result) -> tuple[FloatArray, FloatArray]:
    if result.unit == "counts/s" and result.uncertainties is not None:
        return result.amounts, result.uncertainties
    if {"count_rate", "count_rate_uncertainty"} <= set(result.details):
        return result.details["count_rate"], result.details["count_rate_uncertainty"]
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
    return value, error
