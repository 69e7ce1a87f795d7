import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from trading.costs import Costs
from trading.errors import InstrumentError, ParamsError
from trading.markets.market import (
    EDGES,
    LARGEST,
    MEANINGS,
    Drawn,
    Edge,
    Market,
    attainable_accuracy,
    attainable_sharpe,
    draw,
    expected_accuracy,
)
from trading.simulator import simulate

PLANTED = [edge for edge in EDGES if edge != "none"]
FREE = Costs(0.0, 0.0, 0.0)


def moves_of(drawn: Drawn) -> pd.Series:
    return np.log(drawn.bars["close"] / drawn.bars["open"])


def test_a_seed_gives_its_bars_again_and_no_other_does() -> None:
    market = Market("regime", 0.6)
    first, again, other = draw(market, 500, 1), draw(market, 500, 1), draw(market, 500, 2)
    pd.testing.assert_frame_equal(first.bars, again.bars, check_exact=True)
    pd.testing.assert_frame_equal(first.answer, again.answer, check_exact=True)
    assert (first.bars["close"] != other.bars["close"]).all()


@pytest.mark.parametrize("edge", EDGES)
def test_bars_are_bars(edge: Edge) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bars = draw(Market(edge, LARGEST[edge]), 20_000, 5).bars
    assert list(bars) == ["open", "high", "low", "close", "volume"]
    assert bars.index.name == "timestamp"
    assert str(bars.index.tz) == "UTC"
    assert (bars.index[1:] - bars.index[:-1] == pd.Timedelta(hours=1)).all()
    assert np.isfinite(bars.to_numpy()).all()
    assert (bars > 0).all(axis=None)
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["open"].iloc[1:].to_numpy() == bars["close"].iloc[:-1].to_numpy()).all()
    # A bar that nobody believes would be quarantined: validate.max_jump of params.yaml.
    assert np.log(bars["close"] / bars["open"]).abs().max() < 0.4


@pytest.mark.parametrize("edge", EDGES)
def test_prices_stay_within_sight(edge: Edge) -> None:
    for seed in range(3):
        closes = draw(Market(edge, 0.5 if edge == "none" else 0.6), 20_000, seed).bars["close"]
        assert np.log(closes.max() / closes.min()) < np.log(1000)


@pytest.mark.parametrize("edge", PLANTED)
@pytest.mark.parametrize("accuracy", [0.51, 0.6, 0.65])
def test_the_accuracy_is_the_one_asked_for(edge: Edge, accuracy: float) -> None:
    paths = [attainable_accuracy(draw(Market(edge, accuracy), 20_000, seed).answer) for seed in range(1, 7)]
    # A hidden regime is known better on some paths than on others: 0.4 points of standard deviation at 65%.
    assert max(abs(path - accuracy) for path in paths) < (0.01 if edge == "regime" and accuracy > 0.6 else 0.005)
    assert abs(np.mean(paths) - accuracy) < (0.005 if edge == "regime" else 0.002)


@pytest.mark.parametrize("edge", PLANTED)
def test_the_observer_is_right_as_often_as_the_answer_says(edge: Edge) -> None:
    drawn = draw(Market(edge, 0.6), 50_000, 7)
    opens = drawn.bars["open"]
    rose = (opens.shift(-2) > opens.shift(-1)).iloc[:-2]
    right = ((drawn.answer["prob_up"].iloc[:-2] > 0.5) == rose).mean()
    assert abs(right - attainable_accuracy(drawn.answer)) < 3 * 0.5 / np.sqrt(len(rose))


def test_accuracy_is_expected_without_the_luck_of_the_draw() -> None:
    answer = draw(Market("linear", 0.6), 5_000, 8).answer
    up, best = answer["prob_up"], attainable_accuracy(answer)
    assert expected_accuracy(up, answer) == pytest.approx(best, abs=1e-12)
    assert expected_accuracy(1 - up, answer) == pytest.approx(1 - best, abs=1e-12)
    assert expected_accuracy(up * 0 + 0.5, answer) == 0.5
    half = up.iloc[2_500:]
    assert expected_accuracy(half, answer) == pytest.approx(attainable_accuracy(answer.loc[half.index]), abs=1e-12)
    assert np.isnan(expected_accuracy(up.where(up > 0.5), answer))


@pytest.mark.parametrize("edge", PLANTED)
def test_the_best_sharpe_is_what_the_best_position_earns(edge: Edge) -> None:
    drawn = draw(Market(edge, 0.6), 100_000, 9)
    per_year = drawn.market.instrument.bars_per_year
    position = drawn.answer["mean"] / drawn.answer["square"]
    position /= position.abs().max()

    def earned(positions: pd.Series) -> pd.Series:
        outcome = simulate(drawn.bars, positions, FREE, rebalance_band=0.0, bars_per_year=per_year)
        return outcome.returns.iloc[2:]

    best = earned(position)
    sharpes = [part.mean() / part.std() * np.sqrt(per_year) for part in np.array_split(best, 50)]
    error = np.std(sharpes, ddof=1) / np.sqrt(50)
    attainable = attainable_sharpe(drawn.answer, per_year)
    assert abs(best.mean() / best.std() * np.sqrt(per_year) - attainable) < 3 * error
    sides: list[Callable[[pd.Series], pd.Series]] = [
        np.sign,
        lambda one: one.clip(-0.05, 0.05) * 20,
        lambda one: one**3,
    ]
    for other in (earned(side(position)) for side in sides):
        assert other.mean() / other.std() < best.mean() / best.std()


def test_what_trades_at_the_next_open_earns_what_the_answer_is_about() -> None:
    """Row t of the answer is the simulator's bar t + 1: decided at the close of t, filled at the open of t + 1."""
    drawn = draw(Market("memory", 0.6), 3_000, 10)
    position = drawn.answer["mean"] / drawn.answer["square"]
    position /= position.abs().max()
    outcome = simulate(drawn.bars, position, FREE, rebalance_band=0.0, bars_per_year=8760)
    opens = drawn.bars["open"]
    expected = (position * (opens.shift(-2) / opens.shift(-1) - 1)).iloc[:-2]
    np.testing.assert_allclose(outcome.returns.iloc[1:-1], expected, rtol=0, atol=1e-12)


def test_the_market_without_an_edge_has_none() -> None:
    drawn = draw(Market("none"), 20_000, 1)
    assert (drawn.answer["prob_up"] == 0.5).all()
    assert attainable_accuracy(drawn.answer) == 0.5
    # What is left is that half the variance of log returns is the mean of simple ones.
    assert attainable_sharpe(drawn.answer, 8760) < 0.4


def test_moves_look_like_those_of_markets() -> None:
    drawn = draw(Market("none"), 50_000, 2)
    moves = moves_of(drawn)
    size = moves.abs()
    lags = {lag: size.autocorr(lag) for lag in (1, 24, 120)}
    assert lags[1] > 0.1
    assert lags[24] > 0.1
    assert lags[120] > 0.01
    assert lags[1] > lags[120]
    assert abs(moves.autocorr(1)) < 0.03
    assert moves.kurt() > 5
    by_hour = size.groupby(drawn.bars.index.hour).mean()
    assert by_hour.idxmax() in range(12, 19)
    assert by_hour.idxmin() in (*range(6), 23)
    assert by_hour.max() / by_hour.min() == pytest.approx(1.25 / 0.75, rel=0.15)
    assert size.corr(np.log(drawn.bars["volume"]), method="spearman") > 0.2


def test_the_scale_grows_with_the_square_root_of_time() -> None:
    wide = {frame: moves_of(draw(Market("none", 0.5, frame), 9_000, 3)).std() for frame in ("5m", "1h", "1d")}
    assert wide["1h"] / wide["5m"] == pytest.approx(np.sqrt(12), rel=0.15)
    # A daily bar always opens at midnight, where the season is at 0.82.
    assert wide["1d"] / wide["1h"] == pytest.approx(np.sqrt(24) * 0.82, rel=0.15)


def test_every_edge_is_described_and_has_its_limit() -> None:
    assert set(MEANINGS) == set(LARGEST) == set(EDGES)
    assert Market("none").strength == 0.0


@pytest.mark.parametrize(
    ("edge", "accuracy", "timeframe", "said"),
    [
        ("momentum", 0.6, "1h", "unknown edge 'momentum'"),
        ("linear", 0.5, "1h", "attainable accuracy 0.5 of the edge 'linear'"),
        ("linear", 0.66, "1h", "linear 0.505 to 0.65"),
        ("regime", float("nan"), "1h", "attainable accuracy nan"),
        ("none", 0.6, "1h", "0.5 without an edge"),
        ("linear", 0.6, "1w", "whole bars make a day"),
        ("linear", 0.6, "7h", "whole bars make a day"),
    ],
)
def test_refuses_markets_that_cannot_be(edge: Edge, accuracy: float, timeframe: str, said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        Market(edge, accuracy, timeframe)


def test_refuses_other_nonsense() -> None:
    with pytest.raises(InstrumentError, match="unknown timeframe"):
        Market("linear", 0.6, "hour")
    with pytest.raises(ParamsError, match="1 bars"):
        draw(Market("none"), 1, 0)
    with pytest.raises(ParamsError, match="from 2 to 9,125, which is 25 years"):
        draw(Market("none", 0.5, "1d"), 20_000, 0)
