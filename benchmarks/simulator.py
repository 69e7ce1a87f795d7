"""The simulator beside vectorbt and backtesting.py: ``python -m benchmarks.simulator --bars 100000 --repeats 7``.

One instrument, half the equity long, short or flat, a new side every ten bars, fees and spread, fills at the next
open. vectorbt sizes the same orders by the same rule, so its equity must be ours. backtesting.py trades whole units and
values equity in its own way: its figure is a time, not a parity.
"""

import argparse
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._timing import measure, show
from trading.costs import Costs
from trading.simulator import follow_targets, simulate

COSTS = Costs(fee_bps=5.0, spread_bps=2.0, slippage_bps=1.0)
YEAR = 365 * 24.0


def main() -> None:
    """Measure whatever peer is installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=100_000, help="length of the path")
    parser.add_argument("--repeats", type=int, default=7, help="calls of which the median counts")
    arguments = parser.parse_args()
    bars, positions = problem(arguments.bars)

    def ours() -> Any:
        return simulate(bars, positions, COSTS, rebalance_band=np.inf, bars_per_year=YEAR)

    arrays = [frame.to_numpy() for frame in (bars["open"], bars["close"], positions)]
    kernel, _ = measure(lambda: follow_targets(*arrays, COSTS.price_shift, COSTS.fee, np.inf, 1.0), arguments.repeats)
    whole, simulation = measure(ours, arguments.repeats)
    print(f"{arguments.bars:,} bars, {len(simulation.fills):,} fills, median of {arguments.repeats} calls")
    show("ours: kernel", kernel, kernel, f"{arguments.bars / kernel / 1e6:.0f} Mbar/s")
    show("ours: simulate(), frames, fills and metrics", whole, kernel)
    if find_spec("vectorbt"):
        # vectorbt walks through a time zone's stamps in Python; without one it is at its best.
        naive, wanted = bars.tz_localize(None), positions.tz_localize(None)
        engines = ["numba"] + ["rust"] * (find_spec("vectorbt_rust") is not None)
        for engine in engines:
            seconds, portfolio = measure(
                lambda engine=engine: vectorbt_orders(naive, wanted, engine), arguments.repeats
            )
            gap = np.abs(portfolio.value().to_numpy() / simulation.equity.to_numpy() - 1.0).max()
            show(f"vectorbt, {engine}: orders", seconds, kernel, f"equity differs by {gap:.0e}")
            seconds, _ = measure(
                lambda engine=engine: vectorbt_metrics(vectorbt_orders(naive, wanted, engine)), arguments.repeats
            )
            show(f"vectorbt, {engine}: orders, fills and metrics", seconds, kernel)
    else:
        print("vectorbt is not installed: not measured")
    if find_spec("backtesting"):
        seconds, fills = measure(lambda: backtesting_run(bars, positions), 1)
        show("backtesting.py: run()", seconds, kernel, f"{fills:,} trades")
    else:
        print("backtesting.py is not installed: not measured")


def problem(count: int) -> tuple[pd.DataFrame, pd.Series]:
    """A random walk and sides that change every ten bars."""
    rng = np.random.default_rng(0)
    close = 30_000.0 * np.exp(rng.normal(0, 0.004, count).cumsum())
    open_ = np.append(30_000.0, close[:-1]) * np.exp(rng.normal(0, 0.0003, count))
    index = pd.date_range("2015-01-01", periods=count, freq="h", tz="UTC", name="timestamp")
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    bars = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": 1.0}, index=index)
    sides = np.repeat(rng.integers(-1, 2, count // 10 + 1), 10)[:count] / 2.0
    return bars, pd.Series(sides, index=index, name="position")


def vectorbt_orders(bars: pd.DataFrame, positions: pd.Series, engine: str) -> Any:
    """The same orders: a share of equity at the open after each change of target."""
    import vectorbt

    changed = positions != positions.shift(fill_value=0.0)
    return vectorbt.Portfolio.from_orders(
        bars["close"],
        size=positions.where(changed).shift(),
        size_type="targetpercent",
        price=bars["open"],
        fees=COSTS.fee,
        slippage=COSTS.price_shift,
        init_cash=1.0,
        freq="1h",
        engine=engine,
    )


def vectorbt_metrics(portfolio: Any) -> tuple[Any, ...]:
    """About what our metrics say."""
    return (
        portfolio.value(),
        portfolio.returns(),
        portfolio.total_return(),
        portfolio.sharpe_ratio(),
        portfolio.max_drawdown(),
        portfolio.orders.records,
    )


def backtesting_run(bars: pd.DataFrame, positions: pd.Series) -> int:
    """The same sides through event-driven orders; the number of its trades."""
    from backtesting import Backtest, Strategy

    target = positions.to_numpy()

    class FollowTargets(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.last = 0.0

        def next(self) -> None:
            wanted = target[len(self.data) - 1]
            if wanted != self.last:
                self.position.close()
                if wanted > 0:
                    self.buy(size=wanted)
                elif wanted < 0:
                    self.sell(size=-wanted)
                self.last = wanted

    frame = bars.rename(columns=str.title).tz_localize(None)
    test = Backtest(
        frame, FollowTargets, cash=1e12, spread=COSTS.price_shift, commission=COSTS.fee, finalize_trades=True
    )
    return int(test.run()["# Trades"])


if __name__ == "__main__":
    main()
