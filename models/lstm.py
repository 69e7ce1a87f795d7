"""Stacked long short-term memory network (Hochreiter and Schmidhuber 1997)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.out_of_fold import Splitter
from models.sequence import SequenceModel


class LSTM(SequenceModel):
    """LSTM layers with dropout after each, a dense layer, and a sigmoid.

    Parameters
    ----------
    window
        Consecutive bars that a prediction looks at.
    units
        Width of each LSTM layer, from the input upwards.
    dropout
        Fraction of each layer's outputs that is dropped while training.
    dense
        Width of the dense layer below the output.
    epochs
        Passes over the training windows.
    batch_size
        Windows in a batch, at most.
    learning_rate
        Highest of Adam; it rises to it and falls again.
    warmup
        Share of the planned steps in which it rises.
    sparsity
        Penalty on the sum of the absolute weights that read the features (Tibshirani 1996), added to the loss in nats:
        columns that say nothing are left alone.
    patience
        Epochs without a lower loss on the tail after which training stops; 0 holds no tail back and never stops.
    stride
        Train on every ``stride``-th labelled row: neighbouring windows share all but one bar.
    seed
        Of initial weights, dropout and the order of the batches.
    cv
        Its last split holds the tail back; None where ``patience`` is 0.
    checkpoints
        Folder in which a fit is kept after each epoch, so that a killed one goes on; None keeps nothing.
    """

    name = "lstm"

    def __init__(
        self,
        *,
        window: int,
        units: list[int],
        dropout: float,
        dense: int,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        warmup: float,
        sparsity: float,
        patience: int,
        stride: int,
        seed: int,
        cv: Splitter | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        self.window = window
        self.units = units
        self.dropout = dropout
        self.dense = dense
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup = warmup
        self.sparsity = sparsity
        self.patience = patience
        self.stride = stride
        self.seed = seed
        self.cv = cv
        self.checkpoints = checkpoints

    def _body(self, inputs: Any, seeds: Iterator[int]) -> Any:
        from keras import initializers, layers, regularizers

        hidden = inputs
        for depth, units in enumerate(self.units, start=1):
            hidden = layers.LSTM(
                units,
                return_sequences=depth < len(self.units),
                kernel_initializer=initializers.GlorotUniform(seed=next(seeds)),
                recurrent_initializer=initializers.Orthogonal(seed=next(seeds)),
                kernel_regularizer=regularizers.L1(self.sparsity) if depth == 1 else None,
            )(hidden)
            hidden = layers.Dropout(self.dropout, seed=next(seeds))(hidden)
        kernel = initializers.GlorotUniform(seed=next(seeds))
        return layers.Dense(self.dense, activation="relu", kernel_initializer=kernel)(hidden)
