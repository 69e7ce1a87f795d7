"""The operators, by name. A window of n rows is the newest row and the n - 1 before it; rows are bars that exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, log

import numpy as np

from pipelines.features import kernels
from pipelines.features.expression import HELD, INPUT, Expression
from pipelines.features.kernels import Array

TOLERANCE = 1e-9

# Where a ratio of two smoothed quantities tends to 0/0 because nothing moves, this is added below it and draws it to
# its neutral value. A ten-millionth of a basis point is far below one tick of anything that trades.
FLOOR = 1e-9


def column(name: str) -> Expression:
    """A column of the bars, or of the series that stand beside them."""
    return Expression(name, INPUT, column=name)


def completed(x: Expression, timeframe: str, per: int) -> Expression:
    """The value of ``x``, computed over longer bars, at the newest longer bar that is complete.

    Parameters
    ----------
    timeframe
        Length of the longer bars.
    per
        Base bars to a longer one. The longer bar in which a history begins may be cut; after it must come the
        ``x.warmup + 1`` whole ones that ``x`` needs, wherever on the clock the first row was. Missing base bars only
        bring them nearer.
    """
    return Expression("{0}", HELD, (x,), memory=(x.warmup + 2) * per - 2 - x.warmup, clock=timeframe)


def _plain(template: str, opcode: int, *inputs: Expression, params: tuple[float, ...] = ()) -> Expression:
    return Expression(template, opcode, inputs, params)


def log_of(x: Expression) -> Expression:
    """Natural logarithm."""
    return _plain("log({0})", kernels.LOG, x)


def exp(x: Expression) -> Expression:
    """Exponential."""
    return _plain("exp({0})", kernels.EXP, x)


def sqrt(x: Expression) -> Expression:
    """Square root; 0 of what rounding left below 0."""
    return _plain("sqrt({0})", kernels.SQRT, x)


def absolute(x: Expression) -> Expression:
    """Absolute value."""
    return _plain("|{0}|", kernels.ABS, x)


def sign(x: Expression) -> Expression:
    """-1, 0 or 1."""
    return _plain("sign({0})", kernels.SIGN, x)


def sin(x: Expression) -> Expression:
    """Sine."""
    return _plain("sin({0})", kernels.SIN, x)


def cos(x: Expression) -> Expression:
    """Cosine."""
    return _plain("cos({0})", kernels.COS, x)


def normal_cdf(x: Expression) -> Expression:
    """Distribution function of the standard normal."""
    return _plain("Phi({0})", kernels.NORMAL, x)


def positive(x: Expression) -> Expression:
    """``max(x, 0)``."""
    return _plain("max({0}, 0)", kernels.POSITIVE, x)


def clip(x: Expression, low: float, high: float) -> Expression:
    """``x`` brought between two numbers."""
    return _plain(f"clip({{0}}, {low:g}, {high:g})", kernels.CLIP, x, params=(low, high))


def modulo(x: Expression, period: float) -> Expression:
    """Remainder in [0, period)."""
    return _plain(f"({{0}} mod {period:g})", kernels.MODULO, x, params=(period,))


def floor(x: Expression) -> Expression:
    """Largest whole number not above."""
    return _plain("floor({0})", kernels.FLOOR, x)


def month_passed(seconds: Expression) -> Expression:
    """Share of the month that has passed at a count of seconds since 1970, UTC."""
    return _plain("month({0})", kernels.MONTH, seconds)


def year_passed(seconds: Expression) -> Expression:
    """Share of the year that has passed at a count of seconds since 1970, UTC."""
    return _plain("year({0})", kernels.YEAR, seconds)


def ratio(above: Expression, below: Expression, neutral: float = 0.0, least: float = 0.0) -> Expression:
    """``above / below``, and ``neutral`` where ``below`` is not larger than ``least``."""
    return _plain("({0} / {1})", kernels.RATIO, above, below, params=(neutral, least))


def balance(a: Expression, b: Expression, least: float = 0.0) -> Expression:
    """``(a - b) / (a + b)`` of two non-negative series: 0 where their sum is not larger than ``least``."""
    return ratio(a - b, a + b, least=least)


def smaller(a: Expression, b: Expression) -> Expression:
    """The smaller of two."""
    return _plain("min({0}, {1})", kernels.SMALLER, a, b)


def larger(a: Expression, b: Expression) -> Expression:
    """The larger of two."""
    return _plain("max({0}, {1})", kernels.LARGER, a, b)


def greater(a: Expression, b: Expression) -> Expression:
    """1 where ``a > b``, else 0."""
    return _plain("[{0} > {1}]", kernels.GREATER, a, b)


def where(condition: Expression, then: Expression, otherwise: Expression) -> Expression:
    """``then`` where the condition is above 0."""
    return _plain("({1} if {0} else {2})", kernels.WHERE, condition, then, otherwise)


def _zeros(size: int) -> Callable[[], Array]:
    return lambda: np.zeros(size)


def lag(x: Expression, rows: int = 1) -> Expression:
    """The value some rows ago."""
    return Expression(f"{{0}}[-{rows}]", kernels.LAG, (x,), (rows,), memory=rows, state=_zeros(1 + rows))


def change(x: Expression, rows: int = 1) -> Expression:
    """``x`` minus its value some rows ago."""
    return x - lag(x, rows)


def total(x: Expression, rows: int) -> Expression:
    """Sum of a window."""
    return Expression(f"sum({{0}}, {rows})", kernels.SUM, (x,), (rows,), memory=rows - 1, state=_zeros(3 + rows))


def mean(x: Expression, rows: int) -> Expression:
    """Mean of a window."""
    return Expression(f"mean({{0}}, {rows})", kernels.MEAN, (x,), (rows,), memory=rows - 1, state=_zeros(3 + rows))


def lowest(x: Expression, rows: int) -> Expression:
    """Smallest value of a window."""
    return _extreme("lowest", kernels.LOWEST, x, rows, size=3 + rows)


def highest(x: Expression, rows: int) -> Expression:
    """Largest value of a window."""
    return _extreme("highest", kernels.HIGHEST, x, rows, size=3 + rows)


def since_lowest(x: Expression, rows: int) -> Expression:
    """Rows since the smallest value of a window, the newest of equals."""
    return _extreme("rows since lowest", kernels.SINCE_LOWEST, x, rows, size=5 + 2 * rows)


def since_highest(x: Expression, rows: int) -> Expression:
    """Rows since the largest value of a window, the newest of equals."""
    return _extreme("rows since highest", kernels.SINCE_HIGHEST, x, rows, size=5 + 2 * rows)


def _extreme(name: str, opcode: int, x: Expression, rows: int, size: int) -> Expression:
    def state() -> Array:
        start = np.full(size, -np.inf)
        start[0] = 0.0
        return start

    return Expression(f"{name}({{0}}, {rows})", opcode, (x,), (rows,), memory=rows - 1, state=state)


def ema(x: Expression, span: int, scale: float = 10.0) -> Expression:
    """Exponential average, weight ``2 / (span + 1)`` for the newest value.

    Parameters
    ----------
    span
        At least 2.
    scale
        Largest error that a start elsewhere can cause, in units of the result's tolerance: it decides the memory.
    """
    return _smoothed(f"ema({{0}}, {span})", x, 2.0 / (span + 1), scale)


def wilder(x: Expression, rows: int, scale: float = 10.0) -> Expression:
    """Wilder's smoothing: an exponential average with weight ``1 / rows`` for the newest value."""
    return _smoothed(f"wilder({{0}}, {rows})", x, 1.0 / rows, scale)


def _smoothed(template: str, x: Expression, weight: float, scale: float) -> Expression:
    # The share of what came before shrinks by 1 - weight a row.
    memory = ceil(log(scale / TOLERANCE) / -log(1.0 - weight))
    return Expression(template, kernels.EMA, (x,), (weight,), memory=memory, state=_zeros(2))


def _moment(name: str, x: Expression, rows: int, output: int) -> Expression:
    template = f"{name}({{0}}, {rows})"
    return Expression(template, kernels.MOMENTS, (x,), (rows,), output, memory=rows - 1, state=_zeros(5 + 2 * rows))


def variance(x: Expression, rows: int, ddof: int = 0) -> Expression:
    """Variance of a window."""
    plain = _moment("var", x, rows, 1)
    return plain * (rows / (rows - ddof)) if ddof else plain


def deviation(x: Expression, rows: int, ddof: int = 0) -> Expression:
    """Standard deviation of a window."""
    return sqrt(variance(x, rows, ddof))


def score(x: Expression, rows: int) -> Expression:
    """Standard score of the newest value; 0 where the spread is rounding next to the mean."""
    middle, spread = _moment("mean", x, rows, 0), deviation(x, rows)
    return ratio(x - middle, larger(spread, 1e-9 * absolute(middle)), least=0.0)


def skewness(x: Expression, rows: int) -> Expression:
    """Third standardised moment of a window; 0 where nothing varies."""
    return _shape("skew", x, rows, 0)


def kurtosis(x: Expression, rows: int) -> Expression:
    """Fourth standardised moment of a window; 0 where nothing varies."""
    return _shape("kurt", x, rows, 1)


def _shape(name: str, x: Expression, rows: int, output: int) -> Expression:
    return Expression(
        f"{name}({{0}}, {rows})", kernels.SHAPE, (x,), (rows,), output, memory=rows - 1, state=_zeros(1 + 2 * rows)
    )


def correlation(x: Expression, y: Expression, rows: int) -> Expression:
    """Pearson correlation over a window; 0 where either does not vary."""
    return _comoment("corr", x, y, rows, 0)


def slope_on(x: Expression, y: Expression, rows: int) -> Expression:
    """Slope of the least-squares line of ``x`` on ``y`` over a window; 0 where either does not vary."""
    return _comoment("slope", x, y, rows, 1)


def _comoment(name: str, x: Expression, y: Expression, rows: int, output: int) -> Expression:
    return Expression(
        f"{name}({{0}}, {{1}}; {rows})",
        kernels.COMOMENTS,
        (x, y),
        (rows,),
        output,
        memory=rows - 1,
        state=_zeros(6 + 5 * (rows + 1)),
    )


def latest(x: Expression, rows: int) -> Expression:
    """The newest value of a window that is not 0; 0 where there is none."""
    return _latest("latest", x, rows, 0)


def latest_but_one(x: Expression, rows: int) -> Expression:
    """The value of a window that is not 0 and was the newest such before the newest; 0 where there is none."""
    return _latest("latest but one", x, rows, 1)


def _latest(name: str, x: Expression, rows: int, output: int) -> Expression:
    return Expression(f"{name}({{0}}, {rows})", kernels.LATEST, (x,), (rows,), output, memory=rows - 1, state=_zeros(4))


def from_mean(steps: Expression, rows: int) -> Expression:
    """The newest of the last levels that steps lead to, minus their mean."""
    return _path("level - mean(level, {rows})", steps, rows, 0)


def path_deviation(steps: Expression, rows: int) -> Expression:
    """Standard deviation of the last levels that steps lead to."""
    return _path("std(level, {rows})", steps, rows, 1)


def path_slope(steps: Expression, rows: int) -> Expression:
    """Slope of the least-squares line through the last levels that steps lead to, a row."""
    return _path("slope(level; {rows})", steps, rows, 2)


def path_fit(steps: Expression, rows: int) -> Expression:
    """Correlation with time of the last levels that steps lead to; 0 where nothing moves."""
    return _path("corr(level, time; {rows})", steps, rows, 3)


def _path(name: str, steps: Expression, rows: int, output: int) -> Expression:
    template = f"({name.format(rows=rows)} by steps {{0}})"
    return Expression(
        template, kernels.PATH, (steps,), (rows,), output, memory=rows - 1, state=_zeros(6 + 4 * (rows + 1))
    )


def weighted(x: Expression, weights: Sequence[float], name: str) -> Expression:
    """Sum of the last values times fixed weights, the newest value's first."""
    rows = len(weights)

    def state() -> Array:
        return np.concatenate([[0.0], np.asarray(weights, dtype=np.float64)[::-1], np.zeros(2 * rows)])

    return Expression(f"{name}({{0}})", kernels.WEIGHTED, (x,), (rows, *weights), memory=rows - 1, state=state)


def dispersion(x: Expression, rows: int) -> Expression:
    """Mean absolute distance of a window's values from their mean."""
    return Expression(
        f"mad({{0}}, {rows})", kernels.DISPERSION, (x,), (rows,), memory=rows - 1, state=_zeros(1 + 2 * rows)
    )


def rank(x: Expression, rows: int, alike: float = 0.0) -> Expression:
    """Share of a window's other values below the newest, equals counting half.

    Parameters
    ----------
    alike
        Values no further apart are equal: what rounding makes of the same number.
    """
    template = f"rank({{0}}, {rows})"
    return Expression(template, kernels.RANK, (x,), (rows, alike), memory=rows - 1, state=_zeros(1 + rows))


def entropy(symbol: Expression, rows: int, symbols: int) -> Expression:
    """Shannon entropy, over its largest, of a window of the symbols 0, 1, ..."""

    def state() -> Array:
        shares = np.arange(1, rows + 1) / rows
        terms = -shares * np.log(shares) / log(symbols)
        return np.concatenate([[0.0], np.full(rows, -1.0), np.zeros(symbols), [0.0], terms])

    template = f"entropy({{0}}, {rows})"
    return Expression(template, kernels.ENTROPY, (symbol,), (rows, symbols), memory=rows - 1, state=state)


def streak(x: Expression, most: int) -> Expression:
    """Rows in a row of the same sign, signed, at most ``most``."""
    return Expression(f"streak({{0}}, {most})", kernels.STREAK, (x,), (most,), memory=most - 1, state=_zeros(1))


def absent(place: Expression, rows: int) -> Expression:
    """Places of the time grid without a row among the last ``rows``; ``place`` numbers them."""
    return Expression(
        f"absent({{0}}, {rows})", kernels.ABSENT, (place,), (rows,), memory=rows - 1, state=_zeros(1 + rows)
    )
