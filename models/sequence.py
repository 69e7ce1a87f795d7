"""One windowing and one training loop for all Keras models.

Windows are gathered by index inside the training step, a batch at a time: the data set is held once, as rows, and never
as overlapping windows. The loop is a ``tf.function`` of our own, because Keras' ``fit`` costs three times as much on
windows this small. Every batch has one shape, so a step is traced once and a row's result does not depend on how many
rows come after it.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64, SingleModel
from models.scaling import CLIP, RobustScaler
from models.windows import Float32, Positions
from trading.errors import ModelError

if TYPE_CHECKING:
    import onnx

_PREDICT_BATCH = 512


class SequenceModel(SingleModel):
    """A Keras network over a window of consecutive rows; families add their layers and keyword constructors.

    Features are scaled robustly by the rows that are learnt from, and clipped: once for all rows before windows are
    gathered, and as the first nodes of the graph, which so takes raw features. Binary cross-entropy is minimised by
    Adam (Kingma and Ba 2015).

    Attributes
    ----------
    scaler_
        Centre and scale of each feature.
    network_
        The fitted network, from scaled windows (N, window, features) to (N, 1).
    losses_
        Mean training loss of each epoch.
    """

    window: int = 2
    epochs: int
    batch_size: int
    learning_rate: float
    stride: int
    seed: int

    @abstractmethod
    def _body(self, inputs: Any, seeds: Iterator[int]) -> Any:
        """Layers from scaled windows (N, window, features) to a vector (N, k) that the output reads.

        Every layer that draws random numbers takes its own ``next(seeds)``: global generators would make a fit depend
        on what was fitted before it.
        """

    def _rows_needed(self) -> int:
        # Fewer rows than this do not hold two windows without a common bar.
        return self.window + 1

    def _fit(self, values: Float32, rows: Positions, labels: Float64, weights: Float64, t_end: pd.Series) -> None:
        import keras

        single_thread()
        seeds = (int(state) for state in np.random.SeedSequence(self.seed).generate_state(256) >> 1)
        self.scaler_ = RobustScaler.fit(values, rows)
        # The newest labelled row is always among those taken.
        taken = slice((len(rows) - 1) % self.stride, None, self.stride)
        inputs = keras.Input((self.window, values.shape[1]), name="input")
        body = self._body(inputs, seeds)
        output = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)))
        logit = output(body)
        self.losses_ = train(
            keras.Model(inputs, logit),
            self.scaler_.apply(values),
            rows[taken],
            labels[taken],
            weights[taken],
            window=self.window,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            generator=np.random.default_rng(next(seeds)),
        )
        self.network_ = keras.Model(inputs, keras.ops.sigmoid(logit))
        self._forward: Callable[[Any, Any], Any] = _traced(self.network_, self.window)

    def _predict(self, values: Float32, ends: Positions) -> NDArray[Any]:
        import tensorflow as tf

        if not hasattr(self, "_forward"):
            single_thread()
            self._forward = _traced(self.network_, self.window)
        data, up = tf.constant(self.scaler_.apply(values)), np.empty(len(ends))
        for start in range(0, len(ends), _PREDICT_BATCH):
            batch = ends[start : start + _PREDICT_BATCH]
            # Repeats fill the last batch up to the shape that was traced; their results are dropped.
            filled = np.resize(batch, _PREDICT_BATCH).astype(np.int32)
            up[start : start + len(batch)] = self._forward(data, tf.constant(filled)).numpy()[: len(batch)]
        return up

    def _to_onnx(self) -> "onnx.ModelProto":
        from models.onnx_export import keras_graph, scaled_graph

        shape = {"window": self.window, "features": self.n_features_in_}
        graph = keras_graph(self.network_, **shape)
        return scaled_graph(graph, self.scaler_.centre, self.scaler_.scale, CLIP, **shape)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the traced function out: a worker process traces its own."""
        return {key: value for key, value in super().__getstate__().items() if key != "_forward"}


def train(
    network: Any,
    values: Float32,
    rows: Positions,
    labels: Float64,
    weights: Float64,
    *,
    window: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: np.random.Generator,
) -> list[float]:
    """Fit a network in place.

    Parameters
    ----------
    network
        Keras model from windows (N, window, features) to logits (N, 1).
    values
        Features as the network takes them, shape (rows, features), in time order.
    rows, labels, weights
        Last row of each training window, its label and its weight; weights are taken relative to their mean.
    window, epochs, batch_size, learning_rate
        As the models document them. Batches are of equal size, at most ``batch_size``.
    generator
        Shuffles the rows before each epoch.

    Returns
    -------
    list of float
        Mean weighted loss of each epoch.

    Raises
    ------
    ModelError
        If the loss is no longer finite.
    """
    import keras
    import tensorflow as tf

    batches = -(-len(rows) // batch_size)
    size = -(-len(rows) // batches)
    data, offsets = tf.constant(values), tf.range(1 - window, 1)
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(network.trainable_variables)

    def descend(ends: Any, target: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = network(tf.gather(data, ends[:, None] + offsets), training=True)[:, 0]
            loss = tf.reduce_sum(weight * tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits))
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    floats = tf.TensorSpec([size], tf.float32)
    step = tf.function(descend, autograph=False).get_concrete_function(tf.TensorSpec([size], tf.int32), floats, floats)
    relative = weights / weights.mean()
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for batch in np.array_split(generator.permutation(len(rows)), batches):
            # Batches differ by one row at most; the short ones are filled with a row that weighs nothing.
            weight = np.zeros(size, dtype=np.float32)
            weight[: len(batch)] = relative[batch] / len(batch)
            filled = np.resize(batch, size)
            loss = step(
                tf.constant(rows[filled].astype(np.int32)),
                tf.constant(labels[filled].astype(np.float32)),
                tf.constant(weight),
            )
            total += float(loss) * len(batch)
        losses.append(total / len(rows))
        if not np.isfinite(losses[-1]):
            raise ModelError(
                f"training diverged in epoch {epoch + 1}",
                where=f"learning_rate {learning_rate:g}",
                rule="the loss stays finite",
                remedy="lower the learning rate",
            )
    return losses


def single_thread() -> None:
    """Hold TensorFlow to one thread: sums split over threads would depend on their number.

    Raises
    ------
    ModelError
        If TensorFlow already runs with more in this process.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ModelError(
            "TensorFlow already runs on several threads in this process",
            rule="one thread, so that the same seed gives the same model",
            remedy="set TF_NUM_INTRAOP_THREADS=1 and TF_NUM_INTEROP_THREADS=1 before it starts",
        ) from error


def _traced(network: Any, window: int) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    offsets = tf.range(1 - window, 1)

    def forward(data: Any, ends: Any) -> Any:
        return network(tf.gather(data, ends[:, None] + offsets), training=False)[:, 0]

    traced: Callable[[Any, Any], Any] = tf.function(forward, autograph=False).get_concrete_function(
        tf.TensorSpec([None, network.input_shape[-1]], tf.float32), tf.TensorSpec([_PREDICT_BATCH], tf.int32)
    )
    return traced
