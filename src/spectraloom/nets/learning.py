"""Interpolatory autoencoders from arrays: learned from spectra, rebuilt, decoded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spectraloom._lazy import optional
from spectraloom._typing import Array, FloatArray, IntArray, Progress
from spectraloom.errors import FitError, FormatError
from spectraloom.nets.interpolatory import (
    InterpolatoryAutoencoder,
    InterpolatoryLayers,
    amplitudes,
)
from spectraloom.nets.training import (
    TrainingRecord,
    TrainingSettings,
    one_thread,
    train,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = optional("torch", extra="deep")

_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """How an interpolatory autoencoder is learned.

    Parameters
    ----------
    layers : InterpolatoryLayers
        Sizes of the network.
    training : TrainingSettings
        Steps, learning rate, early stopping, seed.
    batch_size : int
        Training spectra in a step.
    noise_db : float
        Signal-to-noise ratio, in decibels, of the Gaussian noise that is added to the amplitudes
        that are encoded. Those that shall be decoded stay as they are: noise there only slows the
        training down.
    code_weight : float
        Weight mu of the error of the codes in the loss.

    Raises
    ------
    FitError
        If a number is out of range.
    """

    layers: InterpolatoryLayers = field(default_factory=InterpolatoryLayers)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    batch_size: int = 12
    noise_db: float = 30.0
    code_weight: float = 1e-3

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.code_weight < 0 or not np.isfinite(self.noise_db):
            raise FitError(
                "batch_size is at least one, code_weight zero or more and noise_db a finite "
                f"number; got {self.batch_size}, {self.code_weight} and {self.noise_db}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class LearnedInterpolation:
    """What was learned, as plain arrays.

    Attributes
    ----------
    state : dict of str to ndarray
        Parameters of the network; :func:`rebuild_interpolation` makes it of them again.
    weights : ndarray, shape (n_spectra, n_anchors)
        Barycentric weights of all spectra, those of the validation included.
    record : TrainingRecord
        What happened; scores are the mean normalised square error of the amplitudes (square
        roots) of the validation spectra, in decibels.
    """

    state: dict[str, Array]
    weights: FloatArray
    record: TrainingRecord


def learn_interpolation(
    spectra: FloatArray,
    anchors: Sequence[int] | IntArray,
    validation: Sequence[int] | IntArray,
    settings: LearningSettings,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> LearnedInterpolation:
    """Learn how spectra deform between anchors.

    Parameters
    ----------
    spectra : ndarray, shape (n_spectra, n_sources, n_channels)
        Of unit area; the sources of a row are deformed alike.
    anchors : sequence of int
        Rows that are anchors, at least two.
    validation : sequence of int
        Rows that are kept for early stopping; no anchors.
    settings : LearningSettings
    folder, resume, progress
        As in :func:`spectraloom.nets.train`.

    Raises
    ------
    FitError
        If no row is left to train on or to validate with, or the training fails.
    """
    rows = np.arange(len(spectra))
    held, ends = np.asarray(validation, dtype=np.int64), np.asarray(anchors, dtype=np.int64)
    body = np.setdiff1d(rows, held)  # the anchors, too, shall come out as they went in
    if len(body) <= len(ends) or not len(held) or np.intersect1d(held, ends).size:
        raise FitError(
            "expected at least one spectrum to train on and one to validate with, beside the "
            f"anchors; got {len(body) - len(ends)} and {len(held)}"
        )
    data = torch.as_tensor(np.ascontiguousarray(spectra, dtype=np.float32))
    network = _new_network(data[ends], settings)
    given, truth = amplitudes(data[body]), amplitudes(data[held])
    spread = 10.0 ** (-settings.noise_db / 20.0)  # the mean square of amplitudes is one
    size = min(settings.batch_size, len(body))

    def loss(network: InterpolatoryAutoencoder, generator: torch.Generator) -> Tensor:
        batch = torch.randperm(len(given), generator=generator)[:size]
        noise = torch.randn(given[batch].shape, generator=generator) * spread
        return network.loss(given[batch] + noise, given[batch], settings.code_weight)

    def score(network: InterpolatoryAutoencoder) -> float:
        with torch.no_grad():
            estimate = amplitudes(network.at(network.project(data[held])))
        error = (estimate - truth).square().mean(dim=2)
        return float(10.0 * torch.log10(error + _FLOOR).mean())

    record = train(
        network,
        loss,
        score,
        settings.training,
        identity=_identity(spectra, ends, held, settings),
        folder=folder,
        resume=resume,
        progress=progress,
    )
    with torch.no_grad(), one_thread():
        weights = network.double().project(
            torch.as_tensor(np.ascontiguousarray(spectra, dtype=np.float64))
        )
    state = {name: value.numpy().copy() for name, value in network.float().state_dict().items()}
    return LearnedInterpolation(state, weights.numpy(), record)


def rebuild_interpolation(
    state: Mapping[str, Array], layers: InterpolatoryLayers
) -> InterpolatoryAutoencoder:
    """Network of stored parameters.

    Raises
    ------
    FormatError
        If the parameters do not fit the sizes.
    """
    tensors = {name: torch.as_tensor(np.array(value)) for name, value in state.items()}
    if "anchors" not in tensors:
        raise FormatError("the parameters of an interpolatory autoencoder hold its anchors")
    network = InterpolatoryAutoencoder(tensors["anchors"].square(), layers)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise FormatError(f"the parameters do not fit the layers {layers}") from error
    return network.eval()


def decode_interpolation(
    state: Mapping[str, Array], layers: InterpolatoryLayers, weights: FloatArray
) -> FloatArray:
    """Spectra at barycentric weights, in double precision.

    Parameters
    ----------
    state, layers
        As in :func:`rebuild_interpolation`.
    weights : ndarray, shape (n, n_anchors)

    Returns
    -------
    ndarray, shape (n, n_sources, n_channels)
        Zero or more, of unit area.

    Raises
    ------
    FitError
        If the network gives an empty spectrum.
    """
    network = rebuild_interpolation(state, layers).double()
    with torch.no_grad(), one_thread():
        decoded = network.at(torch.as_tensor(weights, dtype=torch.float64)).numpy()
    areas = decoded.sum(axis=2, keepdims=True)
    if not (areas > 0).all():
        raise FitError("the network decodes to an empty spectrum: train it for more steps")
    return np.asarray(decoded / areas)


def _identity(
    spectra: FloatArray, anchors: IntArray, validation: IntArray, settings: LearningSettings
) -> str:
    """Hash of all that decides what is learned."""
    said = [asdict(settings), spectra.shape, anchors.tolist(), validation.tolist()]
    digest = hashlib.sha256(json.dumps(said).encode())
    digest.update(np.ascontiguousarray(spectra, dtype=np.float64).tobytes())
    return digest.hexdigest()


def _new_network(anchors: Tensor, settings: LearningSettings) -> InterpolatoryAutoencoder:
    """Network with parameters drawn from the seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.training.seed)
        return InterpolatoryAutoencoder(anchors, settings.layers)
