"""Transformer encoder over a window of bars (Vaswani et al. 2017), causal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.out_of_fold import Splitter
from models.sequence import SequenceModel


class Transformer(SequenceModel):
    """Encoder blocks in which a bar attends to itself and the bars before it; the newest bar's state is read.

    Features are projected to ``width`` channels and their place in the window is added as sines and cosines. Each block
    is causal self-attention and a feed-forward layer, both normalised before and added to what they were given (Xiong
    et al. 2020, which needs no warm-up of the learning rate).

    Parameters
    ----------
    window
        Consecutive bars that a prediction looks at.
    width
        Channels of a bar's state; a multiple of ``heads``.
    heads
        Of each attention, ``width / heads`` channels each.
    blocks
        Encoder blocks on top of each other.
    feed_forward
        Width of the hidden layer in each block.
    dropout
        Fraction dropped of attention weights and of both layers' outputs while training.
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

    References
    ----------
    A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, sections 3.1 to 3.5. R. Xiong et al., "On Layer
    Normalization in the Transformer Architecture", ICML 2020.
    """

    name = "transformer"

    def __init__(
        self,
        *,
        window: int,
        width: int,
        heads: int,
        blocks: int,
        feed_forward: int,
        dropout: float,
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
        self.width = width
        self.heads = heads
        self.blocks = blocks
        self.feed_forward = feed_forward
        self.dropout = dropout
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

        def dense(units: int, activation: str | None = None, penalty: Any = None) -> Any:
            kernel = initializers.GlorotUniform(seed=next(seeds))
            return layers.Dense(units, activation=activation, kernel_initializer=kernel, kernel_regularizer=penalty)

        def dropped(values: Any) -> Any:
            return layers.Dropout(self.dropout, seed=next(seeds))(values)

        state = dense(self.width, penalty=regularizers.L1(self.sparsity))(inputs) + positions(self.window, self.width)
        for _ in range(self.blocks):
            normal = layers.LayerNormalization()(state)
            attention = layers.MultiHeadAttention(
                self.heads, self.width // self.heads, dropout=self.dropout, seed=next(seeds)
            )
            attended = attention(normal, normal, use_causal_mask=True)
            _draw_weights(attention, self.width, next(seeds))
            state = state + dropped(attended)
            hidden = dense(self.feed_forward, "relu")(layers.LayerNormalization()(state))
            state = state + dropped(dense(self.width)(hidden))
        return layers.LayerNormalization()(state)[:, -1]


def positions(window: int, width: int) -> NDArray[np.float32]:
    """Sinusoidal encoding of a place in the window, shape (window, width): Vaswani et al. 2017, section 3.5.

    Even channels hold ``sin(place / 10000^(channel / width))``, the odd one behind each the cosine of the same angle.
    """
    channel = np.arange(width)
    angle = np.arange(window)[:, None] / 10_000 ** ((channel - channel % 2) / width)
    return np.where(channel % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


def _draw_weights(attention: Any, width: int, seed: int) -> None:
    """Start queries, keys and values apart: Keras would draw all three from copies of one seeded initialiser.

    Each kernel takes ``width`` channels to as many, so Glorot's uniform draw reaches to ``sqrt(6 / (2 width))``.
    """
    generator, reach = np.random.default_rng(seed), np.sqrt(3 / width)
    attention.set_weights(
        [
            generator.uniform(-reach, reach, weights.shape) if weights.ndim == 3 else weights
            for weights in attention.get_weights()
        ]
    )
