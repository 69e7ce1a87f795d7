"""Whether other engines say the same: ``python -m benchmarks.simulator_parity``. A table in Markdown.

Each row is a market and rules that two engines can both express. The largest relative difference of equity over all
bars is theirs; the reading of a case, where the engines' rules differ, is made the same for both and said in the table.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.simulator import COSTS, EQUITY, SHARE, YEAR, engines, problem, signals
from trading.costs import Costs
from trading.simulator import Lots, Rules, Simulation, Stops, simulate

FEES = Costs(fee_bps=5.0, spread_bps=0.0, slippage_bps=0.0)
FREE = Costs(0.0, 0.0, 0.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=20_000, help="length of each path")
    count = parser.parse_args().bars
    print("| case | peer | bars | fills | largest difference of equity |")
    print("| --- | --- | --- | --- | --- |")
    for engine in engines():
        for name, case in VECTORBT.items():
            row(name, f"vectorbt, {engine}", *case(count, engine))
    if find_spec("backtesting"):
        for name, case in BACKTESTING.items():
            row(name, "backtesting.py", *case(min(count, 5_000)))


def row(name: str, peer: str, ours: Simulation, equity: pd.Series) -> None:
    """One line: our fills, and how far the other equity is from ours anywhere."""
    gap = np.abs(np.asarray(equity, dtype=float) / ours.equity.to_numpy() - 1.0).max()
    print(f"| {name} | {peer} | {len(ours.equity):,} | {len(ours.fills):,} | {gap:.0e} |", flush=True)


def simulated(bars: Any, positions: Any, costs: Costs, rules: Rules) -> Simulation:
    """Ours."""
    return simulate(
        bars, positions, costs, rebalance_band=np.inf, bars_per_year=YEAR, initial_equity=EQUITY, rules=rules
    )


def shares_of_equity(count: int, engine: str) -> tuple[Simulation, pd.Series]:
    """Targets of the present equity."""
    import vectorbt

    bars, positions = problem(count)
    changed = positions != positions.shift(fill_value=0.0)
    portfolio = vectorbt.Portfolio.from_orders(
        bars["close"],
        size=positions.where(changed).shift(),
        size_type="targetpercent",
        price=bars["open"],
        fees=COSTS.fee,
        slippage=COSTS.price_shift,
        init_cash=EQUITY,
        freq="1h",
        engine=engine,
    )
    return simulated(bars, positions, COSTS, Rules()), portfolio.value()


def shared_cash(count: int, engine: str) -> tuple[Simulation, pd.Series]:
    """Three assets on the same cash, their orders in one open sized from the same equity."""
    import vectorbt

    assets = ["A/USD", "B/USD", "C/USD"]
    made = [problem(count) for _ in assets]
    rng = np.random.default_rng(1)
    frames = {}
    for name, (bars, _) in zip(assets, made, strict=True):
        frames[name] = bars.assign(**{key: bars[key] * np.exp(rng.normal(0, 0.01)) for key in ("open", "close")})
        drift = np.exp(rng.normal(0, 0.002, count).cumsum())
        frames[name][["open", "close"]] = frames[name][["open", "close"]].mul(drift, axis=0)
    sides = np.repeat(rng.integers(-1, 2, (count // 24 + 1, 3)), 24, axis=0)[:count] * 0.3
    positions = pd.DataFrame(sides, index=made[0][0].index, columns=assets)
    changed = (positions != positions.shift(fill_value=0.0)).any(axis=1)
    # All at once, so that both size every order of an open from the equity at that open.
    wanted = positions.where(changed, axis=0).shift()
    ours = simulate(frames, positions, FREE, rebalance_band=np.inf, bars_per_year=YEAR, initial_equity=EQUITY)
    close, open_ = (pd.DataFrame({name: frames[name][key] for name in assets}) for key in ("close", "open"))
    moved = positions != positions.shift(fill_value=0.0)
    portfolio = vectorbt.Portfolio.from_orders(
        close,
        size=wanted.where(moved.shift(fill_value=False)),
        size_type="targetpercent",
        price=open_,
        val_price=open_,
        init_cash=EQUITY,
        cash_sharing=True,
        group_by=True,
        freq="1h",
        engine=engine,
    )
    return ours, portfolio.value()


def fixed_units(
    stops: Stops | None, costs: Costs, **settings: Any
) -> Callable[[int, str], tuple[Simulation, pd.Series]]:
    """Fixed units, turned round by signals; a stop may close them inside a bar."""

    def case(count: int, engine: str) -> tuple[Simulation, pd.Series]:
        bars, positions = problem(count)
        if stops is not None:
            bars = still_at_orders(bars, positions)
        portfolio = signals(bars, positions, engine, None, costs, **settings)
        return simulated(bars, positions, costs, Rules(stops=stops, compound=False)), portfolio.value()

    return case


def still_at_orders(bars: pd.DataFrame, positions: pd.Series) -> pd.DataFrame:
    """The same bars, but prices stand still where a target is filled.

    vectorbt looks at a bar's stops before it fills an order at the open of that bar, and does not look at those of the
    bar of entry: where nothing moves, the order of events does not matter.
    """
    moved = (positions != positions.shift(fill_value=0.0)).shift(fill_value=False)
    bars = bars.copy()
    last = bars["close"].where(~moved).ffill().fillna(bars["open"].iloc[0])
    for name in ("open", "high", "low", "close"):
        bars[name] = bars[name].where(~moved, last)
    return bars


def whole_units(stops: Stops | None) -> Callable[[int], tuple[Simulation, pd.Series]]:
    """Whole units, orders at the next open, in an event-driven engine; its spread is paid at entries alone: none here.

    Its first decision is at the second bar.
    """

    def case(count: int) -> tuple[Simulation, pd.Series]:
        from backtesting import Backtest, Strategy

        bars, positions = problem(count)
        prices = ["open", "high", "low", "close"]
        bars[prices] /= 30_000.0
        positions.iloc[:24] = 0.0
        if stops is not None:
            bars = still_at_orders(bars, positions)
        rules = Rules(stops=stops, compound=False, lots=Lots(lot=1.0))
        ours = simulated(bars, positions, FEES, rules)
        sizes = np.floor(SHARE * EQUITY / bars["open"] * (1 + 1e-12)).shift(-1).to_numpy()
        target = positions.to_numpy()
        entry = bars["open"].shift(-1).to_numpy()

        class FollowTargets(Strategy):  # type: ignore[misc]
            def init(self) -> None:
                self.last = 0.0

            def next(self) -> None:
                at = len(self.data) - 1
                if target[at] == self.last:
                    return
                self.last = target[at]
                self.position.close()
                side = np.sign(target[at])
                if side and np.isfinite(sizes[at]):
                    level = {} if stops is None else {"sl": entry[at] * (1 - side * stops.stop_loss)}
                    (self.buy if side > 0 else self.sell)(size=int(sizes[at]), **level)

        frame = bars.rename(columns=str.title).tz_localize(None)
        test = Backtest(frame, FollowTargets, cash=EQUITY, commission=FEES.fee, margin=0.1)
        return ours, test.run()["_equity_curve"]["Equity"]

    return case


VECTORBT: dict[str, Callable[[int, str], tuple[Simulation, pd.Series]]] = {
    "shares of equity, fees, spread": shares_of_equity,
    "three assets on shared cash, free": shared_cash,
    "fixed units, fees, spread": fixed_units(None, COSTS),
    "stop-loss at the market": fixed_units(
        Stops(stop_loss=0.01), COSTS, sl_stop=0.01, stop_entry_price="fillprice", stop_exit_price="stopmarket"
    ),
    "stop-loss and take-profit, fees": fixed_units(
        Stops(stop_loss=0.01, take_profit=0.015),
        FEES,
        sl_stop=0.01,
        tp_stop=0.015,
        stop_entry_price="fillprice",
        stop_exit_price="stoplimit",
    ),
    "trailing stop, fees": fixed_units(
        Stops(trailing=0.01),
        FEES,
        sl_stop=0.01,
        sl_trail=True,
        stop_entry_price="fillprice",
        stop_exit_price="stoplimit",
    ),
}
BACKTESTING: dict[str, Callable[[int], tuple[Simulation, pd.Series]]] = {
    "whole units, fees": whole_units(None),
    "whole units, fees, stop-loss": whole_units(Stops(stop_loss=0.01)),
}


if __name__ == "__main__":
    main()
