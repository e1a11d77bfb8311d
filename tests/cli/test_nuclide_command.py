from __future__ import annotations

import pytest

from .conftest import Run


def test_lines_of_a_nuclide_come_with_their_emitters(run: Run) -> None:
    done = run("nuclide", "Cs-137")
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines()]
    assert ["661.66", "0.8503", "0.002", "gamma", "Ba-137m"] in rows
    assert ["half-life", "30.04", "y"] in rows
    assert "0.944 to Ba137m (beta-)" in done.out


def test_json_holds_all_lines(run: Run) -> None:
    facts = run("nuclide", "eu152", "--json").json
    assert facts["name"] == "Eu-152"
    assert facts["half_life_s"] == pytest.approx(13.52 * 365.25 * 86400, rel=5e-3)
    assert len(facts["lines"]) > 100
    assert facts["age_s"] is None
    (line,) = (line for line in facts["lines"] if abs(line["energy"] - 1408.0) < 0.1)
    assert line["intensity"] == pytest.approx(0.208, rel=0.01)
    assert sum(decay["fraction"] for decay in facts["decays"]) == pytest.approx(1.0)


def test_ageing_brings_the_daughters(run: Run) -> None:
    fresh = run("nuclide", "Ra-226", "--age", "0", "--json").json
    aged = run("nuclide", "Ra-226", "--age", "3.823 d", "--json").json
    assert {line["emitter"] for line in fresh["lines"]} == {"Ra226"}
    assert aged["age_s"] == pytest.approx(3.823 * 86400)
    assert aged["activities"]["Rn222"] == pytest.approx(0.5, rel=1e-3)
    shown = run("nuclide", "Ra-226", "--age", "3.823 d").out
    assert "Rn-222 0.5" in shown
    assert "weaker lines are left out" in shown


def test_a_nuclide_without_photons_says_so(run: Run) -> None:
    assert "emits no photons" in run("nuclide", "H-3").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Cs-133"], "the nearest of Cs are Cs-132"),
        (["Ceasium"], "write it as Eu-152"),
        (["Cs-137", "--age", "long"], "a time is zero or more"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: list[str], message: str) -> None:
    done = run("nuclide", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert len(done.err.splitlines()) == 1
