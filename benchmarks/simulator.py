"""The simulator beside vectorbt and backtesting.py, one thread each: ``python -m benchmarks.simulator --bars 100000``.

One instrument, a tenth of the initial equity long, short or flat, a new side every day, fees and spread, fills at the
next open. Then the same with a stop and a take-profit, with return, drawdown and Sharpe ratio asked for, and a sweep of
stops. That equities agree is what ``benchmarks.simulator_parity`` shows. The memory limit is what a loop takes that
reads the same columns and writes an equity, and does nothing else.
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from benchmarks._timing import measure, show
from trading.costs import Costs
from trading.simulator import Rules, Run, Stops, simulate, sweep

COSTS = Costs(fee_bps=5.0, spread_bps=2.0, slippage_bps=1.0)
YEAR = 365 * 24.0
EQUITY = 1_000.0
SHARE = 0.1
LOSS, PROFIT = 0.02, 0.03
SWEEP_BARS, SWEEP_RUNS = 50_000, 1_000


def main() -> None:
    """Measure whatever peer is installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=100_000, help="length of the path")
    parser.add_argument("--repeats", type=int, default=100, help="calls of which the median counts")
    parser.add_argument("--only", choices=["ours", "peer"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        sweep_alone(arguments.only)
        return
    bars, positions = problem(arguments.bars)
    for name, stops in (("a side a day", None), ("and stops", Stops(LOSS, PROFIT))):
        rules = Rules(stops=stops, compound=False)
        ours, simulation = measure(partial(simulated, bars, positions, rules), arguments.repeats)
        print(f"\n{arguments.bars:,} bars, {name}: {len(simulation.fills):,} fills, median of {arguments.repeats}")
        show("ours, equity, fills and 16 metrics", ours, ours, f"{arguments.bars / ours / 1e6:.0f} Mbar/s")
        for engine in engines():
            seconds, _ = measure(partial(signals, bars, positions, engine, stops), arguments.repeats)
            show(f"vectorbt, {engine}: orders", seconds, ours)
            seconds, _ = measure(partial(metrics, bars, positions, engine, stops), arguments.repeats)
            show(f"vectorbt, {engine}: return, drawdown, Sharpe", seconds, ours)
        if find_spec("backtesting") and stops is None:
            seconds, fills = measure(lambda: backtesting_run(bars, positions), 1)
            show("backtesting.py: run()", seconds, ours, f"{fills:,} trades")
    million, sides = problem(2_000_000)
    rules = Rules(stops=Stops(LOSS, PROFIT), compound=False)
    ours, _ = measure(lambda: simulated(million, sides, rules), 5)
    columns = [million[name].to_numpy() for name in ("open", "high", "low", "close")]
    floor, _ = measure(lambda: nothing_but_memory(*columns, sides.to_numpy()), 5)
    print("\n2,000,000 bars with stops, beyond any cache")
    show("ours", ours, ours, f"{2 / ours:.0f} Mbar/s")
    show("reading five columns and writing one", floor, ours, f"ours reaches {floor / ours:.0%} of memory's speed")
    print(f"\nA sweep of {SWEEP_RUNS:,} stops over {SWEEP_BARS:,} bars, each in a process of its own")
    for name in ("ours", *(["peer"] if engines() else [])):
        command = [sys.executable, "-m", "benchmarks.simulator", "--only", name]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="", flush=True)


def problem(count: int) -> tuple[pd.DataFrame, pd.Series]:
    """A random walk and sides that change every day."""
    rng = np.random.default_rng(0)
    close = 30_000.0 * np.exp(rng.normal(0, 0.002, count).cumsum())
    open_ = np.append(30_000.0, close[:-1]) * np.exp(rng.normal(0, 0.0003, count))
    index = pd.date_range("2015-01-01", periods=count, freq="min", tz="UTC", name="timestamp")
    high, low = np.maximum(open_, close) * 1.001, np.minimum(open_, close) * 0.999
    bars = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": 1.0}, index=index)
    sides = np.repeat(rng.integers(-1, 2, count // 24 + 1), 24)[:count] * SHARE
    return bars, pd.Series(sides, index=index, name="position")


def simulated(bars: pd.DataFrame, positions: pd.Series, rules: Rules) -> Any:
    """The whole call, checks included."""
    return simulate(
        bars, positions, COSTS, rebalance_band=np.inf, bars_per_year=YEAR, initial_equity=EQUITY, rules=rules
    )


def engines() -> list[str]:
    """Engines of vectorbt that are installed."""
    if not find_spec("vectorbt"):
        print("vectorbt is not installed: not measured")
        return []
    return ["numba", *(["rust"] if find_spec("vectorbt_rust") else [])]


def signals(
    bars: pd.DataFrame,
    positions: pd.Series,
    engine: str,
    stops: Stops | None = None,
    costs: Costs = COSTS,
    **more: Any,
) -> Any:
    """The same units at the same opens, as signals of entry and exit."""
    import vectorbt

    # vectorbt walks through a time zone's stamps in Python; without one it is at its best.
    bars, wanted = bars.tz_localize(None), positions.tz_localize(None).shift(fill_value=0.0)
    before = wanted.shift(fill_value=0.0)
    if stops is not None:
        more = {"sl_stop": stops.stop_loss, "tp_stop": stops.take_profit, "stop_entry_price": "fillprice"} | more
    return vectorbt.Portfolio.from_signals(
        bars["close"],
        entries=(wanted > 0) & (before <= 0),
        exits=(wanted == 0) & (before > 0),
        short_entries=(wanted < 0) & (before >= 0),
        short_exits=(wanted == 0) & (before < 0),
        size=SHARE * EQUITY / bars["open"],
        price=bars["open"],
        open=bars["open"],
        high=bars["high"],
        low=bars["low"],
        fees=costs.fee,
        slippage=costs.price_shift,
        upon_opposite_entry="reverse",
        init_cash=EQUITY,
        freq="1h",
        engine=engine,
        **more,
    )


def metrics(*arguments: Any, **settings: Any) -> tuple[Any, Any, Any]:
    """Three of our metrics, of :func:`signals`."""
    portfolio = signals(*arguments, **settings)
    return portfolio.total_return(), portfolio.max_drawdown(), portfolio.sharpe_ratio()


@njit(cache=True)  # type: ignore[misc,unused-ignore]
def nothing_but_memory(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    """Read five columns, write one."""
    out = np.empty(len(a))
    for at in range(len(a)):
        out[at] = a[at] + b[at] + c[at] + d[at] + e[at]
    return out


def sweep_alone(who: str) -> None:
    """Time and peak memory of the sweep in this process, over what it needed before."""
    bars, positions = problem(SWEEP_BARS)
    losses, profits = (np.linspace(low, high, SWEEP_RUNS) for low, high in ((0.01, 0.05), (0.02, 0.08)))
    if who == "ours":

        def runs() -> Iterator[Run]:
            for loss, profit in zip(losses, profits, strict=True):
                yield Run(positions, COSTS, Rules(stops=Stops(float(loss), float(profit)), compound=False))

        before = _peak()
        seconds, table = measure(lambda: sweep(bars, runs(), bars_per_year=YEAR, initial_equity=EQUITY), 3)
        print(f"ours: {seconds:.2f} s, peak {_peak():.0f} MB of which {before:.0f} before; {len(table)} rows")
        return
    engine = engines()[-1]
    before = _peak()

    def peer() -> Any:
        grid = {"sl_stop": losses[None, :], "tp_stop": profits[None, :], "stop_entry_price": "fillprice"}
        return metrics(bars, positions, engine, **grid)

    seconds, _ = measure(peer, 1)
    print(f"vectorbt, {engine}: {seconds:.2f} s, peak {_peak():.0f} MB of which {before:.0f} before")


def _peak() -> float:
    """Of this program; getrusage would count what the process was before it became this program."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


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
