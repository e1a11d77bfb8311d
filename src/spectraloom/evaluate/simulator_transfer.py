"""What an identifier that was taught by our simulation alone finds in measured spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom._typing import Progress
from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate.identify import multilabel_scores, prepare_trial
from spectraloom.evaluate.sets import SIMULATED, parts_by_role
from spectraloom.generate import simulate_gamma
from spectraloom.physics.gamma import Absorber, GammaDetector, Surroundings, expected_counts

# Layers from a tenth of a millimetre of lead to all that lets a source be seen, whatever the data.
ABSORBERS: tuple[Absorber | None, ...] = (
    None,
    *(("Al", thickness) for thickness in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)),
    *(("Fe", thickness) for thickness in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)),
    *(("Pb", thickness) for thickness in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)),
)
_SPECTRA = 50  # for each nuclide and layer
_COUNTS = (1e3, 8e3)
_LEAST_PASSING = 1e-3  # of the counts; nobody looks for a source that must be that much stronger


def judge_transfer(
    groups: Sequence[Spectra], *, seed: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """Teach the identifier by our simulation and by the one of the data; judge both alike.

    Both are taught the same nuclides and the same measured background, with the same settings and
    thresholds (see :func:`~spectraloom.evaluate.identify.prepare_trial`), and judged on the same
    measured files with several sources.

    Parameters
    ----------
    groups : sequence of Spectra
        As for :func:`~spectraloom.evaluate.identify.prepare_trial`.
    seed : int
        Seed of the simulation and of the trial.
    progress : callable, optional

    Returns
    -------
    dict
        ``ours`` and ``shipped`` with the scores of the sets found, and ``difference`` of their
        micro-F1, ours less shipped.

    Raises
    ------
    DataError
        If there are no measured files with several sources.
    """
    report = progress or (lambda _fraction, _text: None)
    parts = parts_by_role(groups)
    if not any(len(one) for one in parts.multi):
        raise DataError("the transfer is judged on measured files with several sources: none given")
    report(0.0, "simulating")
    own = own_simulation(parts.simulated, parts.background[0], seed=seed)
    measured = [_measured(one) for one in groups]
    taught = {"ours": [own, *(one for one in measured if len(one))], "shipped": list(groups)}
    found: dict[str, Any] = {}
    for number, (name, some) in enumerate(taught.items()):
        report(0.2 + 0.4 * number, f"identifying, {name}")
        found[name] = multilabel_scores(prepare_trial(some, seed=seed))
    found["difference"] = found["ours"]["micro_f1"] - found["shipped"]["micro_f1"]
    found["protocol"] = {
        "ours": f"simulate_gamma, {_SPECTRA} spectra of {_COUNTS[0]:g} to {_COUNTS[1]:g} counts "
        "for each nuclide of the shipped simulation and each layer that lets "
        f"{_LEAST_PASSING:g} of its counts through; the "
        "ready 3-inch detector of sodium iodide; nothing fitted to the data",
        "layers_cm": [list(layer) for layer in ABSORBERS if layer is not None],
        "n": sum(len(one) for one in parts.multi),
        "seed": seed,
    }
    return found


def own_simulation(shipped: Sequence[Spectra], measured: Spectra, *, seed: int) -> Spectra:
    """Our spectra of the nuclides of a simulation, on the axis of a measured spectrum."""
    names = sorted({label for one in shipped for entry in one.labels for label in entry})
    detector = GammaDetector(SIMULATED, measured.axis)
    rng = np.random.default_rng(seed)
    pieces = []
    for name in names:
        bare = expected_counts(name, detector).sum()
        for layer in ABSORBERS:
            shells = () if layer is None else (layer,)
            behind = expected_counts(name, detector, Surroundings(shells=shells)).sum()
            if not behind > _LEAST_PASSING * bare:
                continue
            drawn = simulate_gamma(
                [name], detector, _SPECTRA, counts=_COUNTS, absorbers=[layer], seed=rng
            )
            columns = {key: drawn.columns[key] for key in ("labels", "detector", "absorber")}
            columns["file"] = np.full(len(drawn), f"{name}_simulated")
            pieces.append(drawn.replace(columns=columns))
    return Spectra.concatenate(pieces)


def _measured(group: Spectra) -> Spectra:
    made = np.char.lower(group.column("detector").astype(np.str_)) == SIMULATED
    return group[~made]
