"""Activities in a decay chain after some time.

H. Bateman, Proc. Cambridge Phil. Soc. 15 (1910) 423: the number of each nuclide is a sum of
exponentials of all decay constants above it. The terms of that sum cancel to many digits, so it is
evaluated with several hundred of them; with floating-point numbers it would be noise for the times
and half-lives of the natural series.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from typing import NamedTuple

# A member ten steps down a series of long-lived nuclides starts as t^10 and less than 1e-150.
_DIGITS = 400
_APART = decimal.Decimal("1e-40")


class Member(NamedTuple):
    """A nuclide in a chain.

    Attributes
    ----------
    half_life : float
        s.
    fed_by : mapping of str to float
        Nuclides that decay to it and the fraction of their decays that do.
    """

    half_life: float
    fed_by: Mapping[str, float]


def activities(chain: Mapping[str, Member], time: float) -> dict[str, float]:
    """Activities in a chain that began as the pure first nuclide.

    Parameters
    ----------
    chain : mapping of str to Member
        Nuclides, each after those that it is fed by.
    time : float
        s since the first nuclide was pure.

    Returns
    -------
    dict of str to float
        Activity of each nuclide over that of the first one at time zero.
    """
    with decimal.localcontext(prec=_DIGITS) as context:
        context.traps[decimal.Underflow] = False
        constants = _decay_constants(chain)
        passed = decimal.Decimal(time)
        remaining = {name: (-constant * passed).exp() for name, constant in constants.items()}
        first = next(iter(chain))
        terms: dict[str, dict[str, decimal.Decimal]] = {}
        found = {}
        for name, member in chain.items():
            terms[name] = _terms(name, member, constants, terms)
            atoms = sum((t * remaining[a] for a, t in terms[name].items()), decimal.Decimal(0))
            found[name] = max(float(atoms * constants[name] / constants[first]), 0.0)
    return found


def _decay_constants(chain: Mapping[str, Member]) -> dict[str, decimal.Decimal]:
    """Decay constants in 1/s; equal ones are moved apart by a part in 1e40."""
    constants: dict[str, decimal.Decimal] = {}
    for name, member in chain.items():
        constant = decimal.Decimal(2).ln() / decimal.Decimal(member.half_life)
        while any(abs(constant - other) < _APART * constant for other in constants.values()):
            constant *= 1 + 2 * _APART
        constants[name] = constant
    return constants


def _terms(
    name: str,
    member: Member,
    constants: Mapping[str, decimal.Decimal],
    above: Mapping[str, Mapping[str, decimal.Decimal]],
) -> dict[str, decimal.Decimal]:
    """Coefficients of the exponentials in the number of atoms, by the nuclide of the exponent."""
    if not above:
        return {name: decimal.Decimal(1)}
    terms: dict[str, decimal.Decimal] = {}
    for parent, fraction in member.fed_by.items():
        rate = decimal.Decimal(fraction) * constants[parent]
        for ancestor, term in above[parent].items():
            grown = rate * term / (constants[name] - constants[ancestor])
            terms[ancestor] = terms.get(ancestor, decimal.Decimal(0)) + grown
    terms[name] = -sum(terms.values(), decimal.Decimal(0))  # none is there at time zero
    return terms
