"""Leaks that were planted, and honest neighbours that look like them.

:data:`COLUMNS` and :data:`HONEST` are single columns of a feature frame; :data:`STEPS` are whole steps whose output, or
whose declaration, is special. A step is handed to :func:`pipelines.audit.lookahead.find_lookahead` with its options.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

Bars = pd.DataFrame
Column = Callable[[Bars], "pd.Series | np.ndarray"]

HOUR = pd.Timedelta(hours=1)
COLUMNS: dict[str, Column] = {}
HONEST: dict[str, Column] = {}


def leak(column: Column) -> Column:
    COLUMNS[column.__name__] = column
    return column


def honest(column: Column) -> Column:
    HONEST[column.__name__] = column
    return column


def returns(bars: Bars) -> pd.Series:
    return bars["close"].pct_change()


def times(bars: Bars) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(bars.index)


def steps(bars: Bars, **ends: int) -> np.ndarray:
    """Hours from bar to bar."""
    hours = times(bars).as_unit("s").asi8 // 3600
    add = {side: hours[0 if side == "prepend" else -1] + step for side, step in ends.items()}
    return np.diff(hours, **add)


# --- shifts the wrong way ---------------------------------------------------------------------------------------------


@leak
def next_close(bars: Bars) -> pd.Series:
    return bars["close"].shift(-1)


@leak
def next_open(bars: Bars) -> pd.Series:
    return bars["open"].shift(-1)


@leak
def direction_in_a_day(bars: Bars) -> pd.Series:
    return (bars["close"].shift(-24) > bars["close"]).astype(int)


@leak
def volume_of_the_next_bar(bars: Bars) -> pd.Series:
    return bars["volume"].shift(-1, fill_value=0.0)


@leak
def difference_backwards(bars: Bars) -> pd.Series:
    return bars["close"].diff(-2)


@leak
def rolling_then_shifted(bars: Bars) -> pd.Series:
    return bars["close"].rolling(12, min_periods=1).mean().shift(-3)


@leak
def shifted_by_time(bars: Bars) -> pd.Series:
    return bars["close"].shift(freq="-1h").reindex(bars.index)


@leak
def rolled_array(bars: Bars) -> np.ndarray:
    return np.roll(bars["high"].to_numpy(), -1)


@leak
def one_in_a_hundred_thousandth(bars: Bars) -> pd.Series:
    return bars["close"] + 1e-5 * bars["close"].shift(-1).ffill()


# --- windows that reach ahead -----------------------------------------------------------------------------------------


@leak
def centred_mean(bars: Bars) -> pd.Series:
    return bars["close"].rolling(5, center=True).mean()


@leak
def centred_with_few_periods(bars: Bars) -> pd.Series:
    return bars["volume"].rolling(3, center=True, min_periods=1).median()


@leak
def forward_window(bars: Bars) -> pd.Series:
    ahead = pd.api.indexers.FixedForwardWindowIndexer(window_size=6)
    return bars["high"].rolling(ahead, min_periods=1).max()


@leak
def reversed_ewm(bars: Bars) -> pd.Series:
    return bars["close"][::-1].ewm(span=20).mean()[::-1]


@leak
def sum_from_the_end(bars: Bars) -> pd.Series:
    return bars["volume"][::-1].cumsum()[::-1]


@leak
def smoothed_both_ways(bars: Bars) -> np.ndarray:
    return np.convolve(bars["close"], np.ones(7) / 7)[3 : 3 + len(bars)]


@leak
def gradient(bars: Bars) -> np.ndarray:
    price = np.log(bars["close"].to_numpy())
    return np.gradient(price) if len(price) > 1 else np.zeros(len(price))


@leak
def local_extremum(bars: Bars) -> pd.Series:
    high = bars["high"]
    return ((high > high.shift(1)) & (high > high.shift(-1))).astype(float)


@leak
def when_the_maximum_comes(bars: Bars) -> pd.Series:
    ahead = pd.api.indexers.FixedForwardWindowIndexer(window_size=12)
    return bars["close"].rolling(ahead, min_periods=1).apply(np.argmax, raw=True)


@leak
def drawdown_from_the_later_peak(bars: Bars) -> pd.Series:
    return bars["close"] / bars["close"][::-1].cummax()[::-1] - 1


@leak
def spectrum_of_everything(bars: Bars) -> np.ndarray:
    waves = np.fft.rfft(bars["close"].to_numpy())
    waves[20:] = 0
    return np.fft.irfft(waves, len(bars))


# --- statistics of the whole sample -----------------------------------------------------------------------------------


@leak
def scaled_on_everything(bars: Bars) -> pd.Series:
    change = returns(bars)
    return (change - change.mean()) / change.std()


@leak
def between_minimum_and_maximum(bars: Bars) -> pd.Series:
    close = bars["close"]
    return (close - close.min()) / (close.max() - close.min())


@leak
def rank_in_the_sample(bars: Bars) -> pd.Series:
    return bars["volume"].rank(pct=True)


@leak
def clipped_at_quantiles(bars: Bars) -> pd.Series:
    change = returns(bars)
    return change.clip(change.quantile(0.02), change.quantile(0.98))


@leak
def binned_by_quantiles(bars: Bars) -> pd.Series:
    return np.ceil(4 * bars["volume"].rank(method="first") / len(bars))


@leak
def blanks_filled_with_the_mean(bars: Bars) -> pd.Series:
    average = bars["close"].rolling(24).mean()
    return average.fillna(average.mean())


@leak
def detrended(bars: Bars) -> np.ndarray:
    clock = np.arange(len(bars))
    price = np.log(bars["close"].to_numpy())
    if len(price) < 3:
        return np.zeros(len(price))
    return price - np.polyval(np.polyfit(clock, price, 1), clock)


@leak
def principal_component(bars: Bars) -> np.ndarray:
    table = np.log(bars[["open", "high", "low", "close", "volume"]].to_numpy() + 1)
    table = table - table.mean(axis=0)
    _, _, directions = np.linalg.svd(table, full_matrices=False)
    first = directions[0] * np.sign(directions[0, np.abs(directions[0]).argmax()])
    return table @ first


@leak
def threshold_of_the_sample(bars: Bars) -> pd.Series:
    change = returns(bars).abs()
    return (change > change.quantile(0.9)).astype(float)


@leak
def mean_outcome_of_the_hour(bars: Bars) -> pd.Series:
    outcome = returns(bars).shift(-1)
    return outcome.groupby(times(bars).hour).transform("mean")


@leak
def regime_by_the_median(bars: Bars) -> pd.Series:
    volatility = returns(bars).rolling(24).std()
    return (volatility > volatility.median()).astype(int)


@leak
def centred_on_the_last_price(bars: Bars) -> pd.Series:
    return bars["close"] / bars["close"].iloc[-1]


@leak
def threshold_with_the_best_profit(bars: Bars) -> pd.Series:
    signal, outcome = returns(bars).rolling(6).mean(), returns(bars).shift(-1)
    candidates = signal.abs().mean() * np.linspace(-1, 1, 5)
    best = max(candidates, key=lambda level: outcome[signal > level].sum())
    return (signal > best).astype(float)


# --- blanks filled from behind ----------------------------------------------------------------------------------------


@leak
def back_filled_start(bars: Bars) -> pd.Series:
    return bars["close"].rolling(48).mean().bfill()


@leak
def interpolated(bars: Bars) -> pd.Series:
    return bars["close"].where(np.arange(len(bars)) % 4 == 0).interpolate()


@leak
def back_filled_zero_returns(bars: Bars) -> pd.Series:
    change = returns(bars)
    return change.where(change.abs() > 1e-3).bfill()


@leak
def nearest_known_value(bars: Bars) -> pd.Series:
    some = bars["volume"].iloc[::5]
    return some.reindex(bars.index, method="nearest")


# --- longer bars seen before they end ---------------------------------------------------------------------------------


def joined(bars: Bars, longer: pd.Series) -> pd.Series:
    return longer.reindex(bars.index, method="ffill")


@leak
def daily_close_at_its_open(bars: Bars) -> pd.Series:
    return joined(bars, bars["close"].resample("1D").last())


@leak
def four_hours_at_their_open(bars: Bars) -> pd.Series:
    return joined(bars, bars["high"].resample("4h").max())


@leak
def weekly_volume_at_its_open(bars: Bars) -> pd.Series:
    return joined(bars, bars["volume"].resample("W-MON", label="left", closed="left").sum())


@leak
def closed_on_the_wrong_side(bars: Bars) -> pd.Series:
    return joined(bars, bars["close"].resample("4h", closed="right", label="left").last())


@leak
def labelled_right_and_shifted_back(bars: Bars) -> pd.Series:
    longer = bars["close"].resample("4h", label="right", closed="left").last().shift(-1)
    return joined(bars, longer)


@leak
def mean_of_the_day(bars: Bars) -> pd.Series:
    return bars["close"].groupby(times(bars).floor("1D")).transform("mean")


@leak
def bars_in_the_day(bars: Bars) -> pd.Series:
    return bars["close"].groupby(times(bars).floor("1D")).transform("size")


@leak
def month_to_come(bars: Bars) -> pd.Series:
    return bars["close"].groupby(times(bars).tz_localize(None).to_period("M")).transform("last")


@leak
def daily_range_two_hours_early(bars: Bars) -> pd.Series:
    """A daily bar that is used from 22:00 on, two hours before it has ended."""
    daily = bars["high"].resample("1D").max()
    daily.index = daily.index + pd.Timedelta(hours=21)
    return joined(bars, daily)


@leak
def session_high_known_too_soon(bars: Bars) -> pd.Series:
    session = times(bars).floor("8h")
    high = bars["high"].groupby(session).transform("max")
    return (bars["close"] / high).where(times(bars).hour % 8 >= 4)


# --- joins ------------------------------------------------------------------------------------------------------------


@leak
def merged_forward(bars: Bars) -> np.ndarray:
    some = bars[["close"]].iloc[::6].reset_index()
    left = pd.DataFrame({"timestamp": bars.index})
    return pd.merge_asof(left, some, on="timestamp", direction="forward")["close"].to_numpy()


@leak
def merged_nearest(bars: Bars) -> np.ndarray:
    some = bars[["volume"]].iloc[::4].reset_index()
    left = pd.DataFrame({"timestamp": bars.index})
    return pd.merge_asof(left, some, on="timestamp", direction="nearest")["volume"].to_numpy()


@leak
def target_merged_on_the_index(bars: Bars) -> pd.Series:
    target = pd.DataFrame({"outcome": np.log(bars["open"].shift(-5) / bars["open"].shift(-1))}, index=bars.index)
    merged = bars[["close"]].merge(target, left_index=True, right_index=True)
    return merged["outcome"].fillna(0.0)


@leak
def mean_of_overlapping_targets(bars: Bars) -> pd.Series:
    """A lagged mean of outcomes that takes the lag for one bar, where the outcome takes four."""
    outcome = bars["open"].shift(-5) / bars["open"].shift(-1) - 1
    return outcome.shift(1).rolling(10, min_periods=1).mean()


@leak
def stamped_an_hour_early(bars: Bars) -> pd.Series:
    moved = bars["close"].copy()
    moved.index = times(bars) - HOUR
    return moved.reindex(bars.index)


# --- only sometimes ---------------------------------------------------------------------------------------------------


def only(bars: Bars, where: "pd.Series | np.ndarray", column: str = "close") -> pd.Series:
    """The last close, and the next one where it is told to look."""
    return bars[column].where(~np.asarray(where, dtype=bool), bars[column].shift(-1))


@leak
def only_at_the_end_of_the_week(bars: Bars) -> pd.Series:
    return only(bars, (times(bars).dayofweek == 6) & (times(bars).hour == 23))


@leak
def only_as_the_week_begins(bars: Bars) -> pd.Series:
    return only(bars, (times(bars).dayofweek == 0) & (times(bars).hour == 0), "volume")


@leak
def only_at_midnight(bars: Bars) -> pd.Series:
    return only(bars, times(bars).hour == 23)


@leak
def only_as_the_month_ends(bars: Bars) -> pd.Series:
    return only(bars, (times(bars) + HOUR).day < times(bars).day, "high")


@leak
def only_every_fourth_hour(bars: Bars) -> pd.Series:
    return only(bars, times(bars).hour % 4 == 3)


@leak
def only_after_a_gap(bars: Bars) -> pd.Series:
    return only(bars, steps(bars, prepend=0) > 1)


@leak
def only_before_a_gap(bars: Bars) -> pd.Series:
    return only(bars, steps(bars, append=0) > 1)


@leak
def only_at_the_largest_rise(bars: Bars) -> pd.Series:
    return only(bars, returns(bars) > 0.02)


@leak
def only_before_a_crash(bars: Bars) -> pd.Series:
    return (returns(bars).shift(-1) < -0.08).astype(float)


@leak
def only_at_a_spike_of_volume(bars: Bars) -> pd.Series:
    volume = bars["volume"]
    return only(bars, volume == volume.cummax())


@leak
def only_in_the_last_rows(bars: Bars) -> pd.Series:
    out = bars["close"].copy()
    if len(out) > 1:
        out.iloc[-2] = bars["close"].iloc[-1]
    return out


@leak
def last_row_made_otherwise(bars: Bars) -> pd.Series:
    """What is live is drawn from the unfinished day, and drawn again when the day has ended."""
    daily = bars["close"].resample("1D").last().shift(1)
    out = joined(bars, daily).astype(float)
    out.iloc[-1] = bars["close"].iloc[-1]
    return out


@leak
def only_in_the_first_row(bars: Bars) -> pd.Series:
    out = returns(bars)
    out.iloc[:1] = out.iloc[1:2].sum()
    return out


# --- how many there are -----------------------------------------------------------------------------------------------


@leak
def share_of_the_sample(bars: Bars) -> np.ndarray:
    return np.arange(len(bars)) / len(bars)


@leak
def time_to_the_end(bars: Bars) -> pd.Series:
    return pd.Series((bars.index[-1] - times(bars)) / HOUR, index=bars.index)


@leak
def is_the_last_bar(bars: Bars) -> np.ndarray:
    return np.arange(len(bars)) == len(bars) - 1


@leak
def time_to_the_next_bar(bars: Bars) -> np.ndarray:
    return steps(bars, append=1)


@leak
def blocks_from_the_end(bars: Bars) -> np.ndarray:
    return (np.arange(len(bars)) - len(bars)) // 50


@leak
def window_as_long_as_the_sample_allows(bars: Bars) -> pd.Series:
    return bars["close"].rolling(max(2, len(bars) // 40)).mean()


# --- of other types ---------------------------------------------------------------------------------------------------


@leak
def text_of_the_next_bar(bars: Bars) -> np.ndarray:
    return np.where(bars["close"].shift(-1) > bars["close"], "up", "down")


@leak
def category_of_the_sample(bars: Bars) -> pd.Series:
    return pd.cut(bars["volume"], 3, labels=["low", "middle", "high"])


@leak
def stamp_of_the_next_high(bars: Bars) -> pd.Series:
    high = bars["high"] > bars["high"].shift(1)
    return pd.Series(bars.index, index=bars.index).where(high).bfill()


@leak
def blank_where_the_next_bar_falls(bars: Bars) -> pd.Series:
    return bars["close"].where(bars["close"].shift(-1) >= bars["close"])


# --- honest -----------------------------------------------------------------------------------------------------------


@honest
def change(bars: Bars) -> pd.Series:
    return returns(bars)


@honest
def exponential_mean(bars: Bars) -> pd.Series:
    return bars["close"].ewm(span=30).mean()


@honest
def expanding_scale(bars: Bars) -> pd.Series:
    return (bars["close"] - bars["close"].expanding().mean()) / bars["close"].expanding().std()


@honest
def expanding_rank(bars: Bars) -> pd.Series:
    return bars["volume"].expanding().rank(pct=True)


@honest
def rolling_moments(bars: Bars) -> pd.Series:
    return returns(bars).rolling(40).skew() + returns(bars).rolling(40).kurt()


@honest
def rolling_correlation(bars: Bars) -> pd.Series:
    return returns(bars).rolling(30).corr(bars["volume"])


@honest
def yesterday(bars: Bars) -> pd.Series:
    return joined(bars, bars["close"].resample("1D").last().shift(1))


@honest
def last_complete_four_hours(bars: Bars) -> np.ndarray:
    longer = bars["high"].resample("4h").max().rename("value").reset_index()
    longer["known"] = longer["timestamp"] + pd.Timedelta(hours=4)
    left = pd.DataFrame({"known": times(bars) + HOUR})
    # An hour of trading after which the longer bar is complete, and at once used by the bar that completes it.
    return pd.merge_asof(left, longer[["known", "value"]], on="known")["value"].to_numpy()


@honest
def day_so_far(bars: Bars) -> pd.Series:
    return bars["high"].groupby(times(bars).floor("1D")).cummax()


@honest
def bars_since_the_start(bars: Bars) -> np.ndarray:
    return np.arange(len(bars))


@honest
def since_the_last_gap(bars: Bars) -> pd.Series:
    return pd.Series((steps(bars, prepend=0) > 1).cumsum(), index=bars.index)


@honest
def hour_of_the_day(bars: Bars) -> np.ndarray:
    return times(bars).hour.to_numpy()


@honest
def forward_filled(bars: Bars) -> pd.Series:
    return bars["close"].where(np.arange(len(bars)) % 3 == 0).ffill()


@honest
def weekday_as_text(bars: Bars) -> np.ndarray:
    return times(bars).day_name().to_numpy()


@honest
def weighted_window(bars: Bars) -> np.ndarray:
    """A matrix product, whose last digits depend on the number of rows."""
    padded = np.concatenate([np.full(59, bars["close"].iloc[0]), bars["close"].to_numpy()])
    return np.lib.stride_tricks.sliding_window_view(padded, 60) @ np.linspace(0.0, 1.0, 60)


@honest
def causal_filter_by_fourier(bars: Bars) -> np.ndarray:
    from scipy.signal import fftconvolve

    return fftconvolve(bars["close"], np.exp(-np.arange(30) / 8))[: len(bars)]


@honest
def range_of_the_bar(bars: Bars) -> pd.Series:
    return (bars["high"] - bars["low"]) / bars["open"]


@honest
def money_flow(bars: Bars) -> pd.Series:
    return (np.sign(returns(bars)).fillna(0.0) * bars["volume"]).cumsum()


@honest
def always_blank(bars: Bars) -> pd.Series:
    return pd.Series(np.nan, index=bars.index)


@honest
def past_outcomes(bars: Bars) -> pd.Series:
    """Outcomes that take four bars and are used when these have passed."""
    outcome = bars["close"].shift(-4) / bars["close"] - 1
    return outcome.shift(4).rolling(10).mean()


def columns_of(chosen: Mapping[str, Column]) -> Callable[[Bars], pd.DataFrame]:
    """A step that computes columns side by side."""

    def step(bars: Bars) -> pd.DataFrame:
        return pd.DataFrame({name: pd.Series(column(bars), index=bars.index) for name, column in chosen.items()})

    return step


# --- steps whose output or declaration is special ---------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """A step, the columns that must be found, and how it is declared."""

    step: Callable[..., Any]
    guilty: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


STEPS: dict[str, Planted] = {}


def planted(*guilty: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(step: Callable[..., Any]) -> Callable[..., Any]:
        STEPS[step.__name__] = Planted(step, guilty, options)
        return step

    return register


@planted("feature_137")
def one_of_two_hundred(bars: Bars) -> pd.DataFrame:
    change = returns(bars).to_numpy()
    table = {f"feature_{n}": np.convolve(np.nan_to_num(change), np.ones(n + 1))[: len(bars)] for n in range(200)}
    table["feature_137"] = np.append(table["feature_137"][1:], 0.0)
    return pd.DataFrame(table, index=bars.index)


@planted("back_filled")
def rows_put_into_the_gaps(bars: Bars) -> pd.DataFrame:
    grid = bars["close"].reindex(pd.date_range(bars.index[0], bars.index[-1], freq="1h"))
    return pd.DataFrame({"back_filled": grid.bfill(), "forward_filled": grid.ffill()})


@planted("leak")
def dropped_blanks(bars: Bars) -> pd.DataFrame:
    """Rows disappear with a blank that the leak has left at the end: that is not the other columns' fault."""
    close = bars["close"]
    return pd.DataFrame({"mean": close.rolling(5).mean(), "leak": close.shift(-2), "range": close.diff()}).dropna()


@planted("(rows)")
def rows_of_the_winners(bars: Bars) -> pd.DataFrame:
    wins = bars["close"].shift(-3) > bars["close"]
    return pd.DataFrame({"size": bars["volume"], "price": bars["close"]})[wins.to_numpy()]


@planted("(rows)")
def last_row_held_back(bars: Bars) -> pd.Series:
    return returns(bars).iloc[:-1]


@planted("lag_1", "lag_2", "lag_3", "lag_5", "lag_8", "lag_13")
def selected_before_the_split(bars: Bars) -> pd.DataFrame:
    """The features that went best with the outcome over the sample: each comes and goes with the future."""
    change = returns(bars)
    features = pd.DataFrame({f"lag_{n}": change.rolling(n).sum() for n in (1, 2, 3, 5, 8, 13)})
    worth = features.corrwith(change.shift(-1)).abs()
    return features[worth.nlargest(2).index].assign(volume=bars["volume"])


@planted("selected")
def selected_and_renamed(bars: Bars) -> pd.DataFrame:
    change = returns(bars)
    features = pd.DataFrame({f"lag_{n}": change.rolling(n).sum() for n in (1, 2, 3, 5, 8, 13)})
    best = features.corrwith(change.shift(-1)).abs().idxmax()
    return pd.DataFrame({"selected": features[best], "volume": bars["volume"]})


@planted("probability")
def model_fitted_on_everything(bars: Bars) -> pd.DataFrame:
    change = returns(bars)
    X = np.column_stack([change.shift(lag).fillna(0.0) for lag in range(4)])
    y = change.shift(-1).fillna(0.0).to_numpy()
    weights, *_ = np.linalg.lstsq(X, y, rcond=None)
    return pd.DataFrame({"probability": 1 / (1 + np.exp(-100 * X @ weights)), "change": change})


@planted("is_up_month_2")
def columns_of_the_categories(bars: Bars) -> pd.DataFrame:
    """A column that exists because of what comes later, and says something before it."""
    change = returns(bars)
    out = pd.DataFrame({"change": change})
    if len(bars) > 200:
        out["is_up_month_2"] = 1.0
    return out


def labels(bars: Bars, horizon: int, understated: int = 0) -> pd.DataFrame:
    price = bars["open"]
    ret = price.shift(-1 - horizon) / price.shift(-1) - 1
    ends = pd.Series(bars.index, index=bars.index).shift(-1 - horizon + understated)
    return pd.DataFrame({"label": (ret > 0).where(ret.notna()), "ret": ret, "t_end": ends.where(ret.notna())})


@planted("label", "ret")
def label_that_ends_a_bar_later(bars: Bars) -> pd.DataFrame:
    return labels(bars, 4, understated=1)


@planted("ret", t_end={"ret": "ends"})
def return_from_closes_that_ends_at_an_open(bars: Bars) -> pd.DataFrame:
    """The close of a bar is not known when the bar opens."""
    ret = bars["close"].shift(-4) / bars["close"] - 1
    ends = pd.Series(bars.index, index=bars.index).shift(-4)
    return pd.DataFrame({"ret": ret, "ends": ends, "past": bars["close"].diff()})


def triple_barrier(bars: Bars, reach: float, horizon: int, understated: pd.Timedelta) -> pd.DataFrame:
    close, high, low = (bars[name].to_numpy() for name in ("close", "high", "low"))
    label, ends = np.full(len(bars), np.nan), [pd.NaT] * len(bars)
    for row in range(len(bars) - horizon):
        for ahead in range(1, horizon + 1):
            up, down = high[row + ahead] > close[row] * (1 + reach), low[row + ahead] < close[row] * (1 - reach)
            if up or down or ahead == horizon:
                label[row] = float(up) - float(down and not up)
                ends[row] = bars.index[row + ahead] + HOUR - understated
                break
    return pd.DataFrame({"label": label, "t_end": pd.DatetimeIndex(ends, tz="UTC")}, index=bars.index)


@planted("label")
def barrier_touched_after_t_end(bars: Bars) -> pd.DataFrame:
    """It says when the bar opened in which the barrier was touched; the touch was known when it closed."""
    return triple_barrier(bars, 0.01, 12, understated=HOUR)


@planted("close_sees_ahead")
def label_and_a_leaking_feature(bars: Bars) -> pd.DataFrame:
    """What is no label is known at the close, also in a frame with labels."""
    return labels(bars, 24).assign(close_sees_ahead=bars["close"].shift(-1), change=returns(bars))


@planted("ret", t_end=pd.Series(dtype="datetime64[ns, UTC]"))
def label_with_a_series_of_ends(bars: Bars) -> pd.Series:
    return (bars["open"].shift(-5) / bars["open"].shift(-1) - 1).rename("ret")


def fills_of(bars: Bars, price: pd.Series, decided: pd.Series) -> pd.DataFrame:
    """Fills on the bar they happen in; decided at the close of the one before it."""
    side = np.sign(decided)
    turned = side.ne(side.shift()) & side.ne(0)
    fills = pd.DataFrame({"timestamp": bars.index, "decided_at": times(bars) - HOUR, "price": price, "units": side})
    return fills[turned.to_numpy()].reset_index(drop=True)


@planted("price")
def filled_at_the_close_of_its_bar(bars: Bars) -> pd.DataFrame:
    return fills_of(bars, bars["close"], returns(bars).shift(1))


@planted("(rows)")
def filled_on_the_signal_bar(bars: Bars) -> pd.DataFrame:
    """The bar's own close decides whether it is traded at its open."""
    return fills_of(bars, bars["open"], returns(bars))[["timestamp", "decided_at", "price"]]


@planted("price", known_at={"price": "next_open"})
def filled_in_the_middle_of_the_next_bar(bars: Bars) -> pd.DataFrame:
    price = (bars["open"].shift(-1) + bars["high"].shift(-1)) / 2
    return pd.DataFrame({"position": np.sign(returns(bars)), "price": price})


@planted("units", known_at="open")
def sized_by_the_volume_of_its_bar(bars: Bars) -> pd.DataFrame:
    return pd.DataFrame({"price": bars["open"], "units": bars["volume"] * 0.01})


@planted("open", known_at=pd.Timedelta(minutes=-30))
def known_before_its_bar(bars: Bars) -> pd.Series:
    return bars["open"]


@planted("mean", known_at="said_at")
def claimed_before_the_window_ends(bars: Bars) -> pd.DataFrame:
    """A daily row that claims to be known before the last bar of its day has closed."""
    daily = bars.resample("1D").agg({"close": "mean", "open": "first"})
    said = daily.index + pd.Timedelta(hours=23)
    return pd.DataFrame({"mean": daily["close"], "first": daily["open"], "said_at": said}, index=daily.index)


@planted("mean", "count")
def daily_rows_stamped_at_their_open(bars: Bars) -> pd.DataFrame:
    daily = bars["close"].loc["2019-01-03":].resample("1D")
    return pd.DataFrame({"mean": daily.mean(), "first": daily.first(), "count": daily.size()})


@planted("value")
def two_rows_for_each_bar(bars: Bars) -> pd.DataFrame:
    """Rows of one stamp are told apart by their order."""
    honest = pd.DataFrame({"kind": "past", "value": bars["close"]}, index=bars.index)
    leaking = honest.assign(kind="next", value=bars["close"].shift(-1))
    return pd.concat([honest, leaking]).sort_index(kind="stable")


@planted("weight")
def portfolio_of_two(bars: Bars) -> pd.DataFrame:
    """Rows of a time and a symbol; the weights of a time add up with what only the future tells."""
    rows = pd.MultiIndex.from_product([bars.index, ["BTC/USD", "ETH/USD"]], names=["timestamp", "symbol"])
    future = bars["close"].shift(-1).pct_change(fill_method=None).fillna(0.0).to_numpy()
    weight = np.column_stack([np.full(len(bars), 0.5), 0.5 + future]).ravel()
    return pd.DataFrame({"weight": weight, "price": bars["close"].to_numpy().repeat(2)}, index=rows)


# --- with context -----------------------------------------------------------------------------------------------------


def daily_index(bars: Bars) -> pd.DataFrame:
    """A value a day, about the day before, published five minutes after midnight."""
    days = pd.date_range(bars.index[0].floor("1D"), bars.index[-1], freq="1D")
    published = pd.DatetimeIndex(days + pd.Timedelta(minutes=5), name="published_at")
    rng = np.random.default_rng(8)
    return pd.DataFrame({"fear": rng.normal(50, 20, len(days)), "day": days.dayofyear * 1.0}, index=published)


def other_symbol(bars: Bars) -> pd.DataFrame:
    rng = np.random.default_rng(9)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(bars))))
    open_ = np.append(100.0, close[:-1])
    prices = {"open": open_, "high": np.maximum(open_, close), "low": np.minimum(open_, close), "close": close}
    return pd.DataFrame({**prices, "volume": 1.0}, index=bars.index)


CONTEXT = {"fear_and_greed": daily_index, "ETH/USD": other_symbol}


def as_of(bars: Bars, series: pd.DataFrame, wait: pd.Timedelta) -> pd.DataFrame:
    """The newest row that was published, and usable, by each bar's close."""
    usable = series.assign(known=pd.DatetimeIndex(series.index + wait).as_unit("us"))
    left = pd.DataFrame({"known": pd.DatetimeIndex(times(bars) + HOUR).as_unit("us")})
    joined = pd.merge_asof(left, usable, on="known")
    return joined.set_axis(bars.index)


@planted("fear", context=True)
def joined_on_its_day(bars: Bars, context: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A daily value joined by the day it is called after, hours before it was published."""
    series = context["fear_and_greed"]
    daily = series["fear"].set_axis(pd.DatetimeIndex(series.index).floor("1D"))
    return pd.DataFrame({"fear": joined(bars, daily.shift(-1)), "change": returns(bars)})


@planted("fear", context=True)
def joined_minutes_before_publication(bars: Bars, context: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    honest = as_of(bars, context["fear_and_greed"], pd.Timedelta(0))
    early = as_of(bars, context["fear_and_greed"], pd.Timedelta(minutes=-5))
    return pd.DataFrame({"fear": early["fear"], "known": honest["fear"]}, index=bars.index)


@planted("fear", context=True, delay={"fear_and_greed": pd.Timedelta(hours=2)})
def joined_without_the_delay(bars: Bars, context: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    late = as_of(bars, context["fear_and_greed"], pd.Timedelta(hours=2))
    return pd.DataFrame(
        {"fear": as_of(bars, context["fear_and_greed"], pd.Timedelta(0))["fear"], "late": late["fear"]},
        index=bars.index,
    )


@planted("other_next", context=True)
def other_symbol_a_bar_early(bars: Bars, context: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    other = context["ETH/USD"]["close"].reindex(bars.index)
    return pd.DataFrame({"other": other.pct_change(fill_method=None), "other_next": other.shift(-1)})
