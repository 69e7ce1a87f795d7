"""What all Keras models share: scaling, windows, rows that are held back, forecasts and the graph.

Windows are gathered by index, a batch at a time: the data set is held once, as rows, and never as overlapping windows.
Every batch has one shape, so that a row's result does not depend on how many rows come after it.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64, SingleModel
from models.checkpoint import Checkpoint, fit_identity
from models.out_of_fold import Rows, Splitter
from models.scaling import CLIP, RobustScaler
from models.training import Epoch, Plan, cross_entropy, train
from models.windows import Float32, Positions
from trading.errors import ModelError, TooFewBarsError

if TYPE_CHECKING:
    import onnx

_PREDICT_BATCH = 512
_SURE = float(np.finfo(np.float32).eps)


class SequenceModel(SingleModel):
    """A Keras network over a window of consecutive rows; families add their layers and keyword constructors.

    Features are scaled robustly by the rows that are learnt from, and clipped: once for all rows before windows are
    gathered, and as the first nodes of the graph, which so takes raw features. Binary cross-entropy is minimised by
    Adam (Kingma and Ba 2015); :func:`models.training.train` says how. A GPU is used where TensorFlow sees one.

    Where ``patience`` is above 0, the tests of the last split of ``cv`` are the tail that decides when to stop. Nothing
    is learnt from the tail, neither weights nor scales, nor from the rows that the purge takes away before it: the
    newest rows are the price of knowing when to stop. Products of features that stand in front of the network
    (:mod:`models.crossed`) were chosen with the tail's labels too. With ``patience`` 0 all rows are learnt, for all
    epochs.

    Attributes
    ----------
    scaler_
        Centre and scale of each feature.
    network_
        The fitted network, from scaled windows (N, window, features) to (N, 1).
    history_
        Losses and learning rate of each epoch; :func:`models.training.best_epoch` says whose weights were kept.
    """

    window: int = 2
    epochs: int
    batch_size: int
    learning_rate: float
    warmup: float
    sparsity: float
    patience: int
    stride: int
    seed: int
    cv: Splitter | None
    checkpoints: Path | None

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
        self.learn(values, rows, labels, weights, t_end, head=DIRECTION)

    def learn(
        self, values: Float32, rows: Positions, targets: Float64, weights: Float64, t_end: pd.Series, *, head: "Head"
    ) -> None:
        """Train the layers below a head.

        Parameters
        ----------
        values
            All rows of features, shape (n, features).
        rows
            Last row of each training window.
        targets, weights, t_end
            What each of them is to say, its weight, and when that is known.
        head
            What is above the layers.
        """
        import keras
        import tensorflow as tf

        single_thread()
        seeds = (int(state) for state in np.random.SeedSequence(self.seed).generate_state(256) >> 1)
        learnt, tail = self._held_back(t_end)
        self.scaler_ = RobustScaler.fit(values, rows[learnt])
        # The newest row that is learnt from is always among those taken.
        taken = learnt[(len(learnt) - 1) % self.stride :: self.stride]
        inputs = keras.Input((self.window, values.shape[1]), name="input")
        body = self._body(inputs, seeds)
        output = keras.layers.Dense(head.width, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)))
        raw = output(body)
        self.network_ = keras.Model(inputs, raw if head.finish is None else head.finish(raw))
        self._forward: Callable[[Any, Any], Any] = _traced(self.network_, self.window)
        data = tf.constant(self.scaler_.apply(values))

        def judge() -> float:
            return head.judged(targets[tail], self._outputs(data, rows[tail]), weights[tail])

        self.history_: list[Epoch] = train(
            keras.Model(inputs, raw),
            data,
            rows[taken],
            targets[taken],
            weights[taken],
            plan=Plan(**{field.name: getattr(self, field.name) for field in fields(Plan)}),
            generator=np.random.default_rng(next(seeds)),
            loss=head.loss,
            judge=judge if len(tail) else None,
            checkpoint=self._checkpoint(head, values, rows, targets, weights, taken, tail),
        )

    def _held_back(self, t_end: pd.Series) -> tuple[Rows, Rows]:
        """Positions among the labelled rows: those to learn from, and the tail that decides when to stop."""
        if not self.patience:
            return np.arange(len(t_end)), np.arange(0)
        if self.cv is None:
            raise ModelError(
                f"{self.name} with patience {self.patience} and without a splitter",
                rule="what it learns from rows that are held back, it learns on purged splits",
                remedy="give cv, or patience 0",
            )
        try:
            *_, (learnt, tail) = self.cv.split(t_end, t_end=t_end)
        except TooFewBarsError as error:
            raise ModelError(
                f"{len(t_end)} labelled rows are too few to fit {self.name} and to hold some back",
                where=str(error),
                rule="patience above 0 stops on rows that the fit does not learn from",
                remedy="give more bars, other values under inner, or patience 0, which holds nothing back",
            ) from error
        return learnt, tail

    def _checkpoint(self, head: "Head", *arrays: NDArray[Any]) -> Checkpoint | None:
        """Where this fit of these arrays is kept."""
        if self.checkpoints is None:
            return None
        settings = {"family": self.name, "head": head.key, **self.get_params(deep=False)}
        # How rows are held back, the arrays say; where checkpoints lie changes no bit.
        del settings["cv"], settings["checkpoints"]
        return Checkpoint(self.checkpoints, fit_identity(settings, arrays))

    def _predict(self, values: Float32, ends: Positions) -> NDArray[Any]:
        return self.outputs(values, ends)[:, 0]

    def outputs(self, values: Float32, ends: Positions) -> NDArray[np.float64]:
        """What the fitted network says about the windows of raw features that end at ``ends``, shape (n, outputs)."""
        import tensorflow as tf

        if not hasattr(self, "_forward"):
            single_thread()
            self._forward = _traced(self.network_, self.window)
        return self._outputs(tf.constant(self.scaler_.apply(values)), ends)

    def _outputs(self, data: Any, ends: Positions) -> NDArray[np.float64]:
        """The same for windows of scaled rows."""
        import tensorflow as tf

        said = np.empty((len(ends), self.network_.output_shape[-1]))
        for start in range(0, len(ends), _PREDICT_BATCH):
            batch = ends[start : start + _PREDICT_BATCH]
            # Repeats fill the last batch up to the shape that was traced; their results are dropped.
            filled = np.resize(batch, _PREDICT_BATCH).astype(np.int32)
            said[start : start + len(batch)] = self._forward(data, tf.constant(filled)).numpy()[: len(batch)]
        return said

    def _to_onnx(self) -> "onnx.ModelProto":
        return self.graph(features=self.n_features_in_)

    def graph(self, *, features: int) -> "onnx.ModelProto":
        """Graph of the fitted network behind its scaler, from raw features."""
        from models.onnx_export import keras_graph, scaled_graph

        shape = {"window": self.window, "features": features}
        graph = keras_graph(self.network_, **shape)
        return scaled_graph(graph, self.scaler_.centre, self.scaler_.scale, CLIP, **shape)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the traced function out: a worker process traces its own."""
        return {key: value for key, value in super().__getstate__().items() if key != "_forward"}


@dataclass(frozen=True)
class Head:
    """What is above a network's layers.

    Parameters
    ----------
    width
        Number of outputs.
    loss
        From targets (n,) and raw outputs (n, width) to the loss of each row (n,), in TensorFlow.
    finish
        From raw outputs to what the network says; None leaves them.
    key
        Names it in the identity of a checkpoint.
    score
        From targets and what the network says to the loss of each row, in numpy; None takes ``loss``.
    """

    width: int
    loss: Callable[[Any, Any], Any]
    finish: Callable[[Any], Any] | None
    key: str
    score: Callable[[Float64, NDArray[np.float64]], NDArray[np.float64]] | None = None

    def judged(self, targets: Float64, said: NDArray[np.float64], weights: Float64) -> float:
        """Weighted mean loss of what a network says."""
        if self.score is not None:
            each = self.score(targets, said)
        else:
            each = np.asarray(self.loss(targets.astype(np.float32), said.astype(np.float32)))
        return float(np.average(each, weights=weights))


def _sigmoid(logits: Any) -> Any:
    import keras

    return keras.ops.sigmoid(logits)


def _log_loss(labels: Float64, said: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross-entropy of forecasts no surer than float32 can say."""
    # Clipping keeps NaN, so that a network that has come apart does not look well.
    sure = np.clip(said[:, 0], _SURE, 1 - _SURE)
    return -np.where(labels == 1, np.log(sure), np.log1p(-sure))


DIRECTION = Head(width=1, loss=cross_entropy, finish=_sigmoid, key="direction", score=_log_loss)


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
        return network(tf.gather(data, ends[:, None] + offsets), training=False)

    traced: Callable[[Any, Any], Any] = tf.function(forward, autograph=False).get_concrete_function(
        tf.TensorSpec([None, network.input_shape[-1]], tf.float32), tf.TensorSpec([_PREDICT_BATCH], tf.int32)
    )
    return traced
