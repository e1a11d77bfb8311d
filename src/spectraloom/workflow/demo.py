"""The demonstration: simulated or given spectra through the whole chain to a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spectraloom.analyze.store import save
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.spectra import Spectra
from spectraloom.evaluate.reference import FIRST_CHANNEL
from spectraloom.evaluate.sets import EvaluationSets, sort_by_role, standard_axis
from spectraloom.generate.demo import demo_sets
from spectraloom.io import read_groups
from spectraloom.workflow.chain import Chain, run_chain
from spectraloom.workflow.origin import attribution
from spectraloom.workflow.pages import chain_report
from spectraloom.workflow.prepare import common_axis, onto_axis, part_of
from spectraloom.workflow.target import require_folder

_SIMULATED_NOTE = (
    "All spectra were simulated by Spectraloom with a fixed seed: line tables, Compton continuum, "
    "resolution, absorbers, natural background and Poisson noise. The two measured-like detectors "
    "have other calibrations than the training simulation."
)
_SHARED = ("labels", "detector", "absorber", "file")


def simulated_sets(seed: int = 0, scale: float = 1.0) -> EvaluationSets:
    """Sets of the demonstration, drawn by the simulator, on the axis of the training.

    Parameters
    ----------
    seed : int
    scale : float
        Multiplies the number of spectra.
    """
    drawn = demo_sets(seed, scale)
    axis = common_axis(drawn["training"])

    def joined(name: str) -> Spectra:
        # Parts differ in their columns of truth: what a part does not name is not in it.
        parts = [
            part.replace(
                columns={
                    name: column
                    for name, column in part.columns.items()
                    if name in _SHARED or name.startswith("true_")
                }
            )
            for part in drawn[name]
        ]
        return onto_axis(parts, axis)

    return EvaluationSets(joined("training"), joined("single"), joined("multi"), joined("unknown"))


def run_demo(
    out: str | Path,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    scale: float = 1.0,
    progress: Callable[[float, str], None] | None = None,
) -> tuple[Chain, Path]:
    """Run the whole chain and write a report and the trained model.

    Parameters
    ----------
    out : path
        Folder for ``report.html`` and ``model.loom``; made if absent.
    data : path, optional
        Folder or zip in the layout of the GAMMA_FLOW example data; otherwise spectra are
        simulated.
    seed : int
        Seed of simulation, splits and draws.
    scale : float
        Multiplies the number of simulated spectra.
    progress : callable, optional

    Returns
    -------
    chain : Chain
    report : Path
        Path of the report.

    Raises
    ------
    FormatError
        If the folder cannot be made, or the data cannot be read.
    DataError
        If there is nothing to train on.
    """
    report = part_of(progress, 0.0, 1.0)
    folder = require_folder(out)
    if data is None:
        report(0.0, "simulating spectra")
        sets, note = simulated_sets(seed, scale), _SIMULATED_NOTE
        model = SupervisedNMF()
    else:
        report(0.0, "reading spectra")
        groups = read_groups(data)
        axis = standard_axis(groups[0].n_channels)
        sets, note = sort_by_role(groups, axis), attribution(groups, [data])
        centers = axis.centers
        model = SupervisedNMF(window=(float(centers[FIRST_CHANNEL]), float(centers[-1])))
    chain = run_chain(sets, model=model, seed=seed + 1, progress=part_of(progress, 0.1, 0.8))
    report(0.8, "drawing the report")
    folder.mkdir(parents=True, exist_ok=True)
    save(chain.model, folder / "model.loom")
    page = folder / "report.html"
    chain_report(chain, attribution=note).write(page)
    report(1.0, "done")
    return chain, page
