"""Samples of amounts and deformations from their posterior, as a yardstick of faster intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spectraloom import _lazy
from spectraloom._typing import FloatArray, IntArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.fit import ManifoldFit, fit_manifold, require_list
from spectraloom.analyze.manifold.parts import Counts
from spectraloom.analyze.manifold.table import ManifoldTable
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError

_LEAST_WALKERS = 32
_BURNED = 0.25  # share of the steps before those that are kept
_LONG = 50.0  # autocorrelation times that a chain has to last for its quantiles to be trusted


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Samples of the posterior of one spectrum.

    Parameters
    ----------
    names : tuple of str, length n_names
    latent_names, units : tuple of str, length L
    amounts : ndarray, shape (n_samples, n_names)
    latents : ndarray, shape (n_samples, L)
        In their units.
    acceptance : float
        Share of the proposed steps that were taken; 0.2 to 0.5 is usual.
    autocorrelation : float
        Longest autocorrelation time of all parameters, in steps.
    n_steps : int
        Steps of every walker that were kept.
    """

    names: tuple[str, ...]
    latent_names: tuple[str, ...]
    units: tuple[str, ...]
    amounts: FloatArray
    latents: FloatArray
    acceptance: float
    autocorrelation: float
    n_steps: int

    @property
    def reliable(self) -> bool:
        """Whether the chain lasted for 50 autocorrelation times: if not, take more steps."""
        return bool(self.n_steps >= _LONG * self.autocorrelation)

    def amount_intervals(
        self, level: float = 0.95, kind: Literal["shortest", "central"] = "shortest"
    ) -> FloatArray:
        """Intervals of the amounts, shape (n_names, 2).

        Parameters
        ----------
        level : float
            Probability inside.
        kind : {"shortest", "central"}
            The shortest interval, or one with equal probabilities on both sides.

        Raises
        ------
        DataError
            If the level or the kind is out of range.
        """
        return _intervals(self.amounts, level, kind)

    def latent_intervals(
        self, level: float = 0.95, kind: Literal["shortest", "central"] = "shortest"
    ) -> FloatArray:
        """Intervals of the latents in their units, shape (L, 2).

        The shortest interval depends on the scale that it is short on: here the unit.

        Parameters
        ----------
        level : float
            Probability inside.
        kind : {"shortest", "central"}

        Raises
        ------
        DataError
            If the level or the kind is out of range.
        """
        return _intervals(self.latents, level, kind)


def sample_posterior(
    spectrum: Spectra,
    table: ManifoldTable,
    *,
    names: Sequence[str] | None = None,
    n_steps: int = 2000,
    seed: int = 0,
) -> Posterior:
    """Sample amounts and latents of one spectrum.

    Amounts of zero or more have a flat prior, latents that of the table, flat inside their limits
    where there is none (deformations in the coordinate that fits have: a softened one in its
    logarithm). An ensemble of walkers starts around the fit and moves by differential evolution
    with snooker steps; the first fifth of the steps is dropped.

    Parameters
    ----------
    spectrum : Spectra
        One spectrum.
    table : ManifoldTable
    names : sequence of str, optional
        Sources that may be in the spectrum, all by default; a background always may.
    n_steps : int
        Steps of every walker that are kept.
    seed : int

    Raises
    ------
    MissingExtraError
        If the extra ``sampling`` is not installed.
    DataError
        If there is not exactly one spectrum, nothing to sample, or no step.

    References
    ----------
    D. Foreman-Mackey et al., Publ. Astron. Soc. Pac. 125 (2013) 306, doi:10.1086/670067;
    B. E. Nelson et al., Astrophys. J. Suppl. 210 (2014) 11, doi:10.1088/0067-0049/210/1/11;
    C. J. F. ter Braak, J. A. Vrugt, Stat. Comput. 18 (2008) 435, doi:10.1007/s11222-008-9104-9.
    """
    emcee = _lazy.optional("emcee", extra="sampling")
    if len(spectrum) != 1:
        raise DataError(f"one spectrum is sampled at a time, got {len(spectrum)}")
    if n_steps < 1:
        raise DataError(f"expected at least one step, got {n_steps}")
    if names is not None:
        require_list(names)
        under = [name for name in table.names[len(table.layout.sources) :] if name not in names]
        names = [*names, *under]
    fit = fit_manifold(spectrum, table, names=names)
    free = _free(fit)
    if not len(free):
        raise DataError("there is nothing to sample: no name is allowed and no latent is free")
    rng = np.random.default_rng(seed)
    n_walkers = max(_LEAST_WALKERS, 4 * len(free))
    begin = _scatter(fit, free, n_walkers, rng)
    center = np.concatenate([fit.template_amounts[0], fit.inner[0]])
    log_posterior = _LogPosterior(fit, free, center)
    sampler = emcee.EnsembleSampler(
        n_walkers,
        len(free),
        log_posterior,
        moves=[(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)],
        vectorize=True,
    )
    sampler.random_state = np.random.RandomState(int(rng.integers(2**32))).get_state()
    burned = int(np.ceil(_BURNED * n_steps))
    sampler.run_mcmc(begin, burned + n_steps)
    chain = sampler.get_chain(discard=burned)  # (n_steps, n_walkers, n_free)
    with np.errstate(invalid="ignore", divide="ignore"):  # walkers that never moved
        times = emcee.autocorr.integrated_time(chain, tol=0)
    flat = chain.reshape(-1, len(free))
    k = len(table.groups)
    samples = np.tile(center, (len(flat), 1))
    samples[:, free] = flat
    member = np.equal.outer(table.groups, np.arange(len(table.names))).astype(np.float64)
    return Posterior(
        table.names,
        table.layout.names,
        table.layout.units,
        samples[:, :k] @ member,
        table.layout.to_values(samples[:, k:]),
        float(np.mean(sampler.acceptance_fraction)),
        float(np.max(times)) if np.isfinite(times).all() else np.inf,
        n_steps,
    )


class _LogPosterior:
    """Log posterior of the free parameters at many places at once."""

    def __init__(self, fit: ManifoldFit, free: IntArray, center: FloatArray) -> None:
        from spectraloom.analyze.manifold.blending import make_room
        from spectraloom.analyze.manifold.profiling import fill_log_posterior

        table = fit.table
        self.table, self.free, self.center = table, free, center
        self.fill = fill_log_posterior
        self.counts = Counts(
            as_given(fit.observed), as_given(fit.variances), table.edges, fit.poisson
        )
        self.room = make_room(
            len(table.groups),
            len(table.layout),
            table.nodes.counts.shape[1],
            fit.observed.shape[1],
            table.nodes.table.shape[1],
        )

    def __call__(self, places: FloatArray) -> FloatArray:
        every = np.tile(self.center, (len(places), 1))
        every[:, self.free] = places
        out = np.empty(len(places))
        self.fill(self.counts, 0, self.table.nodes, self.table.prior, every, self.room, out)
        return out


def _free(fit: ManifoldFit) -> IntArray:
    """Numbers of the amounts that are allowed and the latents that have a range."""
    spans = np.ptp(fit.table.prior.bounds, axis=1) > 0
    return np.flatnonzero(np.concatenate([fit.allowed[0], spans]))


def _scatter(
    fit: ManifoldFit, free: IntArray, n_walkers: int, rng: np.random.Generator
) -> FloatArray:
    """Places to begin from: around the fit as wide as its uncertainties, inside the limits."""
    k = fit.template_amounts.shape[1]
    bounds = fit.table.prior.bounds
    center = np.concatenate([fit.template_amounts[0], fit.inner[0]])
    spread = np.sqrt(np.maximum(np.diagonal(fit.covariance[0]), 0.0))
    totals = np.abs(fit.observed[0]).sum() if fit.poisson else center[:k].max() ** 2
    absent = np.arange(len(spread)) < k
    # What the fit left at a limit has no uncertainty there, but one all the same.
    spread = np.where(absent & (spread <= 0), 0.1 * np.sqrt(totals + 1.0), spread)
    wide = np.concatenate([np.full(k, np.inf), 0.25 * np.ptp(bounds, axis=1)])
    spread = np.where(~absent & (spread <= 0), wide, np.minimum(spread, wide))
    places = center + spread * rng.standard_normal((n_walkers, len(center)))
    places[:, :k] = np.abs(places[:, :k])
    low, high = bounds[:, 0], bounds[:, 1]
    latents = np.where(places[:, k:] < low, 2 * low - places[:, k:], places[:, k:])
    latents = np.where(latents > high, 2 * high - latents, latents)
    places[:, k:] = np.clip(latents, low, high)
    return places[:, free]


def _intervals(samples: FloatArray, level: float, kind: str) -> FloatArray:
    if not 0 < level < 1:
        raise DataError(f"a level lies between 0 and 1, got {level!r}")
    if kind == "central":
        return np.quantile(samples, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0).T
    if kind != "shortest":
        raise DataError(f"an interval is 'shortest' or 'central', got {kind!r}")
    ordered = np.sort(samples, axis=0)
    n = len(ordered)
    inside = min(int(np.ceil(level * n)), n - 1)
    first = np.argmin(ordered[inside:] - ordered[: n - inside], axis=0)
    columns = np.arange(samples.shape[1])
    return np.stack([ordered[first, columns], ordered[first + inside, columns]], axis=1)
