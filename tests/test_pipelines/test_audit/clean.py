"""Random pipelines that do not look ahead: compositions of operations of which each uses the past only."""

from collections.abc import Callable

import numpy as np
import pandas as pd

Bars = pd.DataFrame
Step = Callable[[Bars], pd.DataFrame]
Operation = Callable[[pd.Series], pd.Series]

HOUR = pd.Timedelta(hours=1)


def pipeline(seed: int) -> Step:
    """A step of some columns; the same seed gives the same step."""
    rng = np.random.default_rng(seed)
    recipes = [_recipe(rng) for _ in range(rng.integers(2, 5))]
    finish = FINISHES[rng.integers(len(FINISHES))]

    def step(bars: Bars) -> pd.DataFrame:
        with np.errstate(all="ignore"):
            return finish(pd.DataFrame({f"column_{n}": recipe(bars) for n, recipe in enumerate(recipes)}), bars)

    return step


def _recipe(rng: np.random.Generator) -> Callable[[Bars], pd.Series]:
    source = SOURCES[rng.integers(len(SOURCES))]
    operations = [_operation(rng) for _ in range(rng.integers(1, 5))]
    other = SOURCES[rng.integers(len(SOURCES))]
    join = JOINS[rng.integers(len(JOINS))]
    window = int(rng.integers(2, 30))

    def compute(bars: Bars) -> pd.Series:
        series = source(bars)
        for operation in operations:
            series = operation(series)
        return join(series, other(bars), window)

    return compute


def _operation(rng: np.random.Generator) -> Operation:
    make = OPERATIONS[rng.integers(len(OPERATIONS))]
    return make(int(rng.integers(1, 40)), float(rng.uniform(0.05, 0.95)))


def _complete(series: pd.Series, rule: str, how: str) -> pd.Series:
    """Longer bars, each seen from its own end on."""
    longer = getattr(series.resample(rule), how)()
    newest = (longer.index + pd.Timedelta(rule)).searchsorted(series.index + HOUR, side="right") - 1
    return pd.Series(np.where(newest >= 0, longer.to_numpy()[newest], np.nan), index=series.index)


def _same_hour_before(series: pd.Series) -> pd.Series:
    """Mean of the same hour on all days before."""
    hours = pd.DatetimeIndex(series.index).hour
    past = series.groupby(hours)
    return (past.cumsum() - series) / past.cumcount()


def _recursion(series: pd.Series, keep: float) -> pd.Series:
    out, level = np.empty(len(series)), 0.0
    for row, value in enumerate(series.to_numpy(dtype=float)):
        level = keep * level + (1 - keep) * (value if np.isfinite(value) else 0.0)
        out[row] = level
    return pd.Series(out, index=series.index)


def _product(series: pd.Series, length: int, keep: float) -> pd.Series:
    """A window times weights, as a matrix product."""
    padded = np.concatenate([np.zeros(length), series.fillna(0.0).to_numpy(dtype=float)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[1:]
    return pd.Series(windows @ keep ** np.arange(length)[::-1], index=series.index)


def _refitted(series: pd.Series, every: int) -> pd.Series:
    """A slope that is fitted again every few rows, on what was known by then, and used until the next time."""
    x, y = series.shift(1).to_numpy(dtype=float), series.to_numpy(dtype=float)
    slope, out = 0.0, np.zeros(len(series))
    for row in range(len(series)):
        if row % (20 + every) == 20:
            good = np.isfinite(x[: row + 1]) & np.isfinite(y[: row + 1])
            past = x[: row + 1][good]
            slope = float(past @ y[: row + 1][good] / (past @ past)) if len(past) and past @ past > 0 else 0.0
        out[row] = slope * y[row]
    return pd.Series(out, index=series.index)


def _by_day(series: pd.Series) -> "pd.api.typing.SeriesGroupBy":
    return series.groupby(pd.DatetimeIndex(series.index).floor("1D"))


SOURCES: list[Callable[[Bars], pd.Series]] = [
    lambda bars: bars["close"],
    lambda bars: bars["open"],
    lambda bars: bars["volume"],
    lambda bars: bars["close"].pct_change(),
    lambda bars: np.log(bars["close"]).diff(),
    lambda bars: bars["high"] - bars["low"],
    lambda bars: (bars["close"] - bars["low"]) / (bars["high"] - bars["low"]),
    lambda bars: bars["close"] * bars["volume"],
    lambda bars: pd.Series(pd.DatetimeIndex(bars.index).hour.to_numpy(dtype=float), index=bars.index),
]
OPERATIONS: list[Callable[[int, float], Operation]] = [
    lambda n, q: lambda s: s.shift(n),
    lambda n, q: lambda s: s.diff(n),
    lambda n, q: lambda s: s.pct_change(n, fill_method=None),
    lambda n, q: lambda s: s.rolling(n + 1).mean(),
    lambda n, q: lambda s: s.rolling(n + 1, min_periods=1).sum(),
    lambda n, q: lambda s: s.rolling(n + 2).std(),
    lambda n, q: lambda s: s.rolling(n + 1).max() - s.rolling(n + 1).min(),
    lambda n, q: lambda s: s.rolling(n + 1).quantile(q),
    lambda n, q: lambda s: s.rolling(n + 3).skew(),
    lambda n, q: lambda s: s.rolling(n + 4).kurt(),
    lambda n, q: lambda s: s.rolling(n + 1).rank(pct=True),
    lambda n, q: lambda s: s.rolling(n + 1).median(),
    lambda n, q: lambda s: s.rolling(f"{n + 1}h").mean(),
    lambda n, q: lambda s: s.ewm(span=n + 1).mean(),
    lambda n, q: lambda s: s.ewm(alpha=q, adjust=False).std(),
    lambda n, q: lambda s: s.expanding().mean(),
    lambda n, q: lambda s: s.expanding(min_periods=n).quantile(q),
    lambda n, q: lambda s: s.expanding().rank(pct=True),
    lambda n, q: lambda s: (s - s.expanding(n).mean()) / s.expanding(n).std(),
    lambda n, q: lambda s: s.cumsum(),
    lambda n, q: lambda s: s.cummax(),
    lambda n, q: lambda s: s / s.cummax() - 1,
    lambda n, q: lambda s: s.where(s.rank(method="first").index.hour % 3 == n % 3).ffill(),
    lambda n, q: lambda s: s.where(s > s.shift(n)).ffill(limit=n),
    lambda n, q: lambda s: s.fillna(0.0),
    lambda n, q: lambda s: s.fillna(s.expanding().median()),
    lambda n, q: lambda s: np.sign(s),
    lambda n, q: lambda s: np.tanh(s),
    lambda n, q: lambda s: np.log1p(s.abs()),
    lambda n, q: lambda s: s.clip(-q, q),
    lambda n, q: lambda s: (s > s.rolling(n + 1).quantile(q)).astype(int),
    lambda n, q: lambda s: _by_day(s).cumsum(),
    lambda n, q: lambda s: _by_day(s).cummax(),
    lambda n, q: lambda s: s - _by_day(s).transform("first"),
    lambda n, q: lambda s: s.groupby(pd.DatetimeIndex(s.index).hour).shift(1),
    lambda n, q: _same_hour_before,
    lambda n, q: lambda s: _complete(s, "4h", "max"),
    lambda n, q: lambda s: _complete(s, "1D", "last"),
    lambda n, q: lambda s: _complete(s, "8h", "mean"),
    lambda n, q: lambda s: s.resample("1h").ffill().shift(n, freq="1h").reindex(s.index),
    lambda n, q: lambda s: _recursion(s, q),
    lambda n, q: lambda s: _product(s, n + 1, q),
    lambda n, q: lambda s: _refitted(s, n),
    lambda n, q: lambda s: pd.Series(np.convolve(s.fillna(0.0), np.full(n, 1 / n))[: len(s)], index=s.index),
]
JOINS: list[Callable[[pd.Series, pd.Series, int], pd.Series]] = [
    lambda a, b, n: a,
    lambda a, b, n: a,
    lambda a, b, n: a + b,
    lambda a, b, n: a * b.shift(n),
    lambda a, b, n: a / b,
    lambda a, b, n: a.rolling(n + 2).corr(b),
    lambda a, b, n: a.rolling(n + 2).cov(b),
    lambda a, b, n: a.where(b > b.rolling(n).mean()),
    lambda a, b, n: a.ewm(span=n).cov(b),
]


def _labelled(frame: pd.DataFrame, bars: Bars) -> pd.DataFrame:
    """Labels beside features, each known when it is."""
    price, ahead = bars["open"], 1 + len(frame.columns)
    ret = price.shift(-1 - ahead) / price.shift(-1) - 1
    ends = pd.Series(bars.index, index=bars.index).shift(-1 - ahead)
    return frame.assign(label=(ret > 0).where(ret.notna()), ret=ret, t_end=ends)


def _filled(frame: pd.DataFrame, bars: Bars) -> pd.DataFrame:
    """Fills at the next open of positions that follow the first column."""
    position = np.sign(frame["column_0"].fillna(0.0)).rename("units")
    before, opened = position.shift(1), bars.index
    fills = pd.DataFrame({"decided_at": opened - HOUR, "units": before, "price": bars["open"]}, index=opened)
    return fills[(before != before.shift(1)).to_numpy() & before.notna().to_numpy()]


FINISHES: list[Callable[[pd.DataFrame, Bars], pd.DataFrame]] = [
    lambda frame, bars: frame,
    lambda frame, bars: frame,
    lambda frame, bars: frame.dropna(),
    lambda frame, bars: frame.reset_index(),
    lambda frame, bars: frame.iloc[20:],
    lambda frame, bars: frame.rank(axis=1),
    lambda frame, bars: frame.assign(text=np.where(frame["column_0"] > 0, "up", "down")),
    lambda frame, bars: frame.assign(bins=pd.cut(frame["column_0"], [-np.inf, 0, 1, np.inf], labels=list("abc"))),
    lambda frame, bars: frame.astype("float32"),
    _labelled,
    _filled,
]
