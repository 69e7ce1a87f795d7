"""The Transformer against its equations in numpy."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.factory import create_model
from models.transformer import positions

Data = tuple[pd.DataFrame, pd.Series, pd.Series]


def softmax(scores: Any) -> Any:
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def normalised(state: Any, gamma: Any, beta: Any) -> Any:
    centred = state - state.mean(axis=-1, keepdims=True)
    return gamma * centred / np.sqrt(state.var(axis=-1, keepdims=True) + 1e-3) + beta


def attended(state: Any, weights: list[Any]) -> Any:
    """Each bar a mean over itself and the bars before it, head by head (Vaswani et al. 2017, equation 1)."""
    wq, bq, wk, bk, wv, bv, wo, bo = weights
    out = np.tile(bo, (len(state), 1))
    for head in range(wq.shape[1]):
        query, key, value = (state @ w[:, head] + b[head] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
        for bar in range(len(state)):
            shares = softmax(query[bar] @ key[: bar + 1].T / np.sqrt(wq.shape[2]))
            out[bar] += shares @ value[: bar + 1] @ wo[head]
    return out


def test_predictions_are_those_of_the_equations(fitted: dict[str, Any], data: Data) -> None:
    # As models see it: the first feature differs from 1 by so little that its rounding to float32 shows.
    model, X = fitted["transformer"], data[0].to_numpy(np.float32).astype(float)
    weights = iter([w.astype(float) for w in model.network_.get_weights() if w.ndim])

    def take(count: int) -> list[Any]:
        return [next(weights) for _ in range(count)]

    project, bias = take(2)
    blocks = [(take(2), take(8), take(2), take(4)) for _ in range(model.blocks)]
    last, (out, out_bias) = take(2), take(2)
    assert next(weights, None) is None
    low, centre, high = np.quantile(X[3:], [0.25, 0.5, 0.75], axis=0)
    scaled = np.clip((X - centre) / (high - low) * 1.3489795, -5, 5)
    predicted = model.predict_proba(data[0])[1].to_numpy()
    for end in (3, 57, 399):
        state = scaled[end - 3 : end + 1] @ project + bias + positions(4, model.width)
        for before, attention, between, (w1, b1, w2, b2) in blocks:
            state = state + attended(normalised(state, *before), attention)
            state = state + np.maximum(normalised(state, *between) @ w1 + b1, 0) @ w2 + b2
        logit = normalised(state, *last)[-1] @ out + out_bias
        assert predicted[end] == pytest.approx(1 / (1 + np.exp(-logit[0])), abs=1e-6)


def test_places_are_sines_and_cosines() -> None:
    # Vaswani et al. 2017, section 3.5, written out for four channels.
    expected = [[np.sin(t), np.cos(t), np.sin(t / 100), np.cos(t / 100)] for t in range(30)]
    assert positions(30, 4) == pytest.approx(np.array(expected), abs=1e-6)
    assert positions(7, 5).shape == (7, 5)


def test_queries_and_keys_start_apart(settings: dict[str, dict[str, Any]], data: Data) -> None:
    X, y, t_end = data
    # A step that changes nothing leaves the weights as they were drawn.
    still = settings["transformer"] | {"epochs": 1, "learning_rate": 1e-12}
    model = create_model("transformer", still, seed=5).fit(X, y, t_end=t_end)
    kernels = [w for w in model.network_.get_weights() if w.ndim == 3]  # type: ignore[attr-defined]
    query, key, value, _ = kernels[:4]
    assert not np.allclose(query, key)
    assert not np.allclose(key, value)
    assert np.abs(query).max() <= np.sqrt(6 / (2 * 6)) + 1e-6
