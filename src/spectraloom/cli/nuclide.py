"""The command nuclide: half-life, decays and lines of a nuclide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectraloom.cli.options import AsJson
from spectraloom.cli.show import print_json, print_lines, print_pairs, print_text

if TYPE_CHECKING:
    from spectraloom.physics import Nuclide
    from spectraloom.physics.gamma import EmissionLines

_MOST_LINES = 40
_MODES = {"alpha": "alpha", "beta-": "beta-", "ec/beta+": "capture or beta+", "it": "isomeric"}


def nuclide(
    name: Annotated[str, typer.Argument(help="For example Eu-152, Ba137m or 40K.")],
    age: Annotated[
        str | None,
        typer.Option(
            help="Time since it was pure, e.g. '20 y' (units s, min, h, d, y, ky, My, Gy).",
            show_default="short-lived daughters in equilibrium",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List half-life, decays and photon lines of a nuclide and its daughters.

    Example: `spectraloom nuclide Ra-226 --age '30 d'`
    """
    from spectraloom.physics import nuclide as find

    found = find(name)
    if age is None:
        amounts, lines = found.equilibrium, found.lines
    else:
        amounts, lines = found.activities(age), found.aged(age)
    if as_json:
        print_json(_facts(found, age, amounts, lines))
        return
    _show(found, age, amounts, lines)


def _show(found: Nuclide, age: str | None, amounts: dict[str, float], lines: EmissionLines) -> None:
    from spectraloom.physics import nuclide as find
    from spectraloom.physics.gamma import in_words

    others = {name: value for name, value in amounts.items() if name != found.name and value > 0}
    pairs: dict[str, object] = {
        "half-life": in_words(found.half_life),
        "decays": "\n".join(
            f"{decay.fraction:.5g} to {decay.daughter} ({_MODES[decay.mode]})"
            for decay in found.decays
        ),
        "pure": f"{found.specific_activity:.4g} Bq/g",
        "lines from": found.source,
    }
    if age is None and others:
        pairs["in equilibrium"] = ", ".join(
            f"{find(name).label} {value:.4g}" for name, value in others.items()
        )
    elif age is not None:
        pairs[f"after {age}"] = ", ".join(
            f"{find(name).label} {value:.4g}" for name, value in amounts.items() if value >= 1e-6
        )
    print_pairs(pairs, title=found.label)
    strong = sorted(lines.rows, key=lambda line: -line.intensity)[:_MOST_LINES]
    if not strong:
        print_text("It emits no photons of 1 keV or more in one of a million decays.")
        return
    unit = "photons per decay" if age is None else "photons/s per Bq at the start"
    print_lines(
        [
            {
                "keV": f"{line.energy:.2f}",
                unit: f"{line.intensity:.4g}",
                "+-": f"{line.intensity_uncertainty:.1g}",
                "kind": line.kind,
                "emitter": find(line.emitter).label,
            }
            for line in sorted(strong)
        ]
    )
    if len(lines) > len(strong):
        print_text(f"{len(lines) - len(strong)} weaker lines are left out; --json has all.")


def _facts(
    found: Nuclide, age: str | None, amounts: dict[str, float], lines: EmissionLines
) -> dict[str, Any]:
    from spectraloom.physics.gamma import seconds

    return {
        "name": found.label,
        "half_life_s": found.half_life,
        "specific_activity_bq_per_g": found.specific_activity,
        "source": found.source,
        "decays": [decay._asdict() for decay in found.decays],
        "age_s": None if age is None else seconds(age),
        "activities": amounts,
        "intensities": "photons per decay" if age is None else "photons/s per Bq at the start",
        "lines": [line._asdict() for line in lines.rows],
    }
