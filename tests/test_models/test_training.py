"""The training loop, against arithmetic in numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.checkpoint import Checkpoint
from models.sequence import single_thread
from models.training import Epoch, Plan, best_epoch, cross_entropy, train
from trading.errors import ModelError


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def linear_network(window: int) -> Any:
    import keras

    inputs = keras.Input((window, 1))
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(keras.layers.Flatten()(inputs)))


def plan(**over: Any) -> Plan:
    still = {"epochs": 1, "batch_size": 100, "learning_rate": 1e-9, "warmup": 0.0, "patience": 0}
    return Plan(**{"window": 2, **still, **over})


def run(
    network: Any,
    rows: Any,
    labels: Any,
    weights: Any,
    *,
    judge: Any = None,
    checkpoint: Any = None,
    scale: float = 1,
    **over: Any,
) -> list[Epoch]:
    values = np.linspace(-scale, scale, 20, dtype=np.float32)[:, None]
    return train(
        network,
        values,
        rows,
        labels,
        weights,
        plan=plan(**over),
        loss=cross_entropy,
        generator=np.random.default_rng(0),
        judge=judge,
        checkpoint=checkpoint,
    )


@pytest.fixture(autouse=True)
def one_thread() -> None:
    single_thread()


ROWS = np.arange(1, 20)
LABELS = (ROWS % 3 > 0).astype(float)


def test_loss_of_an_ignorant_network_is_ln_2_whatever_the_weights_and_batches() -> None:
    for batch_size in (4, 19, 100):
        history = run(linear_network(2), ROWS, LABELS, np.full(19, 7.0), batch_size=batch_size, epochs=2)
        assert [epoch.loss for epoch in history] == pytest.approx([np.log(2)] * 2, rel=1e-5)


def test_weights_count_by_their_ratios() -> None:
    network = linear_network(2)
    network.layers[-1].bias.assign([1.0])
    rows, labels, weights = np.array([3, 9, 12]), np.array([1.0, 0.0, 1.0]), np.array([1.0, 2.0, 5.0])
    each = -np.where(labels == 1, np.log(sigmoid(1)), np.log(1 - sigmoid(1)))
    (epoch,) = run(network, rows, labels, weights)
    assert epoch.loss == pytest.approx(np.average(each, weights=weights), rel=1e-5)


@pytest.mark.parametrize("warmup", [0.0, 0.25, 0.5])
def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine(warmup: float) -> None:
    # Four steps an epoch, twenty in all; the last step of each epoch is the 4th, 8th, ...
    history = run(
        linear_network(2), ROWS, LABELS, np.ones(19), batch_size=5, epochs=5, learning_rate=0.3, warmup=warmup
    )
    step, warm = np.array([3, 7, 11, 15, 19]), 20 * warmup
    fallen = 0.15 * (1 + np.cos(np.pi * (step - warm) / (20 - warm)))
    expected = np.where(step < warm, 0.3 * step / max(warm, 1), fallen)
    assert [epoch.learning_rate for epoch in history] == pytest.approx(expected, rel=1e-5)


def test_a_step_is_as_long_as_the_learning_rate_says() -> None:
    # The first step of Adam moves each weight by the learning rate, whatever the gradient.
    network = linear_network(2)
    run(network, ROWS, LABELS, np.ones(19), learning_rate=0.3)
    assert np.abs(network.get_weights()[0]) == pytest.approx(0.3, rel=1e-3)


def test_penalties_of_layers_are_minimised_and_are_no_part_of_the_loss() -> None:
    import keras

    inputs = keras.Input((2, 1))
    dense = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L1(50.0))
    network = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    network.set_weights([np.array([[0.4], [-0.4]]), np.zeros(1)])
    history = run(network, ROWS, LABELS, np.ones(19), epochs=40, learning_rate=0.05)
    assert np.abs(network.get_weights()[0]).max() < 0.05
    assert max(epoch.loss for epoch in history) < 1


class Script:
    """A judge that says what it was told to, and remembers the weights it was asked about."""

    def __init__(self, network: Any, losses: list[float]) -> None:
        self.network, self.losses, self.seen = network, losses, []  # type: ignore[var-annotated]

    def __call__(self) -> float:
        self.seen.append(self.network.get_weights())
        return self.losses[len(self.seen) - 1]


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "kept"),
    [
        ([0.7, 0.6, 0.65, 0.6, 0.1], 2, 4, 2),  # equal is no better
        ([0.7, 0.6, 0.65, 0.5, 0.6, 0.55], 2, 6, 4),  # a better one is waited for anew
        ([0.5, 0.6, 0.1], 1, 2, 1),
        ([0.7, 0.6, 0.5, 0.4, 0.3, 0.2], 1, 6, 6),  # the plan ends first
        ([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], 9, 6, 1),
    ],
)
def test_it_stops_when_patience_is_over_and_keeps_the_best_weights(
    losses: list[float], patience: int, epochs: int, kept: int
) -> None:
    network = linear_network(2)
    judge = Script(network, losses)
    history = run(network, ROWS, LABELS, np.ones(19), epochs=6, learning_rate=0.1, patience=patience, judge=judge)
    assert [epoch.tail_loss for epoch in history] == losses[:epochs]
    assert best_epoch(history) == kept
    for now, then, later in zip(network.get_weights(), judge.seen[kept - 1], judge.seen[kept - 2], strict=True):
        np.testing.assert_array_equal(now, then)
        assert not np.array_equal(now, later)


def test_without_a_judge_the_last_weights_are_kept() -> None:
    network, judged = linear_network(2), linear_network(2)
    history = run(network, ROWS, LABELS, np.ones(19), epochs=3, learning_rate=0.1)
    assert [epoch.tail_loss for epoch in history] == [None] * 3
    assert best_epoch(history) == 3
    judge = Script(judged, [0.7, 0.6, 0.5])
    run(judged, ROWS, LABELS, np.ones(19), epochs=3, learning_rate=0.1, patience=1, judge=judge)
    np.testing.assert_array_equal(network.get_weights()[0], judge.seen[2][0])
    assert not np.array_equal(network.get_weights()[0], judge.seen[1][0])


def test_a_loss_that_is_no_longer_finite_stops_the_fit() -> None:
    network = linear_network(2)
    network.layers[-1].bias.assign([np.inf])
    with pytest.raises(ModelError, match="diverged in epoch 1"):
        run(network, np.array([1, 2]), np.array([0.0, 1.0]), np.ones(2))


def test_so_does_one_of_the_tail() -> None:
    network = linear_network(2)
    with pytest.raises(ModelError, match="diverged in epoch 2"):
        run(network, ROWS, LABELS, np.ones(19), epochs=5, patience=5, judge=Script(network, [0.7, np.nan]))


def test_so_do_weights_that_the_last_step_has_blown_up() -> None:
    # The loss is that of an ignorant network; the step that follows it is too long for float32.
    with pytest.raises(ModelError, match="diverged in epoch 1"):
        run(linear_network(2), ROWS, LABELS, np.ones(19), learning_rate=3e38, scale=1e4)


def test_so_does_what_comes_after_a_restart(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "fit")

    def kill() -> float:
        if checkpoint.path.exists():
            raise KeyboardInterrupt
        return 0.7

    chosen = {"epochs": 5, "patience": 5, "checkpoint": checkpoint}
    with pytest.raises(KeyboardInterrupt):
        run(linear_network(2), ROWS, LABELS, np.ones(19), judge=kill, **chosen)
    with pytest.raises(ModelError, match="diverged in epoch 2"):
        run(linear_network(2), ROWS, LABELS, np.ones(19), judge=lambda: np.inf, **chosen)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel's high-water mark is Linux'")
def test_training_never_holds_the_windows_of_all_rows() -> None:
    rows, features, window = 30_000, 100, 48
    table = rows * window * features * 4  # bytes: 576 MB
    values = np.zeros((rows, features), dtype=np.float32)
    import keras

    inputs = keras.Input((window, features))
    network = keras.Model(inputs, keras.layers.Dense(1)(inputs[:, -1]))
    ends = np.arange(window - 1, rows)
    labels = (ends % 2).astype(float)
    before = _high_water(reset=True)
    train(
        network, values, ends, labels, np.ones(len(ends)),
        plan=plan(window=window, batch_size=256, learning_rate=1e-3), loss=cross_entropy,
        generator=np.random.default_rng(0),
    )  # fmt: skip
    assert _high_water() - before < table / 5


def _high_water(*, reset: bool = False) -> int:
    """Largest resident size of this process so far, in bytes; ``reset`` begins anew from the present one."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
