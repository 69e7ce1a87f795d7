import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipelines.monte_carlo.estimate import probability
from pipelines.monte_carlo.path_statistics import path_statistics
from pipelines.monte_carlo.price_paths import PriceModel, fit_price_model, simulate_bars
from pipelines.monte_carlo.stopping import Effort, draw_until
from pipelines.schemas import bar_schema
from tests.test_pipelines.test_monte_carlo.markets import hourly, sample
from trading.costs import Costs
from trading.errors import BarError, TooFewBarsError
from trading.performance import max_drawdown
from trading.simulator import simulate

COINS = ["BTC", "ETH", "EOS", "LTC", "XRP"]


@lru_cache
def fitted(coin: str) -> PriceModel:
    return fit_price_model(sample(coin), 2)


def correlation(values: np.ndarray, lags: range) -> float:
    """Mean autocorrelation over some lags."""
    centred = values - values.mean()
    return float(np.mean([(centred[lag:] * centred[:-lag]).mean() for lag in lags]) / centred.var())


def described(bars: pd.DataFrame) -> dict[str, float]:
    moves = np.diff(np.log(bars["close"]))
    size, volume = np.abs(moves), np.log(bars["volume"].clip(lower=1e-9).to_numpy())
    return {
        "volatility": moves.std(),
        "mean size": size.mean(),
        "kurtosis": stats.kurtosis(moves),
        "clustering, next bar": correlation(size, range(1, 2)),
        "clustering, a day": correlation(size, range(20, 29)),
        "drawdown": max_drawdown(bars["close"]),
        "range": np.log(bars["high"] / bars["low"]).mean(),
        "volume spread": volume.std(),
        "volume with size": np.corrcoef(size, volume[1:])[0, 1],
    }


@pytest.mark.parametrize("coin", COINS)
def test_simulated_histories_look_like_the_fitted_one(coin: str) -> None:
    """Bands that docs/monte-carlo.md states."""
    bars, model = sample(coin), fitted(coin)
    drawn = pd.DataFrame([described(simulate_bars(model, bars.index, 100.0, seed=0, path=seed)) for seed in range(30)])
    real, middle = described(bars), drawn.median()
    # What happened is one of the things that happen ...
    for name in ("volatility", "kurtosis", "drawdown", "clustering, next bar", "clustering, a day"):
        assert drawn[name].min() < real[name] < drawn[name].max(), name
    # ... and not because anything does.
    for name, room in (("volatility", 1.25), ("mean size", 1.25), ("range", 1.25), ("volume spread", 1.15)):
        assert 1 / room < middle[name] / real[name] < room, name
    assert 1 / 2 < middle["kurtosis"] / real["kurtosis"] < 2
    for name in ("clustering, next bar", "clustering, a day", "volume with size"):
        assert middle[name] == pytest.approx(real[name], abs=0.12), name


def test_simulated_bars_are_bars_on_the_same_index() -> None:
    index = sample("BTC").index[:3_000]
    bars = simulate_bars(fitted("BTC"), index, 4_000.0, seed=0, path=1)
    bar_schema().validate(bars, lazy=True)
    pd.testing.assert_index_equal(bars.index, index)
    assert bars["open"].iloc[0] == 4_000.0
    np.testing.assert_allclose(bars["open"].to_numpy()[1:], bars["close"].to_numpy()[:-1])
    pd.testing.assert_frame_equal(bars, simulate_bars(fitted("BTC"), index, 4_000.0, seed=0, path=1))
    assert not np.allclose(bars["close"], simulate_bars(fitted("BTC"), index, 4_000.0, seed=0, path=2)["close"])


def test_the_past_says_nothing_of_the_direction() -> None:
    model = replace(fitted("XRP"), recursion=replace(fitted("XRP").recursion, mean=0.0))
    index = pd.date_range("2000-01-01", periods=120_000, freq="h", tz="UTC", name="timestamp")
    bars = simulate_bars(model, index, 100.0, seed=0, path=0)
    moves = np.diff(np.log(bars["close"]))
    up = np.sign(moves)
    seen = {
        "last sign": up[:-1],
        "last move": np.clip(moves[:-1], -0.05, 0.05),
        "size": np.abs(moves[:-1]).clip(max=0.05),
        "day": np.convolve(up, np.ones(24))[: len(up)][:-1],
        "range": np.log(bars["high"] / bars["low"]).to_numpy()[1:-1],
        "volume": np.log(bars["volume"]).to_numpy()[1:-1],
        "close in range": ((bars["close"] - bars["low"]) / (bars["high"] - bars["low"])).to_numpy()[1:-1],
    }
    for name, past in seen.items():
        assert abs(np.corrcoef(past, up[1:])[0, 1]) < 3.5 / math.sqrt(len(past)), name
    assert abs(up.mean()) < 3.5 / math.sqrt(len(up))
    # And the size of the next move is foretold: the test could have seen something.
    assert np.corrcoef(seen["size"], np.abs(moves[1:]))[0, 1] > 0.15


def test_no_rule_earns_on_it_what_costs_do_not_take() -> None:
    model = replace(fitted("BTC"), recursion=replace(fitted("BTC").recursion, mean=0.0))
    index = sample("BTC").index[:4_000]
    earned = {"momentum": [], "reversal": []}
    for seed in range(25):
        bars = simulate_bars(model, index, 100.0, seed=0, path=seed)
        trend = np.sign(np.log(bars["close"]).diff(12)).fillna(0.0)
        for name, side in (("momentum", trend), ("reversal", -trend)):
            done = simulate(bars, side, Costs(0, 0, 0), rebalance_band=np.inf, bars_per_year=8760)
            earned[name].append(done.metrics["sharpe"])
    for name, values in earned.items():
        assert abs(np.mean(values)) < 4 * np.std(values, ddof=1) / 5, name


def test_a_whole_strategy_is_put_through_until_enough_is_known() -> None:
    """What a stage does with it: bars, positions, money, statistics, stop."""
    index = sample("BTC").index[:1_500]

    def draw(first: int, count: int) -> pd.DataFrame:
        rows = []
        for path in range(first, first + count):
            bars = simulate_bars(fitted("BTC"), index, 100.0, seed=3, path=path)
            trend = np.sign(np.log(bars["close"]).diff(48)).fillna(0.0)
            done = simulate(bars, trend, Costs(5, 1, 0), rebalance_band=0.2, bars_per_year=8760)
            rows.append(path_statistics(done.returns, 8760))
            assert rows[-1]["sharpe"] == pytest.approx(done.metrics["sharpe"])
            assert rows[-1]["max_drawdown"] == pytest.approx(done.metrics["max_drawdown"])
        return pd.DataFrame(rows, index=pd.RangeIndex(first, first + count, name="path"))

    found = draw_until(draw, lambda draws: probability(draws["lowest_equity"] <= 0.8), Effort(0.08, 20, 200))
    assert found.stopped_by == "tolerance"
    assert len(found.statistics) in (20, 40)


def test_drift_is_the_samples_unless_taken_out() -> None:
    bars = hourly(3_000, 5)
    model = fit_price_model(bars, 1)
    assert model.recursion.mean == pytest.approx(np.diff(np.log(bars["close"])).mean())
    seen = simulate_bars(model, bars.index, 100.0, seed=0, path=0)["close"]
    still = simulate_bars(
        replace(model, recursion=replace(model.recursion, mean=0.0)), bars.index, 100.0, seed=0, path=0
    )["close"]
    np.testing.assert_allclose(np.log(seen / still), model.recursion.mean * np.arange(1, 3_001), atol=1e-9)


def test_ranges_are_as_wide_as_the_fitted_bars() -> None:
    """The closed form of the expected range against bars that were drawn with a known factor."""
    bars = hourly(8_000, 6)  # drawn with 0.8 of a scale that tells less of the move than the fit knows
    model = fit_price_model(bars, 2)
    again = simulate_bars(model, bars.index, 100.0, seed=0, path=0)
    width, wanted = (
        np.log(one["high"] / one["low"]).mean() / np.log(one["close"]).diff().abs().mean() for one in (again, bars)
    )
    assert width == pytest.approx(wanted, rel=0.03)
    refit = fit_price_model(again, 2)
    assert refit.range_factor == pytest.approx(model.range_factor, rel=0.05)
    assert refit.volume.memory == pytest.approx(model.volume.memory, abs=0.04)
    assert refit.volume.on_move == pytest.approx(model.volume.on_move, abs=0.06)


def test_bars_without_range_or_volume_are_fitted_too() -> None:
    bars = hourly(1_500, 7)
    flat = bars.assign(high=bars[["open", "close"]].max(axis=1), low=bars[["open", "close"]].min(axis=1))
    assert fit_price_model(flat, 1).range_factor == 1e-3
    wild = bars.assign(high=bars["high"] * 2, low=bars["low"] / 2)
    assert fit_price_model(wild, 1).range_factor == 10.0
    steady = fit_price_model(bars.assign(volume=5.0), 1)
    assert steady.volume.spread == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(simulate_bars(steady, bars.index, 1.0, seed=0, path=0)["volume"], 5.0)
    idle = fit_price_model(bars.assign(volume=bars["volume"].where(np.arange(1_500) % 3 > 0, 0.0)), 1)
    assert (simulate_bars(idle, bars.index, 1.0, seed=0, path=0)["volume"] > 0).all()


@pytest.mark.parametrize(("coin", "regimes"), [*((coin, 2) for coin in COINS), ("EOS", 3), ("XRP", 3)])
def test_fits_real_bars_from_a_few_months(coin: str, regimes: int) -> None:
    model = fit_price_model(sample(coin).iloc[5_000:9_000], regimes)
    assert model.recursion.alpha + model.recursion.beta < 1
    assert list(model.recursion.multipliers) == sorted(model.recursion.multipliers)
    assert len(model.recursion.multipliers) == regimes


def test_refuses_bars_that_are_none() -> None:
    bars = hourly(1_500, 0)
    with pytest.raises(TooFewBarsError, match="returns"):
        fit_price_model(bars.iloc[:900], 2)
    with pytest.raises(BarError, match="a price is not finite"):
        fit_price_model(bars.assign(low=0.0), 2)
    with pytest.raises(BarError, match="volume"):
        fit_price_model(bars.assign(volume=0.0), 1)
    with pytest.raises(BarError, match="are zero"):
        fit_price_model(bars.assign(close=100.0), 1)
