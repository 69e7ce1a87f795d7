"""Adaptive conformal intervals: coverage where volatility changes, nothing from the future, and an obvious oracle."""

from math import ceil, sqrt

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from models.conformal import Conformal, adapted
from pipelines.features.engine import FeatureEngine
from pipelines.labels.direction import direction_labels
from pipelines.metrics import effective_number
from trading.errors import ModelError
from trading.instrument import Instrument
from trading.markets.market import Market, draw

ADAPTIVE = Conformal(confidence=0.9, memory=1000, step=0.01)
HOUR = pd.Timedelta("1h")


def rows_of(n: int) -> NDArray[np.intp]:
    return np.arange(n)


def drawn(n: int, seed: int, horizon: int = 1) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Returns, when they are known, and a volatility that lags behind one that jumps between regimes and clusters."""
    generator = np.random.default_rng(seed)
    index = pd.date_range("2021-01-01", periods=n, freq="h", tz="UTC", name="timestamp")
    regime = np.cumsum(generator.random(n) < 0.003) % 2
    true = np.empty(n)
    moves = np.empty(n)
    spread = 1.0
    for i in range(n):
        true[i] = 0.004 * np.sqrt(spread) * (1 + 2 * regime[i])
        shock = generator.standard_t(5) / np.sqrt(5 / 3)
        spread = 0.05 + 0.1 * min(shock**2, 9) * spread + 0.85 * spread
        moves[i] = true[i] * shock
    moved = pd.Series(moves, index=index)
    volatility = moved.rolling(24).std()
    # Row t: the moves of bars t + 1 to t + h, known at the opening of bar t + h + 1.
    ret = moved.rolling(horizon).sum().shift(-horizon)
    known = pd.Series(index + (1 + horizon) * HOUR, index=index).where(ret.notna())
    return ret, known, volatility


def inside(ret: pd.Series, said: pd.DataFrame) -> NDArray[np.float64]:
    judged = ret.notna() & said["low"].notna()
    return ret[judged].between(said["low"][judged], said["high"][judged]).to_numpy(dtype=float)


@pytest.mark.parametrize("seed", range(4))
def test_nine_in_ten_are_held_where_volatility_changes_its_regime(seed: int) -> None:
    ret, known, volatility = drawn(6500, seed)
    held = inside(ret, ADAPTIVE.intervals(ret, known, volatility, 1, rows_of(6500)))[500:]
    assert len(held) >= 5000
    assert 0.88 <= held.mean() <= 0.92


@pytest.mark.parametrize("edge", ["none", "regime"])
def test_so_they_are_on_simulated_bars(edge: str) -> None:
    market = Market(edge, 0.5 if edge == "none" else 0.6)  # type: ignore[arg-type]
    bars = draw(market, 7000, seed=3).bars
    held = inside(*on_bars(bars, market.instrument, "1h"))[500:]
    assert len(held) >= 5000
    assert 0.88 <= held.mean() <= 0.92


def on_bars(bars: pd.DataFrame, instrument: Instrument, horizon: str) -> tuple[pd.Series, pd.DataFrame]:
    volatility = FeatureEngine(["volatility"], instrument.timeframe).batch(bars)["volatility_24"]
    labels = direction_labels(bars, instrument, horizon)
    rows = np.arange(len(bars))
    ahead = instrument.bars_in(horizon)
    return labels["ret"], ADAPTIVE.intervals(labels["ret"], labels["t_end"], volatility, ahead, rows)


@pytest.mark.parametrize(("horizon", "apart"), [("1h", 0.02), ("4h", 0.02), ("24h", 0.03)])
def test_and_on_the_held_back_half_of_real_bars(
    sample_bars: pd.DataFrame, instrument: Instrument, horizon: str, apart: float
) -> None:
    ret, said = on_bars(sample_bars, instrument, horizon)
    held = inside(ret, said)[len(sample_bars) // 2 :]
    assert len(held) >= 5000
    assert abs(held.mean() - 0.9) <= apart
    # Intervals over many bars overlap: a day's are worth a few of their number.
    worth = effective_number(held, instrument.bars_in(horizon))
    assert worth <= len(held)
    if horizon == "24h":
        assert worth < len(held) / 4


def test_a_fixed_quantile_does_not_hold_what_an_adaptive_one_does() -> None:
    """Where a calm market turns wild for good, without a volatility that says so."""
    n = 4000
    generator = np.random.default_rng(0)
    index = pd.date_range("2021-01-01", periods=n, freq="h", tz="UTC")
    ret = pd.Series(generator.normal(size=n) * np.where(np.arange(n) < 2000, 1.0, 3.0), index=index)
    known = pd.Series(index + 2 * HOUR, index=index)
    still = pd.Series(1.0, index=index)
    low, high = ret[:2000].quantile([0.05, 0.95])
    assert ret[2000:].between(low, high).mean() < 0.6
    adaptive = inside(ret, ADAPTIVE.intervals(ret, known, still, 1, rows_of(n)))
    assert adaptive[2000:].mean() > 0.85


def oracle(scores: list[float], memory: int, step: float, tail: float) -> tuple[float, float, float, float]:
    """Word for word, with a sort for every step."""
    low_level = high_level = tail
    seen: list[float] = []

    def ends() -> tuple[float, float]:
        ranked, n = sorted(seen), len(seen)

        def rank(level: float) -> int:
            return min(max(ceil((n + 1) * (1 - level)), 1), n)

        high, low = ranked[rank(high_level) - 1], ranked[n - rank(low_level)]
        return min(low, high), max(low, high)

    for score in scores[-memory:]:
        if seen:
            low, high = ends()
            low_level = min(max(low_level + step * (tail - (score < low)), 0.0), 1.0)
            high_level = min(max(high_level + step * (tail - (score > high)), 0.0), 1.0)
        seen.append(score)
    return (*ends(), low_level, high_level)


@pytest.mark.parametrize("how", ["compiled", "interpreted"])
def test_every_moment_is_what_an_obvious_loop_says(how: str) -> None:
    generator = np.random.default_rng(1)
    scores = generator.standard_t(3, 90).round(1)  # ties too
    seen = np.array([1, 2, 5, 30, 31, 89, 90])
    kernel = adapted if how == "compiled" else adapted.py_func
    found = kernel(scores, np.maximum(0, seen - 40), seen, 40, 0.1, 0.1)
    for row, count in zip(found, seen, strict=True):
        assert row == pytest.approx(oracle(scores[:count].tolist(), 40, 0.1, 0.1))


def test_an_outcome_counts_once_the_bars_show_it_and_not_before() -> None:
    ret, known, volatility = drawn(900, 5, horizon=4)
    rows = np.array([600])
    plain = ADAPTIVE.intervals(ret, known, volatility, 4, rows)
    # The last outcome at hand: decided at row 595, known at the opening of bar 600.
    later = ret.copy()
    later.iloc[596:] = 9.0
    pd.testing.assert_frame_equal(ADAPTIVE.intervals(later, known, volatility, 4, rows), plain, check_exact=True)
    newest = ret.copy()
    newest.iloc[595] = 9.0
    assert not ADAPTIVE.intervals(newest, known, volatility, 4, rows).equals(plain)


def test_only_the_last_rows_are_remembered() -> None:
    ret, known, volatility = drawn(1500, 6)
    whole = ADAPTIVE.intervals(ret, known, volatility, 1, np.array([1499]))
    tail = slice(500, None)
    short = ADAPTIVE.intervals(ret[tail], known[tail], volatility[tail], 1, np.array([999]))
    pd.testing.assert_frame_equal(whole, short, check_exact=True)
    assert whole["outcomes"].iloc[0] == 998


def test_rows_without_a_score_teach_nothing_and_say_nothing() -> None:
    ret, known, volatility = drawn(400, 7)
    assert ADAPTIVE.intervals(ret, known, volatility, 1, rows_of(26))["low"].isna().iloc[:25].all()
    dead = volatility.copy()
    dead.iloc[300:] = 0.0
    said = ADAPTIVE.intervals(ret, known, dead, 1, rows_of(400))
    assert (said["outcomes"].iloc[302:] == said["outcomes"].iloc[302]).all()
    assert (said["low"].iloc[300:] == 0).all()


def test_series_that_do_not_belong_together_are_refused() -> None:
    ret, known, volatility = drawn(100, 8)
    with pytest.raises(ModelError, match="different bars"):
        ADAPTIVE.intervals(ret, known, volatility[1:], 1, rows_of(100))
    with pytest.raises(ModelError, match="out of order"):
        ADAPTIVE.intervals(ret, known.where(known.index != known.index[60], known.iloc[70]), volatility, 1, rows_of(99))


def test_a_longer_horizon_is_wider_by_the_root_of_time() -> None:
    ret, known, volatility = drawn(3000, 9)
    one = ADAPTIVE.intervals(ret, known, volatility, 1, rows_of(3000))
    slower = Conformal(0.9, 1000, 0.04)
    four = slower.intervals(ret * sqrt(4), known, volatility, 4, rows_of(3000))
    np.testing.assert_allclose(four["high"], one["high"] * 2)
