"""Every feature a second time, by TA-Lib, pandas or plain numpy over whole windows. None of it is fast.

``REFERENCES`` maps a feature's name to a function of :class:`Bars`, which answers with one value a row. Rows in which
a feature is not yet warm may hold anything.
"""

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from statistics import NormalDist

import numpy as np
import pandas as pd
import talib

FLOOR = 1e-9  # below ratios of smoothed movements, see the operators
GAUSS = NormalDist()


class Bars:
    """Hourly bars, their logarithms, and what is often made of them."""

    def __init__(self, bars: pd.DataFrame) -> None:
        self.bars = bars
        self.o, self.h, self.l, self.c = (np.log(bars[name]) for name in ("open", "high", "low", "close"))
        self.v = bars["volume"]
        self.close = bars["close"]
        self.r = self.c.diff()
        self.range = self.h - self.l
        self.typical = (self.h + self.l + self.c) / 3
        self.closed = ((self.c - self.l) - (self.h - self.c)) / self.range
        self.closed = self.closed.where(self.range > 0, 0.0)

    @cached_property
    def tr(self) -> pd.Series:
        return self.talib(talib.TRANGE, "hlc")

    @cached_property
    def known_at(self) -> pd.DatetimeIndex:
        return self.bars.index + pd.Timedelta("1h")

    def talib(self, function: Callable[..., np.ndarray], columns: str, *arguments: float) -> pd.Series:
        """A function of TA-Lib on the logarithms."""
        inputs = [getattr(self, name).to_numpy() for name in columns]
        return pd.Series(function(*inputs, *arguments), index=self.bars.index)


def windows(x: pd.Series, rows: int, measure: Callable[[np.ndarray], float]) -> pd.Series:
    """A measure of every window."""
    return x.rolling(rows).apply(measure, raw=True)


def pairs(x: pd.Series, y: pd.Series, rows: int, measure: Callable[[np.ndarray, np.ndarray], float]) -> pd.Series:
    """A measure of every window of two series."""
    a, b = x.to_numpy(), y.to_numpy()
    found = [np.nan] * (rows - 1) + [measure(a[i - rows : i], b[i - rows : i]) for i in range(rows, len(a) + 1)]
    return pd.Series(found, index=x.index)


def ema(x: pd.Series, span: int) -> pd.Series:
    return x.ewm(span=span, adjust=False).mean()


def wilder(x: pd.Series, rows: int) -> pd.Series:
    return x.ewm(alpha=1 / rows, adjust=False).mean()


def against(a: pd.Series, b: pd.Series) -> pd.Series:
    """Difference over sum, 0 where both are."""
    return ((a - b) / (a + b)).where(a + b > 0, 0.0)


def share(above: pd.Series, below: pd.Series, neutral: float = 0.0) -> pd.Series:
    return (above / below).where(below > 0, neutral)


def rank(x: pd.Series, rows: int, alike: float = 0.0) -> pd.Series:
    def measure(window: np.ndarray) -> float:
        *others, value = window
        apart = np.array(others) - value
        return float(np.mean(np.where(np.abs(apart) <= alike, 0.5, apart < 0)))

    return windows(x, rows, measure)


def correlation(x: pd.Series, y: pd.Series, rows: int) -> pd.Series:
    return pairs(x, y, rows, lambda a, b: np.corrcoef(a, b)[0, 1])


def slope(x: pd.Series, y: pd.Series, rows: int) -> pd.Series:
    """Of the line of x on y."""
    return pairs(x, y, rows, lambda a, b: np.cov(a, b)[0, 1] / b.var(ddof=1))


# trend ---------------------------------------------------------------------------------------------------------------


def macd(m: Bars, output: int) -> pd.Series:
    return pd.Series(talib.MACD(m.c.to_numpy(), 12, 26, 9)[output], index=m.c.index)


def movements(m: Bars) -> tuple[pd.Series, pd.Series]:
    """Wilder's smoothed sums over 14 bars, made averages."""
    return m.talib(talib.PLUS_DM, "hl", 14) / 14, m.talib(talib.MINUS_DM, "hl", 14) / 14


def adx(m: Bars) -> pd.Series:
    plus, minus = movements(m)
    return wilder(((plus - minus).abs() / (plus + minus + FLOOR)).dropna(), 14).reindex(m.c.index)


def directional_balance(m: Bars) -> pd.Series:
    plus, minus = movements(m)
    return (plus - minus) / (m.talib(talib.ATR, "hlc", 14) + FLOOR)


def triple(m: Bars) -> pd.Series:
    smoothed = m.c
    for _ in range(3):
        smoothed = ema(smoothed, 15)
    return smoothed


def vortex(m: Bars) -> pd.Series:
    up, down = (m.h - m.l.shift()).abs(), (m.l - m.h.shift()).abs()
    return (up.rolling(14).sum() - down.rolling(14).sum()) / m.tr.rolling(14).sum()


def efficiency(m: Bars, rows: int) -> pd.Series:
    return m.c.diff(rows) / m.r.abs().rolling(rows).sum()


TREND = {
    **{f"ema_distance_{n}": lambda m, n=n: m.c - m.talib(talib.EMA, "c", n) for n in (12, 48)},
    **{f"sma_distance_{n}": lambda m, n=n: m.c - m.talib(talib.SMA, "c", n) for n in (24, 72, 168)},
    "macd_12_26": lambda m: macd(m, 0),
    "macd_histogram_12_26_9": lambda m: macd(m, 2),
    "trix_15": lambda m: m.talib(talib.TRIX, "c", 15) / 100 * triple(m).shift(),
    **{f"slope_{n}": lambda m, n=n: m.talib(talib.LINEARREG_SLOPE, "c", n) for n in (24, 168)},
    **{
        f"trend_fit_{n}": lambda m, n=n: windows(m.c, n, lambda w: np.corrcoef(w, np.arange(len(w)))[0, 1])
        for n in (24, 72)
    },
    "adx_14": adx,
    "directional_balance_14": directional_balance,
    "aroon_25": lambda m: m.talib(talib.AROONOSC, "hl", 25) / 100,
    "vortex_14": vortex,
    **{f"midpoint_distance_{n}": lambda m, n=n: m.c - m.talib(talib.MIDPRICE, "hl", n) for n in (9, 26, 52)},
    **{f"efficiency_{n}": lambda m, n=n: efficiency(m, n) for n in (10, 24, 72)},
}

# momentum ------------------------------------------------------------------------------------------------------------


def rsi(m: Bars, rows: int) -> pd.Series:
    """Gains over gains and losses, both with half the floor: 1/2 where nothing moves."""
    gains, losses = (wilder(x.dropna(), rows) + FLOOR / 2 for x in (m.r.clip(lower=0), -m.r.clip(upper=0)))
    return (gains / (gains + losses)).reindex(m.c.index)


def stochastic_rsi(m: Bars) -> pd.Series:
    """Place in the range, widened by half a millionth on either side."""
    index = rsi(m, 14)
    low, high = index.rolling(14).min() - 5e-7, index.rolling(14).max() + 5e-7
    return (index - low) / (high - low)


def stochastic(m: Bars, rows: int, averaged: int = 1) -> pd.Series:
    """Fast %D, which is fast %K where it is an average of one."""
    _, found = talib.STOCHF(*(x.to_numpy() for x in (m.h, m.l, m.c)), rows, averaged)
    return pd.Series(found / 100, index=m.c.index)


def chande(m: Bars) -> pd.Series:
    up, down = (windows(m.r, 14, lambda w, s=s: np.clip(s * w, 0, None).sum()) for s in (1, -1))
    return (up - down) / (up + down)


def true_strength(m: Bars) -> pd.Series:
    r = m.r.dropna()
    return (ema(ema(r, 13), 7) / (ema(ema(r.abs(), 13), 7) + FLOOR)).reindex(m.c.index)


def streak(m: Bars) -> pd.Series:
    found, length = [], 0
    for value in np.sign(m.r.fillna(0.0)):
        length = 0 if value == 0 else length + int(value) if length * value >= 0 else int(value)
        found.append(max(-12, min(12, length)) / 12)
    return pd.Series(found, index=m.c.index)


def balance_of_power(m: Bars) -> pd.Series:
    return m.talib(talib.BOP, "ohlc")


def shadow(m: Bars, upper: bool) -> pd.Series:
    bodies = pd.concat([m.o, m.c], axis=1)
    return share(m.h - bodies.max(axis=1) if upper else bodies.min(axis=1) - m.l, m.range)


MOMENTUM = {
    **{f"return_{n}": lambda m, n=n: m.talib(talib.MOM, "c", n) for n in (1, 2, 3, 6, 12, 24, 48, 72, 168)},
    **{f"rsi_{n}": lambda m, n=n: rsi(m, n) for n in (7, 14)},
    "stochastic_rsi_14": stochastic_rsi,
    "stochastic_k_14": lambda m: stochastic(m, 14),
    "stochastic_d_14_3": lambda m: stochastic(m, 14, 3),
    **{f"range_position_{n}": lambda m, n=n: stochastic(m, n) for n in (72, 168)},
    "cci_20": lambda m: m.talib(talib.CCI, "hlc", 20) / 100,
    "chande_momentum_14": chande,
    "ultimate_7_14_28": lambda m: m.talib(talib.ULTOSC, "hlc", 7, 14, 28) / 100,
    "true_strength_13_7": true_strength,
    "awesome_5_34": lambda m: (
        m.talib(talib.MEDPRICE, "hl").rolling(5).mean() - m.talib(talib.MEDPRICE, "hl").rolling(34).mean()
    ),
    "streak_12": streak,
    "body": balance_of_power,
    "upper_shadow": lambda m: shadow(m, upper=True),
    "lower_shadow": lambda m: shadow(m, upper=False),
    "body_mean_6": lambda m: balance_of_power(m).rolling(6).mean(),
}

# volatility ----------------------------------------------------------------------------------------------------------


def realised(m: Bars, rows: int) -> pd.Series:
    return windows(m.r, rows, lambda w: np.std(w, ddof=1))


def rogers_satchell(m: Bars) -> pd.Series:
    up, down, close = m.h - m.o, m.l - m.o, m.c - m.o
    return up * (up - close) + down * (down - close)


def yang_zhang(m: Bars) -> pd.Series:
    rows = 24
    k = 0.34 / (1.34 + (rows + 1) / (rows - 1))
    opening, closing = m.o - m.c.shift(), m.c - m.o
    inner = rogers_satchell(m).rolling(rows).mean()
    return np.sqrt(opening.rolling(rows).var() + k * closing.rolling(rows).var() + (1 - k) * inner)


def garman_klass(m: Bars) -> pd.Series:
    term = m.range**2 / 2 - (2 * np.log(2) - 1) * (m.c - m.o) ** 2
    return np.sqrt(term.rolling(24).mean())


def bollinger(m: Bars) -> tuple[pd.Series, pd.Series]:
    """Middle and population deviation over 20 bars."""
    return windows(m.c, 20, np.mean), windows(m.c, 20, np.std)


def bollinger_position(m: Bars) -> pd.Series:
    middle, spread = bollinger(m)
    return (m.c - (middle - 2 * spread)) / (4 * spread)


def jump_share(m: Bars) -> pd.Series:
    def measure(bipower: np.ndarray, squares: np.ndarray) -> float:
        return 1 - np.pi / 2 * bipower.sum() / squares.sum()

    return pairs((m.r * m.r.shift()).abs(), m.r**2, 48, measure)


def semivariance(m: Bars) -> pd.Series:
    return windows(m.r, 72, lambda w: ((w[w > 0] ** 2).sum() - (w[w < 0] ** 2).sum()) / (w**2).sum())


def choppiness(m: Bars) -> pd.Series:
    covered = m.h.rolling(14).max() - m.l.rolling(14).min()
    return np.log10(m.tr.rolling(14).sum() / covered) / np.log10(14)


VOLATILITY = {
    **{f"volatility_{n}": lambda m, n=n: realised(m, n) for n in (6, 24, 72, 168)},
    "volatility_balance_6_24": lambda m: against(realised(m, 6), realised(m, 24)),
    "volatility_balance_24_168": lambda m: against(realised(m, 24), realised(m, 168)),
    "volatility_rank_168": lambda m: rank(m.r.abs(), 168, alike=1e-12),
    "volatility_of_volatility_72": lambda m: windows(m.r.abs(), 72, np.std),
    "parkinson_24": lambda m: np.sqrt((m.range**2).rolling(24).mean() / (4 * np.log(2))),
    "garman_klass_24": garman_klass,
    "rogers_satchell_24": lambda m: np.sqrt(rogers_satchell(m).rolling(24).mean()),
    "yang_zhang_24": yang_zhang,
    "natr_14": lambda m: m.talib(talib.ATR, "hlc", 14),
    "range_score_72": lambda m: windows(m.range, 72, lambda w: (w[-1] - w.mean()) / w.std()),
    "bollinger_position_20": bollinger_position,
    "bollinger_width_20": lambda m: 4 * bollinger(m)[1],
    "keltner_position_20": lambda m: (m.c - m.talib(talib.EMA, "c", 20)) / (2 * m.tr.rolling(20).mean()),
    "jump_share_48": jump_share,
    "semivariance_balance_72": semivariance,
    "choppiness_14": choppiness,
    "drawdown_168": lambda m: m.c - m.talib(talib.MAX, "c", 168),
    "recovery_168": lambda m: m.c - m.talib(talib.MIN, "c", 168),
    "opening_gap": lambda m: m.o - m.c.shift(),
}

# volume --------------------------------------------------------------------------------------------------------------


def volume_means(m: Bars, short: int, long: int) -> pd.Series:
    return against(m.v.rolling(short).mean(), m.v.rolling(long).mean())


def by_volume(m: Bars, x: pd.Series, rows: int) -> pd.Series:
    """Mean of x over a window, weighted by volume."""
    return pairs(x, m.v, rows, lambda a, b: np.average(a, weights=b) if b.sum() > 0 else 0.0)


def money_flow_index(m: Bars) -> pd.Series:
    typical = np.exp(m.typical).to_numpy()
    return pd.Series(talib.MFI(typical, typical, typical, m.v.to_numpy(), 14) / 100, index=m.c.index)


def on_balance(m: Bars, rows: int) -> pd.Series:
    return share(m.talib(talib.OBV, "cv").diff(rows), m.v.rolling(rows).sum())


VOLUME = {
    "relative_volume_24": lambda m: against(m.v, m.v.rolling(24).mean()),
    "volume_trend_6_24": lambda m: volume_means(m, 6, 24),
    "volume_trend_24_168": lambda m: volume_means(m, 24, 168),
    "volume_score_168": lambda m: windows(m.v, 168, lambda w: (w[-1] - w.mean()) / w.std()),
    "volume_rank_168": lambda m: rank(m.v, 168),
    "volume_change_1": lambda m: against(m.v, m.v.shift(1)),
    "volume_change_24": lambda m: against(m.v, m.v.shift(24)),
    "volume_dispersion_24": lambda m: windows(m.v, 24, lambda w: w.std() / w.mean()),
    **{f"signed_volume_{n}": lambda m, n=n: on_balance(m, n) for n in (6, 24, 72)},
    "money_flow_20": lambda m: by_volume(m, m.closed, 20),
    "chaikin_oscillator_3_10": lambda m: by_volume(m, m.closed, 3) - by_volume(m, m.closed, 10),
    "money_flow_index_14": money_flow_index,
    "force_13": lambda m: by_volume(m, m.r, 13),
    "volume_return_correlation_48": lambda m: correlation(m.r.abs(), m.v, 48),
    "volume_signed_correlation_48": lambda m: correlation(m.r, m.v, 48),
    "volume_autocorrelation_72": lambda m: correlation(m.v, m.v.shift(), 72),
}

# liquidity -----------------------------------------------------------------------------------------------------------


def impact(m: Bars) -> pd.Series:
    return share(m.r.abs(), m.close * m.v)


def kyle(m: Bars) -> pd.Series:
    return slope(m.r, np.sign(m.r) * m.v / m.v.rolling(72).mean(), 72)


def roll(m: Bars) -> pd.Series:
    covariance = pairs(m.r, m.r.shift(), 72, lambda a, b: np.cov(a, b, ddof=0)[0, 1])
    return 2 * np.sqrt((-covariance).clip(lower=0))


def corwin_schultz(m: Bars) -> pd.Series:
    """Equations 14 and 18 of the paper, pair by pair."""
    beta = m.range**2 + m.range.shift() ** 2
    gamma = (m.h.rolling(2).max() - m.l.rolling(2).min()) ** 2
    denominator = 3 - 2 * np.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / denominator - np.sqrt(gamma / denominator)
    spread = 2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha))
    return spread.clip(lower=0).rolling(24).mean()


def abdi_ranaldo(m: Bars) -> pd.Series:
    """Equation 11 of the paper: close t - 1 with the middles of t - 1 and t."""
    eta, close = (m.h + m.l) / 2, m.c.shift()
    product = (close - eta.shift()) * (close - eta)
    return np.sqrt((4 * product.rolling(72).mean()).clip(lower=0))


def signed_share(m: Bars) -> pd.Series:
    """Twice the normal probability of the return, in deviations of 72 returns, minus 1."""
    z = m.r / windows(m.r, 72, np.std)
    return z.map(lambda value: 2 * GAUSS.cdf(value) - 1, na_action="ignore")


def gaps(m: Bars) -> pd.Series:
    grid = pd.date_range(m.bars.index[0], m.bars.index[-1], freq="h")
    absent = pd.Series(1.0, index=m.bars.index).reindex(grid).isna()
    return absent.rolling(24).sum().reindex(m.bars.index)


LIQUIDITY = {
    "illiquidity_trend_24_168": lambda m: against(impact(m).rolling(24).mean(), impact(m).rolling(168).mean()),
    "illiquidity_rank_168": lambda m: rank(impact(m), 168),
    "kyle_lambda_72": kyle,
    "roll_spread_72": roll,
    "corwin_schultz_spread_24": corwin_schultz,
    "abdi_ranaldo_spread_72": abdi_ranaldo,
    **{f"vwap_distance_{n}": lambda m, n=n: m.c - by_volume(m, m.typical, n) for n in (24, 168)},
    **{f"flow_imbalance_{n}": lambda m, n=n: by_volume(m, signed_share(m), n) for n in (6, 24, 72)},
    "toxicity_48": lambda m: by_volume(m, signed_share(m).abs(), 48),
    "money_trend_24_168": lambda m: against((m.close * m.v).rolling(24).mean(), (m.close * m.v).rolling(168).mean()),
    "range_to_volume_24": lambda m: against(m.range, m.range.rolling(24).mean()) - against(m.v, m.v.rolling(24).mean()),
    "missing_bars_24": gaps,
}

# statistical ---------------------------------------------------------------------------------------------------------


def variance_ratio(m: Bars, step: int, rows: int) -> pd.Series:
    return against(windows(m.c.diff(step), rows, np.var), step * windows(m.r, rows, np.var))


def hurst(m: Bars) -> pd.Series:
    lags = np.array([1, 2, 4, 8, 16])
    spread = np.column_stack([windows(m.c.diff(k), 168, np.std) for k in lags])
    warm = np.isfinite(spread).all(axis=1)
    found = np.full(len(m.c), np.nan)
    found[warm] = np.polyfit(np.log(lags), np.log(spread[warm]).T, 1)[0]
    return pd.Series(found, index=m.c.index)


def fractional_difference(m: Bars) -> pd.Series:
    """Binomial weights of order 0.4 on the levels of a window, counted from the level before it."""
    order, rows = 0.4, 168
    weights = np.ones(rows)
    for k in range(1, rows):
        weights[k] = -weights[k - 1] * (order - k + 1) / k
    return windows(m.c, rows + 1, lambda w: weights @ (w[:0:-1] - w[0]))


def disorder(symbols: list[object], rows: int, kinds: int) -> list[float]:
    """Shannon entropy of every window of symbols, as a share of the largest."""
    found = [np.nan] * (rows - 1)
    for end in range(rows, len(symbols) + 1):
        shares = np.array(list(Counter(symbols[end - rows : end]).values())) / rows
        found.append(-(shares * np.log(shares)).sum() / np.log(kinds))
    return found


def permutation_entropy(m: Bars) -> pd.Series:
    """Orders of three neighbouring closes; of equals the later one counts as the lower."""
    c = m.c.tolist()
    orders = [None if i < 2 else tuple(sorted(range(3), key=lambda k, i=i: (c[i - 2 + k], -k))) for i in range(len(c))]
    return pd.Series(disorder(orders, 72, 6), index=m.c.index)


def sign_entropy(m: Bars) -> pd.Series:
    ups = (m.r > 0).tolist()
    words = [None if i < 3 else tuple(ups[i - 2 : i + 1]) for i in range(len(ups))]
    return pd.Series(disorder(words, 72, 8), index=m.c.index)


def tails(window: np.ndarray) -> float:
    gain, loss = max(0.0, window.max()), max(0.0, -window.min())
    return (gain - loss) / (gain + loss)


def standardised(window: np.ndarray, power: int) -> float:
    away = window - window.mean()
    return (away**power).mean() / (away**2).mean() ** (power / 2)


STATISTICAL = {
    "autocorrelation_48": lambda m: correlation(m.r, m.r.shift(), 48),
    "autocorrelation_lag2_72": lambda m: correlation(m.r, m.r.shift(2), 72),
    "autocorrelation_lag24_168": lambda m: correlation(m.r, m.r.shift(24), 168),
    "volatility_clustering_72": lambda m: correlation(m.r.abs(), m.r.abs().shift(), 72),
    "leverage_72": lambda m: correlation(m.r.abs(), m.r.shift(), 72),
    "variance_ratio_4_72": lambda m: variance_ratio(m, 4, 72),
    "variance_ratio_24_168": lambda m: variance_ratio(m, 24, 168),
    "hurst_168": hurst,
    "fractional_difference_04_168": fractional_difference,
    "permutation_entropy_72": permutation_entropy,
    "sign_entropy_72": sign_entropy,
    "skewness_72": lambda m: windows(m.r, 72, lambda w: standardised(w, 3)),
    "kurtosis_72": lambda m: windows(m.r, 72, lambda w: standardised(w, 4)),
    "tail_balance_168": lambda m: windows(m.r, 168, tails),
    "return_score_72": lambda m: windows(m.r, 72, lambda w: (w[-1] - w.mean()) / w.std()),
    "return_rank_168": lambda m: rank(m.r, 168, alike=1e-12),
    "reversion_24_72": lambda m: slope(m.r, (m.c - m.c.rolling(24).mean()).shift(), 72).clip(-2, 2),
}

# calendar ------------------------------------------------------------------------------------------------------------


def on_circle(m: Bars, turn: pd.Index) -> tuple[pd.Series, pd.Series]:
    place = np.exp(2j * np.pi * np.asarray(turn, dtype=np.float64))
    return pd.Series(place.imag, index=m.bars.index), pd.Series(place.real, index=m.bars.index)


def hour(m: Bars) -> pd.Index:
    return (m.known_at - m.known_at.normalize()) / pd.Timedelta("1h")


def month(m: Bars) -> pd.Index:
    return (m.known_at.day - 1 + hour(m) / 24) / m.known_at.days_in_month


def year(m: Bars) -> pd.Index:
    return (m.known_at.dayofyear - 1 + hour(m) / 24) / np.where(m.known_at.is_leap_year, 366, 365)


def between(m: Bars, opens: str, closes: str) -> pd.Series:
    """1 in rows known from the opening on and before the closing."""
    inside = pd.Series(0.0, index=m.known_at)
    inside.iloc[m.known_at.indexer_between_time(opens, closes, include_end=False)] = 1.0
    return inside.set_axis(m.bars.index)


CYCLES = {
    "hour": lambda m: hour(m) / 24,
    "weekday": lambda m: m.known_at.weekday / 7,
    "month": month,
    "year": year,
    "funding": lambda m: hour(m) % 8 / 8,
}

CALENDAR = {
    **{f"{name}_sin": lambda m, turn=turn: on_circle(m, turn(m))[0] for name, turn in CYCLES.items()},
    **{f"{name}_cos": lambda m, turn=turn: on_circle(m, turn(m))[1] for name, turn in CYCLES.items()},
    "weekend": lambda m: pd.Series(m.known_at.day_name().isin(["Saturday", "Sunday"]) * 1.0, index=m.bars.index),
    "session_asia": lambda m: between(m, "00:00", "08:00"),
    "session_europe": lambda m: between(m, "07:00", "16:00"),
    "session_america": lambda m: between(m, "13:00", "22:00"),
    "since_america_opens": lambda m: pd.Series((hour(m) - 13) % 24 / 24, index=m.bars.index),
}

# multi_timeframe -----------------------------------------------------------------------------------------------------


def longer(m: Bars, length: str) -> Bars:
    """Bars of a length that were complete, made of the hours there are."""
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return Bars(m.bars.resample(length).agg(how).dropna(subset=["close"]))


def seen(m: Bars, x: pd.Series, length: str) -> pd.Series:
    """Values of longer bars at the closes of hours: those whose own end has passed."""
    ended = x.set_axis(x.index + pd.Timedelta(length))
    return ended.reindex(m.known_at, method="ffill").set_axis(m.bars.index)


def cutler(m: Bars) -> pd.Series:
    up, down = (windows(m.r, 14, lambda w, s=s: np.clip(s * w, 0, None).mean()) for s in (1, -1))
    return share(up, up + down, 0.5)


def since_close(m: Bars, length: str) -> pd.Series:
    return m.c - seen(m, longer(m, length).c, length)


def place(m: Bars, length: str) -> pd.Series:
    low, high = longer(m, length).l.rolling(14).min(), longer(m, length).h.rolling(14).max()
    low, high = seen(m, low, length), seen(m, high, length)
    return ((m.c - low) / (high - low)).clip(-1, 2)


def line(m: Bars) -> pd.Series:
    return windows(m.c, 14, lambda w: np.polyfit(np.arange(14), w, 1)[0])


LONGER = {
    "return_1": lambda m: m.r,
    "return_7": lambda m: m.c.diff(7),
    "volatility_14": lambda m: realised(m, 14),
    "rsi_14": cutler,
    "range_14": lambda m: m.tr.rolling(14).mean(),
    "slope_14": line,
    "relative_volume_14": lambda m: against(m.v, m.v.rolling(14).mean()),
}

MULTI_TIMEFRAME = {
    f"{stem}_{length}": function
    for length in ("4h", "1d")
    for stem, function in {
        **{
            name: lambda m, measure=measure, length=length: seen(m, measure(longer(m, length)), length)
            for name, measure in LONGER.items()
        },
        "since_close": lambda m, length=length: since_close(m, length),
        "sma_distance_14": lambda m, length=length: m.c - seen(m, longer(m, length).c.rolling(14).mean(), length),
        "range_position_14": lambda m, length=length: place(m, length),
    }.items()
}

# order_flow ----------------------------------------------------------------------------------------------------------


def imbalance(m: Bars, rows: int = 1) -> pd.Series:
    """Bought minus sold by takers, over both."""
    bought = m.bars["taker_buy_volume"]
    sold = m.v - bought
    return against(bought.rolling(rows).sum(), sold.rolling(rows).sum())


def trade_size(m: Bars) -> pd.Series:
    size = share(m.v, m.bars["trades"])
    return against(size, size.rolling(24).mean())


# memory and adaptive -------------------------------------------------------------------------------------------------


def scaled_return(m: Bars) -> pd.Series:
    return share(m.r, m.r.rolling(72).std(ddof=0)).clip(-5, 5)


def events(x: pd.Series, place: int) -> pd.Series:
    """What is not 0 among the last 72 values: the newest, or the one before it."""

    def measure(window: np.ndarray) -> float:
        happened = window[window != 0]
        return float(happened[-1 - place]) if len(happened) > place else 0.0

    return windows(x, 72, measure)


def large_move(m: Bars, times: float) -> pd.Series:
    usual = m.r.rolling(72).std(ddof=0).shift()
    return np.sign(m.r).where(m.r.abs() > times * usual, 0.0).where(usual.notna())


def busy_move(m: Bars, times: float) -> pd.Series:
    usual = m.v.rolling(24).mean().shift()
    return np.sign(m.r).where(m.v > times * usual, 0.0).where(usual.notna())


MEMORY = {
    **{f"return_lag_{k}": lambda m, k=k: scaled_return(m).shift(k) for k in range(1, 25)},
    **{f"large_move_{round(10 * t)}": lambda m, t=t: events(large_move(m, t), 0) for t in (1.5, 2.0, 2.5)},
    **{f"large_move_{round(10 * t)}_before": lambda m, t=t: events(large_move(m, t), 1) for t in (1.5, 2.0)},
    **{f"busy_move_{round(10 * t)}": lambda m, t=t: events(busy_move(m, t), 0) for t in (1.5, 2.5)},
}


def rule(m: Bars, name: str) -> pd.Series:
    usual, volume = m.r.rolling(72).std(ddof=0), against(m.v, m.v.rolling(24).mean())
    kind, _, rows = name.rpartition("_")
    match kind:
        case "return":
            return (m.c.diff(int(rows)) / usual / np.sqrt(int(rows))).clip(-5, 5)
        case "sma_distance":
            return ((m.c - m.c.rolling(24).mean()) / usual / np.sqrt(24)).clip(-5, 5)
        case "relative_volume":
            return volume
        case _:
            return volume * np.sign(m.r)


RULES = [*(f"return_{n}" for n in (1, 3, 6, 12, 24)), "sma_distance_24", "relative_volume_24", "volume_return"]

ADAPTIVE = {
    f"ic_{name}_{n}": lambda m, name=name, n=n: correlation(scaled_return(m), rule(m, name).shift(), n)
    for name in RULES
    for n in (48, 168)
}

ORDER_FLOW = {
    **{f"taker_imbalance_{n}": lambda m, n=n: imbalance(m, n) for n in (1, 6, 24, 72)},
    "taker_imbalance_score_72": lambda m: windows(imbalance(m), 72, lambda w: (w[-1] - w.mean()) / w.std()),
    "taker_return_correlation_48": lambda m: correlation(imbalance(m), m.r, 48),
    "trade_size_24": trade_size,
    "trade_count_24": lambda m: against(m.bars["trades"], m.bars["trades"].rolling(24).mean()),
}

REFERENCES: dict[str, Callable[[Bars], pd.Series]] = {
    **TREND,
    **MOMENTUM,
    **VOLATILITY,
    **VOLUME,
    **LIQUIDITY,
    **STATISTICAL,
    **CALENDAR,
    **MEMORY,
    **ADAPTIVE,
    **MULTI_TIMEFRAME,
    **ORDER_FLOW,
}
