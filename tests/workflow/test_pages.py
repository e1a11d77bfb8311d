from __future__ import annotations

import re

import numpy as np
import pytest

from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError
from spectraloom.workflow import (
    Training,
    evaluation_report,
    explore_report,
    judge,
    model_report,
    train,
)
from spectraloom.workflow.report import Report, Table, Text

from .conftest import SOURCES, Make


def words(report: Report) -> str:
    """Everything but the pictures, which take most of the time to make a page."""
    found = []
    for block in (block for section in report.sections for block in section.blocks):
        if isinstance(block, Text):
            found.append(block.text)
        elif isinstance(block, Table):
            found += [block.caption, *(str(cell) for row in block.rows for cell in row)]
        else:
            found.append(block.caption)
    return "\n".join(found)


def headings(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", page)


def test_a_trained_model_gets_a_page(trained: Training) -> None:
    assert trained.holdout is not None
    page = model_report(trained.model, [trained.holdout], trained.study, "By <us>").to_html()
    assert headings(page) == ["The model", "Hold-out", "Outliers", "Origin of data and results"]
    assert "By &lt;us&gt;" in page
    assert trained.model.provenance_["data_sha256"] in page
    scores = trained.holdout.to_dict()
    assert f"the largest source is right in {100 * scores['accuracy']:.1f} %" in page
    plain = model_report(trained.model, [], None, "").to_html()
    assert headings(plain) == ["The model", "Origin of data and results"]


def test_a_judgement_shows_what_is_wrong(make: Make, trained: Training) -> None:
    wrong = make([("A",), ("X",)], 20, seed=3)
    report = evaluation_report(judge("Strange ones", trained.model, wrong), "")
    assert report.sections[0].heading == "Strange ones"
    assert "Misclassified examples." in words(report)
    right = judge("Right ones", trained.model, make([("A",)], 10, seed=3))
    assert "Misclassified examples." not in words(evaluation_report(right, ""))


def test_exploring_names_who_provided_the_data(make: Make) -> None:
    spectra = make(SOURCES, 12).replace(attrs={"attribution": "Provided by the laboratory"})
    assert explore_report(spectra).attribution == "Provided by the laboratory"
    assert explore_report(spectra, attribution="Somebody").attribution == "Somebody"


def test_exploring_looks_into_the_window(make: Make) -> None:
    # Apart from 200 keV the two are the same.
    spectra = make([("A", "C"), ("C",)], 40)
    assert "Different labels, but alike" in words(explore_report(spectra, window=(500, 1000)))
    assert "Different labels, but alike" not in words(explore_report(spectra))
    with pytest.raises(AxisError, match="no channel lies between"):
        explore_report(spectra, window=(2000, 3000))


@pytest.mark.parametrize(
    "axis",
    [
        Axis.uncalibrated(64),
        Axis.from_points(np.linspace(200, 900, 64), quantity="wavelength", unit="nm"),
    ],
)
def test_other_axes_are_explored_and_trained_on(make: Make, axis: Axis) -> None:
    drawn = make(SOURCES, 40)
    spectra = drawn.replace(axis=axis, kind="intensity")
    assert "Not drawn" not in words(explore_report(spectra))
    done = train(spectra, SupervisedNMF(), outliers=False)
    assert done.holdout is not None
    assert "Not drawn" not in words(model_report(done.model, [done.holdout], None, ""))


def test_too_many_classes_for_a_figure_are_no_error(rng: np.random.Generator) -> None:
    k = 60
    labels = [f"class {number % k}" for number in range(2 * k)]
    shapes = rng.gamma(0.3, 1.0, (k, 32))
    values = rng.poisson(100 * shapes[np.arange(2 * k) % k] + 1)
    spectra = Spectra(values, Axis.regular(0, 100, 32), columns={"labels": labels})
    model = SupervisedNMF().fit(spectra)
    page = words(model_report(model, [], None, ""))
    assert "Not drawn: one figure shows up to" in page
    assert "class 59" in page  # the table names every class all the same
    assert "Not drawn: one figure shows up to" in words(explore_report(spectra))
