from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.errors import DataError, LabelError
from spectraloom.generate import (
    demo_detectors,
    simulate_gamma,
    simulate_library,
    simulate_signatures,
)
from spectraloom.physics import mixture
from spectraloom.physics.gamma import BACKGROUND, detector, expected_spectrum, material

DETECTOR = demo_detectors()["east"]


def test_a_library_has_every_source_behind_every_absorber() -> None:
    told: list[str] = []
    library = simulate_library(
        ["Cs137", "Co60", BACKGROUND],
        DETECTOR,
        [None, ("Fe", 1.0)],
        progress=lambda _fraction, text: told.append(text),
    )
    assert library.names == ("Cs137", "Cs137", "Co60", "Co60", BACKGROUND)
    assert library.variants == ("bare", "Fe 1 cm", "bare", "Fe 1 cm", "bare")
    assert told[1] == "Cs137, Fe 1 cm"
    np.testing.assert_array_equal(
        library.templates[1], expected_spectrum("Cs137", DETECTOR, ("Fe", 1.0))
    )
    again = sl.Library.simulate(["Cs137", "Co60", BACKGROUND], DETECTOR, [None, ("Fe", 1.0)])
    np.testing.assert_array_equal(again.templates, library.templates)


def test_labels_are_spelled_as_the_tables_do() -> None:
    plain = simulate_library(["Cs137", "Am241"], detector("NaI 3x3"), [None, ("Fe", 1.0)])
    other = simulate_library(["Cs-137", "137Cs", "Am-241"], "NaI 3x3", ["none", "Fe 1"])
    assert (other.names, other.variants) == (plain.names, plain.variants)
    np.testing.assert_array_equal(other.templates, plain.templates)
    lead = material("Pb", density=11.0)
    signatures = simulate_signatures(["Cs-137"], "NaI 3x3", lead, [0, 0.1])
    assert signatures.column("labels").tolist() == [("Cs137",)] * 2
    assert signatures.column("material").tolist() == ["Pb"] * 2


def test_a_simulated_library_is_kept_and_explained_where_it_does_not_fit(tmp_path: Path) -> None:
    library = sl.Library.simulate(["Cs-137"], "NaI 3x3", ["none", "Fe 0.5"])
    again = sl.load(sl.save(library, tmp_path / "library.loom"))
    np.testing.assert_array_equal(again.templates, library.templates)
    assert (again.names, again.variants) == (("Cs137", "Cs137"), ("bare", "Fe 0.5 cm"))
    with pytest.raises(DataError, match=r"passes 20 cm of own, so that"):
        simulate_library(["Am-241"], "NaI 3x3", [(mixture("own", {"Pb": 1}, density=11), 20)])


def test_a_simulated_library_identifies_what_is_simulated() -> None:
    library = sl.Library.simulate(["Cs137", "Co60", "Am241"], DETECTOR, [None, ("Fe", 0.5)])
    quiet = simulate_gamma([BACKGROUND], DETECTOR, 20, counts=(2e4, 2e4), seed=1)
    spectra = simulate_gamma(
        ["Cs137", "Co60"], DETECTOR, 30, counts=(3e3, 3e3), background_counts=(2e3, 2e3), seed=2
    )
    result = sl.Identifier(library, false_alarm_rate=1e-3).fit(quiet).analyze(spectra)
    truth = [label[0] for label in spectra.columns["labels"]]
    found = [label[0] for label in result.labels]
    assert np.mean([one == other for one, other in zip(truth, found, strict=True)]) > 0.9


def test_signatures_fall_as_the_absorber_grows() -> None:
    signatures = simulate_signatures(["Cs137"], DETECTOR, "Fe", [2.0, 0.0, 0.5])
    np.testing.assert_array_equal(signatures.columns["thickness"], [0.0, 0.5, 2.0])
    peak = signatures.values[:, DETECTOR.axis.window(620, 700)].sum(axis=1)
    passed = np.array([float(material("Fe").transmission(t, 661.657)) for t in (0.0, 0.5, 2.0)])
    # Photons scattered by small angles lie under the peak.
    assert (peak / peak[0] >= passed * 0.999).all()
    assert (peak / peak[0] <= passed * 1.2).all()


def test_a_manifold_learns_from_simulated_signatures() -> None:
    signatures = simulate_signatures(["Cs137", "Ba133"], DETECTOR, "Fe", np.linspace(0, 3, 9))
    model = sl.ManifoldUnmixer(unit="cm", background=None).fit(signatures)
    spectra = simulate_gamma(
        [("Cs137", "Ba133")], DETECTOR, 20, counts=(2e4, 2e4), absorbers=[("Fe", 1.2)], seed=3
    )
    result = model.analyze(spectra)
    assert result.quality["thickness"].mean() == pytest.approx(1.2, abs=0.1)


def test_nothing_to_simulate_is_an_error() -> None:
    with pytest.raises(DataError, match="at least one nuclide"):
        simulate_library([], DETECTOR)
    with pytest.raises(DataError, match="is a sequence"):
        simulate_signatures("Cs137", DETECTOR, "Fe", [0.0, 1.0])
    with pytest.raises(LabelError):
        simulate_library(["Xx1"], DETECTOR)
    with pytest.raises(DataError, match="two thicknesses"):
        simulate_signatures(["Cs137"], DETECTOR, "Fe", [1.0])
    with pytest.raises(DataError, match="zero or more"):
        simulate_signatures(["Cs137"], DETECTOR, "Fe", [-1.0, 1.0])
