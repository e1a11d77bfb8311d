"""Named parts that the compiled functions pass around; arrays only, so that numba knows them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Nodes(NamedTuple):
    """Templates at the nodes of their deformations.

    On fixed bins `table` holds counts per bin. Where gain and offset move the bins, it holds
    cumulative templates on `grid`, and `slopes` their densities there.
    """

    table: Any  # (n_rows, m) every node of every template
    slopes: Any  # (n_rows, m), or (0, m) on fixed bins
    grid: Any  # (m,)
    first: Any  # (k,) first row of each template
    counts: Any  # (k, d) nodes along each of its coordinates; 1 where it has none
    latent: Any  # (k, d) latent that each coordinate is, -1 for none
    along: Any  # (L,) nodes along each latent, 0 for gain and offset
    moved: Any  # (2,) latents that are gain and offset; -1 on fixed bins


class Prior(NamedTuple):
    """Gaussian prior and limits of the latents: (L,), (L, L), (L, 2).

    Along a profile of the likelihood, the sum of the amounts marked in `member` (k,) is drawn to
    `aim[0]` as if it had been measured with the precision (one over variance) `aim[1]`; zero does
    not draw.
    """

    center: Any
    precision: Any
    bounds: Any
    member: Any
    aim: Any


class Counts(NamedTuple):
    """Spectra of one chunk on their bins: y and variance (N, n), edges (n + 1,)."""

    y: Any
    variance: Any
    edges: Any
    poisson: Any


class Found(NamedTuple):
    """What a fit fills in, for N spectra."""

    amounts: Any  # (N, k)
    latents: Any  # (N, L)
    deviance: Any  # (N,)
    iterations: Any  # (N,) negative if there was no convergence
    fitted: Any  # (N, n)
    covariance: Any  # (N, k + L, k + L)


class Starts(NamedTuple):
    """Where fits may start: latents, and templates there on coarse bins."""

    latents: Any  # (S, L)
    templates: Any  # (S, k, c)
    coarse: Any  # (n,) coarse bin of each bin


class Room(NamedTuple):
    """Room for one fit. Rows, mean and weights belong to the current parameters.

    The first k of `rows` are the templates, the others the derivatives of the expected counts by
    the latents.
    """

    rows: Any  # (k + L, n)
    weighted: Any  # (k + L, n)
    channel: Any  # (4, n) MU ... WEIGHT
    grid: Any  # (4 + 2 L, m) blended templates and their mixtures on the grid
    pieces: Any
    H: Any  # (k + L, k + L) information of the parameters in the step
    trial: Any  # the same for those that are free
    parameter: Any  # (5, k + L) GRADIENT ... HIGH
    number: Any  # (5, k + L) INDEX ... CHOSEN
    new_a: Any
    new_s: Any
    wanted: Any  # (k,) templates that are to be placed
    weight: Any  # (k, 1 + d, 4**d) weights of the nodes, and their derivatives by each coordinate
    node: Any  # (k, 4**d) rows of the table
    size: Any  # (k,) how many of them
    first: Any  # (L,) first of the nodes around each latent
    near: Any  # (L, 2, 4) weights of these four nodes, and their derivatives


class Problem(NamedTuple):
    """What is chosen from, and by which rule."""

    counts: Counts
    nodes: Nodes
    prior: Prior
    starts: Starts
    always: Any  # (k,) templates that are in every set; the others are one source each
    pieces: Any  # (k, P) lengths of the curve of normalised scores of each source
    own: Any  # (k,) latent that is the deformation of each source, -1 for none
    individual: Any  # bool, whether each source has a deformation of its own
    alpha: Any  # probability that any source is added by chance
    tolerance: Any


class Trial(NamedTuple):
    """Room for a selection."""

    amounts: Any  # (S, k) of the starts
    misfits: Any  # (S,)
    coarse: Any  # (c,)
    a: Any  # the set that is tried
    s: Any
    best_a: Any  # the best of those that were tried
    best_s: Any
    taken: Any  # (1,) iterations of the last fit, negative if it did not converge
    covariance: Any  # (k + L, k + L) what a set tells of amounts and latents
    room: Room
