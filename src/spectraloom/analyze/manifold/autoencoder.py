"""Signatures learned by an interpolatory autoencoder, from labelled spectra."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils.parallel import Parallel, delayed

from spectraloom._typing import Array, FloatArray, IntArray, Progress
from spectraloom.analyze.manifold.interpolated import training_coordinates
from spectraloom.analyze.manifold.signature import N_NODES, Deformation, TabulatedSignature
from spectraloom.analyze.manifold.weight_path import WeightPath
from spectraloom.data import Axis, Spectra
from spectraloom.data.library import single_labels
from spectraloom.errors import FitError, LabelError

if TYPE_CHECKING:
    from spectraloom.nets import InterpolatoryAutoencoder, LearningSettings

_VALIDATION_EVERY = 8  # of the values between the anchors, in their order
_LEAST_BESIDE = 2  # values beside the anchors: one to train on, one to validate with
_PLACES = 513  # along a path, at which the likelihood of a spectrum is asked
_LEAST_SHARE = 1e-12  # of a channel in a likelihood: a network may decode to nothing


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LearnedSignature:
    """Signatures that an interpolatory autoencoder learned to deform, as a table.

    A network encodes the spectra of one source, or of all sources jointly, as mixtures of a few
    anchors, and decodes mixtures. Along the deformation the weights of the mixture follow a
    monotone path through those that are likeliest for the training spectra; the signatures on that
    path are tabulated after the training, so that neither a fit nor a loaded model needs torch.

    Build one with :meth:`from_spectra` rather than directly.

    Parameters
    ----------
    table : TabulatedSignature
        Signatures on equally spaced nodes of the unit coordinate.
    card : mapping
        Settings, hash of the data, and what happened in the training; JSON types only.
    state : mapping of str to ndarray
        Parameters of the networks and their paths, ``"0.<parameter>"`` for the first network.

    Notes
    -----
    J. Bobin, R. Carloni Gertosio, C. Bobin, C. Thiam, "Non-linear interpolation learning for
    example-based inverse problem regularization", 2023; for gamma-ray spectra Phan et al., SemSun
    (2024). The path, and with it a deformation in its own unit, is added here.
    """

    table: TabulatedSignature
    card: Mapping[str, Any]
    state: Mapping[str, Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "card", MappingProxyType(dict(self.card)))
        object.__setattr__(self, "state", MappingProxyType(dict(self.state)))

    @staticmethod
    def from_spectra(
        spectra: Spectra,
        deformation: str | Deformation = "thickness",
        *,
        joint: bool = True,
        anchors: int | Sequence[float] = 2,
        unit: str = "mm",
        softening: float | None = 0.3,
        settings: LearningSettings | None = None,
        labels: str = "labels",
        folder: str | Path | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> LearnedSignature:
        """Train on labelled spectra (needs the extra ``deep``).

        Every eighth value of the deformation between the anchors is kept for early stopping.

        Parameters
        ----------
        spectra : Spectra
            Each with exactly one label, zero or more in every channel. Spectra of one source at
            one value are summed.
        deformation : str or Deformation
            Column that holds the coordinate; its range is that of the training spectra. A
            `Deformation` gives name, unit, range and softening itself; where its range is wider
            than that of the spectra, the signatures are held constant.
        joint : bool
            One network for all sources, with one set of weights, from the values at which every
            source was seen; else one network per source.
        anchors : int or sequence of float
            How many, at least two: both ends of the range, and quantiles of the training values
            between them. Or their values in the unit of the deformation, both ends included.
        unit : str
            Unit of the column, if `deformation` is its name.
        softening : float or None
            As in `Deformation`, if `deformation` is its name.
        settings : spectraloom.nets.LearningSettings, optional
            Sizes of the network, noise, and everything about the training.
        labels : str
            Column that holds the labels.
        folder : path, optional
            Where checkpoints are kept, a folder in it for each network.
        resume : bool
            Go on from the checkpoints in `folder`; networks without one start anew.
        progress : callable, optional
            Called with the fraction done and what is being done.

        Raises
        ------
        LabelError
            If a column is absent.
        DataError
            If a spectrum has no label or several.
        FitError
            If a coordinate is unknown or out of range, a spectrum is negative or empty, there are
            too few values, or the training fails.
        MissingExtraError
            If torch or lightning is not installed.
        """
        from spectraloom import nets

        settings = settings or nets.LearningSettings()
        if resume and folder is None:
            raise FitError("there is no training to resume: give the folder of its checkpoints")
        values = training_coordinates(spectra, deformation)
        if isinstance(deformation, str):
            low, high = _range(values, deformation)
            deformation = Deformation(deformation, unit, low, high, softening)
        given = single_labels(spectra, labels)
        names = tuple(sorted(set(given.tolist())))
        groups = [names] if joint else [(name,) for name in names]
        jobs = []
        for number, group in enumerate(groups):
            rows = np.isin(given, group)
            examples = _examples(spectra[rows], values[rows], given[rows], group)
            place = None if folder is None else Path(folder) / str(number)
            again = resume and place is not None and (place / nets.CHECKPOINT).is_file()
            jobs.append((examples, deformation, anchors, settings, _Run(place, again, None)))
        if resume and not any(run.resume for *_, run in jobs):
            raise FitError(f"there is no training to resume: {folder} has no checkpoints")
        learned = _learn_all(jobs, progress)
        table = np.concatenate([one.table for one in learned], axis=1)
        card = {
            "joint": bool(joint),
            "settings": asdict(settings),
            "data": spectra.fingerprint(),
            "networks": [one.card for one in learned],
        }
        state = {f"{i}.{key}": a for i, one in enumerate(learned) for key, a in one.state.items()}
        card = json.loads(json.dumps(card))  # as it comes back from a file: lists, no tuples
        tabulated = TabulatedSignature(spectra.axis, names, (deformation,), table)
        return LearnedSignature(tabulated, card, state)

    # -- a signature model -----------------------------------------------------------------------

    @property
    def axis(self) -> Axis:
        """Axis of the signatures."""
        return self.table.axis

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources."""
        return self.table.names

    @property
    def deformations(self) -> tuple[Deformation, ...]:
        """The one deformation."""
        return self.table.deformations

    def signature(self, values: npt.ArrayLike) -> FloatArray:
        """Signatures of all sources, shape (k, n_channels), from the table.

        Parameters
        ----------
        values : array_like, shape (1,) or a number
            Value of the deformation in its unit.

        Raises
        ------
        DataError
            If the value lies outside the range.
        """
        return self.table.signature(values)

    def derivative(self, values: npt.ArrayLike) -> FloatArray:
        """Derivative of :meth:`signature` by the value in its unit, shape (1, k, n_channels).

        Parameters
        ----------
        values : array_like, shape (1,) or a number
            Value of the deformation in its unit.

        Raises
        ------
        DataError
            If the value lies outside the range.
        """
        return self.table.derivative(values)

    # -- what is behind the table ----------------------------------------------------------------

    def path(self, name: str) -> WeightPath:
        """Path of the barycentric weights of a source.

        Raises
        ------
        LabelError
            If there is no such source.
        """
        number = self._number(name)
        return WeightPath(self.state[f"{number}.path.knots"], self.state[f"{number}.path.steps"])

    def network(self, name: str) -> InterpolatoryAutoencoder:
        """Network of a source, rebuilt from its parameters (needs the extra ``deep``).

        Its channels are the first ones of the axis, as many as the card says; its sources those
        that the card names.

        Raises
        ------
        LabelError
            If there is no such source.
        MissingExtraError
            If torch is not installed.
        """
        from spectraloom import nets

        head = f"{self._number(name)}.network."
        state = {key.removeprefix(head): a for key, a in self.state.items() if key.startswith(head)}
        layers = self.card["settings"]["layers"]
        sizes = {key: tuple(value) for key, value in layers.items()}
        return nets.rebuild_interpolation(state, nets.InterpolatoryLayers(**sizes))

    def _number(self, name: str) -> int:
        for number, one in enumerate(self.card["networks"]):
            if name in one["names"]:
                return number
        raise LabelError(f"there is no signature of {name}; there are {', '.join(self.names)}")

    def __repr__(self) -> str:
        kind = "joint" if self.card["joint"] else "individual"
        return f"<LearnedSignature: {kind}, {self.table!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be sent to worker processes; plain ones can.
        return LearnedSignature, (self.table, dict(self.card), dict(self.state))


def _learn_all(jobs: Sequence[tuple[Any, ...]], progress: Progress | None) -> list[_Learned]:
    """Train one network here, several in as many processes as there are cores.

    A training uses one core, whatever the others do, so that its outcome depends on none of them.
    """
    cores = min(os.cpu_count() or 1, len(jobs))
    if cores == 1:
        learned = []
        for number, (examples, deformation, anchors, settings, run) in enumerate(jobs):
            here = run._replace(progress=_share(progress, number, len(jobs)))
            learned.append(_learn(examples, deformation, anchors, settings, here))
        return learned
    done = []
    outcomes = Parallel(cores, return_as="generator")(delayed(_learn)(*job) for job in jobs)
    for number, one in enumerate(outcomes, 1):
        done.append(one)
        if progress is not None:
            progress(number / len(jobs), f"{number} of {len(jobs)} networks are trained")
    return done


class _Examples(NamedTuple):
    """Training spectra of the sources of one network, in the order of the deformation."""

    names: tuple[str, ...]
    values: FloatArray  # (n,)
    signatures: FloatArray  # (n, k, n_channels), of unit area


class _Run(NamedTuple):
    """Where a training keeps its checkpoints, and whom it tells."""

    folder: Path | None
    resume: bool
    progress: Progress | None


class _Learned(NamedTuple):
    """One trained network: its part of the table, of the card and of the state."""

    table: FloatArray  # (N_NODES, k, n_channels)
    card: dict[str, Any]
    state: dict[str, Array]


def _learn(
    examples: _Examples,
    deformation: Deformation,
    anchors: int | Sequence[float],
    settings: LearningSettings,
    run: _Run,
) -> _Learned:
    """Train one network, find the path of its weights, and tabulate it."""
    from spectraloom import nets

    values, signatures = examples.values, examples.signatures
    chosen = _choose_anchors(values, anchors)
    held = _choose_validation(len(values), chosen)
    # Beyond the last count there is nothing to learn.
    filled = int(np.flatnonzero(signatures.any(axis=(0, 1)))[-1]) + 1
    used = min(max(filled, settings.layers.least_channels), signatures.shape[2])
    learned = nets.learn_interpolation(
        signatures[..., :used], chosen, held, settings, **run._asdict()
    )

    def decode(weights: FloatArray) -> FloatArray:
        return nets.decode_interpolation(learned.state, settings.layers, weights)

    places = deformation.to_unit(values)
    first = WeightPath.fit(places, learned.weights)
    path = _likeliest_path(first, decode, places, signatures[..., :used])

    def decoded(places: FloatArray) -> FloatArray:
        full = np.zeros((len(places), *signatures.shape[1:]))
        full[..., :used] = decode(path.at(places))
        return full

    errors = _error_db(decoded(deformation.to_unit(values[held])), signatures[held])
    card = {
        "names": list(examples.names),
        "n_channels": used,
        "anchors": values[chosen].tolist(),
        "values": values.tolist(),
        "validation": values[held].tolist(),
        "scores_db": list(learned.record.scores),
        "best_step": learned.record.best_step,
        "n_steps": learned.record.n_steps,
        "validation_nmse_db": {
            name: float(np.median(column))
            for name, column in zip(examples.names, errors.T, strict=True)
        },
    }
    state = {f"network.{key}": array for key, array in learned.state.items()}
    state |= {"path.knots": path.knots, "path.steps": path.steps}
    return _Learned(decoded(np.linspace(0.0, 1.0, N_NODES)), card, state)


def _likeliest_path(
    first: WeightPath,
    decode: Callable[[FloatArray], FloatArray],
    places: FloatArray,
    signatures: FloatArray,
) -> WeightPath:
    """Path through the weights that are likeliest for each spectrum.

    The weights that the encoder finds are those of nearest codes; fits know of likelihood only, and
    where the two differ, the sources of a mixture would disagree on how far they are deformed.

    Parameters
    ----------
    first : WeightPath
        Through the weights that the encoder finds; the likeliest ones are looked for on it.
    decode : callable
        Signatures, (m, k, n_channels), of weights, (m, n_anchors).
    places : (n,), unit coordinates
    signatures : (n, k, n_channels), of unit area
    """
    along = np.linspace(0.0, 1.0, _PLACES)
    logs = np.log(np.maximum(decode(first.at(along)), _LEAST_SHARE)).reshape(_PLACES, -1)
    # Unlike the product of matrices, the same digits for any number of threads.
    likelihood = np.einsum("nc,pc->np", signatures.reshape(len(signatures), -1), logs)
    rows, best = np.arange(len(places)), likelihood.argmax(axis=1)
    middle = np.clip(best, 1, _PLACES - 2)
    low, top, high = (likelihood[rows, middle + step] for step in (-1, 0, 1))
    bend = low - 2.0 * top + high
    # The top of the parabola through three neighbours; at an end of the path there is none.
    inside = (best == middle) & (bend < 0)
    beyond = np.where(inside, 0.5 * (low - high) / np.where(inside, bend, 1.0), best - middle)
    likeliest = (middle + np.clip(beyond, -1.0, 1.0)) / (_PLACES - 1)
    return WeightPath.fit(places, first.at(likeliest))


def _examples(
    spectra: Spectra, values: FloatArray, given: Array, names: tuple[str, ...]
) -> _Examples:
    """Sum the spectra of a source at a value, and keep the values at which all sources are."""
    if spectra.kind == "complex" or spectra.values.min() < 0:
        raise FitError(
            "signatures are real and zero or more, but a training spectrum is not: do not subtract "
            "a background from it, or take its magnitude"
        )
    places, inverse = np.unique(values, return_inverse=True)
    sums = np.zeros((len(places), len(names), spectra.n_channels))
    column = np.array([names.index(name) for name in given])
    np.add.at(sums, (inverse, column), spectra.values)
    seen = np.zeros(sums.shape[:2], dtype=bool)
    seen[inverse, column] = True
    totals = sums.sum(axis=2)
    if not (totals[seen] > 0).all():
        row, source = np.argwhere(seen & (totals <= 0))[0]
        raise FitError(f"the training spectra of {names[source]} at {places[row]:g} are empty")
    complete = seen.all(axis=1)
    if not complete.any():
        raise FitError(
            "joint signatures are learned at the values where every source was seen, but there "
            "are none: train with joint=False"
        )
    return _Examples(names, places[complete], sums[complete] / totals[complete][..., np.newaxis])


def _range(values: FloatArray, name: str) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise FitError(f"all training spectra have {name} {low:g}: expected different values")
    return low, high


def _choose_anchors(values: FloatArray, anchors: int | Sequence[float]) -> IntArray:
    """Rows of the anchors, in the order of the deformation."""
    if isinstance(anchors, (int, np.integer)):
        if anchors < 2 or len(values) < anchors + _LEAST_BESIDE:
            raise FitError(
                "expected at least two anchors and "
                f"{_LEAST_BESIDE} further values of the deformation to train on, got {anchors} "
                f"anchors and {len(values)} values in all"
            )
        return np.round(np.linspace(0, len(values) - 1, anchors)).astype(np.int64)
    given = np.unique(np.asarray(anchors, dtype=np.float64))
    rows = np.flatnonzero(np.isin(values, given))
    ends = len(given) >= 2 and given[0] == values[0] and given[-1] == values[-1]
    if len(rows) != len(given) or not ends or len(values) < len(rows) + _LEAST_BESIDE:
        raise FitError(
            f"expected anchors at training values, from {values[0]:g} to {values[-1]:g}, and "
            f"{_LEAST_BESIDE} further training values; got {list(anchors)}"
        )
    return rows.astype(np.int64)


def _choose_validation(n: int, anchors: IntArray) -> IntArray:
    """Rows that are kept for early stopping: every eighth, and one at least."""
    between = np.setdiff1d(np.arange(n), anchors)
    start = min(_VALIDATION_EVERY, len(between)) // 2
    return between[start::_VALIDATION_EVERY]


def _error_db(estimate: FloatArray, truth: FloatArray) -> FloatArray:
    """Normalised square error in decibels, (n, k); fidelity is its negative."""
    error = np.sum((estimate - truth) ** 2, axis=2) / np.sum(truth**2, axis=2)
    return 10.0 * np.log10(np.maximum(error, np.finfo(float).tiny))


def _share(progress: Progress | None, number: int, total: int) -> Progress | None:
    """Progress of one of several trainings."""
    if progress is None:
        return None
    told = progress

    def tell(done: float, what: str) -> None:
        told((number + done) / total, what if total == 1 else f"network {number + 1}: {what}")

    return tell
