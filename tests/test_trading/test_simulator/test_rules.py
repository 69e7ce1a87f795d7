"""Each switch by hand: a few bars, and figures worked out with a pencil."""

from math import inf
from typing import Any

import pandas as pd
import pytest

from trading.costs import Costs, FeeTier
from trading.errors import BarError, ParamsError, PositionError
from trading.simulator import Lots, Margin, Rules, Simulation, Stops, simulate

FREE = Costs(0.0, 0.0, 0.0)


def make(rows: list[tuple[float, ...]], freq: str = "h") -> pd.DataFrame:
    """Bars of (open, high, low, close[, volume[, funding_rate]])."""
    index = pd.date_range("2024-01-01", periods=len(rows), freq=freq, tz="UTC", name="timestamp")
    names = ["open", "high", "low", "close", "volume", "funding_rate"]
    return pd.DataFrame([[*row, *(1e6, 0.0)[len(row) - 4 :]] for row in rows], index=index, columns=names, dtype=float)


def run(bars: Any, targets: Any, costs: Costs = FREE, rules: Rules = Rules(), equity: float = 100.0) -> Simulation:  # noqa: B008
    if isinstance(targets, list):
        targets = pd.Series(targets, index=bars.index, dtype=float)
    return simulate(bars, targets, costs, rebalance_band=inf, bars_per_year=8760.0, initial_equity=equity, rules=rules)


FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize(
    ("side", "bar", "price", "reason"),
    [
        pytest.param(1, (100, 101, 94, 96), 95.0, "stop", id="long, inside the bar"),
        pytest.param(1, (93, 96, 92, 96), 93.0, "stop", id="long, gap through: the open"),
        pytest.param(1, (100, 112, 99, 105), 110.0, "take_profit", id="long, profit at its level"),
        pytest.param(1, (115, 116, 108, 112), 115.0, "take_profit", id="long, gap through profit"),
        pytest.param(1, (100, 120, 90, 100), 95.0, "stop", id="both sides: the stop"),
        pytest.param(-1, (100, 106, 99, 101), 105.0, "stop", id="short, inside the bar"),
        pytest.param(-1, (107, 108, 106, 107), 107.0, "stop", id="short, gap through"),
        pytest.param(-1, (100, 101, 89, 95), 90.0, "take_profit", id="short, profit"),
    ],
)
def test_stops(side: int, bar: tuple[float, ...], price: float, reason: str) -> None:
    bars = make([FLAT, FLAT, bar, FLAT, FLAT])
    simulation = run(bars, [side] * 5, rules=Rules(stops=Stops(stop_loss=0.05, take_profit=0.10)))
    fill = simulation.fills.iloc[1]
    assert (fill["price"], fill["reason"], fill["timestamp"]) == (pytest.approx(price), reason, bars.index[2])
    # Not taken again before its target changes.
    assert len(simulation.fills) == 2
    assert simulation.equity.iloc[-1] == pytest.approx(100.0 + side * (price - 100.0))


def test_a_stop_works_in_the_bar_of_entry_and_a_new_target_enters_again() -> None:
    bars = make([FLAT, (100, 100, 90, 100), FLAT, FLAT])
    simulation = run(bars, [1.0, 1.0, 0.5, 0.5], rules=Rules(stops=Stops(stop_loss=0.05)))
    assert list(simulation.fills["reason"]) == ["order", "stop", "order"]
    assert list(simulation.fills["timestamp"]) == [bars.index[1], bars.index[1], bars.index[3]]


def test_a_trailing_stop_follows_the_bars_before() -> None:
    # The high of 120 belongs to the bar whose low is 96: which came first nobody knows, so the stop is still at 95.
    bars = make([FLAT, FLAT, (100, 120, 96, 119), (119, 119, 113, 118), FLAT])
    fills = run(bars, [1.0] * 5, rules=Rules(stops=Stops(trailing=0.05))).fills
    assert fills["timestamp"].iloc[1] == bars.index[3]
    assert fills["price"].iloc[1] == pytest.approx(114.0)


def test_a_take_profit_rests_and_pays_a_maker() -> None:
    bars = make([FLAT, FLAT, (100, 112, 99, 105), FLAT])
    costs = Costs(fee_bps=10.0, spread_bps=20.0, slippage_bps=0.0, maker_bps=-1.0)
    fills = run(bars, [1.0] * 4, costs, Rules(stops=Stops(take_profit=0.10))).fills
    assert list(fills["price"]) == pytest.approx([100.1, 110.11])
    assert fills["spread_cost"].iloc[1] == 0.0
    assert fills["fee"].iloc[1] == pytest.approx(-1e-4 * 110.11)


def test_an_order_beyond_the_volume_waits_for_the_next_opens() -> None:
    bars = make([(*FLAT, 10.0), (*FLAT, 1.0), (200, 200, 200, 200, 0.0), (*FLAT, 3.0), (*FLAT, 10.0), (*FLAT, 10.0)])
    simulation = run(bars, [1.0] * 6, rules=Rules(participation=0.1))
    # One unit is wanted: a tenth of each bar's volume, nothing where there is none.
    assert list(simulation.fills["units"]) == pytest.approx([0.1, 0.3, 0.6])
    assert list(simulation.fills["timestamp"]) == list(bars.index[[1, 3, 4]])
    assert set(simulation.fills["decided_at"]) == {bars.index[0]}


def test_square_root_impact_and_a_spread_that_grows_with_volatility() -> None:
    bars = make([(100, 110, 100, 110, 4.0), (110, 110, 110, 110, 4.0), (110, 110, 110, 110, 4.0)])
    volatility = 0.09531017980432493  # log(1.1), the return of the only bar that is known
    costs = Costs(0.0, 0.0, 0.0, spread_per_volatility=0.2, impact=0.5, volatility_bars=24)
    fill = run(bars, [1.0] * 3, costs, equity=110.0).fills.iloc[0]
    impact = 0.5 * volatility * 0.5  # one unit of four: the root of a quarter
    assert fill["price"] == pytest.approx(110 * (1 + 0.1 * volatility + impact))
    assert fill["impact_cost"] == pytest.approx(110 * impact)
    assert fill["spread_cost"] == pytest.approx(110 * 0.1 * volatility)


def test_latency_in_bars() -> None:
    bars = make([FLAT] * 5)
    fill = run(bars, [1.0] * 5, rules=Rules(latency=2)).fills.iloc[0]
    assert (fill["decided_at"], fill["timestamp"]) == (bars.index[0], bars.index[3])


def test_liquidation_at_the_price_at_which_the_margin_is_gone() -> None:
    # Five times 100 is 5 units and 400 of debt: worth 5p - 400, of which 5p * 0.1 is needed. Gone at p = 88.888...
    bars = make([FLAT, FLAT, (98, 99, 80, 95), FLAT, FLAT])
    rules = Rules(leverage=5.0, margin=Margin(maintenance=0.1, liquidation_bps=100.0))
    simulation = run(bars, [1.0] * 5, rules=rules)
    fill = simulation.fills.iloc[1]
    assert (fill["reason"], fill["units"]) == ("liquidation", pytest.approx(-5.0))
    assert fill["price"] == pytest.approx(400 / 4.5)
    assert fill["fee"] == pytest.approx(5 * 400 / 4.5 * 0.01)
    assert len(simulation.fills) == 2
    assert simulation.ruined_at is None


def test_bankruptcy_ends_at_zero_and_says_so() -> None:
    bars = make([FLAT, FLAT, (70, 70, 70, 70), FLAT])
    simulation = run(bars, [1.0] * 4, rules=Rules(leverage=5.0, margin=Margin(maintenance=0.1)))
    assert list(simulation.equity) == [100.0, 100.0, 0.0, 0.0]
    assert simulation.ruined_at == bars.index[2]
    assert simulation.metrics["shortfall"] == pytest.approx(50.0)
    assert simulation.metrics["total_return"] == -1.0
    assert simulation.metrics["time_under_water"] == 2.0


def test_funding_is_paid_by_longs_to_shorts_on_what_is_held_when_the_bar_opens() -> None:
    bars = make([FLAT, (*FLAT, 1e6, 0.5), (200, 200, 200, 200, 1e6, 0.01), FLAT])
    costs = Costs(0.0, 0.0, 0.0, funding=True)
    assert run(bars, [1.0] * 4, costs).metrics["funding"] == pytest.approx(200 * 0.01)
    assert run(bars, [-0.5] * 4, costs).metrics["funding"] == pytest.approx(-100 * 0.01)


def test_borrowing_costs_what_is_sold_short_and_what_is_owed() -> None:
    bars = make([FLAT] * 4, freq="D")
    costs = Costs(0.0, 0.0, 0.0, borrow=0.365)
    short = run(bars, [-1.0] * 4, costs)
    assert short.metrics["borrow"] == pytest.approx(2 * 100 * 0.001)
    assert run(bars, [1.0] * 4, costs).metrics["borrow"] == 0.0
    assert run(bars, [1.0] * 4, costs, Rules(leverage=3.0)).metrics["borrow"] == pytest.approx(
        200 * 0.001 + 200.2 * 0.001
    )


def test_fees_fall_with_the_volume_of_thirty_days() -> None:
    bars = make([FLAT] * 50, freq="D")
    targets = [0.0] * 50
    targets[0], targets[10], targets[20] = 1.0, 1.0, 1.0
    costs = Costs(10.0, 0.0, 0.0, tiers=(FeeTier(150.0, 0.0, 5.0), FeeTier(250.0, 0.0, 1.0)))
    fees = run(bars, targets, costs).fills["fee"] / 100
    # 0, 100, 200, 300 of volume before; then 400; then, on day 21, 500.
    assert list(fees * 1e4) == pytest.approx([10, 10, 5, 1, 1, 1], rel=1e-2)
    late = run(bars, [1.0] * 44 + [0.0] * 6, costs).fills["fee"].iloc[-1]
    assert late == pytest.approx(0.1)  # by then the first fill is forgotten


def test_lots_ticks_and_the_least_notional() -> None:
    bars = make([(30, 30, 30, 30)] * 6)
    rules = Rules(lots=Lots(lot=0.5, tick=0.25, min_notional=20.0))
    costs = Costs(0.0, 0.0, slippage_bps=10.0)
    fills = run(bars, [1.0, 0.8, 0.0, 0.19, 0.19, 0.0], costs, rules).fills
    # 3.33 become 3; down to 2.66 is 15 short of the least; all out; 19 of 100 are not worth an order.
    assert list(fills["units"]) == pytest.approx([3.0, -3.0])
    assert list(fills["price"]) == pytest.approx([30.25, 29.75])


def test_targets_of_the_initial_equity() -> None:
    bars = make([FLAT, FLAT, (200, 200, 200, 200), (200, 200, 200, 200), (200, 200, 200, 200)])
    fills = run(bars, [0.5, 0.5, 0.0, 0.5, 0.5], rules=Rules(compound=False)).fills
    assert list(fills["units"] * fills["price"]) == pytest.approx([50.0, -100.0, 50.0])


def test_two_assets_share_their_cash() -> None:
    first = make([FLAT, FLAT, (110, 110, 110, 110), (110, 110, 110, 110)])
    second = make([(50, 50, 50, 50)] * 4).drop(index=first.index[1])
    targets = pd.DataFrame({"A/USD": 0.5, "B/USD": -0.5}, index=first.index)
    simulation = run({"A/USD": first, "B/USD": second}, targets)
    # The second has no bar at first: its order waits, sized when it was made.
    assert list(simulation.fills["symbol"]) == ["A/USD", "B/USD"]
    assert list(simulation.fills["timestamp"]) == [first.index[1], first.index[2]]
    assert list(simulation.equity) == pytest.approx([100.0, 100.0, 105.0, 105.0])
    assert list(simulation.held.columns) == ["A/USD", "B/USD"]
    assert simulation.held["A/USD"].iloc[-1] == pytest.approx(55 / 105)


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_stamps_may_be_counted_in_any_unit(unit: str) -> None:
    bars = make([FLAT] * 4)
    frames = {"A/USD": bars, "B/USD": bars.set_axis(bars.index.as_unit("us"))}
    targets = pd.DataFrame({"A/USD": 0.5, "B/USD": -0.5}, index=bars.index.as_unit(unit))
    assert len(run(frames, targets).fills) == 2
    assert len(run(bars, targets["A/USD"]).fills) == 1


BARS = make([FLAT] * 3)
TWO = {"A/USD": BARS, "B/USD": BARS}


@pytest.mark.parametrize(
    ("bars", "targets", "error", "message"),
    [
        (TWO, pd.Series(0.0, index=BARS.index), PositionError, "one column for each"),
        (BARS, pd.DataFrame({"A/USD": 0.0}, index=BARS.index), PositionError, "a Series with a frame"),
        (TWO, pd.DataFrame({"A/USD": 0.0}, index=BARS.index), PositionError, "same assets"),
        ({}, pd.DataFrame(index=BARS.index), PositionError, "same assets"),
        (TWO, pd.DataFrame({"A/USD": 0.6, "B/USD": -0.6}, index=BARS.index), PositionError, "add up to at most 1"),
        (BARS.tz_localize(None), pd.Series(0.0, index=BARS.index.tz_localize(None)), BarError, "tz_localize"),
        (BARS.reset_index(drop=True), pd.Series([0.0] * 3), BarError, "open stamps"),
        (
            TWO | {"B/USD": BARS.iloc[:1]},
            pd.DataFrame({"A/USD": 0.0, "B/USD": 0.0}, index=BARS.index[1:]),
            BarError,
            "no bars of B/USD",
        ),
    ],
)
def test_refuses_what_does_not_belong_together(bars: Any, targets: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(bars, targets)


@pytest.mark.parametrize(
    ("column", "value", "rules", "costs", "message"),
    [
        ("volume", -1.0, Rules(), FREE, "usable volume"),
        ("volume", float("nan"), Rules(), FREE, "usable volume"),
        ("high", 99.0, Rules(stops=Stops(0.1)), FREE, "range of prices"),
        ("low", 101.0, Rules(margin=Margin(0.1)), FREE, "range of prices"),
        ("low", 0.0, Rules(stops=Stops(0.1)), FREE, "usable price"),
        ("funding_rate", inf, Rules(), Costs(0.0, 0.0, 0.0, funding=True), "funding rate"),
    ],
)
def test_refuses_bars_with_violations(column: str, value: float, rules: Rules, costs: Costs, message: str) -> None:
    bars = BARS.copy()
    bars.loc[bars.index[1], column] = value
    with pytest.raises(BarError, match=message) as caught:
        run(bars, [0.0] * 3, costs, rules)
    assert str(bars.index[1]) in caught.value.where


def test_refuses_funding_without_rates() -> None:
    with pytest.raises(BarError, match="no column funding_rate"):
        run(BARS.drop(columns="funding_rate"), [0.0] * 3, Costs(0.0, 0.0, 0.0, funding=True))


@pytest.mark.parametrize("column", ["close", "volume", "low"])
def test_refuses_bars_without_a_column(column: str) -> None:
    with pytest.raises(BarError, match=f"no column {column}"):
        run(BARS.drop(columns=column), [0.0] * 3, FREE, Rules(stops=Stops(0.1)))


@pytest.mark.parametrize("year", [0.0, -1.0, float("nan"), inf])
def test_refuses_years_without_bars(year: float) -> None:
    with pytest.raises(ParamsError, match="bars_per_year is"):
        simulate(BARS, pd.Series(0.0, index=BARS.index), FREE, rebalance_band=inf, bars_per_year=year)


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Costs(float("nan"), 0.0, 0.0), "fee_bps is nan"),
        (lambda: Costs(0.0, -1.0, 0.0), "spread_bps is -1"),
        (lambda: Costs(0.0, 0.0, 0.0, impact=inf), "impact is inf"),
        (lambda: Costs(0.0, 0.0, 0.0, volatility_bars=0), "volatility_bars is 0"),
        (lambda: Costs(0.0, 0.0, 0.0, maker_bps=inf), "not a finite number"),
        (lambda: Costs(0.0, 0.0, 0.0, tiers=(FeeTier(5.0, 0.0, 1.0), FeeTier(5.0, 0.0, 0.5))), "fee tiers"),
        (lambda: Stops(stop_loss=0.0), "stop_loss is 0"),
        (lambda: Stops(trailing=float("nan")), "trailing is nan"),
        (lambda: Margin(1.0), "maintenance is 1"),
        (lambda: Margin(0.1, -1.0), "liquidation_bps is -1"),
        (lambda: Lots(tick=-0.1), "tick is -0.1"),
        (lambda: Rules(participation=0.0), "participation is 0"),
        (lambda: Rules(latency=-1), "latency is -1"),
        (lambda: Rules(latency=1.5), "latency is 1.5"),  # type: ignore[arg-type]
        (lambda: Costs(0.0, 0.0, 0.0, volatility_bars=1.5), "volatility_bars is 1.5"),  # type: ignore[arg-type]
        (lambda: Rules(leverage=inf), "leverage is inf"),
    ],
)
def test_refuses_switches_without_meaning(make_it: Any, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        make_it()
