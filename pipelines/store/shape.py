"""What a frame must look like to be stored. Whether its values can be believed is for *validate* to say."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipelines.store.errors import StoreError
from pipelines.store.observations import RECORDED
from trading.bars import COLUMNS, known_at
from trading.errors import BarError
from trading.instrument import duration

OPTIONAL = ("quote_volume", "trades", "taker_buy_volume", "funding_rate")
_DAY = pd.Timedelta(days=1)


def shaped_bars(name: str, timeframe: str, bars: pd.DataFrame, recorded_at: pd.Timestamp) -> pd.DataFrame:
    """Closed bars of the contract, as floats in the order of their columns.

    Raises
    ------
    BarError
        Naming the first rule that is broken, and where.
    """
    fault = _index_fault(bars.index)
    if not fault and (missing := [column for column in COLUMNS if column not in bars]):
        fault = f"column(s) missing: {', '.join(missing)}"
    if not fault and (unknown := [str(column) for column in bars if column not in (*COLUMNS, *OPTIONAL)]):
        fault = f"column(s) that no bar has: {', '.join(unknown)}"
    if fault:
        raise _refused_bars(name, fault)
    kept = bars[[*COLUMNS, *(column for column in OPTIONAL if column in bars)]].astype(np.float64)
    stamps = pd.DatetimeIndex(bars.index)
    # Exchanges agree on where a minute, an hour and a day begin, but not on weeks and months.
    grid = min(duration(timeframe), _DAY)
    guilty: Mapping[str, np.ndarray] = {
        "without a finite price or volume": ~np.isfinite(kept[COLUMNS].to_numpy()).all(axis=1),
        "with an infinite value": np.isinf(kept.to_numpy()).any(axis=1),
        f"off the grid of {timeframe}": np.asarray(stamps.floor(grid) != stamps),
        f"not closed yet at {recorded_at}, when recorded": np.asarray(known_at(stamps, timeframe) > recorded_at),
    }
    for fault, rows in guilty.items():
        if rows.any():
            raise _refused_bars(name, f"{int(rows.sum())} {fault}, first at {stamps[int(rows.argmax())]}")
    return kept


def shaped_values(name: str, frame: pd.DataFrame, key: str) -> pd.DataFrame:
    """Values of an external series, as floats.

    Raises
    ------
    StoreError
        Naming the first rule that is broken.
    """
    fault = _index_fault(frame.index)
    columns = [str(column) for column in frame]
    if not fault and (not columns or not frame.columns.is_unique):
        fault = "it needs columns, and a different name for each"
    if not fault and (clash := sorted({key, RECORDED} & set(columns))):
        fault = f"the store has a column {clash[0]} of its own"
    if not fault and (wrong := [str(column) for column, kind in frame.dtypes.items() if kind.kind not in "iuf"]):
        fault = f"no numbers in {', '.join(wrong)}"
    if not fault and np.isinf(frame.to_numpy(dtype=np.float64)).any():
        fault = "it has infinite values"
    if fault:
        raise StoreError(
            f"the values of {name} cannot be stored: {fault}",
            rule="float columns on a strictly increasing index of times of publication in UTC",
            remedy="mend the frame before it is appended",
        )
    return frame.astype(np.float64).set_axis(columns, axis=1)


def _index_fault(index: pd.Index) -> str:
    if not isinstance(index, pd.DatetimeIndex) or str(index.tz) != "UTC":
        return "the index is not a DatetimeIndex in UTC"
    if index.hasnans or not (index.is_monotonic_increasing and index.is_unique):
        return "the stamps do not increase strictly"
    return ""


def _refused_bars(name: str, fault: str) -> BarError:
    return BarError(
        f"bars of {name} cannot be stored: {fault}",
        rule=f"closed bars by their opens in UTC, in strict order, with {', '.join(COLUMNS)}",
        remedy="mend them before they are appended; `engine data check` describes the faults of a file",
    )
