import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.costs import Costs
from trading.errors import BarError, ParamsError, PositionError
from trading.simulator import Simulation, simulate

FREE = Costs(0.0, 0.0, 0.0)
USUAL = Costs(fee_bps=5.0, spread_bps=2.0, slippage_bps=1.0)
YEAR = 8760.0


def make_bars(seed: int, count: int, volatility: float = 0.02, gaps: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(rng.normal(0, volatility, count).cumsum())
    open_ = np.append(100.0, close[:-1]) * np.exp(rng.normal(0, volatility / 4, count))
    index = pd.date_range("2024-01-01", periods=2 * count, freq="h", tz="UTC", name="timestamp")
    kept = np.sort(rng.choice(2 * count, count, replace=False)) if gaps else np.arange(count)
    frame = pd.DataFrame({"open": open_, "high": 0.0, "low": 0.0, "close": close, "volume": 1.0}, index=index[kept])
    frame["high"] = frame[["open", "close"]].max(axis=1)
    frame["low"] = frame[["open", "close"]].min(axis=1)
    return frame


def make_positions(seed: int, bars: pd.DataFrame, kind: str) -> pd.Series:
    rng = np.random.default_rng(seed + 1_000)
    count = len(bars)
    if kind == "sides":
        values = np.repeat(rng.integers(-1, 2, count), 4)[:count].astype(float)
    elif kind == "fractions":
        values = np.repeat(rng.uniform(-1, 1, count), 3)[:count]
    else:
        values = np.full(count, rng.choice([-1.0, 1.0, 0.4]))
    return pd.Series(values, index=bars.index, name="position")


def run(
    bars: pd.DataFrame, positions: pd.Series, costs: Costs = USUAL, band: float = 0.1, equity: float = 1.0
) -> Simulation:
    return simulate(bars, positions, costs, rebalance_band=band, bars_per_year=YEAR, initial_equity=equity)


def test_by_hand() -> None:
    """One buy and one sale, every figure worked out with a pencil."""
    index = pd.date_range("2024", periods=4, freq="h", tz="UTC", name="timestamp")
    bars = pd.DataFrame({"open": [90.0, 100.0, 115.0, 120.0], "close": [95.0, 110.0, 118.0, 50.0]}, index=index).assign(
        volume=1.0
    )
    positions = pd.Series([1.0, 1.0, 0.0, 1.0], index=index)
    simulation = run(bars, positions, Costs(fee_bps=100.0, spread_bps=100.0, slippage_bps=50.0), math.inf, 1000.0)
    # Buys 10 at 101 (fee 10.1), sells 10 at 118.8 (fee 11.88); the last bar's fall finds it flat.
    assert list(simulation.fills["units"]) == pytest.approx([10.0, -10.0])
    assert list(simulation.fills["price"]) == pytest.approx([101.0, 118.8])
    assert list(simulation.fills["notional"]) == pytest.approx([1010.0, 1188.0])
    assert list(simulation.fills["fee"]) == pytest.approx([10.1, 11.88])
    assert list(simulation.fills["spread_cost"]) == pytest.approx([10.0, 12.0])
    assert list(simulation.fills["position"]) == [1.0, 0.0]
    assert list(simulation.fills["timestamp"]) == [index[1], index[3]]
    assert list(simulation.fills["decided_at"]) == [index[0], index[2]]
    assert list(simulation.equity) == pytest.approx([1000.0, 1079.9, 1159.9, 1156.02])
    assert list(simulation.held) == pytest.approx([0.0, 1100 / 1079.9, 1180 / 1159.9, 0.0])
    metrics = simulation.metrics
    assert metrics["total_return"] == pytest.approx(0.15602)
    assert metrics["trades"] == 2
    assert metrics["fees"] == pytest.approx(21.98)
    assert metrics["spread_cost"] == pytest.approx(22.0)
    assert metrics["break_even_bps"] == pytest.approx(200.0 / 2198.0 * 1e4)
    assert metrics["turnover_per_year"] == pytest.approx((1.01 + 1188.0 / 1179.9) * YEAR / 4)
    assert metrics["exposure"] == pytest.approx((1100 / 1079.9 + 1180 / 1159.9) / 4)
    assert metrics["max_drawdown"] == pytest.approx(1 - 1156.02 / 1159.9)
    assert metrics["annual_return"] == pytest.approx(1.15602 ** (YEAR / 4) - 1)
    assert metrics["annual_volatility"] == pytest.approx(simulation.returns.std() * math.sqrt(YEAR))
    assert metrics["sharpe"] == pytest.approx(simulation.returns.mean() / simulation.returns.std() * math.sqrt(YEAR))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    fee=st.floats(0, 50),
    spread=st.floats(0, 50),
    slippage=st.floats(0, 50),
    extra=st.floats(0.1, 50),
    which=st.integers(0, 2),
)
def test_costs_only_hurt(seed: int, fee: float, spread: float, slippage: float, extra: float, which: int) -> None:
    bars = make_bars(seed, 60)
    positions = make_positions(seed, bars, "sides")
    cheap = [fee, spread, slippage]
    dear = list(cheap)
    dear[which] += extra
    # Without rebalancing the fills are the same ones, so the comparison is bar by bar.
    low, high = (run(bars, positions, Costs(*costs), math.inf).equity for costs in (cheap, dear))
    assert (high <= low * (1 + 1e-12)).all()
    if (positions.iloc[:-1] != 0).any():
        assert high.iloc[-1] < low.iloc[-1]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["sides", "fractions", "constant"]), gaps=st.booleans())
def test_every_unit_of_equity_is_explained(seed: int, kind: str, gaps: bool) -> None:
    """Change of equity = what prices did to the holdings - fees - spread, bar by bar."""
    bars = make_bars(seed, 80, gaps=gaps)
    simulation = run(bars, make_positions(seed, bars, kind), equity=1000.0)
    fills = simulation.fills.set_index("timestamp").reindex(bars.index).fillna(0.0)
    after = fills["units"].cumsum().to_numpy()
    before = np.append(0.0, after[:-1])
    open_, close = bars["open"].to_numpy(), bars["close"].to_numpy()
    overnight = before * (open_ - np.append(close[0], close[:-1]))
    intraday = after * (close - open_)
    change = np.diff(simulation.equity.to_numpy(), prepend=1000.0)
    np.testing.assert_allclose(change, overnight + intraday - fills["fee"] - fills["spread_cost"], atol=1e-8)
    np.testing.assert_allclose(simulation.held * simulation.equity, after * close, atol=1e-8)
    assert simulation.metrics["fees"] == pytest.approx(fills["fee"].sum())
    assert simulation.metrics["spread_cost"] == pytest.approx(fills["spread_cost"].sum())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["sides", "fractions", "constant"]), cut=st.integers(1, 78))
def test_no_look_ahead(seed: int, kind: str, cut: int) -> None:
    bars, other = make_bars(seed, 80), make_bars(seed + 1, 80, volatility=0.1)
    positions, others = make_positions(seed, bars, kind), make_positions(seed + 1, bars, "fractions")
    changed = pd.concat([bars.iloc[:cut], other.iloc[cut:]])
    simulation = run(bars, positions)
    altered = run(changed, pd.concat([positions.iloc[:cut], others.iloc[cut:]]))
    for name in ("equity", "returns", "held"):
        pd.testing.assert_series_equal(getattr(simulation, name).iloc[:cut], getattr(altered, name).iloc[:cut])
    past: Callable[[Simulation], pd.DataFrame] = lambda made: made.fills[made.fills["timestamp"] < bars.index[cut]]  # noqa: E731
    pd.testing.assert_frame_equal(past(simulation), past(altered))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 78))
def test_whether_a_bar_trades_is_settled_before_it_opens(seed: int, cut: int) -> None:
    bars = make_bars(seed, 80)
    positions = make_positions(seed, bars, "constant")
    moved = bars.copy()
    moved.iloc[cut, :] *= 1.3
    trades = [bars.index[cut] in set(run(each, positions).fills["timestamp"]) for each in (bars, moved)]
    assert trades[0] == trades[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-4, 1e6), money=st.floats(1e-2, 1e8))
def test_the_unit_of_prices_and_of_money_changes_nothing(seed: int, scale: float, money: float) -> None:
    bars = make_bars(seed, 80)
    positions = make_positions(seed, bars, "fractions")
    # A band that random drift meets exactly with probability zero: rounding cannot flip a decision.
    simulation, scaled = run(bars, positions), run(bars * scale, positions, equity=money)
    np.testing.assert_allclose(scaled.equity / money, simulation.equity, rtol=1e-10)
    for name in ("total_return", "sharpe", "max_drawdown", "turnover_per_year", "exposure", "break_even_bps"):
        assert scaled.metrics[name] == pytest.approx(simulation.metrics[name], rel=1e-7, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), side=st.floats(0.05, 1.0))
def test_long_and_short_mirror_each_other(seed: int, side: float) -> None:
    """From the same equity and without costs, a short bar earns what a long one loses."""
    bars = make_bars(seed, 3)
    long, short = (run(bars, pd.Series(sign * side, index=bars.index), FREE, math.inf) for sign in (1, -1))
    np.testing.assert_allclose(long.equity - 1.0, -(short.equity - 1.0), atol=1e-13)
    np.testing.assert_allclose(long.fills["units"], -short.fills["units"], rtol=1e-13)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_zero_positions_leave_equity_alone(seed: int) -> None:
    bars = make_bars(seed, 50, volatility=0.3)
    simulation = run(bars, pd.Series(0.0, index=bars.index), equity=42.0)
    assert (simulation.equity == 42.0).all()
    assert (simulation.returns == 0.0).all()
    assert simulation.fills.empty
    assert list(simulation.fills.columns) == [
        "timestamp", "decided_at", "reason", "price", "units", "notional", "fee", "spread_cost", "impact_cost",
        "position",
    ]  # fmt: skip
    metrics = simulation.metrics
    assert math.isnan(metrics["sharpe"])
    assert math.isnan(metrics["break_even_bps"])
    assert {metrics[name] for name in ("total_return", "annual_return", "max_drawdown", "trades", "exposure")} == {0.0}


def test_buying_and_holding_for_free_is_the_price() -> None:
    bars = make_bars(3, 200)
    simulation = run(bars, pd.Series(1.0, index=bars.index), FREE, math.inf)
    np.testing.assert_allclose(simulation.equity.iloc[1:], bars["close"].iloc[1:] / bars["open"].iloc[1], rtol=1e-13)
    np.testing.assert_allclose(simulation.held.iloc[1:], 1.0, rtol=1e-13)
    assert len(simulation.fills) == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_break_even_costs_break_even(seed: int) -> None:
    """At fills that do not grow with equity, charging the break-even cost leaves exactly nothing."""
    bars = make_bars(seed, 3)
    simulation = run(bars, pd.Series([1.0, 0.0, 0.0], index=bars.index), FREE)
    gross = simulation.equity.iloc[-1] - 1.0
    cost = simulation.metrics["break_even_bps"] / 1e4
    assert gross - cost * simulation.fills["notional"].sum() == pytest.approx(0.0, abs=1e-12)


def test_fills_at_the_next_bar_that_exists() -> None:
    bars = make_bars(0, 10).drop(index=make_bars(0, 10).index[[4, 5, 6]])
    positions = pd.Series(0.0, index=bars.index)
    positions.iloc[3:] = 1.0
    fill = run(bars, positions).fills.iloc[0]
    assert fill["decided_at"] == bars.index[3]
    assert fill["timestamp"] == bars.index[4]
    assert fill["timestamp"] - fill["decided_at"] == pd.Timedelta(hours=4)
    assert fill["price"] == pytest.approx(bars["open"].iloc[4] * 1.0002)


@pytest.mark.parametrize(("band", "fills"), [(0.05, 2), (0.2, 1)])
def test_drift_is_traded_only_beyond_its_band(band: float, fills: int) -> None:
    index = pd.date_range("2024", periods=4, freq="h", tz="UTC")
    bars = pd.DataFrame(
        {"open": [100.0, 100.0, 150.0, 150.0], "close": [100.0, 150.0, 150.0, 150.0]}, index=index
    ).assign(volume=1.0)
    # Half in, the price up by half: 0.75 of 1.25 is 0.6 held.
    simulation = run(bars, pd.Series(0.5, index=index), FREE, band)
    assert simulation.held.iloc[1] == pytest.approx(0.6)
    assert len(simulation.fills) == fills
    assert simulation.held.iloc[2] == pytest.approx(0.5 if fills == 2 else 0.6)


def test_rounding_is_not_drift() -> None:
    """A whole position stays whole, but for the last digit: that must not show up as trades."""
    bars = make_bars(12, 500)
    assert len(run(bars, pd.Series(1.0, index=bars.index), FREE, 0.0).fills) == 1


@pytest.mark.parametrize(
    ("open_", "close", "fills", "at"),
    [
        pytest.param([100, 100, 100, 100], [100, 100, 210, 50], 1, 2, id="at a close"),
        pytest.param([100, 100, 250, 100], [100, 100, 90, 50], 1, 2, id="at an open"),
        pytest.param([100, 100, 100, 100], [100, 200, 90, 50], 1, 1, id="exactly nothing left"),
    ],
)
def test_ruin_is_final(open_: list[float], close: list[float], fills: int, at: int) -> None:
    index = pd.date_range("2024", periods=4, freq="h", tz="UTC")
    bars = pd.DataFrame({"open": open_, "close": close}, index=index, dtype=float).assign(volume=1.0)
    simulation = run(bars, pd.Series([-1.0, -1.0, 1.0, 1.0], index=index), FREE, math.inf)
    assert (simulation.equity.iloc[at:] == 0.0).all()
    assert (simulation.equity.iloc[:at] > 0.0).all()
    assert (simulation.held.iloc[at:] == 0.0).all()
    assert simulation.returns.iloc[at] == -1.0
    assert (simulation.returns.iloc[at + 1 :] == 0.0).all()
    assert len(simulation.fills) == fills
    assert simulation.metrics["total_return"] == -1.0
    assert simulation.metrics["annual_return"] == -1.0
    assert simulation.metrics["max_drawdown"] == 1.0


def test_positions_may_cover_a_part_of_the_bars() -> None:
    bars = make_bars(5, 100)
    positions = make_positions(5, bars, "sides").iloc[20:60]
    simulation = run(bars, positions)
    assert simulation.equity.index.equals(positions.index)
    pd.testing.assert_series_equal(simulation.equity, run(bars.iloc[20:60], positions).equity)
    # The decision at the last close has no bar to be filled in.
    assert simulation.fills["timestamp"].max() <= positions.index[-1]


def test_a_single_bar_earns_nothing() -> None:
    bars = make_bars(0, 1)
    simulation = run(bars, pd.Series(1.0, index=bars.index))
    assert list(simulation.equity) == [1.0]
    assert math.isnan(simulation.metrics["annual_volatility"])


def test_a_fortune_in_two_bars_annualises_to_inf_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    index = pd.date_range("2024", periods=2, freq="h", tz="UTC")
    bars = pd.DataFrame({"open": [1.0, 1.0], "close": [1.0, 2.0]}, index=index).assign(volume=1.0)
    assert run(bars, pd.Series(1.0, index=index), FREE).metrics["annual_return"] == math.inf
    assert not recwarn.list


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(lambda p: p.iloc[:0], "no positions", id="empty"),
        pytest.param(lambda p: p.where(p.index != p.index[3]), "1 position.*NaN", id="nan"),
        pytest.param(lambda p: p * 1.5, "beyond the whole equity", id="leverage"),
        pytest.param(lambda p: p.set_axis(p.index + pd.Timedelta("1min")), "no bar", id="unknown stamps"),
        pytest.param(lambda p: p.drop(p.index[4]), "10 bars but 9 positions", id="a decision missing"),
        pytest.param(lambda p: p.iloc[::-1], "bars but", id="backwards"),
    ],
)
def test_refuses_positions_that_cannot_be_followed(spoil: Callable[[pd.Series], pd.Series], message: str) -> None:
    bars = make_bars(0, 10)
    with pytest.raises(PositionError, match=message):
        run(bars, spoil(pd.Series(1.0, index=bars.index)))


@pytest.mark.parametrize("price", [math.nan, 0.0, -1.0, math.inf])
@pytest.mark.parametrize("column", ["open", "close"])
def test_refuses_bars_without_a_price(price: float, column: str) -> None:
    bars = make_bars(0, 10)
    bars.loc[bars.index[4], column] = price
    with pytest.raises(BarError, match="usable price") as caught:
        run(bars, pd.Series(0.0, index=bars.index))
    assert str(bars.index[4]) in caught.value.where


def test_refuses_bars_out_of_order() -> None:
    bars = make_bars(0, 10).iloc[::-1]
    with pytest.raises(BarError, match="out of order"):
        run(bars, pd.Series(0.0, index=bars.index))


@pytest.mark.parametrize(("band", "equity"), [(-0.1, 1.0), (math.nan, 1.0), (0.1, 0.0), (0.1, math.nan)])
def test_refuses_arguments_without_meaning(band: float, equity: float) -> None:
    bars = make_bars(0, 3)
    with pytest.raises(ParamsError, match=r"rebalance_band|initial_equity"):
        run(bars, pd.Series(0.0, index=bars.index), FREE, band, equity)
