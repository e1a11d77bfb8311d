"""Named parts that the compiled functions pass around; arrays only, so that numba knows them."""

from __future__ import annotations

from typing import Any, NamedTuple

N_NUISANCES = 3  # gain, offset, broadening

MU, NEW_MU, RESIDUAL, WEIGHT = range(4)
GRADIENT, STEP, COLUMN, LOW, HIGH = range(5)
# Which parameter; which is free; -1 at its low end, 0 free, 1 at its high end; templates to move.
INDEX, PLACE, STATE, NEXT_STATE, CHOSEN = range(5)


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


class Demands(NamedTuple):
    """What a name has to reach to be found: see ``ratio_limits_many``.

    Shapes: critical (N, n_groups) ratios and least (N, n_groups) amounts; dispersion (N,), the
    factor by which ratios are divided before they are judged. `quantile` is that of the Gaussian
    distribution for the probability to miss a limit, `silent` the counts that a source with this
    probability sends none of.
    """

    critical: Any
    least: Any
    dispersion: Any
    quantile: Any
    silent: Any


class Pieces(NamedTuple):
    """Where the moved edges fall on the grid: the piece, and the weights of the cubic there."""

    low: Any  # (n + 1,)
    value: Any  # (3, n + 1) weights of rise, left and right slope
    slope: Any  # (3, n + 1) their derivatives by the coordinate
    line: Any  # (2, n + 1) room for one template


class Work(NamedTuple):
    """Room for one fit; A, J and mu belong to the current parameters.

    The vectors of a kind are rows of one array, named by the constants of this module: compiled
    code passes every array of a tuple on by itself.
    """

    A: Any  # (k + l, n) templates
    J: Any  # (3, n) derivatives of mu by the nuisances
    channel: Any  # (4, n) MU ... WEIGHT
    pieces: Pieces
    weighted: Any  # (k + l + 3, n) rows of A and J times the weights
    H: Any  # (k + l + 3, k + l + 3) information of the parameters in the step
    trial: Any  # the same for those that are free
    parameter: Any  # (5, k + l + 3) GRADIENT ... HIGH
    number: Any  # (5, k + l + 3) INDEX ... CHOSEN
    new_a: Any
    new_theta: Any
