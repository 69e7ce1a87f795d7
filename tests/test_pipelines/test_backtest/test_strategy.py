"""One way from probabilities to money."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.backtest.strategy import (
    Strategy,
    comparisons,
    holding_bars,
    per_bar,
    round_trips,
    summary,
)
from pipelines.params import Params, overlay, parse_params
from trading.instrument import Instrument


@pytest.fixture
def strategy(params: Params, instrument: Instrument) -> Strategy:
    return Strategy(params, instrument, "4h")


def test_only_a_forecast_that_pays_a_round_trip_moves_the_position(strategy: Strategy, bars: pd.DataFrame) -> None:
    cost = 2 * strategy.params.costs.costs().per_side
    unit = pd.Series(0.02, index=bars.index)
    weak = pd.Series(0.5 + 0.9 * cost / 0.04, index=bars.index)
    assert (strategy.positions(weak, unit) == 0).all()
    strong = pd.Series(0.5, index=bars.index)
    strong.iloc[10] = 0.5 + 1.1 * cost / 0.04
    held = strategy.positions(strong, unit)
    # The forecast speaks for four bars, and then no more.
    assert held[held != 0].index.tolist() == bars.index[10:14].tolist()
    assert strategy.positions(1 - strong, unit).iloc[10] == -1


def test_a_strategy_is_simulated_from_its_first_position(strategy: Strategy, bars: pd.DataFrame) -> None:
    positions = pd.Series(1.0, index=bars.index[100:])
    traded = strategy.simulate(bars, positions)
    assert traded.equity.index[0] == bars.index[100]
    assert traded.fills["timestamp"].iloc[0] == bars.index[101]
    assert {"sharpe", "trades", "break_even_bps"} <= set(summary(traded))


def test_what_is_sold_short_is_borrowed_at_a_price(
    raw_params: dict[str, Any], instrument: Instrument, bars: pd.DataFrame
) -> None:
    dear = Strategy(parse_params(overlay(raw_params, {"costs": {"borrow": 0.1}})), instrument, "1h")
    short, long = (dear.simulate(bars, pd.Series(side, index=bars.index)) for side in (-1.0, 1.0))
    owed = (short.held.abs() * short.equity).sum()
    assert short.metrics["borrow"] == pytest.approx(0.1 * owed / instrument.bars_per_year, rel=0.02)
    assert short.metrics["borrow"] > 0.005
    assert long.metrics["borrow"] < 1e-4, "fees leave a full position a little more than whole, and that is owed"


def test_comparisons_trade_the_same_bars(strategy: Strategy, bars: pd.DataFrame) -> None:
    positions = pd.Series(0.0, index=bars.index[200:900])
    others = comparisons(strategy, bars, positions)
    assert others["buy_and_hold"].equity.index.equals(positions.index)
    growth = bars["close"].iloc[899] / bars["open"].iloc[201]
    paid = strategy.params.costs.costs().per_side
    assert others["buy_and_hold"].metrics["total_return"] == pytest.approx(growth - 1, abs=growth * paid * 1.1)
    assert others["reversal"].metrics["trades"] > 200


def test_round_trips_are_positions_taken_anew(bars: pd.DataFrame) -> None:
    held = [0, 1, 1, 0, -1, -1, 1, 1, 0, 0]
    assert round_trips(pd.Series(held, index=bars.index[:10], dtype=float)) == 3
    assert round_trips(pd.Series(0.0, index=bars.index[:10])) == 0
    assert holding_bars(pd.Series(held, index=bars.index[:10], dtype=float)) == 2.0
    assert np.isnan(holding_bars(pd.Series(0.0, index=bars.index[:10])))


def test_what_the_ledger_keeps_of_a_simulation(strategy: Strategy, bars: pd.DataFrame) -> None:
    still = per_bar(strategy.simulate(bars, pd.Series(0.0, index=bars.index)))
    assert still == {"sharpe_per_bar": 0.0, "trades": 0, "observations": len(bars)}
    traded = strategy.simulate(bars, pd.Series(1.0, index=bars.index))
    year = np.sqrt(strategy.instrument.bars_per_year)
    assert per_bar(traded)["sharpe_per_bar"] * year == pytest.approx(traded.metrics["sharpe"])
