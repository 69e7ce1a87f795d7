"""The answer against oracles that see bars alone, and against what then happened."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm

from trading.markets import path
from trading.markets.market import EDGES, Drawn, Edge, Market, draw

# Of the oracles' own starts nothing is left after so many bars.
FORGOTTEN = 2_000
MARKETS = {edge: Market(edge, 0.5 if edge == "none" else 0.6) for edge in EDGES}


def moves_of(drawn: Drawn) -> pd.Series:
    return np.log(drawn.bars["close"] / drawn.bars["open"])


def next_return(drawn: Drawn) -> pd.Series:
    """What the label of one bar is about: from the open of t+1 to the open of t+2."""
    opens = drawn.bars["open"]
    return opens.shift(-2) / opens.shift(-1) - 1


def spread_of(moves: pd.Series) -> pd.Series:
    """Exponential mean of squared moves, those of the row's own bar included."""
    return (moves**2).ewm(span=48, adjust=False).mean()


def pushes(drawn: Drawn) -> pd.Series:
    """Push on the bar after each, in standard deviations and before any hidden sign, by the words of ``MEANINGS``."""
    bars, moves = drawn.bars, moves_of(drawn)
    spread = spread_of(moves)
    match drawn.market.edge:
        case "none":
            signal = moves * 0
        case "linear":
            signal = (moves.rolling(6).sum() / np.sqrt(6 * spread)).clip(-2, 2)
        case "regime":
            signal = (moves.rolling(3).sum() / np.sqrt(3 * spread)).clip(-2, 2)
        case "interaction":
            close, volume = np.log(bars["close"]), np.log(bars["volume"])
            signal = np.sign(close - close.rolling(24).mean()) * np.sign(volume - volume.rolling(24).mean())
        case "memory":
            large = moves.abs() > 2 * np.sqrt(spread.shift(1))
            signal = np.sign(moves).where(large).ffill()
    return drawn.market.strength * signal


@pytest.mark.parametrize("edge", ["none", "linear", "interaction", "memory"])
def test_the_answer_follows_from_the_bars_alone(edge: Edge) -> None:
    drawn = draw(MARKETS[edge], 6_000, 11)
    push = pushes(drawn)
    up = 0.99 * norm.cdf(push) + 0.01 * norm.cdf(push / 4)
    assert np.abs(up - drawn.answer["prob_up"].to_numpy())[FORGOTTEN:].max() < 1e-9


@pytest.mark.parametrize("edge", EDGES)
def test_an_independent_filter_of_the_bars_alone_gives_the_answer(edge: Edge) -> None:
    drawn = draw(MARKETS[edge], 5_000, 12)
    moves, push = moves_of(drawn).to_numpy(), pushes(drawn).fillna(0).to_numpy()
    hours = np.arange(len(moves) + 1) % 24
    season = 1 + 0.25 * np.cos(2 * np.pi * (hours - 15) / 24)
    # States in the order calm+, calm-, stormy+, stormy-; components: plain noise, then jumps.
    factor, sign = np.array([0.75, 0.75, 1.45, 1.45]), np.array([1, -1, 1, -1]) if edge == "regime" else np.ones(4)
    change = np.kron([[0.995, 0.005], [0.005, 0.995]], [[0.996, 0.004], [0.004, 0.996]])
    share, wide = np.array([0.99, 0.01]), np.array([1.0, 4.0])
    square = (0.75**2 + 1.45**2) / 2
    belief, variance = np.full(4, 0.25), 0.004**2
    found = np.zeros((len(moves), 3))
    for at in range(len(moves)):
        before = push[at - 1] if at else 0.0
        width = np.sqrt(variance) * season[at] * factor
        density = norm.pdf(moves[at], (width * before * sign)[:, None], width[:, None] * wide) @ share
        belief = (belief * density / (belief @ density)) @ change
        usual = season[at] * np.sqrt(square * (1.15 + before**2))
        plain = min(abs(moves[at]) / usual, 2.5 * np.sqrt(variance))
        variance = 0.004**2 * 0.05 + 0.05 * plain**2 + 0.9 * variance
        width = np.sqrt(variance) * season[at + 1] * factor
        centre, deviation = (width * push[at] * sign)[:, None], width[:, None] * wide
        once, twice = np.exp(centre + deviation**2 / 2), np.exp(2 * centre + 2 * deviation**2)
        for column, value in enumerate((norm.cdf(centre / deviation), once - 1, twice - 2 * once + 1)):
            found[at, column] = belief @ value @ share
    answer = drawn.answer.to_numpy()[FORGOTTEN:]
    assert np.abs(found[FORGOTTEN:, 0] - answer[:, 0]).max() < 1e-7
    assert np.abs(found[FORGOTTEN:, 1:] / answer[:, 1:] - 1).max() < 1e-5


@pytest.mark.parametrize("edge", EDGES)
def test_what_happens_is_as_probable_as_the_answer_says(edge: Edge) -> None:
    drawn = draw(MARKETS[edge], 200_000, 13)
    ahead, answer = next_return(drawn).iloc[:-2], drawn.answer.iloc[:-2]
    up, probable = (ahead > 0).to_numpy(), answer["prob_up"].to_numpy()
    place = np.minimum((probable * 20).astype(int), 19)
    counts = [
        np.bincount(place, weights=weights, minlength=20) for weights in (up - probable, probable * (1 - probable))
    ]
    filled = counts[1] > 20
    assert filled.sum() >= {"none": 1, "interaction": 2, "memory": 2}.get(edge, 8)
    assert chi2.sf((counts[0][filled] ** 2 / counts[1][filled]).sum(), filled.sum()) > 0.001
    surprise = ahead.to_numpy() - answer["mean"].to_numpy()
    assert abs(surprise.sum()) < 3 * np.sqrt(answer["square"].sum())
    assert (ahead**2).mean() == pytest.approx(answer["square"].mean(), rel=0.05)


def test_the_strongest_hidden_sign_is_not_known_but_inferred() -> None:
    """The filter is worth less than the sign itself, and more than not knowing it."""
    drawn = draw(MARKETS["regime"], 20_000, 14)
    push = pushes(drawn)[FORGOTTEN:]
    knows = (0.99 * norm.cdf(push.abs()) + 0.01 * norm.cdf(push.abs() / 4)).mean()
    up = drawn.answer["prob_up"][FORGOTTEN:]
    filtered = np.maximum(up, 1 - up).mean()
    assert 0.5 + 0.4 * (knows - 0.5) < filtered < knows - 0.002


@pytest.mark.parametrize("edge", EDGES)
def test_the_compiled_kernel_is_the_plain_one(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    n, generator = 400, np.random.default_rng(3)
    arguments = (
        EDGES.index(edge),
        0.4,
        np.full(n + 1, 1.1),
        generator.standard_normal(n),
        generator.random(n) / 2,
        generator.random((n, 2)),
        generator.standard_normal((n, 2)),
    )
    compiled = path.draw_path(*arguments)
    for name in ("_signal", "_expected", "_learn"):
        monkeypatch.setattr(path, name, getattr(path, name).py_func)
    for plain, fast in zip(path.draw_path.py_func(*arguments), compiled, strict=True):
        np.testing.assert_allclose(plain, fast, rtol=1e-9, atol=1e-12)
