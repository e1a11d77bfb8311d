"""The one training loop: validation, early stopping, averaged weights, checkpoints, resume."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spectraloom._lazy import optional
from spectraloom._typing import Progress
from spectraloom.errors import FitError

if TYPE_CHECKING:
    import lightning.pytorch as lightning
    import torch
    from torch import Tensor
else:
    torch = optional("torch", extra="deep")
    lightning = optional("lightning.pytorch", extra="deep")

CHECKPOINT = "last.ckpt"
# One thread: what is summed in parts by several threads depends, in its last digits, on their
# number; and networks of this size are no faster with more.
_THREADS = 1
_WARM_UP = 0.1  # of all steps, in which the learning rate rises


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a network is trained, whatever it is.

    Adam with a one-cycle learning rate (Smith and Topin 2019, doi:10.1117/12.2520589): it rises
    over the first tenth of the steps and falls along a cosine to almost nothing at the last.
    Judged, and kept, are running averages of the weights (Polyak and Juditsky 1992,
    doi:10.1137/0330046).

    Parameters
    ----------
    n_steps : int
        Number of steps, if nothing stops the training earlier.
    learning_rate : float
        Highest learning rate.
    averaging : float
        What the average keeps of itself at a step, between zero (no averaging) and one.
    steps_per_check : int
        After how many steps the network is validated, and a checkpoint is written.
    patience : int
        Training stops after so many checks in a row without a better score. The last gains come
        while the learning rate falls: a pause before says little.
    seed : int
        Seed of everything that is drawn.

    Raises
    ------
    FitError
        If a number is out of range.
    """

    n_steps: int = 4000
    learning_rate: float = 1e-2
    averaging: float = 0.99
    steps_per_check: int = 50
    patience: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.n_steps, self.steps_per_check, self.patience) < 1:
            raise FitError(
                "n_steps, steps_per_check and patience are at least one, got "
                f"{self.n_steps}, {self.steps_per_check} and {self.patience}"
            )
        if self.n_steps % self.steps_per_check:
            raise FitError(
                f"n_steps is a multiple of steps_per_check, got {self.n_steps} and "
                f"{self.steps_per_check}"
            )
        if not self.learning_rate > 0 or not 0 <= self.averaging < 1 or self.seed < 0:
            raise FitError(
                "learning_rate is positive, averaging lies in [0, 1) and seed is zero or more; got "
                f"{self.learning_rate}, {self.averaging} and {self.seed}"
            )


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What happened in a training.

    Attributes
    ----------
    scores : tuple of float
        Score on the validation spectra at every check; less is better.
    best_step : int
        Step after which the score was best; the network has the averaged weights of that step.
    n_steps : int
        Steps that were made, those before a resumption included.
    """

    scores: tuple[float, ...]
    best_step: int
    n_steps: int

    @property
    def best_score(self) -> float:
        """Best score."""
        return min(self.scores)


def train(
    network: torch.nn.Module,
    loss: Callable[[Any, torch.Generator], Tensor],
    score: Callable[[Any], float],
    settings: TrainingSettings,
    *,
    identity: str = "",
    folder: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train a network; it ends with the averaged weights of the check with the best score.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    loss : callable
        ``loss(network, generator)``: a number to step down on. What it draws (a batch, noise) it
        draws from `generator`, which depends on the seed and the number of the step only.
    score : callable
        ``score(network)``: how far off the network is on spectra it is not trained on.
    settings : TrainingSettings
    identity : str
        What is trained on what, e.g. a hash of the data: kept in the checkpoint, and compared when
        a training is resumed.
    folder : path, optional
        Where a checkpoint is written after every check, ``last.ckpt``: tensors and plain
        numbers, no code.
    resume : bool
        Go on from the checkpoint in `folder`. The result is that of an uninterrupted training.
    progress : callable, optional
        Called with the fraction done and what is being done.

    Returns
    -------
    TrainingRecord

    Raises
    ------
    FitError
        If there is no checkpoint to resume from, it is damaged or of another training, or the
        training diverged.
    """
    checkpoint = None if folder is None else Path(folder) / CHECKPOINT
    if resume:
        _require_checkpoint(checkpoint, network, settings, identity)
    network.train()
    task = _Task(network, loss, score, settings, identity)
    best = _Best()
    callbacks = [
        best,
        _Stop("score", patience=settings.patience, min_delta=0.0, check_finite=True),
    ]
    if checkpoint is not None:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        callbacks.append(_Keep(checkpoint))
    if progress is not None:
        callbacks.append(_Tell(progress, settings.n_steps))
    with _quiet(), one_thread(), _interruptible():
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=settings.n_steps // settings.steps_per_check,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=checkpoint is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(
            task,
            range(settings.steps_per_check),
            range(1),
            ckpt_path=checkpoint if resume else None,
            weights_only=True,
        )
    if not best.weights or not np.isfinite(best.scores[-1]):
        raise FitError(
            "the training diverged: its error is not a finite number any more; choose a smaller "
            f"learning_rate than {settings.learning_rate:g}"
        )
    network.load_state_dict(best.weights)
    network.eval()
    return TrainingRecord(tuple(best.scores), best.step, trainer.global_step)


class _Task(lightning.LightningModule):
    """What Lightning drives: the network, its average, the optimiser."""

    def __init__(
        self,
        network: torch.nn.Module,
        loss: Callable[[Any, torch.Generator], Tensor],
        score: Callable[[Any], float],
        settings: TrainingSettings,
        identity: str,
    ) -> None:
        super().__init__()
        self.network = network
        swa: Any = torch.optim.swa_utils  # part of it has no types
        average = swa.get_ema_multi_avg_fn(settings.averaging)
        self.average = swa.AveragedModel(network, multi_avg_fn=average)
        self.loss_of, self.score_of = loss, score
        self.settings, self.identity = settings, identity

    def training_step(self, *_: Any) -> Tensor:
        """Loss of one step."""
        generator = torch.Generator()
        source = np.random.SeedSequence([self.settings.seed, self.global_step])
        generator.manual_seed(int(source.generate_state(1, np.uint64)[0] >> np.uint64(1)))
        return self.loss_of(self.network, generator)

    def on_train_batch_end(self, *_: Any) -> None:
        """Follow the weights with their average."""
        self.average.update_parameters(self.network)

    def validation_step(self, *_: Any) -> None:
        """Score the averaged network."""
        self.log("score", self.score_of(self.average.module), batch_size=1)

    def configure_optimizers(self) -> Any:
        """Adam with a one-cycle learning rate."""
        settings = self.settings
        optimizer = torch.optim.Adam(self.network.parameters(), settings.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            settings.learning_rate,
            total_steps=settings.n_steps,
            pct_start=_WARM_UP,
            div_factor=10.0,
            final_div_factor=1000.0,
            cycle_momentum=False,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the checkpoint belongs to."""
        checkpoint["settings"] = asdict(self.settings)
        checkpoint["identity"] = self.identity


class _Best(lightning.Callback):
    """Remembers the scores, and the weights of the best."""

    def __init__(self) -> None:
        self.scores: list[float] = []
        self.step = 0
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: lightning.Trainer, task: Any) -> None:
        score = float(trainer.callback_metrics["score"])
        if np.isfinite(score) and score < min(self.scores, default=np.inf):
            state = task.average.module.state_dict()
            self.weights = {name: value.detach().clone() for name, value in state.items()}
            self.step = trainer.global_step
        self.scores.append(score)

    def state_dict(self) -> dict[str, Any]:
        return {"scores": list(self.scores), "step": self.step, "weights": dict(self.weights)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scores = list(state_dict["scores"])
        self.step = int(state_dict["step"])
        self.weights = dict(state_dict["weights"])


class _Stop(lightning.callbacks.EarlyStopping):
    """Early stopping that knows, when it is resumed, that it had stopped."""

    def on_train_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class _Keep(lightning.callbacks.Checkpoint):
    """Writes the checkpoint, after all others had their say; a broken-off write changes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        draft = self.path.with_name(self.path.name + ".part")
        trainer.save_checkpoint(draft)
        draft.replace(self.path)


class _Tell(lightning.Callback):
    """Tells how far the training is."""

    def __init__(self, progress: Progress, n_steps: int) -> None:
        self.progress, self.n_steps = progress, n_steps

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        done = trainer.global_step
        self.progress(done / self.n_steps, f"training, step {done} of {self.n_steps}")


def _require_checkpoint(
    path: Path | None, network: torch.nn.Module, settings: TrainingSettings, identity: str
) -> None:
    """Refuse to resume from what is no checkpoint of this training."""
    if path is None or not path.is_file():
        raise FitError(
            "there is no training to resume: "
            + ("give the folder of its checkpoint" if path is None else f"{path} does not exist")
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        kept, known, weights = state["settings"], state["identity"], state["state_dict"]
    except Exception as error:  # whatever a damaged file sets off
        raise FitError(f"{path}: the checkpoint is damaged ({type(error).__name__})") from error
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    found = {name: getattr(weights.get(f"network.{name}"), "shape", None) for name in shapes}
    if kept != asdict(settings) or known != identity or found != shapes:
        raise FitError(
            f"{path} is of another training: resume with the settings {kept}, the same network "
            "and the same data, or train anew"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's notes on the machine, and on its own code, from the terminal."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 makes what torch 2.13 calls outdated; users can do nothing about it.
            warnings.filterwarnings(
                "ignore", ".*LeafSpec.* is deprecated", FutureWarning, r"lightning\."
            )
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let an interrupt end the training; Lightning would end the process, deaf to further ones."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread, and give the threads back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
