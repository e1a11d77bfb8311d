"""Benchmark of the simulator: shapes, peaks and attenuation beside reference spectra."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from spectraloom._typing import Progress
from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate.sets import SIMULATED
from spectraloom.evaluate.simulator_data import (
    LOWEST_ENERGY,
    ReferenceSet,
    ReferenceSpectrum,
    fitted_nuclides,
    reference_sets,
)
from spectraloom.evaluate.simulator_fit import (
    FittedSimulator,
    judged_channels,
    least_squares_scale,
    shape_error,
)
from spectraloom.evaluate.simulator_peaks import Peaks
from spectraloom.evaluate.simulator_search import fit_simulator
from spectraloom.evaluate.simulator_speed import measure_simulator
from spectraloom.evaluate.simulator_transfer import judge_transfer
from spectraloom.physics.gamma.transport.cache import without_files

_FITTED_THICKNESSES = 3


def run_simulator_benchmark(
    groups: Sequence[Spectra],
    *,
    seed: int = 1,
    speed: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge the simulator on spectra that it had no part in.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.read_groups` gives them, of one of three layouts: GADRAS reference
        spectra, steel spheres, or the GAMMA_FLOW data.
    seed : int
        Of the training where there is one.
    speed : bool
        Whether to measure speed, too.
    progress : callable, optional

    Returns
    -------
    dict
        Plain values for JSON; see the page on the benchmark. ``shape``, ``peaks`` and, where there
        are several thicknesses, ``attenuation``; or ``transfer``.

    Raises
    ------
    DataError
        If the data are of none of the layouts.
    """
    if not groups:
        raise DataError("there are no spectra to run the benchmark on")
    report = progress or (lambda _fraction, _text: None)
    if _is_gamma_flow(groups):
        transfer = judge_transfer(
            groups, seed=seed, progress=lambda fraction, text: report(0.9 * fraction, text)
        )
        results: dict[str, Any] = {"transfer": transfer}
    else:
        sets = reference_sets(groups)
        # The many arrangements that a fit tries are of no use to anybody else.
        with without_files():
            results = _judge_sets(sets, lambda fraction, text: report(0.9 * fraction, text))
    if speed:
        report(0.9, "measuring speed")
        results |= measure_simulator()
    report(1.0, "done")
    return results


def _is_gamma_flow(groups: Sequence[Spectra]) -> bool:
    return any(
        "detector" in one.columns
        and "labels" in one.columns
        and (np.char.lower(one.column("detector").astype(np.str_)) == SIMULATED).any()
        for one in groups
    )


class _Judged(NamedTuple):
    """A spectrum beside its simulation; `scale` is counts over counts per decay."""

    one: ReferenceSpectrum
    shape: dict[str, Any]
    peaks: Peaks
    scale: float


def _judge_sets(sets: Sequence[ReferenceSet], report: Progress) -> dict[str, Any]:
    judged: list[_Judged] = []
    weakened: list[dict[str, Any]] = []
    detectors: dict[str, Any] = {}
    for number, one in enumerate(sets):

        def step(fraction: float, text: str, base: int = number, name: str = one.detector) -> None:
            report((base + fraction) / len(sets), f"{name}: {text}")

        own, detectors[one.detector] = _judge_set(one, step)
        judged += own
        weakened += _attenuation(own)
    return {
        "shape": _shape_summary([each.shape for each in judged]),
        "peaks": _peak_summary([row for each in judged for row in _ratios(each)]),
        **({"attenuation": _attenuation_summary(weakened)} if weakened else {}),
        "protocol": {**_WHERE_FROM, "detectors": detectors},
    }


def _judge_set(one: ReferenceSet, report: Progress) -> tuple[list[_Judged], dict[str, Any]]:
    """The judged spectra of a detector, and what was fitted to the others."""
    names = fitted_nuclides(one.nuclides)
    fitted = fit_simulator(
        _to_fit(one, names),
        one.axis,
        crystal=one.crystal,
        progress=lambda part, text: report(0.5 * part, text),
    )
    others = [some for some in one.spectra if some.nuclide not in names]
    judged = []
    for number, some in enumerate(others):
        report(0.5 * (1.0 + number / len(others)), "simulating")
        judged.append(_judge_spectrum(some, fitted, one.detector))
    return judged, {
        "fitted_nuclides": list(names),
        "judged_nuclides": sorted({some.nuclide for some in others}),
        "left_out": one.left_out,
        "fitted": fitted.to_dict(),
        "fitted_nmse_db": _decibel(fitted.misfit),
    }


def _to_fit(one: ReferenceSet, names: Sequence[str]) -> list[ReferenceSpectrum]:
    """Spectra of the nuclides to fit: of several thicknesses, the least, median and largest."""
    chosen: list[ReferenceSpectrum] = []
    for name in names:
        own = sorted(one.of([name]), key=lambda some: some.thickness)
        rows = np.unique(np.linspace(0, len(own) - 1, _FITTED_THICKNESSES).round().astype(int))
        chosen += [own[row] for row in rows]
    return chosen


# -- shape -----------------------------------------------------------------------------------


def _judge_spectrum(one: ReferenceSpectrum, fitted: FittedSimulator, detector: str) -> _Judged:
    expected = fitted.counts(one)
    judged = judged_channels(fitted.axis)
    counts, own = one.counts[judged], expected[judged]
    squares = float(counts @ counts)
    scale = least_squares_scale(counts, own)
    shape = {
        "detector": detector,
        "name": one.name,
        "nuclide": one.nuclide,
        "nmse_db": _decibel(shape_error(counts, own)),
        "cosine": float(counts @ own / np.sqrt(squares * float(own @ own))),
        # What a perfect simulation would have, as the reference was counted.
        "noise_limit_db": _decibel(float(one.variance[judged].sum()) / squares),
        "counts": float(counts.sum()),
    }
    return _Judged(one, shape, fitted.peaks(one, scale * expected), scale)


def _decibel(error: float) -> float:
    return float(-10.0 * np.log10(max(error, 1e-30)))


def _shape_summary(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "nmse_db": _median(one["nmse_db"] for one in shapes),
        "cosine": _median(one["cosine"] for one in shapes),
        "noise_limit_db": _median(one["noise_limit_db"] for one in shapes),
        "n": len(shapes),
        **{
            f"per_{key}": {
                name: {
                    "nmse_db": _median(one["nmse_db"] for one in shapes if one[key] == name),
                    "cosine": _median(one["cosine"] for one in shapes if one[key] == name),
                }
                for name in sorted({one[key] for one in shapes})
            }
            for key in ("detector", "nuclide")
        },
        "per_spectrum": shapes,
    }


def _median(values: Iterable[float]) -> float | None:
    found = np.array(list(values), dtype=np.float64)
    return float(np.median(found)) if found.size else None


# -- peaks -----------------------------------------------------------------------------------


def _ratios(judged: _Judged) -> list[dict[str, Any]]:
    """Each peak beside the largest one of the same spectrum."""
    peaks = judged.peaks
    if not peaks:
        return []
    largest = max(peaks, key=lambda line: peaks[line][0].area)
    rows = []
    for line, (reference, own) in peaks.items():
        ratio = (own.area / peaks[largest][1].area) / (reference.area / peaks[largest][0].area)
        rows.append(
            {
                "detector": judged.shape["detector"],
                "name": judged.one.name,
                "energy_kev": line.energy,
                "position_error_kev": own.position - reference.position,
                "width_ratio": own.fwhm / reference.fwhm,
                "area_uncertainty": reference.area_uncertainty / reference.area,
                "ratio_error": None if line == largest else ratio - 1.0,
                "beside_kev": largest.energy,
            }
        )
    return rows


def _peak_summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    ratios = [row["ratio_error"] for row in rows if row["ratio_error"] is not None]
    return {
        "position_error_kev": _median(abs(row["position_error_kev"]) for row in rows),
        "ratio_error": _median(abs(error) for error in ratios),
        "width_error": _median(abs(row["width_ratio"] - 1.0) for row in rows),
        "n_peaks": len(rows),
        "n_ratios": len(ratios),
        "per_detector": {
            name: {
                "position_error_kev": _median(
                    abs(row["position_error_kev"]) for row in rows if row["detector"] == name
                ),
                "ratio_error": _median(
                    abs(row["ratio_error"])
                    for row in rows
                    if row["detector"] == name and row["ratio_error"] is not None
                ),
            }
            for name in sorted({row["detector"] for row in rows})
        },
        "per_peak": rows,
    }


def _attenuation(judged: Sequence[_Judged]) -> list[dict[str, Any]]:
    """Peak areas over those behind the least thickness, simulated over reference."""
    rows = []
    for name in sorted({each.one.nuclide for each in judged}):
        bare, *others = sorted(
            (each for each in judged if each.one.nuclide == name),
            key=lambda each: each.one.thickness,
        )
        for each in others:
            for line in each.peaks.keys() & bare.peaks.keys():
                reference, own = each.peaks[line]
                first, own_first = bare.peaks[line]
                true = reference.area / first.area
                # Per decay in both: no scale is taken out between thicknesses.
                ratio = (own.area / each.scale) / (own_first.area / bare.scale)
                rows.append(
                    {
                        "detector": each.shape["detector"],
                        "nuclide": name,
                        "energy_kev": line.energy,
                        "thickness_mm": 10.0 * each.one.thickness,
                        "transmission": true,
                        "error": ratio / true - 1.0,
                    }
                )
    return sorted(rows, key=lambda row: (row["nuclide"], row["energy_kev"], row["thickness_mm"]))


def _attenuation_summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    errors = np.abs([row["error"] for row in rows])
    return {
        "error": _median(errors),
        "error_90": float(np.quantile(errors, 0.9)),
        "n": len(rows),
        "per_peak": rows,
    }


_WHERE_FROM = {
    "fit": "crystal, surroundings, calibration, resolution and light are found from shapes and "
    "peaks of two nuclides; of several thicknesses from the least, the middle and the largest. The "
    "two are chosen by their lines alone: see fitted_nuclides",
    "judged": f"all other nuclides, above {LOWEST_ENERGY:g} keV, background taken off. Of GADRAS "
    "spectra those called unshielded, but for the ones named under left_out",
    "nmse_db": "10 log10 of sum of squares over squared error, the simulation scaled by least "
    "squares. noise_limit_db: the same for a perfect simulation, as the reference was counted",
    "peaks": "Gaussian on a line and a step, fitted in the same way to both, of lines whose "
    "neighbours within 2.2 widths have less than 5 % of their photons; the area on the reference "
    "has less than 3 % uncertainty. Ratios are to the largest peak of the same spectrum",
    "attenuation": "area of a peak over that behind the least thickness, simulation over reference",
}
