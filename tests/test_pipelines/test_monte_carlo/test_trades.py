import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.monte_carlo import random_stream
from pipelines.monte_carlo import trades as trades_module
from pipelines.monte_carlo.blocks import Blocks
from pipelines.monte_carlo.bootstrap import bootstrap
from pipelines.monte_carlo.trades import permuted_trades, trade_returns
from tests.test_pipelines.test_monte_carlo.markets import hourly
from tests.test_pipelines.test_monte_carlo.plain import Stream, walked
from trading.costs import Costs
from trading.errors import ParamsError
from trading.simulator import simulate


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), band=st.sampled_from([0.0, 0.1, math.inf]))
def test_trades_compound_to_the_whole(seed: int, band: float) -> None:
    rng = np.random.default_rng(seed)
    bars = hourly(120, seed)
    positions = pd.Series(np.repeat(rng.integers(-1, 2, 60), 2) * rng.choice([0.5, 1.0], 120), index=bars.index)
    done = simulate(bars, positions, Costs(10, 2, 1), rebalance_band=band, bars_per_year=8760)
    trades = trade_returns(done.returns, done.held)
    assert (1 + trades).prod() - 1 == pytest.approx(done.metrics["total_return"], rel=1e-12, abs=1e-12)
    side = np.sign(done.held)
    assert len(trades) == ((side != side.shift(fill_value=0)) & (side != 0)).sum()
    assert trades.index.isin(bars.index).all()


def test_a_trade_ends_with_the_bar_that_gives_it_up() -> None:
    index = pd.date_range("2024-01-01", periods=8, freq="h", name="timestamp")
    held = pd.Series([0, 1, 1, 0, 0, -1, 1, 0], index=index, dtype=float)
    returns = pd.Series([0, 0.1, 0.1, -0.1, 0, 0.2, 0.3, 0.1], index=index)
    trades = trade_returns(returns, held)
    assert list(trades.index) == [index[1], index[5], index[6]]
    np.testing.assert_allclose(trades, [1.1 * 1.1 * 0.9 - 1, 0.2, 1.3 * 1.1 - 1])
    with pytest.raises(ParamsError, match="different bars"):
        trade_returns(returns, held.iloc[1:])
    assert trade_returns(returns, held * 0).empty


def test_orders_are_those_of_a_plain_walk() -> None:
    trades = pd.Series(np.random.default_rng(0).normal(0.001, 0.05, 40))
    found = permuted_trades(trades, paths=30, seed=5)
    for path in range(30):
        stream, left = Stream(5, path), trades.tolist()
        for place in range(len(left)):
            chosen = place + int((stream.draw() >> 11) * 2.0**-53 * (len(left) - place))
            left[place], left[chosen] = left[chosen], left[place]
        expected = walked(np.array(left))
        for name in ("total_return", "max_drawdown", "time_under_water", "lowest_equity"):
            assert found.loc[path, name] == pytest.approx(expected[name], rel=1e-12, abs=1e-12), name
    parts = [permuted_trades(trades, paths=count, seed=5, first=first) for first, count in ((0, 11), (11, 19))]
    pd.testing.assert_frame_equal(pd.concat(parts), found)


def test_the_kernel_is_the_python_it_was_written_as(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = np.random.default_rng(0).normal(0.001, 0.05, 40)
    compiled = trades_module.permuted_paths(growth, 5, 0, 3)
    for name in ("after", "stream", "uniform"):
        monkeypatch.setattr(trades_module, name, getattr(random_stream, name).py_func)
    monkeypatch.setattr(random_stream, "scrambled", random_stream.scrambled.py_func)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(trades_module.permuted_paths.py_func(growth, 5, 0, 3), compiled, rtol=1e-13)


def test_every_order_is_equally_likely() -> None:
    """Against all orders of five trades."""
    trades = np.array([0.5, -0.3, 0.1, -0.2, -0.05])
    exact = [walked(np.array(order))["max_drawdown"] for order in itertools.permutations(trades)]
    drawn = permuted_trades(pd.Series(trades), paths=20_000, seed=0)["max_drawdown"]
    assert drawn.nunique() <= len(set(exact)) * 2  # rounding parts a few
    assert drawn.mean() == pytest.approx(np.mean(exact), abs=4 * np.std(exact) / math.sqrt(20_000))
    for level in np.unique(np.round(exact, 9)):
        share = np.mean(np.isclose(exact, level))
        error = math.sqrt(share * (1 - share) / 20_000) + 1e-12
        assert np.isclose(drawn, level).mean() == pytest.approx(share, abs=4.5 * error)


def test_the_order_changes_the_way_and_not_the_end() -> None:
    trades = pd.Series(np.random.default_rng(1).normal(0.002, 0.03, 200))
    permuted = permuted_trades(trades, paths=2_000, seed=0)
    assert permuted["total_return"].nunique() == 1
    again = bootstrap(
        trades, Blocks("circular", 1), paths=2_000, seed=0, periods_per_year=100.0, fan_points=0
    ).statistics
    assert again["total_return"].std() > 0.2
    # What is drawn anew varies more than what is only put in order.
    assert again["max_drawdown"].std() > permuted["max_drawdown"].std()


def test_a_total_loss_is_the_end_in_any_order() -> None:
    found = permuted_trades(pd.Series([0.1, -1.0, 0.2]), paths=10, seed=0)
    assert (found[["total_return", "max_drawdown", "lowest_equity"]] == [-1.0, 1.0, 0.0]).all(axis=None)
    with pytest.raises(ParamsError, match="at least two rows"):
        permuted_trades(pd.Series([0.1]), paths=10, seed=0)
