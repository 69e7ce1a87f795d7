from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipelines.monte_carlo.execution import RandomExecution, random_execution
from trading.costs import Costs
from trading.errors import ParamsError, PositionError
from trading.simulator import Rules, simulate

COSTS = Costs(fee_bps=5.0, spread_bps=2.0, slippage_bps=3.0)
RUN = {"rebalance_band": 0.1, "bars_per_year": 8760.0}
AS_ASSUMED = RandomExecution(slippage_sd=0.0, most_latency=0, missed=0.0)


@pytest.fixture
def bars() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    index = pd.date_range("2024-01-01", periods=600, freq="h", tz="UTC")
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(600)))
    opens = np.append(100.0, close[:-1])
    high, low = np.maximum(opens, close) * 1.001, np.minimum(opens, close) * 0.999
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1.0}, index=index)


@pytest.fixture
def knowing(bars: pd.DataFrame) -> pd.Series:
    """Positions that know the next bar's move: every bar of delay costs them all they have."""
    return np.sign(bars["close"] - bars["open"]).shift(-1).fillna(0.0)


def test_no_randomness_is_the_simulation(bars: pd.DataFrame, knowing: pd.Series) -> None:
    draws = random_execution(bars, knowing, COSTS, AS_ASSUMED, seed=1, count=2, **RUN)
    expected = simulate(bars, knowing, COSTS, **RUN).metrics
    for name, value in expected.items():
        assert draws[name].tolist() == pytest.approx([value] * 2, rel=1e-12, nan_ok=True)


def test_each_draw_is_the_simulation_of_what_it_says(bars: pd.DataFrame, knowing: pd.Series) -> None:
    draws = random_execution(
        bars, knowing, COSTS, RandomExecution(slippage_sd=0.5, most_latency=2, missed=0.0), seed=1, count=12, **RUN
    )
    assert set(draws["latency"]) == {0, 1, 2}
    assert draws["slippage_bps"].nunique() == 12
    for row in draws.itertuples():
        costs = replace(COSTS, slippage_bps=row.slippage_bps)
        alone = simulate(bars, knowing, costs, rules=Rules(latency=int(row.latency)), **RUN)
        told = (alone.metrics["sharpe"], alone.metrics["total_return"], alone.equity.min())
        assert (row.sharpe, row.total_return, row.lowest_equity) == pytest.approx(told, rel=1e-12)
    prompt = draws["latency"] == 0
    assert draws.loc[prompt, "sharpe"].min() > draws.loc[~prompt, "sharpe"].max()


def test_a_missed_order_is_sent_again_for_the_target_of_then(bars: pd.DataFrame) -> None:
    # Of one lasting order, a miss changes nothing but when it is filled: the chance of k misses is 0.5 ** k.
    positions = pd.Series(1.0, bars.index)
    free = Costs(0.0, 0.0, 0.0)
    execution = RandomExecution(slippage_sd=0.0, most_latency=0, missed=0.5)
    draws = random_execution(
        bars, positions, free, execution, rebalance_band=np.inf, bars_per_year=8760.0, seed=2, count=400
    )
    final = bars["close"].iloc[-1]
    waited = [
        int(np.argmin(np.abs(final / bars["open"].to_numpy()[1:40] - 1 - total))) for total in draws["total_return"]
    ]
    shares = np.bincount(waited, minlength=3)[:3] / 400
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.125], atol=4 * np.sqrt(0.25 / 400))
    assert draws["missed"].mean() == pytest.approx(0.5, abs=0.01)


def test_a_draw_is_told_by_its_number(bars: pd.DataFrame, knowing: pd.Series) -> None:
    execution = RandomExecution(slippage_sd=0.5, most_latency=2, missed=0.1)
    whole = random_execution(bars, knowing, COSTS, execution, seed=4, count=6, **RUN)
    rest = random_execution(bars, knowing, COSTS, execution, seed=4, count=3, first=3, **RUN)
    pd.testing.assert_frame_equal(whole.loc[3:], rest)
    assert not whole.equals(random_execution(bars, knowing, COSTS, execution, seed=5, count=6, **RUN))


def test_a_position_that_is_no_number_is_refused(bars: pd.DataFrame, knowing: pd.Series) -> None:
    knowing.iloc[7] = np.nan
    with pytest.raises(PositionError):
        random_execution(bars, knowing, COSTS, AS_ASSUMED, seed=0, count=1, **RUN)


@pytest.mark.parametrize(
    "values", [(-0.1, 0, 0.0), (np.nan, 0, 0.0), (np.inf, 0, 0.0), (0.0, -1, 0.0), (0.0, 0, 1.0), (0.0, 0, -0.1)]
)
def test_impossible_executions_are_refused(values: tuple[float, int, float]) -> None:
    with pytest.raises(ParamsError, match="most_latency"):
        RandomExecution(*values)
