"""Mean and quantiles of returns by a network over a window of bars: any architecture that forecasts directions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64
from models.returns import ReturnModel
from models.sequence import Head, SequenceModel
from models.windows import Float32, Positions

if TYPE_CHECKING:
    import onnx


class NetworkReturns(ReturnModel):
    """The layers of a sequence model below an output of its own, trained by the same loop.

    The loss is the squared error of the mean, Huber's beyond three units (Huber 1964), plus the mean pinball loss of
    the quantiles (Koenker and Bassett 1978).

    Parameters
    ----------
    network
        Unfitted LSTM or Transformer: its layers, training, seed, splitter and checkpoints; a fit works on a clone.
    levels
        Of the quantiles, rising, between 0 and 1.

    Attributes
    ----------
    network_
        The fitted network with its scaler and history.
    """

    def __init__(self, network: SequenceModel, levels: Sequence[float]) -> None:
        self.network = network
        self.levels = levels

    @property
    def name(self) -> str:
        """Name of the architecture."""
        return self.network.name

    @property
    def window(self) -> int:
        """Window of the network."""
        return self.network.window

    def _fit(self, values: Float32, rows: Positions, returns: Float64, weights: Float64, t_end: pd.Series) -> None:
        from sklearn.base import clone

        self.network_ = clone(self.network)
        self.network_.learn(values, rows, returns, weights, t_end, head=_returns(self.levels))

    def _predict(self, values: Float32, ends: Positions) -> NDArray[np.floating]:
        said: NDArray[np.floating] = self.network_.outputs(values, ends)
        return said

    def _to_onnx(self) -> "Sequence[onnx.ModelProto]":
        return [self.network_.graph(features=self.n_features_in_)]


def _returns(levels: Sequence[float]) -> Head:
    """One output for the mean and one a level."""
    wanted = np.asarray(levels, dtype=np.float32)

    def loss(target: Any, output: Any) -> Any:
        import tensorflow as tf

        away = target[:, None] - output[:, 1:]
        pinball = tf.reduce_mean(tf.maximum(wanted * away, (wanted - 1) * away), axis=1)
        error = target - output[:, 0]
        small = tf.minimum(tf.abs(error), 3.0)
        return small * (tf.abs(error) - small / 2) + pinball

    return Head(width=1 + len(levels), loss=loss, finish=None, key=f"returns at {list(levels)}")
