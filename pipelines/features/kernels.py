"""What an operator does to its rows: each kernel takes the next values of a series and continues where it left off.

A whole history and a single new bar go through the same kernels, as one long and one short piece of the same series.

Windows are summed without ever subtracting what has left them, so that a value depends on the rows of its window and on
nothing before: the window is the tail of the previous block of n rows, summed from its end (``suffix``), and the head
of the current block, summed as it comes. This takes two combinations a row for any associative statistic (van Herk
1992; Gil and Werman 1993, for extremes). Moments are combined by the formulas of Chan, Golub and LeVeque (1983) and
Pébay (2008).

All kernels stand in one file because numba's cache looks at no other: a kernel in a second file could be edited without
those that call it being compiled again.

Each takes inputs, outputs, the rows from ``begin`` up to ``end`` of them that it is to compute, and its own ``state``.
``state[0]`` is mostly the place in the block. They are inlined into :func:`execute`: a call costs more than a bar.
"""

from math import erf

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

(
    LOG,
    EXP,
    SQRT,
    ABS,
    SIGN,
    SIN,
    COS,
    NORMAL,
    POSITIVE,
    AFFINE,
    CLIP,
    MODULO,
    FLOOR,
    MONTH,
    YEAR,
    ADD,
    SUBTRACT,
    MULTIPLY,
    RATIO,
    SMALLER,
    LARGER,
    GREATER,
    WHERE,
    LAG,
    SUM,
    MEAN,
    LOWEST,
    HIGHEST,
    SINCE_LOWEST,
    SINCE_HIGHEST,
    EMA,
    MOMENTS,
    SHAPE,
    COMOMENTS,
    LATEST,
    PATH,
    WEIGHTED,
    DISPERSION,
    RANK,
    ENTROPY,
    STREAK,
    ABSENT,
) = range(42)

_DAY = 86_400.0


@njit(cache=True, error_model="numpy", forceinline=True)
def lag(x: Array, out: Array, begin: int, end: int, state: Array, count: int) -> None:
    """The value ``count`` rows ago. State: place, ring of ``count``."""
    place = int(state[0])
    for i in range(begin, end):
        value = x[i]
        out[i] = state[1 + place]
        state[1 + place] = value
        place = place + 1 if place + 1 < count else 0
    state[0] = place


@njit(cache=True, error_model="numpy", forceinline=True)
def sliding_sum(x: Array, out: Array, begin: int, end: int, state: Array, count: int, factor: float) -> None:
    """Sum of a window times ``factor``. State: place, head, suffix of ``count + 1``."""
    place, head = int(state[0]), state[1]
    suffix = state[2 : 3 + count]
    while begin < end:
        more = min(end - begin, count - place)
        for k in range(more):
            value = x[begin + k]
            suffix[place + k] = value
            head += value
            out[begin + k] = (suffix[place + k + 1] + head) * factor
        begin, place = begin + more, place + more
        if place == count:
            tail = 0.0
            for j in range(count - 1, -1, -1):
                tail += suffix[j]
                suffix[j] = tail
            place, head = 0, 0.0
    state[0], state[1] = place, head


@njit(cache=True, error_model="numpy", forceinline=True)
def sliding_extreme(x: Array, out: Array, begin: int, end: int, state: Array, count: int, sign: float) -> None:
    """Largest value of a window times ``sign``. State: place, head, suffix of ``count + 1``; -inf at first."""
    place, head = int(state[0]), state[1]
    suffix = state[2 : 3 + count]
    while begin < end:
        more = min(end - begin, count - place)
        for k in range(more):
            value = sign * x[begin + k]
            suffix[place + k] = value
            head = value if value > head else head
            tail = suffix[place + k + 1]
            out[begin + k] = sign * (tail if tail > head else head)
        begin, place = begin + more, place + more
        if place == count:
            tail = -np.inf
            for j in range(count - 1, -1, -1):
                tail = suffix[j] if suffix[j] > tail else tail
                suffix[j] = tail
            place, head = 0, -np.inf
    state[0], state[1] = place, head


@njit(cache=True, error_model="numpy", forceinline=True)
def since_extreme(x: Array, out: Array, begin: int, end: int, state: Array, count: int, sign: float) -> None:
    """Rows since the largest value of a window times ``sign``, the newest of equals.

    State: place, head and its place, then suffixes of ``count + 1``: values, -inf at first, and their places.
    """
    place, head, at = int(state[0]), state[1], state[2]
    best, places = state[3 : 4 + count], state[4 + count : 5 + 2 * count]
    while begin < end:
        more = min(end - begin, count - place)
        for i in range(begin, begin + more):
            value = sign * x[i]
            best[place] = value
            at = place if value >= head else at
            head = value if value >= head else head
            tail = best[place + 1]
            out[i] = place - at if head >= tail else place + count - places[place + 1]
            place += 1
        begin += more
        if place == count:
            head, at = -np.inf, count
            for j in range(count - 1, -1, -1):
                at = j if best[j] > head else at
                head = best[j] if best[j] > head else head
                best[j], places[j] = head, at
            place, head, at = 0, -np.inf, 0.0
    state[0], state[1], state[2] = place, head, at


@njit(cache=True, error_model="numpy", forceinline=True)
def ema(x: Array, out: Array, begin: int, end: int, state: Array, weight: float) -> None:
    """Exponential average that starts at its first value. State: 1 once started, average."""
    if state[0] == 0.0 and begin < end:
        state[0] = 1.0
        state[1] = out[begin] = x[begin]
        begin += 1
    average = state[1]
    keep = 1.0 - weight
    for i in range(begin, end):
        average = keep * average + weight * x[i]
        out[i] = average
    state[1] = average


@njit(cache=True, error_model="numpy", forceinline=True)
def moments(x: Array, mean: Array, variance: Array, begin: int, end: int, state: Array, count: int) -> None:
    """Mean and population variance of a window. State: place, head (2), suffix mean, suffix sum of squares."""
    place, m, s = int(state[0]), state[1], state[2]
    means, squares = state[3 : 4 + count], state[4 + count : 5 + 2 * count]
    while begin < end:
        more = min(end - begin, count - place)
        for i in range(begin, begin + more):
            value = x[i]
            means[place], squares[place] = value, 0.0
            place += 1
            delta = value - m
            m += delta * (1.0 / place)
            s += delta * (value - m)
            share = place / count
            apart = m - means[place]
            mean[i] = means[place] + apart * share
            variance[i] = (squares[place] + s) / count + apart * apart * (share * (1.0 - share))
        begin += more
        if place == count:
            m = s = 0.0
            for j in range(count - 1, -1, -1):
                share = 1.0 / (count - j)
                gap = means[j] - m
                s += gap * gap * (1.0 - share)
                m += gap * share
                means[j], squares[j] = m, s
            place, m, s = 0, 0.0, 0.0
    state[0], state[1], state[2] = place, m, s


@njit(cache=True, error_model="numpy", forceinline=True)
def shape(x: Array, skewness: Array, kurtosis: Array, begin: int, end: int, state: Array, count: int) -> None:
    """Third and fourth standardised moments of a window; 0 where nothing varies. State: place, two copies of a ring."""
    place = int(state[0])
    ring = state[1 : 1 + 2 * count]
    evens = count - count % 2
    for i in range(begin, end):
        ring[place] = ring[place + count] = x[i]
        place = place + 1 if place + 1 < count else 0
        window = ring[place : place + count]
        # Two sums each that do not wait for each other.
        a = b = low = high = 0.0
        for j in range(0, evens, 2):
            a += window[j]
            b += window[j + 1]
            low = min(low, window[j], window[j + 1])
            high = max(high, window[j], window[j + 1])
        for j in range(evens, count):
            a += window[j]
            low, high = min(low, window[j]), max(high, window[j])
        mean = (a + b) / count
        a = b = c = d = e = f = 0.0
        for j in range(0, evens, 2):
            one, other = window[j] - mean, window[j + 1] - mean
            square, squared = one * one, other * other
            a += square
            b += squared
            c += square * one
            d += squared * other
            e += square * square
            f += squared * squared
        for j in range(evens, count):
            one = window[j] - mean
            square = one * one
            a += square
            c += square * one
            e += square * square
        second = (a + b) / count
        if second > (1e-9 * max(high, -low)) ** 2:
            skewness[i] = (c + d) / count / second**1.5
            kurtosis[i] = (e + f) / count / (second * second)
        else:
            skewness[i] = kurtosis[i] = 0.0
    state[0] = place


@njit(cache=True, error_model="numpy", forceinline=True)
def comoments(
    x: Array, y: Array, correlation: Array, slope: Array, begin: int, end: int, state: Array, count: int
) -> None:
    """Correlation of two series over a window, and the slope of ``x`` on ``y``; 0 where either does not vary.

    State: place, head (5), then suffixes of ``count + 1``: two means, two sums of squares, sum of products.
    """
    place = int(state[0])
    mx, my, sx, sy, p = state[1], state[2], state[3], state[4], state[5]
    size = count + 1
    block = state[6 : 6 + 5 * size].reshape(5, size)
    least = 1e-18 * count
    while begin < end:
        more = min(end - begin, count - place)
        for i in range(begin, begin + more):
            a, b = x[i], y[i]
            block[0, place], block[1, place] = a, b
            block[2, place] = block[3, place] = block[4, place] = 0.0
            place += 1
            da, db, share = a - mx, b - my, 1.0 / place
            mx += da * share
            my += db * share
            sx += da * (a - mx)
            sy += db * (b - my)
            p += da * (b - my)
            share = place / count
            weight = share * (count - place)
            ga, gb = mx - block[0, place], my - block[1, place]
            xx = block[2, place] + sx + ga * ga * weight
            yy = block[3, place] + sy + gb * gb * weight
            xy = block[4, place] + p + ga * gb * weight
            level_x, level_y = block[0, place] + ga * share, block[1, place] + gb * share
            # A spread that is rounding, next to the level, is none.
            if xx <= least * level_x * level_x or yy <= least * level_y * level_y or xx * yy <= 0.0:
                correlation[i] = slope[i] = 0.0
            else:
                slope[i] = xy / yy
                correlation[i] = min(1.0, max(-1.0, slope[i] * np.sqrt(yy / xx)))
        begin += more
        if place == count:
            mx = my = sx = sy = p = 0.0
            for j in range(count - 1, -1, -1):
                share = 1.0 / (count - j)
                ga, gb = block[0, j] - mx, block[1, j] - my
                sx += ga * ga * (1.0 - share)
                sy += gb * gb * (1.0 - share)
                p += ga * gb * (1.0 - share)
                mx += ga * share
                my += gb * share
                block[0, j], block[1, j], block[2, j], block[3, j], block[4, j] = mx, my, sx, sy, p
            place = 0
            mx = my = sx = sy = p = 0.0
    state[0] = place
    state[1], state[2], state[3], state[4], state[5] = mx, my, sx, sy, p


@njit(cache=True, error_model="numpy", forceinline=True)
def latest(x: Array, newest: Array, before: Array, begin: int, end: int, state: Array, count: int) -> None:
    """The newest value of a window that is not 0, and the one before it; 0 where there is none.

    State: both values, and their ages in rows.
    """
    a, b, age_a, age_b = state[0], state[1], state[2], state[3]
    for i in range(begin, end):
        age_a, age_b = age_a + 1.0, age_b + 1.0
        if x[i] != 0.0:
            b, age_b = a, age_a
            a, age_a = x[i], 0.0
        newest[i] = a if age_a < count else 0.0
        before[i] = b if age_b < count else 0.0
    state[0], state[1], state[2], state[3] = a, b, age_a, age_b


@njit(cache=True, error_model="numpy", forceinline=True)
def path(
    x: Array, away: Array, spread: Array, slope: Array, fit: Array, begin: int, end: int, state: Array, count: int
) -> None:
    """The last ``count`` levels that steps ``x`` lead to: newest minus mean, deviation, slope, correlation with time.

    Levels are counted from the first of each block, so nothing is lost to how high they stand, nor to how far the step
    went that led to the window. State: place, first step of the head, head (4), then suffixes of ``count + 1``: sum of
    steps, mean, sum of squares, sum of products with time.
    """
    place, link = int(state[0]), state[1]
    total, m, s, c = state[2], state[3], state[4], state[5]
    size = count + 1
    block = state[6 : 6 + 4 * size].reshape(4, size)
    times = count * (count * count - 1.0) / 12.0
    unit = np.sqrt(count * times)
    while begin < end:
        if place == 0:
            link, total = x[begin], -x[begin]  # so that the first level is 0
        more = min(end - begin, count - place)
        for i in range(begin, begin + more):
            step = x[i]
            block[0, place] = step
            block[1, place] = block[2, place] = block[3, place] = 0.0
            total += step
            gap = total - m
            c += gap * 0.5 * place
            place += 1
            m += gap * (1.0 / place)
            s += gap * (total - m)
            share = (count - place) / count
            apart = m + (link + block[0, place] - block[1, place])
            squares = block[2, place] + s + apart * apart * (share * place)
            products = block[3, place] + c + apart * 0.5 * (count - place) * place
            away[i] = total - m + apart * share
            spread[i] = np.sqrt(squares / count)
            slope[i] = products / times
            fit[i] = min(1.0, max(-1.0, products / (unit * spread[i]))) if spread[i] > 0.0 else 0.0
        begin += more
        if place == count:
            later = m = s = c = total = 0.0
            for j in range(count - 1, -1, -1):
                # What follows is counted from its own first level, which is one step away.
                share = 1.0 / (count - j)
                apart = later + m
                s += apart * apart * (1.0 - share)
                c += apart * 0.5 * (count - 1 - j)
                m = apart * (1.0 - share)
                total += later
                later = block[0, j]
                block[0, j], block[1, j], block[2, j], block[3, j] = total, m, s, c
            place = 0
            total = m = s = c = 0.0
    state[0], state[1] = place, link
    state[2], state[3], state[4], state[5] = total, m, s, c


@njit(cache=True, error_model="numpy", forceinline=True)
def weighted(x: Array, out: Array, begin: int, end: int, state: Array, count: int) -> None:
    """Sum of the last values times fixed weights. State: place, weights (newest last), two copies of a ring."""
    place = int(state[0])
    weights = state[1 : 1 + count]
    ring = state[1 + count : 1 + 3 * count]
    fours = count - count % 4
    for i in range(begin, end):
        ring[place] = ring[place + count] = x[i]
        place = place + 1 if place + 1 < count else 0
        window = ring[place : place + count]
        # Four sums that do not wait for each other.
        a = b = c = d = 0.0
        for j in range(0, fours, 4):
            a += weights[j] * window[j]
            b += weights[j + 1] * window[j + 1]
            c += weights[j + 2] * window[j + 2]
            d += weights[j + 3] * window[j + 3]
        for j in range(fours, count):
            a += weights[j] * window[j]
        out[i] = (a + b) + (c + d)
    state[0] = place


@njit(cache=True, error_model="numpy", forceinline=True)
def dispersion(x: Array, out: Array, begin: int, end: int, state: Array, count: int) -> None:
    """Mean absolute distance of a window's values from their mean. State: place, two copies of a ring."""
    place = int(state[0])
    ring = state[1 : 1 + 2 * count]
    fours = count - count % 4
    for i in range(begin, end):
        newest = x[i]
        ring[place] = ring[place + count] = newest
        place = place + 1 if place + 1 < count else 0
        window = ring[place : place + count]
        a = b = c = d = 0.0
        for j in range(0, fours, 4):
            a += window[j] - newest
            b += window[j + 1] - newest
            c += window[j + 2] - newest
            d += window[j + 3] - newest
        for j in range(fours, count):
            a += window[j] - newest
        away = ((a + b) + (c + d)) / count
        a = b = c = d = 0.0
        for j in range(0, fours, 4):
            a += abs(window[j] - newest - away)
            b += abs(window[j + 1] - newest - away)
            c += abs(window[j + 2] - newest - away)
            d += abs(window[j + 3] - newest - away)
        for j in range(fours, count):
            a += abs(window[j] - newest - away)
        out[i] = ((a + b) + (c + d)) / count
    state[0] = place


@njit(cache=True, error_model="numpy", forceinline=True)
def rank(x: Array, out: Array, begin: int, end: int, state: Array, count: int, alike: float) -> None:
    """Share of a window's other values below the newest, equals counting half. State: place, ring of ``count``."""
    place = int(state[0])
    ring = state[1 : 1 + count]
    for i in range(begin, end):
        value = x[i]
        ring[place] = value
        place = place + 1 if place + 1 < count else 0
        below = equal = 0
        for j in range(count):
            below += ring[j] < value - alike
            equal += abs(ring[j] - value) <= alike
        out[i] = (below + 0.5 * (equal - 1)) / (count - 1)
    state[0] = place


@njit(cache=True, error_model="numpy", forceinline=True)
def entropy(x: Array, out: Array, begin: int, end: int, state: Array, count: int, symbols: int) -> None:
    """Shannon entropy of the symbols 0, 1, ... in a window, over its largest.

    State: place, ring of ``count``, -1 at first, counts, and what a symbol adds that is there 0, 1, ... times.
    """
    place = int(state[0])
    ring, counts = state[1 : 1 + count], state[1 + count : 1 + count + symbols]
    terms = state[1 + count + symbols : 2 + 2 * count + symbols]
    for i in range(begin, end):
        leaves = ring[place]
        if leaves >= 0.0:
            counts[int(leaves)] -= 1.0
        ring[place] = x[i]
        counts[int(x[i])] += 1.0
        place = place + 1 if place + 1 < count else 0
        total = 0.0
        for k in range(symbols):
            total += terms[int(counts[k])]
        out[i] = total
    state[0] = place


@njit(cache=True, error_model="numpy", forceinline=True)
def streak(x: Array, out: Array, begin: int, end: int, state: Array, most: int) -> None:
    """Rows in a row of the same sign, signed, at most ``most``; 0 breaks it. State: the streak."""
    run = state[0]
    for i in range(begin, end):
        if x[i] > 0.0:
            run = min(run + 1.0, most) if run > 0.0 else 1.0
        elif x[i] < 0.0:
            run = max(run - 1.0, -most) if run < 0.0 else -1.0
        else:
            run = 0.0
        out[i] = run
    state[0] = run


@njit(cache=True, error_model="numpy", forceinline=True)
def absent(x: Array, out: Array, begin: int, end: int, state: Array, count: int) -> None:
    """Places of the grid without a row among the last ``count``; ``x`` numbers the places. State: place, ring."""
    place = int(state[0])
    ring = state[1 : 1 + count]
    for i in range(begin, end):
        ring[place] = x[i]
        place = place + 1 if place + 1 < count else 0
        here = 0
        for j in range(count):
            here += ring[j] > x[i] - count
        out[i] = count - here
    state[0] = place


@njit(cache=True, error_model="numpy", forceinline=True)
def month_and_year(seconds: float) -> tuple[float, float]:
    """Shares of the month and of the year that have passed, in [0, 1) (civil calendar by Hinnant 2013)."""
    days = np.floor(seconds / _DAY)
    shifted = int(days) + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)  # from 1 March
    month = (5 * of_year + 2) // 153
    start = (153 * month + 2) // 5
    year += 400 * era + (month >= 10)
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    length = (28 + leap) if month == 11 else (153 * (month + 1) + 2) // 5 - start
    passed = seconds / _DAY - days
    # January and February close the year that began in March.
    since_new_year = of_year - 306 if month >= 10 else of_year + 59 + leap
    return (of_year - start + passed) / length, (since_new_year + passed) / (366 if leap else 365)


@njit(cache=True, error_model="numpy")
def execute(code: NDArray[np.int64], params: Array, state: Array, rows: Array, done: int, count: int) -> None:
    """Run a program over the next ``count`` rows.

    Parameters
    ----------
    code
        An instruction a line: opcode, first output, three inputs (places in ``rows``), begin of its state, first row at
        which its inputs are known, first row at which its outputs are.
    params
        Two numbers for each instruction.
    state
        What the kernels remember; changed.
    rows
        Values, a place for each series; inputs stand in their places, outputs are written.
    done
        Number of rows that came before.
    count
        Number of new rows.
    """
    for k in range(len(code)):
        op, begin = code[k, 0], min(count, max(0, code[k, 6] - done))
        out = rows[code[k, 1]]
        x = rows[code[k, 2]]
        p, q = params[k, 0], params[k, 1]
        n = int(p)
        if op < ADD:
            _unary(op, x, out, p, q, begin, count)
        elif op <= WHERE:
            y, z = rows[code[k, 3]], rows[code[k, 4]]
            _binary(op, x, y, z, out, p, q, begin, count)
        else:
            s = state[code[k, 5] :]
            second = rows[code[k, 1] + 1] if MOMENTS <= op <= PATH else out
            if op == LAG:
                lag(x, out, begin, count, s, n)
            elif op == SUM:
                sliding_sum(x, out, begin, count, s, n, 1.0)
            elif op == MEAN:
                sliding_sum(x, out, begin, count, s, n, 1.0 / n)
            elif op == LOWEST:
                sliding_extreme(x, out, begin, count, s, n, -1.0)
            elif op == HIGHEST:
                sliding_extreme(x, out, begin, count, s, n, 1.0)
            elif op == SINCE_LOWEST:
                since_extreme(x, out, begin, count, s, n, -1.0)
            elif op == SINCE_HIGHEST:
                since_extreme(x, out, begin, count, s, n, 1.0)
            elif op == EMA:
                ema(x, out, begin, count, s, p)
            elif op == MOMENTS:
                moments(x, out, second, begin, count, s, n)
            elif op == SHAPE:
                shape(x, out, second, begin, count, s, n)
            elif op == COMOMENTS:
                comoments(x, rows[code[k, 3]], out, second, begin, count, s, n)
            elif op == LATEST:
                latest(x, out, second, begin, count, s, n)
            elif op == PATH:
                third, fourth = rows[code[k, 1] + 2], rows[code[k, 1] + 3]
                path(x, out, second, third, fourth, begin, count, s, n)
            elif op == WEIGHTED:
                weighted(x, out, begin, count, s, n)
            elif op == DISPERSION:
                dispersion(x, out, begin, count, s, n)
            elif op == RANK:
                rank(x, out, begin, count, s, n, q)
            elif op == ENTROPY:
                entropy(x, out, begin, count, s, n, int(q))
            elif op == STREAK:
                streak(x, out, begin, count, s, n)
            else:
                absent(x, out, begin, count, s, n)


@njit(cache=True, error_model="numpy", forceinline=True)
def _unary(op: int, x: Array, out: Array, p: float, q: float, begin: int, end: int) -> None:
    if op == LOG:
        for i in range(begin, end):
            out[i] = np.log(x[i])
    elif op == EXP:
        for i in range(begin, end):
            out[i] = np.exp(x[i])
    elif op == SQRT:
        for i in range(begin, end):
            out[i] = np.sqrt(max(x[i], 0.0))
    elif op == ABS:
        for i in range(begin, end):
            out[i] = abs(x[i])
    elif op == SIGN:
        for i in range(begin, end):
            out[i] = np.sign(x[i])
    elif op == SIN:
        for i in range(begin, end):
            out[i] = np.sin(x[i])
    elif op == COS:
        for i in range(begin, end):
            out[i] = np.cos(x[i])
    elif op == NORMAL:
        for i in range(begin, end):
            out[i] = 0.5 * (1.0 + erf(x[i] / np.sqrt(2.0)))
    elif op == POSITIVE:
        for i in range(begin, end):
            out[i] = max(x[i], 0.0)
    elif op == AFFINE:
        for i in range(begin, end):
            out[i] = p * x[i] + q
    elif op == CLIP:
        for i in range(begin, end):
            out[i] = min(q, max(p, x[i]))
    elif op == MODULO:
        for i in range(begin, end):
            out[i] = x[i] - p * np.floor(x[i] / p)
    elif op == FLOOR:
        for i in range(begin, end):
            out[i] = np.floor(x[i])
    elif op == MONTH:
        for i in range(begin, end):
            out[i] = month_and_year(x[i])[0]
    else:
        for i in range(begin, end):
            out[i] = month_and_year(x[i])[1]


@njit(cache=True, error_model="numpy", forceinline=True)
def _binary(op: int, x: Array, y: Array, z: Array, out: Array, p: float, q: float, begin: int, end: int) -> None:
    if op == ADD:
        for i in range(begin, end):
            out[i] = x[i] + y[i]
    elif op == SUBTRACT:
        for i in range(begin, end):
            out[i] = x[i] - y[i]
    elif op == MULTIPLY:
        for i in range(begin, end):
            out[i] = x[i] * y[i]
    elif op == RATIO:
        for i in range(begin, end):
            out[i] = x[i] / y[i] if y[i] > q else p
    elif op == SMALLER:
        for i in range(begin, end):
            out[i] = min(x[i], y[i])
    elif op == LARGER:
        for i in range(begin, end):
            out[i] = max(x[i], y[i])
    elif op == GREATER:
        for i in range(begin, end):
            out[i] = 1.0 if x[i] > y[i] else 0.0
    else:
        for i in range(begin, end):
            out[i] = y[i] if x[i] > 0.0 else z[i]
