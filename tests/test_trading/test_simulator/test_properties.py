"""What holds whatever the switches are, on random cases of ``cases.py``."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_trading.test_simulator.cases import SWITCHES, Case, random_case
from trading.simulator import Rules, Simulation, kernel, simulate
from trading.simulator.rules import Lots

ALL = SWITCHES["all"]
ASSETS = st.sampled_from([1, 3])
SEEDS = st.integers(0, 100_000)


def run(case: Case) -> Simulation:
    return simulate(
        *case.asked(),
        case.costs,
        rebalance_band=case.band,
        bars_per_year=8760.0,
        initial_equity=case.equity,
        rules=case.rules,
    )


def closes(case: Case) -> pd.DataFrame:
    """Last known close of every asset at every bar; the first open before its first bar."""
    clock = case.positions.index
    frames = {name: frame["close"].reindex(clock).ffill() for name, frame in case.bars.items()}
    return pd.DataFrame({name: column.fillna(case.bars[name]["open"].iloc[0]) for name, column in frames.items()})


def named(case: Case, simulation: Simulation) -> pd.DataFrame:
    fills = simulation.fills
    return fills if "symbol" in fills else fills.assign(symbol=next(iter(case.bars)))


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, assets=ASSETS)
def test_every_unit_of_equity_is_explained(seed: int, assets: int) -> None:
    """Equity is what prices did to the holdings, less fees, spread, impact, funding and borrow."""
    case = random_case(seed, ALL, assets)
    simulation = run(case)
    fills, metrics = named(case, simulation), simulation.metrics
    sign = np.sign(fills["units"])
    # A fill's quote is its price without what spread and impact made of it.
    quote = fills["price"] - sign * (fills["spread_cost"] + fills["impact_cost"]) / fills["units"].abs()
    # The last prices at which anything was marked: of the last bar, or of the one in which equity was gone.
    last = closes(case)
    stamp = simulation.ruined_at if simulation.ruined_at is not None else last.index[-1]
    units = fills.groupby("symbol")["units"].sum().reindex(last.columns, fill_value=0.0)
    marked = [last.loc[stamp]]
    if simulation.ruined_at is not None:
        opens = {name: f["open"].reindex(last.index).fillna(last[name]) for name, f in case.bars.items()}
        marked.append(pd.DataFrame(opens).loc[stamp])
    costs = sum(metrics[name] for name in ("fees", "spread_cost", "impact_cost", "funding", "borrow"))
    change = simulation.equity.iloc[-1] - case.equity
    worth = [float((units * prices).sum() - (fills["units"] * quote).sum()) - costs for prices in marked]
    left = [abs(change - each - metrics["shortfall"]) for each in worth]
    assert min(left) <= 1e-9 * case.equity * max(1.0, metrics["turnover_per_year"] / 1e4)
    if simulation.ruined_at is None:
        assert metrics["shortfall"] == 0.0


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, assets=ASSETS)
def test_no_fill_without_volume_or_beyond_it(seed: int, assets: int) -> None:
    case = random_case(seed, ALL, assets)
    fills = named(case, run(case))
    for name, made in fills.groupby("symbol"):
        volume = case.bars[name]["volume"]
        assert set(made["timestamp"]) <= set(volume.index)
        assert (volume.loc[made["timestamp"]] > 0).all()
        ours = made[made["reason"] != "liquidation"]  # a venue does not wait
        filled = ours["units"].abs().groupby(ours["timestamp"]).sum()
        assert (filled <= case.rules.participation * volume.loc[filled.index] * (1 + 1e-12)).all()


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, assets=ASSETS, cut=st.integers(1, 59))
def test_nothing_sees_the_future(seed: int, assets: int, cut: int) -> None:
    case, other = random_case(seed, ALL, assets), random_case(seed + 1, ALL, assets)
    index = case.positions.index
    cut = min(cut, len(index) - 1)
    later = case.positions.copy()
    later.iloc[cut:] = other.positions.to_numpy()[: len(index)][-(len(index) - cut) :][: len(index) - cut].mean()
    later = later.clip(-1 / assets, 1 / assets)
    bars = {}
    for name, frame in case.bars.items():
        frame = frame.copy()
        frame.loc[index[cut] :] *= 1.7
        bars[name] = frame
    first, second = run(case), run(replace(case, bars=bars, positions=pd.concat([case.positions[:cut], later[cut:]])))
    np.testing.assert_array_equal(first.equity[:cut], second.equity[:cut])
    past = [each.fills[each.fills["timestamp"] < index[cut]] for each in (first, second)]
    pd.testing.assert_frame_equal(*past)


def plain(case: Case) -> Case:
    """Without what makes sizes depend on money (lots, least notional, margin, compounding), and without stops."""
    rules = replace(case.rules, stops=None, lots=None, margin=None, compound=False, leverage=1.0)
    return replace(case, rules=rules, band=np.inf)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, assets=ASSETS, which=st.sampled_from(["fee_bps", "spread_bps", "slippage_bps", "impact", "borrow"]))
def test_costs_only_hurt(seed: int, assets: int, which: str) -> None:
    case = plain(random_case(seed, ALL, assets))
    case = replace(case, costs=replace(case.costs, tiers=(), impact=1.0, borrow=0.5, spread_per_volatility=0.1))
    dear = replace(case, costs=replace(case.costs, **{which: 2.0 * getattr(case.costs, which) + 0.1}))
    low, high = run(case), run(dear)
    if low.ruined_at is None and high.ruined_at is None:
        assert (high.equity <= low.equity + 1e-12 * case.equity).all()
        if low.metrics["trades"] and which != "borrow":
            assert high.equity.iloc[-1] < low.equity.iloc[-1]


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, assets=ASSETS)
def test_long_and_short_mirror_each_other(seed: int, assets: int) -> None:
    case = plain(random_case(seed, ALL, assets))
    free = replace(
        case.costs,
        fee_bps=0.0, spread_bps=0.0, slippage_bps=0.0, maker_bps=None, tiers=(), impact=0.0, spread_per_volatility=0.0,
        borrow=0.0,
    )  # fmt: skip
    case = replace(case, costs=free)
    long, short = run(case), run(replace(case, positions=-case.positions))
    if long.ruined_at is None and short.ruined_at is None:
        np.testing.assert_allclose(long.equity - case.equity, case.equity - short.equity, atol=1e-10 * case.equity)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, assets=ASSETS, scale=st.floats(1e-3, 1e4))
def test_the_unit_of_prices_changes_nothing(seed: int, assets: int, scale: float) -> None:
    """Ten shares of one or one of ten: the same money, whatever stops, margins and volumes do."""
    case = random_case(seed, ALL, assets)
    case = replace(case, rules=replace(case.rules, lots=Lots() if case.rules.lots else None))
    prices = ["open", "high", "low", "close"]
    bars = {}
    for name, frame in case.bars.items():
        frame = frame.copy()
        frame[prices] *= scale
        frame["volume"] /= scale
        bars[name] = frame
    first, second = run(case), run(replace(case, bars=bars))
    np.testing.assert_allclose(first.equity, second.equity, rtol=1e-8, atol=1e-8 * case.equity)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, switches=st.sampled_from(["none", "stops", "market"]), assets=ASSETS)
def test_a_switch_at_the_value_that_does_nothing_does_nothing(seed: int, switches: str, assets: int) -> None:
    """What is compiled with a switch and what is compiled without it give the same bits."""
    case = random_case(seed, (), assets)
    on = random_case(seed, ALL, assets)
    neutral = {
        "none": Rules(latency=case.rules.latency, leverage=case.rules.leverage, compound=case.rules.compound),
        "stops": replace(
            case.rules, stops=replace(on.rules.stops, stop_loss=np.inf, take_profit=np.inf, trailing=np.inf)
        ),
        "market": replace(case.rules, lots=Lots(), participation=1e12),
    }[switches]
    np.testing.assert_array_equal(run(case).equity, run(replace(case, rules=neutral)).equity)


@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize("seed", range(2))
def test_compiled_kernel_is_the_python_it_was_written_as(
    seed: int, assets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [random_case(seed, SWITCHES[switches], assets, bars=30) for switches in SWITCHES]
    compiled = [run(case) for case in cases]
    for name in dir(kernel):
        if hasattr(getattr(kernel, name), "py_func"):
            monkeypatch.setattr(kernel, name, getattr(kernel, name).py_func)
    for case, before in zip(cases, compiled, strict=True):
        after = run(case)
        np.testing.assert_allclose(after.equity, before.equity, rtol=1e-12, atol=1e-12 * case.equity)
        assert after.metrics == pytest.approx(before.metrics, rel=1e-9, abs=1e-9, nan_ok=True)
