"""Every kernel against plain Python over whole windows: compiled and interpreted, however the rows are cut."""

import math
from collections import Counter
from contextlib import nullcontext
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.features import kernels, operators
from pipelines.features.operators import (
    absent,
    change,
    column,
    correlation,
    deviation,
    dispersion,
    ema,
    entropy,
    from_mean,
    highest,
    kurtosis,
    lag,
    latest,
    latest_but_one,
    lowest,
    mean,
    month_passed,
    path_deviation,
    path_fit,
    path_slope,
    rank,
    score,
    since_highest,
    since_lowest,
    skewness,
    slope_on,
    streak,
    total,
    variance,
    weighted,
    wilder,
    year_passed,
)
from tests.test_pipelines.test_features.running import interpreted, value_of, values_of

X, Y = column("x"), column("y")

# Few values that are often equal, or many that hardly ever are: thousandths, so that a spread is 0 or none.
few = st.sampled_from([-2.0, -1.0, 0.0, 0.1, 0.3, 0.3, 7.7])
many = st.integers(-100_000, 100_000).map(lambda number: number / 1000)
columns = st.lists(st.tuples(few, few) | st.tuples(many, many), min_size=1, max_size=40)
cuts = st.lists(st.integers(1, 39), max_size=4)
ROWS = st.integers(2, 9)


def mid(window):
    return math.fsum(window) / len(window)


def moment(window, power):
    return mid([(value - mid(window)) ** power for value in window])


def levels(steps):
    return [math.fsum(steps[: k + 1]) for k in range(len(steps))]


def least_squares(x, y):
    """Slope of the line of x on y and the correlation; zeros where either is constant."""
    if len(set(x)) == 1 or len(set(y)) == 1:
        return 0.0, 0.0
    both = mid([(a - mid(x)) * (b - mid(y)) for a, b in zip(x, y, strict=True)])
    return both / moment(y, 2), both / math.sqrt(moment(x, 2) * moment(y, 2))


def newest(window, wanted):
    return next(age for age, value in enumerate(reversed(window)) if value == wanted)


def in_a_row(window):
    def sign(value):
        return (value > 0) - (value < 0)

    length = 0
    for value in reversed(window):
        if sign(value) != sign(window[-1]) or not sign(value):
            break
        length += sign(value)
    return length


def standard(window, power):
    return moment(window, power) / moment(window, 2) ** (power / 2) if len(set(window)) > 1 else 0.0


def share_below(window):
    *others, value = window
    return mid([0.5 if other == value else float(other < value) for other in others])


def happened(window, place):
    values = [value for value in window if value != 0]
    return values[-1 - place] if len(values) > place else 0.0


def disorder(window, symbols):
    shares = [count / len(window) for count in Counter(window).values()]
    return -sum(share * math.log(share) for share in shares) / math.log(symbols)


def of_levels(measure):
    return lambda window, _: measure(levels(window))


def in_time(level):
    return least_squares(level, list(range(len(level))))


# Operator over n rows, and its value from a window of x and one of y.
WINDOWED = {
    "lag": (lambda n: lag(X, n - 1), lambda x, y: x[0]),
    "change": (lambda n: change(X, n - 1), lambda x, y: x[-1] - x[0]),
    "total": (lambda n: total(X, n), lambda x, y: math.fsum(x)),
    "mean": (lambda n: mean(X, n), lambda x, y: mid(x)),
    "lowest": (lambda n: lowest(X, n), lambda x, y: min(x)),
    "highest": (lambda n: highest(X, n), lambda x, y: max(x)),
    "since_lowest": (lambda n: since_lowest(X, n), lambda x, y: newest(x, min(x))),
    "since_highest": (lambda n: since_highest(X, n), lambda x, y: newest(x, max(x))),
    "variance": (lambda n: variance(X, n), lambda x, y: moment(x, 2)),
    "variance, sample": (lambda n: variance(X, n, ddof=1), lambda x, y: moment(x, 2) * len(x) / (len(x) - 1)),
    "deviation": (lambda n: deviation(X, n), lambda x, y: math.sqrt(moment(x, 2))),
    "score": (
        lambda n: score(X, n),
        lambda x, y: (x[-1] - mid(x)) / math.sqrt(moment(x, 2)) if len(set(x)) > 1 else 0.0,
    ),
    "skewness": (lambda n: skewness(X, n), lambda x, y: standard(x, 3)),
    "kurtosis": (lambda n: kurtosis(X, n), lambda x, y: standard(x, 4)),
    "correlation": (lambda n: correlation(X, Y, n), lambda x, y: least_squares(x, y)[1]),
    "slope_on": (lambda n: slope_on(X, Y, n), lambda x, y: least_squares(x, y)[0]),
    "from_mean": (lambda n: from_mean(X, n), of_levels(lambda level: level[-1] - mid(level))),
    "path_deviation": (lambda n: path_deviation(X, n), of_levels(lambda level: math.sqrt(moment(level, 2)))),
    "path_slope": (lambda n: path_slope(X, n), of_levels(lambda level: in_time(level)[0])),
    "path_fit": (lambda n: path_fit(X, n), of_levels(lambda level: in_time(level)[1])),
    "weighted": (
        lambda n: weighted(X, [0.5**k for k in range(n)], "halved"),
        lambda x, y: math.fsum(0.5**k * value for k, value in enumerate(reversed(x))),
    ),
    "dispersion": (lambda n: dispersion(X, n), lambda x, y: mid([abs(value - mid(x)) for value in x])),
    "rank": (lambda n: rank(X, n), lambda x, y: share_below(x)),
    "latest": (lambda n: latest(X, n), lambda x, y: happened(x, 0)),
    "latest_but_one": (lambda n: latest_but_one(X, n), lambda x, y: happened(x, 1)),
    "streak": (lambda n: streak(X, n), lambda x, y: in_a_row(x)),
}


@pytest.mark.parametrize("name", WINDOWED)
@settings(deadline=None, max_examples=40)
@given(pairs=columns, n=ROWS, cuts=cuts)
def test_a_window_is_all_that_counts(name, pairs, n, cuts):
    make, oracle = WINDOWED[name]
    expression = make(n)
    assert expression.warmup == n - 1
    x, y = (list(one) for one in zip(*pairs, strict=True))
    given_columns = {"x": x, "y": y}
    expected = np.array([oracle(x[i - n + 1 : i + 1], y[i - n + 1 : i + 1]) for i in range(n - 1, len(x))])
    found = value_of(expression, given_columns, cuts)
    np.testing.assert_allclose(found[n - 1 :], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found, value_of(expression, given_columns))
    with interpreted():
        np.testing.assert_allclose(value_of(expression, given_columns, cuts), found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how", [nullcontext, interpreted])
@settings(deadline=None, max_examples=20)
@given(x=st.lists(many, min_size=1, max_size=40), span=st.integers(2, 20), cuts=cuts)
def test_exponential_averages_start_at_the_first_value(how, x, span, cuts):
    for expression, weight in ((ema(X, span), 2 / (span + 1)), (wilder(X, span), 1 / span)):
        average, expected = x[0], []
        for value in x:
            average += weight * (value - average)
            expected.append(average)
        with how():
            found = values_of([expression], {"x": x}, cuts)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how", [nullcontext, interpreted])
@settings(deadline=None, max_examples=20)
@given(symbols=st.lists(st.integers(0, 5), min_size=1, max_size=40), n=ROWS, cuts=cuts)
def test_entropy_of_symbols(how, symbols, n, cuts):
    with how():
        found = value_of(entropy(X, n, 6), {"x": symbols}, cuts)
    expected = [disorder(symbols[i - n + 1 : i + 1], 6) for i in range(n - 1, len(symbols))]
    np.testing.assert_allclose(found[n - 1 :], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", [nullcontext, interpreted])
@settings(deadline=None, max_examples=20)
@given(steps=st.lists(st.integers(1, 4), min_size=1, max_size=40), n=ROWS, cuts=cuts)
def test_absent_places_of_the_grid(how, steps, n, cuts):
    places = np.cumsum(steps).tolist()
    with how():
        found = value_of(absent(X, n), {"x": places}, cuts)
    # Rows are fewer than places, so the window of n rows holds whatever stands in the last n places.
    expected = [n - len({*range(last - n + 1, last + 1)} & {*places}) for last in places]
    np.testing.assert_array_equal(found[n - 1 :], expected[n - 1 :])


ALIKE = 1e-12


def test_values_alike_are_equal_in_rank():
    x = [1.0, 1.0 + 5e-13, 1.0 - 5e-13, 2.0, 1.0]
    assert value_of(rank(X, 5, alike=ALIKE), {"x": x})[-1] == 3 / 2 / 4
    assert value_of(rank(X, 5), {"x": x})[-1] == (1 + 1 / 2) / 4


# Operator, and the same of one number or several.
ELEMENTWISE = {
    "log": (operators.log_of(operators.absolute(X) + 1), lambda x, y: math.log(abs(x) + 1)),
    "exp": (operators.exp(X / 1000), lambda x, y: math.exp(x / 1000)),
    "sqrt": (operators.sqrt(X), lambda x, y: math.sqrt(x) if x > 0 else 0.0),
    "absolute": (operators.absolute(X), lambda x, y: abs(x)),
    "sign": (operators.sign(X), lambda x, y: (x > 0) - (x < 0)),
    "sin": (operators.sin(X), lambda x, y: math.sin(x)),
    "cos": (operators.cos(X), lambda x, y: math.cos(x)),
    "normal_cdf": (operators.normal_cdf(X / 30), lambda x, y: NormalDist().cdf(x / 30)),
    "positive": (operators.positive(X), lambda x, y: x if x > 0 else 0.0),
    "clip": (operators.clip(X, -1, 0.2), lambda x, y: min(max(x, -1), 0.2)),
    "modulo": (operators.modulo(X, 7), lambda x, y: x % 7),
    "floor": (operators.floor(X), lambda x, y: math.floor(x)),
    "affine": (3 - X / 2, lambda x, y: 3 - x / 2),
    "negative": (-X, lambda x, y: -x),
    "add": (X + Y, lambda x, y: x + y),
    "add a number": (2 + X, lambda x, y: 2 + x),
    "subtract": (X - Y - 2, lambda x, y: x - y - 2),
    "multiply": (2 * X * Y, lambda x, y: 2 * x * y),
    "ratio": (operators.ratio(X, Y, neutral=0.5, least=0.1), lambda x, y: x / y if y > 0.1 else 0.5),
    "balance": (
        operators.balance(operators.absolute(X), operators.absolute(Y)),
        lambda x, y: (abs(x) - abs(y)) / (abs(x) + abs(y)) if x or y else 0.0,
    ),
    "smaller": (operators.smaller(X, Y), lambda x, y: min(x, y)),
    "larger": (operators.larger(X, Y), lambda x, y: max(x, y)),
    "greater": (operators.greater(X, Y), lambda x, y: float(x > y)),
    "where": (operators.where(X, Y, -Y), lambda x, y: y if x > 0 else -y),
}


@pytest.mark.parametrize("how", [nullcontext, interpreted])
@settings(deadline=None, max_examples=30)
@given(pairs=columns)
def test_row_by_row(how, pairs):
    x, y = (list(one) for one in zip(*pairs, strict=True))
    with how():
        found = values_of([expression for expression, _ in ELEMENTWISE.values()], {"x": x, "y": y})
    for row, (name, (_, oracle)) in zip(found, ELEMENTWISE.items(), strict=True):
        expected = [oracle(a, b) for a, b in pairs]
        np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-12, err_msg=name)


def test_every_kernel_is_tried():
    opcodes = {name for name, value in vars(kernels).items() if name.isupper() and isinstance(value, int)}
    tried = [make(3) for make, _ in WINDOWED.values()] + [expression for expression, _ in ELEMENTWISE.values()]
    tried += [ema(X, 3), entropy(X, 3, 6), absent(X, 3), month_passed(X), year_passed(X)]
    assert len(opcodes) == 42
    assert {one for wanted in tried for one in with_inputs(wanted)} >= set(range(42))


def with_inputs(expression):
    return {expression.opcode}.union(*(with_inputs(one) for one in expression.inputs))


@pytest.mark.parametrize(
    "make",
    [mean, total, variance, from_mean, path_deviation, lambda x, n: slope_on(x, Y, n)],
    ids=lambda make: make.__name__,
)
def test_a_large_value_leaves_nothing_behind(make):
    """Where a running sum would keep the rounding of 1e12."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200))
    spiked = x.copy()
    spiked[17] = 1e12
    expression = make(X, 20)
    one, other = (value_of(expression, {"x": values, "y": y}) for values in (x, spiked))
    assert one[17 + 18] != other[17 + 18]
    np.testing.assert_array_equal(one[17 + 20 :], other[17 + 20 :])


@pytest.mark.parametrize("make", [from_mean, path_deviation, path_slope, path_fit])
def test_the_step_that_led_to_a_path_is_not_of_it(make):
    """A crash just before the window: levels are counted from behind it."""
    x = np.random.default_rng(0).normal(size=200)
    spiked = x.copy()
    spiked[17] = 1e12
    one, other = (value_of(make(X, 20), {"x": values}) for values in (x, spiked))
    np.testing.assert_array_equal(one[17 + 19], other[17 + 19])


@pytest.mark.parametrize("level", [1e-8, 1.0, 1e8])
def test_spreads_that_are_rounding_are_none(level):
    """The mean of n equal numbers is not always that number."""
    x = [level * (0.1 + 0.2)] * 50
    y = np.random.default_rng(0).normal(size=50)
    for expression in (score(X, 7), skewness(X, 7), kurtosis(X, 7), correlation(X, Y, 7), slope_on(Y, X, 7)):
        assert (value_of(expression, {"x": x, "y": y})[6:] == 0.0).all(), expression.formula


def test_shares_of_months_and_years_are_those_of_pandas():
    days = pd.date_range("1890-01-01", "2110-01-01", freq="D", tz="UTC")
    moments = days + pd.to_timedelta(np.random.default_rng(0).integers(0, 86_400, len(days)), unit="s")
    moments = moments.append(days).append(days + pd.Timedelta("23:59:59"))
    seconds = moments.as_unit("s").asi8.astype(float)
    of_day = (moments - moments.normalize()) / pd.Timedelta("1D")
    month = (moments.day - 1 + of_day) / moments.days_in_month
    year = (moments.dayofyear - 1 + of_day) / (365 + moments.is_leap_year)
    wanted = [month_passed(X), year_passed(X)]
    np.testing.assert_allclose(values_of(wanted, {"x": seconds}), [month, year], rtol=0, atol=1e-12)
    some = slice(None, None, 97)
    with interpreted():
        np.testing.assert_allclose(values_of(wanted, {"x": seconds[some]}), [month[some], year[some]], atol=1e-12)
