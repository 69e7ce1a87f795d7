"""The one training loop of all Keras models.

Windows are gathered by index inside the training step, a batch at a time: the data set is held once, as rows, and never
as overlapping windows. The loop is a ``tf.function`` of our own, because Keras' ``fit`` costs three times as much on
windows this small. Every batch has one shape, so a step is traced once.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.base import Float64
from models.checkpoint import Checkpoint
from models.windows import Float32, Positions
from trading.errors import ModelError


@dataclass(frozen=True)
class Plan:
    """How long, how fast and in what steps a network is trained; the models document the values.

    The learning rate rises in a line from zero over the first ``warmup`` of all planned steps, then falls to zero along
    half a cosine (Loshchilov and Hutter 2017, equation 5, without restarts). What is planned is ``epochs`` epochs: a
    fit that stops early has not seen the end of it.
    """

    window: int
    epochs: int
    batch_size: int
    learning_rate: float
    warmup: float
    patience: int


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Parameters
    ----------
    loss
        Mean weighted training loss, each batch before its step, with dropout and without penalties.
    tail_loss
        Weighted log loss of the rows that are held back, after the epoch; None where none are.
    learning_rate
        Of the last step.
    """

    loss: float
    tail_loss: float | None
    learning_rate: float


def train(
    network: Any,
    values: Float32,
    rows: Positions,
    labels: Float64,
    weights: Float64,
    *,
    plan: Plan,
    loss: Callable[[Any, Any], Any],
    generator: np.random.Generator,
    judge: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[Epoch]:
    """Fit a network in place.

    Parameters
    ----------
    network
        Keras model from windows (N, window, features) to outputs (N, k); penalties of its layers are minimised too.
    values
        Features as the network takes them, shape (rows, features), in time order.
    rows, labels, weights
        Last row of each training window, its label and its weight; weights are taken relative to their mean.
    plan
        Batches are of equal size, at most ``plan.batch_size``.
    loss
        From targets (n,) and the network's outputs (n, k) to the loss of each row (n,).
    generator
        Shuffles the rows before each epoch.
    judge
        Loss of the network as it stands, on rows that are held back. The fit stops after ``plan.patience`` epochs
        without a lower one, and the weights of the lowest are restored. None: all epochs, and the last weights.
    checkpoint
        Where each finished epoch is kept, and what a killed fit goes on from, to the same bits as an undisturbed one.
        It is removed at the end.

    Returns
    -------
    list of Epoch
        The finished epochs.

    Raises
    ------
    ModelError
        If a loss or a weight is no longer finite.
    WorkspaceError
        If a checkpoint cannot be written.
    """
    import keras
    import tensorflow as tf

    batches = -(-len(rows) // plan.batch_size)
    size = -(-len(rows) // batches)
    data, offsets = tf.convert_to_tensor(values), tf.range(1 - plan.window, 1)
    schedule = _schedule(plan, batches * plan.epochs)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(network.trainable_variables)

    def descend(ends: Any, target: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = network(tf.gather(data, ends[:, None] + offsets), training=True)
            mean = tf.reduce_sum(weight * loss(target, outputs))
            penalised = mean + sum(network.losses)
        optimizer.apply(tape.gradient(penalised, network.trainable_variables), network.trainable_variables)
        return mean

    floats = tf.TensorSpec([size], tf.float32)
    step = tf.function(descend, autograph=False).get_concrete_function(tf.TensorSpec([size], tf.int32), floats, floats)
    relative = weights / weights.mean()
    # Seeds of dropout are among the network's variables, the count of steps among the optimiser's.
    variables = [*network.variables, *optimizer.variables]
    best = network.get_weights()
    history: list[Epoch] = []
    if checkpoint is not None and (found := checkpoint.load()) is not None:
        arrays, state = found
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"variable_{number}"])
        best = [arrays[f"best_{number}"] for number in range(len(best))]
        history = [Epoch(**epoch) for epoch in state["history"]]
        generator.bit_generator.state = state["generator"]
    while len(history) < plan.epochs and not 0 < plan.patience <= len(history) - best_epoch(history):
        total = 0.0
        for batch in np.array_split(generator.permutation(len(rows)), batches):
            # Batches differ by one row at most; the short ones are filled with a row that weighs nothing.
            weight = np.zeros(size, dtype=np.float32)
            weight[: len(batch)] = relative[batch] / len(batch)
            filled = np.resize(batch, size)
            mean = step(
                tf.constant(rows[filled].astype(np.int32)),
                tf.constant(labels[filled].astype(np.float32)),
                tf.constant(weight),
            )
            total += float(mean) * len(batch)
        rate = float(schedule(batches * (len(history) + 1) - 1))
        history.append(Epoch(total / len(rows), None if judge is None else judge(), rate))
        _require_finite(history, network, plan)
        if best_epoch(history) == len(history):
            best = network.get_weights()
        if checkpoint is not None:
            arrays = {f"variable_{number}": variable.numpy() for number, variable in enumerate(variables)}
            arrays |= {f"best_{number}": weight for number, weight in enumerate(best)}
            state = {"history": [asdict(epoch) for epoch in history], "generator": generator.bit_generator.state}
            checkpoint.save(arrays, state)
    network.set_weights(best)
    if checkpoint is not None:
        checkpoint.remove()
    return history


def cross_entropy(target: Any, logits: Any) -> Any:
    """Cross-entropy of classes 1 and 0 (n,) from logits (n, 1)."""
    import tensorflow as tf

    return tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits[:, 0])


def best_epoch(history: list[Epoch]) -> int:
    """Number, from 1, of the first epoch with the lowest loss on what is held back; of the last where nothing is."""
    judged = [epoch.tail_loss for epoch in history if epoch.tail_loss is not None]
    return judged.index(min(judged)) + 1 if judged else len(history)


def _schedule(plan: Plan, steps: int) -> Any:
    from keras.optimizers.schedules import CosineDecay

    warm = round(plan.warmup * steps)
    if not warm:
        return CosineDecay(plan.learning_rate, steps)
    return CosineDecay(0.0, steps - warm, warmup_target=plan.learning_rate, warmup_steps=warm)


def _require_finite(history: list[Epoch], network: Any, plan: Plan) -> None:
    last = history[-1]
    # The loss of a step is known before its weights are: those of the last step show only here.
    sound = all(np.isfinite(weight).all() for weight in network.get_weights())
    if not (sound and np.isfinite(last.loss) and np.isfinite(0.0 if last.tail_loss is None else last.tail_loss)):
        raise ModelError(
            f"training diverged in epoch {len(history)}",
            where=f"learning_rate {plan.learning_rate:g}",
            rule="losses and weights stay finite",
            remedy="lower the learning rate",
        )
