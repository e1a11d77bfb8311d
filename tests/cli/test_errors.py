from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conftest import Run

# Command line ({w} is the world folder, {t} an empty one) and what the one line must say.
CASES = (
    # the command line itself
    ("nothing", "No such command 'nothing'"),
    ("bench", "Missing command"),
    ("train", "Missing argument"),
    ("info", "Missing argument"),
    ("simulate", "Missing option '--out'"),
    ("train {w}/train.npz --nope", "No such option: --nope"),
    ("train {w}/train.npz --holdout much", "--holdout"),
    ("train {w}/train.npz --window 5", "--window"),
    ("train {w}/train.npz --seed -1", "--seed"),
    ("train {w}/train.npz --seed 99999999999", "--seed"),
    ("train {w}/train.npz --limit 0", "--limit"),
    ("outlier {w}/model.loom {w}/train.npz --method guess", "'curves', 'tree', 'logistic'"),
    ("simulate -o {t}/x.npz -n 0", "'-n'"),
    ("simulate -o {t}/x.npz -n 100000000000", "'-n'"),
    # files that are not there, broken, or something else
    ("info {t}/no.n42", "there is no such file"),
    ("info {t}/*.n42", "no file matches this pattern"),
    ("info {t}", "there is nothing to read"),
    ("info {w}/empty.npz", "the file is empty"),
    ("info {w}/broken.npz", "broken.npz"),
    ("info {w}/noise.n42", "noise.n42"),
    ("convert {w}/no.n42 --to {t}/x.npz", "there is no such file"),
    ("explore {w}/no.npz --report {t}/out", "there is no such file"),
    ("train {w}/no.npz -o {t}/m.loom", "there is no such file"),
    ("evaluate {w}/model.loom {w}/no.npz", "there is no such file"),
    ("analyze {w}/no.loom {w}/test.npz", "there is no such file"),
    ("analyze {w}/folder {w}/test.npz", "not a Spectraloom model"),
    ("analyze {w}/train.npz {w}/test.npz", "not a Spectraloom model"),
    ("analyze {w}/broken.loom {w}/test.npz", "broken.loom"),
    ("evaluate {w}/test.npz {w}/test.npz", "not a Spectraloom model"),
    ("outlier {w}/empty.npz {w}/train.npz", "not a Spectraloom model"),
    ("bench gamma-flow --data {t}/no.zip", "there is no such file"),
    ("demo --data {t}/no.zip --out {t}/out", "there is no such file"),
    # spectra that do not fit
    ("analyze {w}/model.loom {w}/uncalibrated.npz", "give uncalibrated spectra an energy calib"),
    ("analyze {w}/model.loom {w}/wavelengths.npz", "trained on spectra of kind 'counts'"),
    ("analyze {w}/model.loom {w}/intensity.npz", "trained on spectra of kind 'counts'"),
    ("evaluate {w}/model.loom {w}/intensity.npz", "trained on spectra of kind 'counts'"),
    ("outlier {w}/model.loom {w}/intensity.npz", "trained on spectra of kind 'counts'"),
    ("analyze {w}/model.loom {w}/far.npz", "lies in 512 channels"),
    ("train {w}/uncalibrated.npz -o {t}/m.loom", "no column 'labels'"),
    ("explore {w}/uncalibrated.npz --report {t}/out", "no column 'labels'"),
    ("evaluate {w}/model.loom {w}/far.npz", "lies in 512 channels"),
    ("bench gamma-flow --data {w}/test.npz", "no column 'file'"),
    ("demo --data {w}/wavelengths.npz --out {t}/out", "not in the layout of the GAMMA_FLOW data"),
    # names that do not occur
    ("train {w}/train.npz --detectors south", "no spectrum has the detector south; there are sim"),
    ("train {w}/train.npz --labels Xe133", "no spectrum has the label Xe133; there are Co60"),
    ("evaluate {w}/model.loom {w}/test.npz --labels Xe133", "no spectrum has the label Xe133"),
    ("explore {w}/test.npz --detectors south --report {t}/out", "there are east"),
    ("outlier {w}/model.loom {w}/train.npz --labels Xe133", "no spectrum has the label"),
    ("train {w}/train.npz --background bg", "no spectrum has the label bg"),
    ("train {w}/train.npz --variants shape -o {t}/m.loom", "no column 'shape'"),
    ("train {w}/train.npz --variants ² -o {t}/m.loom", "no column '²'"),
    ("outlier {w}/model.loom {w}/train.npz --feature beauty", "there is no feature 'beauty'"),
    ("simulate -o {t}/x.npz --nuclides Xx1", "cannot simulate 'Xx1': no nuclide 'Xx1'"),
    ("simulate -o {t}/x.npz --detector south", "no detector 'south'"),
    ("simulate -o {t}/x.npz --absorbers Zz,1", "an absorber is none, a material and a thickness"),
    ("convert {w}/train.npz --to {t}/x.foo", "there is no writer for the ending '.foo'"),
    ("convert {w}/train.npz --to {t}/x --format foo", "there is no writer for format 'foo'"),
    # numbers out of range
    ("train {w}/train.npz --holdout 1", "lies in [0, 1)"),
    ("train {w}/train.npz --holdout nan", "lies in [0, 1)"),
    ("train {w}/train.npz --min-share 2", "min_share"),
    ("train {w}/train.npz --variants 0", "variants is a positive number or a column"),
    ("train {w}/train.npz --window 900 100", "no channel lies between 900 and 100 keV"),
    ("train {w}/train.npz --window nan nan", "no channel lies between"),
    ("train {w}/train.npz --limit 1", "leaves no spectrum of"),
    ("train {w}/train.npz --labels Cs137,background", "--no-outliers"),
    ("train {w}/test.npz", "60 spectra with several labels"),
    ("outlier {w}/model.loom {w}/test.npz", "do not have exactly one label"),
    ("explore {w}/train.npz --window 1 2 --report {t}/out", "no channel lies between 1 and 2 keV"),
    ("simulate -o {t}/x.npz --counts 10 5", "counts is a pair"),
    ("simulate -o {t}/x.npz --counts nan 5", "counts is a number above 0"),
    ("simulate -o {t}/x.npz --background 5 1", "background_counts is a pair"),
    ("simulate -o {t}/x.npz --live-time -1", "live_time is 0 s or more"),
    # targets
    ("train {w}/train.npz -o {t}/no/m.loom", "there is no folder"),
    ("train {w}/train.npz -o {t}", "this is a folder"),
    ("train {w}/train.npz -o {w}/train.npz", "is read here"),
    ("train {w}/train.npz -o {t}/m.loom --report {w}/train.npz", "train.npz is a file"),
    ("evaluate {w}/model.loom {w}/test.npz --report {w}/test.npz/sub", "test.npz is a file"),
    ("outlier {w}/model.loom {w}/train.npz --report {w}/test.npz", "test.npz is a file"),
    ("explore {w}/train.npz --report {w}/test.npz", "test.npz is a file"),
    ("demo --out {w}/test.npz", "test.npz is a file"),
    ("analyze {w}/model.loom {w}/test.npz -o {t}/x.txt", "written as .csv or .json"),
    ("analyze {w}/model.loom {w}/test.npz -o {t}/no/x.csv", "there is no folder"),
    ("analyze {w}/model.loom {w}/test.npz --denoised {w}/test.npz", "is read here"),
    ("analyze {w}/model.loom {w}/test.npz --denoised {w}/model.loom", "is read here"),
    ("analyze {w}/model.loom {w}/test.npz --denoised {t}/x.foo", "no writer for the ending"),
    ("convert {w}/train.npz --to {w}/test.npz", "exists already; --overwrite"),
    ("convert {w}/train.npz --to {w}/train.npz --overwrite", "is read here"),
    ("convert {w}/train.npz --to {t}/x.cnf", "never written"),
    ("convert {w}/train.npz --to {t}/x.chn", "holds one spectrum"),
    ("simulate -o {t}/no/x.npz", "there is no folder"),
    ("simulate -o {w}/train.npz", "exists already; --overwrite"),
    ("bench gamma-flow --data {w}/test.npz --json {t}/no/x.json", "there is no folder"),
    ("bench gamma-flow --data {w}/test.npz --json {w}/test.npz", "is read here"),
)


@pytest.mark.parametrize(("command", "says"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_gives_one_line_and_code_2(
    run: Run, world: Path, tmp_path: Path, command: str, says: str
) -> None:
    before = {path: path.read_bytes() for path in world.iterdir() if path.is_file()}
    # Not split before the paths are in, whatever they hold.
    arguments = [part.format(w=world, t=tmp_path) for part in command.split()]
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("spectraloom: ")
    assert says in line
    assert list(tmp_path.iterdir()) == []  # no half a result
    assert {path: path.read_bytes() for path in world.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    "command",
    [
        "train {w}/train.npz -o {t}/m.loom",
        "evaluate {w}/model.loom {w}/test.npz --report {t}/out",
        "demo --out {t}/out",
        "simulate -o {t}/x.npz",
    ],
)
def test_a_folder_that_may_not_be_written(
    run: Run, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    # Root may write everywhere, so the answer of the system is given here.
    monkeypatch.setattr("os.access", lambda _path, mode: mode != os.W_OK)
    done = run(*(part.format(w=world, t=tmp_path) for part in command.split()))
    assert done.code == 2
    assert "may not be written" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "Permission denied", "secret.npz"), "secret.npz: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError("Unable to allocate 7 TiB"), "not enough memory: Unable to allocate 7 TiB"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, says: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("spectraloom.workflow.run_demo", fail)
    done = run("demo", "--out", tmp_path)
    assert (done.code, done.err) == (2, f"spectraloom: {says}\n")


def test_an_interrupted_run_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spectraloom.workflow.run_demo", interrupt)
    done = run("demo", "--out", tmp_path)
    assert done.code == 130
    assert "Traceback" not in done.err


def test_a_mistake_of_ours_is_not_hidden(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("spectraloom.workflow.run_demo", fail)
    with pytest.raises(ZeroDivisionError):
        run("demo", "--out", tmp_path)
