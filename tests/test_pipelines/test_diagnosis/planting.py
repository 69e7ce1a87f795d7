"""Faults planted into real bars: one function a kind, each with mild to gross severities (0 to 2).

Every function takes bars in order (columns timestamp, open, high, low, close, volume; stamps in UTC), a generator and a
severity, and returns the frame as it would be written. What it plants it plants nowhere else.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

Frame = pd.DataFrame
Plant = Callable[[Frame, np.random.Generator, int], Frame]
PRICES = ["open", "high", "low", "close"]


def length(bars: Frame) -> pd.Timedelta:
    return pd.Timedelta(bars["timestamp"].diff().mode().iloc[0])


def some(bars: Frame, rng: np.random.Generator, count: int) -> np.ndarray:
    """Distinct places that leave the ends alone and do not touch each other."""
    places = rng.choice(np.arange(5, len(bars) // 8 - 5), size=count, replace=False) * 8
    return np.sort(places + rng.integers(0, 4))


def stretch(bars: Frame, rng: np.random.Generator, count: int) -> slice:
    start = int(rng.integers(len(bars) // 5, len(bars) - count - len(bars) // 5))
    return slice(start, start + count)


def share(bars: Frame, severity: int) -> int:
    return max(20, int(len(bars) * (0.05, 0.2, 0.45)[severity]))


def order_descending(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    return bars.iloc[::-1]


def order_mixed(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    if severity == 0:
        at = int(rng.integers(10, len(bars) - 10))
        order = np.arange(len(bars))
        order[[at, at + 1]] = order[[at + 1, at]]
        return bars.iloc[order]
    if severity == 1:
        half = len(bars) // 2
        return pd.concat([bars.iloc[half:], bars.iloc[:half]])
    return bars.sample(frac=1.0, random_state=int(rng.integers(1 << 30)))


def duplicates_agreeing(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    again = bars.iloc[some(bars, rng, (1, 10, 50)[severity])]
    return pd.concat([bars, again]).sort_values("timestamp", kind="stable")


def duplicates_conflicting(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    other = bars.iloc[some(bars, rng, (1, 10, 50)[severity])].copy()
    other[PRICES] = other[PRICES] * 1.0005
    other["volume"] = other["volume"] * 0.9
    return pd.concat([bars, other]).sort_values("timestamp", kind="stable")


def gaps(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    if severity == 0:
        day = max(2, int(pd.Timedelta("24h") / length(bars)))
        return drop(bars, stretch(bars, rng, min(day, len(bars) // 4)))
    if severity == 1:
        return bars.drop(bars.index[rng.choice(len(bars), size=len(bars) // 33, replace=False)])
    return drop(bars, stretch(bars, rng, len(bars) // 8))


def drop(bars: Frame, places: slice) -> Frame:
    return bars.drop(bars.index[places])


def sparse_market(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    kept = rng.random(len(bars)) >= (0.15, 0.4, 0.7)[severity]
    kept[[0, -1]] = True
    return bars[kept]


def zero_volume(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    changed.loc[changed.index[some(bars, rng, (3, 20, 60)[severity])], "volume"] = 0.0
    return changed


def stale_run(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    count = (12, 24, 60)[severity]
    places = stretch(bars, rng, count)
    columns = [*PRICES, "volume"] if severity != 1 else PRICES
    changed.iloc[places, [changed.columns.get_loc(name) for name in columns]] = (
        changed[columns].iloc[places.start - 1].to_numpy()
    )
    return changed


def frozen_flat(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    """A feed that repeats the last close with no volume."""
    changed = bars.copy()
    places = stretch(bars, rng, (15, 30, 60)[severity])
    changed.iloc[places, [changed.columns.get_loc(name) for name in PRICES]] = changed["close"].iloc[places.start - 1]
    changed.iloc[places, changed.columns.get_loc("volume")] = 0.0
    return changed


def bad_prints(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    """Closes (with the high or low that belongs to them), whole bars, or wicks at a multiple of the price."""
    changed = bars.copy()
    for place in some(bars, rng, 3):
        factor = float(rng.choice([(1.25, 1 / 1.25), (1.6, 0.6), (10.0, 0.1)][severity]))
        what = rng.choice(["close", "bar", "wick"])
        at = changed.index[place]
        if what == "bar":
            changed.loc[at, PRICES] = changed.loc[at, PRICES] * factor
        elif what == "close":
            changed.loc[at, "close"] *= factor
        side = "high" if factor > 1 else "low"
        if what == "wick":
            changed.loc[at, side] *= factor
        changed.loc[at, "high"] = changed.loc[at, PRICES].max()
        changed.loc[at, "low"] = changed.loc[at, PRICES].min()
    return changed


def ohlc_violation(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    at = changed.index[some(bars, rng, (1, 10, 50)[severity])]
    changed.loc[at, "high"] = changed.loc[at, ["open", "close"]].min(axis=1) * 0.999
    changed.loc[at, "low"] = changed.loc[at, "low"] * 0.99
    return changed


def high_low_swapped(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    places = [some(bars, rng, 3), np.arange(len(bars))[stretch(bars, rng, 50)], np.arange(len(bars))][severity]
    at = changed.index[places]
    changed.loc[at, ["high", "low"]] = changed.loc[at, ["low", "high"]].to_numpy()
    return changed


def volume_swapped(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    """With a column of quote volume: exchanged in a part or all of the file."""
    changed = bars.assign(quote_volume=bars["volume"] * bars["close"])
    places = [stretch(bars, rng, share(bars, 0)), slice(0, len(bars) // 2), slice(None)][severity]
    at = changed.index[places]
    changed.loc[at, ["volume", "quote_volume"]] = changed.loc[at, ["quote_volume", "volume"]].to_numpy()
    return changed


def volume_in_quote(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    """Without a column of quote volume: quote units in a part of the file."""
    changed = bars.copy()
    at = changed.index[stretch(bars, rng, share(bars, severity))]
    changed.loc[at, "volume"] = changed.loc[at, "volume"] * changed.loc[at, "close"]
    return changed


def volume_unit_change(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    at = changed.index[
        [stretch(bars, rng, share(bars, 1)), slice(0, len(bars) // 3), slice(len(bars) // 2, None)][severity]
    ]
    changed.loc[at, "volume"] *= (100.0, 1000.0, 1e-8)[severity]
    return changed


def scale_change(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    at = changed.index[
        [slice(0, len(bars) // 2), stretch(bars, rng, share(bars, 0)), slice(len(bars) // 3, None)][severity]
    ]
    changed.loc[at, PRICES] *= (0.5, 100.0, 1000.0)[severity]
    return changed


def close_stamped(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    before = pd.Timedelta([1_000_000, 1_000, 1][severity], "us")
    return bars.assign(timestamp=bars["timestamp"] + length(bars) - before)


def clock_shift(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    """To be found beside the bars themselves: a part or all of the file stamped some bars off."""
    moved = bars.copy()
    by = (2, -3, 7)[severity] * length(bars)
    places = [slice(None), slice(None), slice(0, len(bars) // 2)][severity]
    stamps = moved["timestamp"].copy()
    stamps.iloc[places] = stamps.iloc[places] + by
    moved["timestamp"] = stamps
    return moved.sort_values("timestamp", kind="stable").drop_duplicates("timestamp")


def local_time(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    zone = ("Europe/Berlin", "America/New_York", "Australia/Sydney")[severity]
    return bars.assign(timestamp=bars["timestamp"].dt.tz_convert(zone).dt.tz_localize(None))


def dst_jump(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    """The hour of spring missing, the hour of autumn doubled, or both, in bars without an offset."""
    naive = bars.assign(timestamp=bars["timestamp"].dt.tz_localize(None))
    hour = pd.Timedelta("1h")
    for year in naive["timestamp"].dt.year.unique():
        spring, autumn = (last_sunday(year, month) + 2 * hour for month in (3, 10))
        if severity != 1:
            naive = naive[~naive["timestamp"].between(spring, spring + hour, inclusive="left")]
        if severity > 0:
            twice = naive[naive["timestamp"].between(autumn, autumn + hour, inclusive="left")].copy()
            twice[PRICES] *= 1.001
            naive = pd.concat([naive, twice]).sort_values("timestamp", kind="stable")
    return naive


def last_sunday(year: int, month: int) -> pd.Timestamp:
    end = pd.Timestamp(year, month, 1) + pd.offsets.MonthEnd(1)
    return end - pd.Timedelta((end.weekday() + 1) % 7, "D")


def mixed_offsets(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    stamps = bars["timestamp"]
    text = stamps.map(lambda at: at.isoformat())
    if severity == 0:
        other = stamps.dt.tz_convert("Europe/Berlin").map(lambda at: at.isoformat())
        return bars.assign(timestamp=text.where(np.arange(len(bars)) < len(bars) // 2, other))
    if severity == 1:
        east = stamps.dt.tz_convert("Asia/Kolkata").map(lambda at: at.isoformat())
        return bars.assign(timestamp=text.where(rng.random(len(bars)) < 0.7, east))
    naive = stamps.dt.tz_localize(None).map(lambda at: at.isoformat())
    return bars.assign(timestamp=text.where(rng.random(len(bars)) < 0.5, naive))


def epoch_unit(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    micros = bars["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    mixed = micros // 1000
    if severity == 0:
        mixed = np.where(np.arange(len(bars)) < len(bars) // 2, micros // 1000, micros)
    elif severity == 1:
        mixed = np.where(rng.random(len(bars)) < 0.1, micros // 1_000_000, micros // 1000)
    else:
        return bars.assign(timestamp=pd.to_datetime(micros // 1000, unit="ns", utc=True))
    return bars.assign(timestamp=mixed)


def wrong_timeframe(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    """A stretch put together to bars twice or four times as long."""
    count = (2, 2, 4)[severity]
    size = max(40, share(bars, min(severity, 1)) // count * count)
    places = stretch(bars, rng, size)
    part = bars.iloc[places]
    group = np.arange(size) // count
    joined = part.groupby(group).agg(
        {"timestamp": "first", "open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    return pd.concat([bars.iloc[: places.start], joined, bars.iloc[places.stop :]], ignore_index=True)


def jitter(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    seconds = rng.integers(1, 4, len(bars)) * (rng.random(len(bars)) < (0.01, 0.5, 1.0)[severity])
    return bars.assign(timestamp=bars["timestamp"] + pd.to_timedelta(seconds, unit="s"))


def unfinished_last_bar(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    last = changed.index[-1]
    part = (0.01, 0.003, 0.0005)[severity]
    opened = changed.loc[last, "open"]
    changed.loc[last, "volume"] = changed["volume"].iloc[-200:].median() * part
    changed.loc[last, PRICES] = [opened, opened * 1.0001, opened, opened * 1.0001]
    return changed


def text_numbers(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.astype(dict.fromkeys((["close"], ["volume"], PRICES)[severity], object))
    if severity == 0:
        at = changed.index[some(bars, rng, 5)]
        changed.loc[at, "close"] = [f"${value:,.10f}" for value in bars.loc[at, "close"]]
    elif severity == 1:
        changed["volume"] = [f"{value / 1000:.12f}K" for value in bars["volume"]]
    else:
        for name in PRICES:
            changed[name] = [f"{value:,.10f} USD" for value in bars[name]]
    return changed


def decimal_comma(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    names = (["close"], PRICES, [*PRICES, "volume"])[severity]
    changed = bars.astype(dict.fromkeys(names, object))
    for name in names:
        changed[name] = [f"{value:.10f}".replace(".", ",") for value in bars[name]]
    return changed


def nan_rows(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    at = changed.index[some(bars, rng, (1, 10, 50)[severity])]
    changed.loc[at, (["volume"], ["close"], [*PRICES, "volume"])[severity]] = np.nan
    return changed


def infinite(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    at = changed.index[some(bars, rng, (1, 5, 20)[severity])]
    changed.loc[at, ("volume", "high", "close")[severity]] = (np.inf, np.inf, -np.inf)[severity]
    return changed


def non_positive_price(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    changed = bars.copy()
    at = changed.index[some(bars, rng, (1, 10, 50)[severity])]
    changed.loc[at, (["low"], PRICES, ["low", "close"])[severity]] = (0.0, 0.0, -1.0)[severity]
    return changed


def extra_column_return(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    close, opened = bars["close"], bars["open"]
    column = (
        close.shift(-1) / close - 1,
        1e4 * np.log(opened.shift(-25) / opened.shift(-1)) + rng.normal(0, 5, len(bars)),
        (close.shift(-4) > close).astype(int),
    )[severity]
    return bars.assign(signal=column, past=close / close.shift(1) - 1, trades=rng.integers(1, 500, len(bars)))


def long_format(bars: Frame, rng: np.random.Generator, severity: int) -> Frame:
    other = bars.copy()
    other[PRICES] = other[PRICES].iloc[::-1].to_numpy() * 0.03
    if severity == 2:
        return pd.concat([bars, other]).sort_values("timestamp", kind="stable")
    both = pd.concat([bars.assign(symbol="BTC/USD"), other.assign(symbol="ETH/USD")])
    return both.sort_values("timestamp", kind="stable") if severity else both


PLANTS: dict[str, Plant] = {
    plant.__name__: plant
    for plant in (
        *(order_descending, order_mixed, duplicates_agreeing, duplicates_conflicting, gaps, sparse_market, zero_volume),
        *(stale_run, bad_prints, ohlc_violation, high_low_swapped, volume_swapped, volume_unit_change, scale_change),
        *(close_stamped, clock_shift, local_time, dst_jump, mixed_offsets, epoch_unit, wrong_timeframe, jitter),
        *(unfinished_last_bar, text_numbers, decimal_comma, nan_rows, infinite, non_positive_price),
        *(extra_column_return, long_format),
    )
}
# Kinds that a plant brings along because they are true of it as well.
COMPANIONS: dict[str, set[str]] = {
    "local_time": {"dst_jump", "clock_shift"},
    "dst_jump": {"local_time"},
    "sparse_market": {"gaps"},
    "gaps": {"sparse_market"},
    "scale_change": {"volume_unit_change"},
    "clock_shift": {"gaps", "close_stamped", "local_time", "order_mixed", "duplicates_conflicting"},
    "non_positive_price": {"ohlc_violation"},
    "infinite": {"ohlc_violation"},
    "stale_run": {"zero_volume"},
}


def write(frame: Frame, path: Any) -> None:
    """Write as CSV or Parquet, by the name."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        # Columns of mixed cells are text in Parquet.
        mixed = {name: frame[name].map(str) for name in frame if frame[name].dtype == object}
        frame.assign(**mixed).reset_index(drop=True).to_parquet(path)


def crash(bars: Frame, fall: float, bars_down: int, bars_up: int, back: float, busy: float, wick: float = 0.0) -> Frame:
    """A fall of the log price within some bars in the middle, a recovery of a part of it, and volumes to match.

    Opens follow closes as they did; a wick, if any, is added to the deepest bar.
    """
    count, start = len(bars), len(bars) // 2
    path = np.zeros(count + 1)
    path[start : start + bars_down + 1] = np.linspace(0, -fall, bars_down + 1)
    bottom = start + bars_down
    path[bottom : bottom + bars_up + 1] = -fall + back * fall * np.sqrt(np.linspace(0, 1, bars_up + 1))
    path[bottom + bars_up + 1 :] = -fall * (1 - back)
    changed = bars.copy()
    opening, closing = np.exp(path[:-1]), np.exp(path[1:])
    changed["open"] = bars["open"] * opening
    changed["close"] = bars["close"] * closing
    changed["high"] = np.maximum(bars["high"] * np.maximum(opening, closing), changed[["open", "close"]].max(axis=1))
    changed["low"] = np.minimum(bars["low"] * np.minimum(opening, closing), changed[["open", "close"]].min(axis=1))
    deepest = changed.index[bottom - 1]
    changed.loc[deepest, "low"] *= np.exp(-wick)
    rush = np.ones(count)
    rush[start : bottom + bars_up] = 1 + (busy - 1) * np.linspace(1, 0.1, bottom + bars_up - start)
    usual = float(bars["volume"].median())
    changed["volume"] = np.where(rush > 1, np.maximum(bars["volume"], usual) * rush, bars["volume"])
    return changed
