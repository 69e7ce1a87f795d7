"""The part of the audit that needs no other future, only another bar: what a fill may know.

A fill at the open of a bar was decided at the close before. So nothing else about that bar, neither its high, low,
close and volume nor the position decided at its close, may change the fill. Changing the future after a close cannot
see this, for the open and the close of one bar become known in the same record.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipelines.audit.checks import FILL_COLUMNS, Check, compare
from pipelines.backtest.strategy import Strategy


def audit_execution(
    strategy: Strategy, bars: pd.DataFrame, positions: pd.Series, at: pd.DatetimeIndex
) -> Iterator[tuple[Check, Check]]:
    """Change everything but the open of a bar, and the position decided at its close; the fills up to it must stay.

    Parameters
    ----------
    strategy
        How positions are traded.
    bars, positions
        As the backtest traded them, on one index.
    at
        Bars to change: those at whose open a fill is expected say most.

    Yields
    ------
    tuple of Check
        Of the simulation as it is, and of one that is handed each position a bar early: the control.
    """
    name, control = f"execution {strategy.horizon}", "control: a fill that knows its bar's close"
    for bar in at:
        true, decided = bars.loc[:bar], positions.loc[:bar]
        other, changed = _with_another_end(true), decided.copy()
        changed.iloc[-1] = -1.0 if decided.iloc[-1] >= 0 else 1.0
        yield (
            compare(name, bar, _fills(strategy, true, decided), _fills(strategy, other, changed)),
            compare(control, bar, _fills(strategy, true, _early(decided)), _fills(strategy, other, _early(changed))),
        )


def decided_before_filled(fills: pd.DataFrame, bar: pd.Timedelta, horizon: str) -> Check:
    """Every fill happens at or after the close that decided it."""
    late = (fills["decided_at"] + bar > fills["timestamp"]).to_numpy()
    first = str(fills["timestamp"].iloc[int(late.argmax())]) if late.any() else None
    cut = fills["timestamp"].iloc[-1] if len(fills) else pd.Timestamp(0, tz="UTC")
    return Check(f"fills decided {horizon}", cut, len(fills), int(late.sum()), first)


def fills_to_question(fills: pd.DataFrame, count: int, seed: int) -> pd.DatetimeIndex:
    """Bars of some fills, at random, in order."""
    stamps = pd.DatetimeIndex(fills["timestamp"])
    chosen = np.random.default_rng(seed).choice(len(stamps), size=min(count, len(stamps)), replace=False)
    return stamps[np.sort(chosen)]


def _with_another_end(bars: pd.DataFrame) -> pd.DataFrame:
    """The last bar with the same open, and another high, low, close and volume."""
    last = bars.iloc[-1]
    close = last["open"] * (1.07 if last["close"] <= last["open"] else 0.93)
    end = {"open": last["open"], "close": close, "volume": last["volume"] * 3 + 1}
    end |= {"high": max(last["high"], close), "low": min(last["low"], close)}
    return pd.concat([bars.iloc[:-1], pd.DataFrame(end, index=bars.index[-1:])[list(bars.columns)]])


def _early(positions: pd.Series) -> pd.Series:
    """Each position a bar before it was decided: a leak."""
    return positions.shift(-1, fill_value=0.0)


def _fills(strategy: Strategy, bars: pd.DataFrame, positions: pd.Series) -> pd.DataFrame:
    return strategy.simulate(bars, positions).fills.set_index("timestamp")[FILL_COLUMNS]
