"""Named parts that the compiled functions pass around; arrays only, so that numba knows them."""

from __future__ import annotations

from typing import Any, NamedTuple

N_NUISANCES = 3  # gain, offset, broadening


class Templates(NamedTuple):
    """Cumulative templates: see :class:`~spectraloom.analyze.likelihood.tables.TemplateTable`.

    Shapes: grid (m,), table and slopes (n_nodes, k, m), nodes (n_nodes,).
    """

    grid: Any
    table: Any
    slopes: Any
    nodes: Any


class Priors(NamedTuple):
    """Which nuisances are fitted, their Gaussian priors and limits: (3,), (3,), (3,), (3, 2).

    The sum of the amounts marked in `member` (k + l,) is drawn to `aim[0]` as if it had been
    measured with the precision (one over variance) `aim[1]`; zero does not draw.
    """

    use: Any
    center: Any
    spread: Any
    bounds: Any
    member: Any
    aim: Any


class Data(NamedTuple):
    """Spectra of one chunk on their bins: y and variance (N, n), edges (n + 1,), extra (N, l, n).

    `extra` are templates that belong to one spectrum and do not move.
    """

    y: Any
    variance: Any
    edges: Any
    extra: Any
    poisson: Any


class Answers(NamedTuple):
    """What a fit fills in: see ``fit_many``."""

    amounts: Any
    theta: Any
    deviance: Any
    iterations: Any
    fitted: Any
    ratios: Any
    covariance: Any


class Pieces(NamedTuple):
    """Where the moved edges fall on the grid: the piece, and the weights of the cubic there."""

    low: Any  # (n + 1,)
    value: Any  # (3, n + 1) weights of rise, left and right slope
    slope: Any  # (3, n + 1) their derivatives by the coordinate
    line: Any  # (2, n + 1) room for one template


class Work(NamedTuple):
    """Room for one fit; A (k + l, n), J (3, n) and mu (n,) belong to the current parameters."""

    A: Any
    J: Any
    mu: Any
    pieces: Pieces
    residual: Any
    weight: Any
    weighted: Any  # (k + l + 3, n) rows of A and J times the weights
    H: Any
    trial: Any
    gradient: Any
    step: Any
    index: Any
    place: Any
    column: Any
    state: Any  # of each parameter in the step: -1 at its low end, 0 free, 1 at its high end
    next_state: Any
    low: Any
    high: Any
    new_a: Any
    new_theta: Any
    new_mu: Any
    chosen: Any
