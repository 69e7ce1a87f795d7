"""The curve is the strategy's own simulation at other costs, and its zero is a root."""

import numpy as np
import pandas as pd
import pytest

from pipelines.backtest.break_even import at_cost, break_even_curve
from pipelines.backtest.strategy import Strategy
from pipelines.metrics import sharpe_interval
from pipelines.params import Params
from trading.costs import Costs
from trading.instrument import Instrument

GRID = [0.0, 3.0, 7.0, 20.0, 60.0]


@pytest.fixture
def strategy(params: Params, instrument: Instrument) -> Strategy:
    return Strategy(params, instrument, "4h")


def half_clairvoyant(bars: pd.DataFrame) -> pd.Series:
    """Positions that know the side of the next eight bars two times in three."""
    ahead = np.sign(bars["open"].shift(-9) / bars["open"].shift(-1) - 1).fillna(0.0).iloc[::8]
    honest = np.random.default_rng(0).random(len(ahead)) < 2 / 3
    return ahead.where(honest, -ahead).reindex(bars.index, method="ffill")


def test_it_falls_through_the_runs_own_ratio_to_zero(strategy: Strategy, bars: pd.DataFrame) -> None:
    positions = half_clairvoyant(bars)
    found = break_even_curve(strategy, bars, positions, GRID, 0.95)
    own = strategy.simulate(bars, positions)
    assert found["own_bps"] == pytest.approx(7.0)
    assert found["sharpe"][2] == pytest.approx(own.metrics["sharpe"], rel=1e-12)
    assert (found["sharpe_low"][2], found["sharpe_high"][2]) == pytest.approx(
        sharpe_interval(own.returns, strategy.instrument.bars_per_year, 0.95), rel=1e-12
    )
    assert (np.diff(found["sharpe"]) < 0).all()
    zero = found["zero_bps"]
    assert found["reason"] is None
    at_zero = strategy.simulate(bars, positions, at_cost(strategy.params.costs.costs(), zero))
    assert at_zero.metrics["sharpe"] == pytest.approx(0.0, abs=1e-4)
    # Where the mean of the returns is zero, compounding has lost already.
    assert at_zero.metrics["total_return"] < 0 < own.metrics["total_return"]
    again = break_even_curve(strategy, bars, positions, [zero * 0.99, zero * 1.01], 0.95)["sharpe"]
    assert again[0] > 0 > again[1]


def test_what_earns_nothing_before_costs_has_no_zero(strategy: Strategy, bars: pd.DataFrame) -> None:
    wrong = break_even_curve(strategy, bars, -half_clairvoyant(bars), GRID, 0.95)
    assert wrong["zero_bps"] is None
    assert wrong["reason"] == "it earns nothing even without costs"
    still = break_even_curve(strategy, bars, pd.Series(0.0, index=bars.index), GRID, 0.95)
    assert still["zero_bps"] is None
    assert still["reason"] == "it never traded"
    assert np.isnan(still["sharpe"]).all()


def test_what_no_cost_can_spoil_has_no_zero_either(strategy: Strategy, bars: pd.DataFrame) -> None:
    """One purchase before prices rise a thousandfold."""
    rising = bars.iloc[:200].copy()
    for column in ("open", "high", "low", "close"):
        rising[column] = np.geomspace(1.0, 1000.0, 200) * (1 + 0.01 * np.sin(np.arange(200)))
    found = break_even_curve(strategy, rising, pd.Series(1.0, index=rising.index), [7.0], 0.95)
    assert found["zero_bps"] is None
    assert found["reason"] == "above 0 up to 5000 bps a side"


def test_costs_keep_their_proportions() -> None:
    costs = at_cost(Costs(5.0, 2.0, 1.0), 14.0)
    assert (costs.fee_bps, costs.spread_bps, costs.slippage_bps) == pytest.approx((10.0, 4.0, 2.0))
    assert costs.per_side == pytest.approx(14e-4)
    assert at_cost(Costs(5.0, 2.0, 1.0), 0.0).per_side == 0.0
    assert at_cost(Costs(0.0, 0.0, 0.0), 3.0) == Costs(3.0, 0.0, 0.0)
