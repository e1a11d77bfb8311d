from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra deep")

from spectraloom.errors import FitError  # noqa: E402
from spectraloom.nets import CHECKPOINT, TrainingRecord, TrainingSettings, train  # noqa: E402

X = torch.linspace(-1.0, 1.0, 50)[:, None]
Y = torch.sin(3.0 * X)
SETTINGS = TrainingSettings(n_steps=120, steps_per_check=20, averaging=0.9, seed=3)


def new_network() -> Any:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(1, 12), torch.nn.Tanh(), torch.nn.Linear(12, 1))


def loss(network: Any, generator: Any) -> Any:
    rows = torch.randperm(len(X), generator=generator)[:10]
    return (network(X[rows]) - Y[rows]).square().mean()


def score(network: Any) -> float:
    with torch.no_grad():
        return float((network(X) - Y).square().mean())


def run(**keywords: Any) -> tuple[Any, TrainingRecord]:
    network = new_network()
    settings = keywords.pop("settings", SETTINGS)
    return network, train(network, loss, score, settings, **keywords)


def same(one: Any, other: Any) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


def test_training_makes_it_better_and_keeps_the_best() -> None:
    before = score(new_network())
    network, record = run()
    assert record.n_steps == 120
    assert len(record.scores) == 6
    assert record.best_score < 0.3 * before
    assert score(network) == pytest.approx(record.best_score, rel=1e-6)
    assert record.best_step == 20 * (1 + record.scores.index(record.best_score))


def test_a_seed_decides_all_at_any_number_of_threads() -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(99)  # the global generator has no say
    first = run()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        torch.manual_seed(7)
        second = run()
        assert torch.get_num_threads() != threads  # given back as it was
    finally:
        torch.set_num_threads(threads)
    assert same(first[0], second[0])
    assert first[1] == second[1]
    other = run(settings=replace(SETTINGS, seed=4))
    assert not same(first[0], other[0])


def test_a_resumed_training_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run()
    calls = 0

    def interrupting(network: Any, generator: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 70:
            raise KeyError("interrupted")
        return loss(network, generator)

    with pytest.raises(KeyError):
        train(new_network(), interrupting, score, SETTINGS, folder=tmp_path)
    # A network that differs, so that what is not taken from the checkpoint shows.
    network = new_network()
    with torch.no_grad():
        network[0].weight += 1.0
    steps: list[float] = []
    record = train(
        network,
        loss,
        score,
        SETTINGS,
        folder=tmp_path,
        resume=True,
        progress=lambda done, _: steps.append(done),
    )
    assert len(steps) == 60  # it went on after the third check
    assert same(network, whole[0])
    assert record == whole[1]
    # A training that is done already gives the same again.
    again = run(folder=tmp_path, resume=True)
    assert same(again[0], whole[0])
    assert again[1] == whole[1]


def test_training_stops_early() -> None:
    falling = iter([5.0, 4.0, 4.5, 4.6, 4.7, 4.8, 4.9])
    weights = []

    def scripted(network: Any) -> float:
        weights.append([p.detach().clone() for p in network.parameters()])
        return next(falling)

    network = new_network()
    settings = replace(SETTINGS, n_steps=400, patience=3)
    record = train(network, loss, scripted, settings)
    assert record.scores == pytest.approx((5.0, 4.0, 4.5, 4.6, 4.7))
    assert (record.best_step, record.n_steps) == (40, 100)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), weights[1], strict=True))


def test_a_training_that_stopped_early_stays_so(tmp_path: Path) -> None:
    settings = replace(SETTINGS, n_steps=400, patience=2)
    falling = iter([5.0, 4.0, 4.5, 4.6, 1.0])
    first = new_network()
    record = train(first, loss, lambda _: next(falling), settings, folder=tmp_path)
    second = new_network()
    again = train(second, loss, lambda _: next(falling), settings, folder=tmp_path, resume=True)
    assert record.n_steps == 80
    assert again == record
    assert same(first, second)


def test_an_interrupt_ends_the_training_only() -> None:
    def interrupt(done: float, what: str) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler


def test_patience_is_counted_across_a_resumption(tmp_path: Path) -> None:
    settings = replace(SETTINGS, n_steps=400, patience=3)
    falling = iter([5.0, 4.0, 4.5, float("inf")])

    def interrupting(network: Any) -> float:
        value = next(falling)
        if value == float("inf"):
            raise KeyError("interrupted")
        return value

    with pytest.raises(KeyError):
        train(new_network(), loss, interrupting, settings, folder=tmp_path)
    record = train(new_network(), loss, lambda _: 6.0, settings, folder=tmp_path, resume=True)
    assert record.scores == (5.0, 4.0, 4.5, 6.0, 6.0)


def test_a_trained_network_can_be_trained_again() -> None:
    network, record = run()
    assert not network.training
    assert train(network, loss, score, SETTINGS).best_score < record.best_score


def test_the_average_is_that_of_the_weights() -> None:
    seen = []

    def watched(network: Any) -> float:
        seen.append([p.detach().clone() for p in network.parameters()])
        return -len(seen)

    path: list[Any] = []

    def followed(network: Any, generator: Any) -> Any:
        path.append([p.detach().clone() for p in network.parameters()])
        return loss(network, generator)

    settings = TrainingSettings(n_steps=3, steps_per_check=1, averaging=0.6)
    train(new_network(), followed, watched, settings)
    # The first check sees the weights after the first step, the second a mixture of the next.
    torch.testing.assert_close(seen[0], path[1])
    mixed = [0.6 * p + 0.4 * q for p, q in zip(path[1], path[2], strict=True)]
    torch.testing.assert_close(seen[1], mixed)


def test_it_is_quiet_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run()
    assert list(tmp_path.iterdir()) == []
    run(folder=tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [CHECKPOINT]
    assert capfd.readouterr() == ("", "")


def test_progress_is_told() -> None:
    told: list[tuple[float, str]] = []
    run(progress=lambda done, what: told.append((done, what)))
    assert [done for done, _ in told] == pytest.approx([(i + 1) / 120 for i in range(120)])
    assert told[-1][1] == "training, step 120 of 120"


def test_a_checkpoint_holds_no_code(tmp_path: Path) -> None:
    run(folder=tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert state["settings"]["n_steps"] == 120


def test_what_cannot_be_resumed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="give the folder"):
        run(resume=True)
    with pytest.raises(FitError, match="does not exist"):
        run(folder=tmp_path, resume=True)
    run(folder=tmp_path)
    with pytest.raises(FitError, match="another training"):
        run(folder=tmp_path, resume=True, settings=replace(SETTINGS, seed=8))
    with pytest.raises(FitError, match="another training"):
        run(folder=tmp_path, resume=True, identity="other data")
    with pytest.raises(FitError, match="another training"):
        train(torch.nn.Linear(1, 1), loss, score, SETTINGS, folder=tmp_path, resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(FitError, match="damaged"):
        run(folder=tmp_path, resume=True)


def test_a_checkpoint_with_code_is_refused(tmp_path: Path) -> None:
    torch.save({"settings": Path("x"), "state_dict": {}}, tmp_path / CHECKPOINT)
    with pytest.raises(FitError, match="damaged"):
        run(folder=tmp_path, resume=True)


def test_a_diverging_training_is_refused() -> None:
    def endless(network: Any, generator: Any) -> Any:
        return loss(network, generator) * float("nan")

    with pytest.raises(FitError, match="diverged"):
        train(new_network(), endless, score, SETTINGS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_steps": 0},
        {"n_steps": 110},
        {"steps_per_check": 0},
        {"patience": 0},
        {"learning_rate": 0.0},
        {"averaging": 1.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FitError):
        replace(SETTINGS, **wrong)
