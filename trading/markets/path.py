"""The recursion that draws a market bar by bar, and what an ideal observer of its bars expects of the next one.

Bar i moves by ``x_i = s_i (m_i + e_i)``. Its scale ``s_i`` is a GARCH(1, 1) recursion on past moves, times a daily
season, times the multiplier of a hidden volatility regime. Its push ``m_i`` is the planted edge: a function of past
bars, times the sign of a second hidden regime if the edge asks for one. The noise ``e_i`` is standard normal, or, now
and then, a jump: normal and some times as wide. All but the two regimes is known from past bars, and the regimes are a
Markov chain of four states, so their distribution given all past bars is Hamilton's filter, exactly, and with it the
distribution of the next move.

References
----------
T. Bollerslev, "Generalized autoregressive conditional heteroskedasticity", Journal of Econometrics 31 (1986).
J. D. Hamilton, "A new approach to the economic analysis of nonstationary time series", Econometrica 57 (1989).
"""

from math import erf, exp, log, pi, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

NONE, LINEAR, INTERACTION, MEMORY, REGIME = range(5)

# Of log returns, before season and regime: GARCH weights whose sum stays below one, and the unconditional scale.
ALPHA, BETA, SCALE = 0.05, 0.90, 0.004
# A move counts in the recursion as no larger than this many scales: one jump does not make a stormy week.
CAP = 2.5
CALM, STORMY = 0.75, 1.45
STAY_VOLATILITY, STAY_SIGN = 0.995, 0.996
JUMP_SHARE, JUMP_SCALE = 0.01, 4.0
# Mean squares of the regime and of the noise. A move counts in the recursion over what past bars expect of its size,
# push included: otherwise storms and pushes would feed themselves, and a strong edge would blow the market up.
REGIME_SQUARE, NOISE_SQUARE = (CALM**2 + STORMY**2) / 2, 1 + JUMP_SHARE * (JUMP_SCALE**2 - 1)
# What edges look back over, in bars.
MOMENTUM, REVERSAL, CHANNEL, SPAN = 6, 3, 24, 48
SHOCK = 2.0
LIMIT = 2.0
WARM = 500


@njit(cache=True)
def draw_path(
    kind: int,
    strength: float,
    season: Array,
    normal: Array,
    jump: Array,
    chain: Array,
    volume_noise: Array,
) -> tuple[Array, Array, Array, Array, Array]:
    """Draw the moves of a market.

    Parameters
    ----------
    kind
        Which edge.
    strength
        Size of its push, in standard deviations of the noise.
    season
        Factor on the scale of each of the n bars and of the one after them, shape (n + 1,).
    normal
        Standard normal draws, shape (n,).
    volume_noise
        Standard normal draws for what lasts and what passes in the volume, shape (n, 2).
    jump
        Uniform draws, shape (n,).
    chain
        Uniform draws for the two hidden regimes, shape (n, 2).

    Returns
    -------
    moves, scales, log_volume : arrays of shape (n,)
        Log return of each bar, the part of its scale that past bars tell, and the logarithm of its volume.
    prob_up, moments : arrays of shape (n,) and (n, 2)
        Of the move of bar i + 1 given bars up to i, in row i: the probability that it is up, and the mean and mean
        square of its simple return.
    """
    n = len(normal)
    moves, scales, log_volume = np.zeros(n), np.zeros(n), np.zeros(n)
    prob_up, moments = np.full(n, 0.5), np.zeros((n, 2))
    variance, spread, direction = SCALE * SCALE, SCALE * SCALE, 1.0
    stormy, sign, flow = 0, 1.0, 0.0
    # Probability of (calm, +), (calm, -), (stormy, +), (stormy, -) for the bar that comes next.
    belief = np.full(4, 0.25)
    for i in range(n):
        push = strength * _signal(kind, i, moves, log_volume, spread, direction)
        scale = sqrt(variance) * season[i]
        scales[i] = scale
        if i > 0:
            up, mean, square = _expected(belief, scale, push, kind == REGIME)
            prob_up[i - 1], moments[i - 1, 0], moments[i - 1, 1] = up, mean, square
        # The chain starts anywhere, as the first belief has it.
        if chain[i, 0] > (STAY_VOLATILITY if i else 0.5):
            stormy = 1 - stormy
        if chain[i, 1] > (STAY_SIGN if i else 0.5):
            sign = -sign
        noise = normal[i] * (JUMP_SCALE if jump[i] < JUMP_SHARE else 1.0)
        pushed = push * (sign if kind == REGIME else 1.0)
        move = scale * (STORMY if stormy else CALM) * (pushed + noise)
        moves[i] = move
        _learn(belief, move, scale, push, kind == REGIME)
        usual = season[i] * sqrt(REGIME_SQUARE * (NOISE_SQUARE + push * push))
        plain = min(abs(move) / usual, CAP * sqrt(variance))
        # Where the newest large move pointed: what the memory edge remembers.
        if abs(move) > SHOCK * sqrt(spread):
            direction = 1.0 if move > 0 else -1.0
        variance = SCALE * SCALE * (1 - ALPHA - BETA) + ALPHA * plain * plain + BETA * variance
        spread += (move * move - spread) * 2 / (SPAN + 1)
        flow = 0.9 * flow + 0.2 * volume_noise[i, 0]
        log_volume[i] = 0.5 * log(season[i]) + 0.6 * log(0.3 + abs(move) / scale) + flow + 0.2 * volume_noise[i, 1]
    push = strength * _signal(kind, n, moves, log_volume, spread, direction)
    scale = sqrt(variance) * season[n]
    prob_up[n - 1], moments[n - 1, 0], moments[n - 1, 1] = _expected(belief, scale, push, kind == REGIME)
    return moves, scales, log_volume, prob_up, moments


@njit(cache=True)
def _signal(kind: int, i: int, moves: Array, log_volume: Array, spread: float, direction: float) -> float:
    """What the bars before i say about bar i; 0 while they are too few."""
    if kind == NONE or i < SPAN:
        return 0.0
    if kind in (LINEAR, REGIME):
        rows = MOMENTUM if kind == LINEAR else REVERSAL
        total = 0.0
        for k in range(1, rows + 1):
            total += moves[i - k]
        return min(LIMIT, max(-LIMIT, total / sqrt(rows * spread)))
    if kind == MEMORY:
        return direction
    # How far the price is above its mean, and the volume above its own.
    distance, level, volume = 0.0, 0.0, 0.0
    for k in range(CHANNEL):
        distance += level / CHANNEL
        level += moves[i - 1 - k]
        volume += log_volume[i - 1 - k] / CHANNEL
    above = 1.0 if distance > 0 else -1.0
    busy = 1.0 if log_volume[i - 1] > volume else -1.0
    return above * busy


@njit(cache=True)
def _expected(belief: Array, scale: float, push: float, signed: bool) -> tuple[float, float, float]:
    """Probability of a rise, mean and mean square of the simple return, over states and over jump or none."""
    # From one half on: rounding of the weights tells nothing where nothing is known.
    up, mean, square = 0.5, 0.0, 0.0
    for state in range(4):
        width = scale * (CALM if state < 2 else STORMY)
        centre = push * (-1.0 if signed and state % 2 else 1.0)
        for jumps in range(2):
            weight = belief[state] * (JUMP_SHARE if jumps else 1 - JUMP_SHARE)
            wide = JUMP_SCALE if jumps else 1.0
            up += weight * 0.5 * erf(centre / wide / sqrt(2.0))
            middle, variance = width * centre, (width * wide) ** 2
            once, twice = exp(middle + variance / 2), exp(2 * middle + 2 * variance)
            mean += weight * (once - 1)
            square += weight * (twice - 2 * once + 1)
    return up, mean, square


@njit(cache=True)
def _learn(belief: Array, move: float, scale: float, push: float, signed: bool) -> None:
    """Hamilton's filter: the states given this move too, then where they will be at the next bar."""
    total = 0.0
    for state in range(4):
        width = scale * (CALM if state < 2 else STORMY)
        centre = push * (-1.0 if signed and state % 2 else 1.0)
        density = 0.0
        for jumps in range(2):
            wide = width * (JUMP_SCALE if jumps else 1.0)
            away = (move - width * centre) / wide
            density += (JUMP_SHARE if jumps else 1 - JUMP_SHARE) * exp(-0.5 * away * away) / (wide * sqrt(2 * pi))
        belief[state] *= density
        total += belief[state]
    after = np.zeros(4)
    for state in range(4):
        for other in range(4):
            volatility = STAY_VOLATILITY if (state < 2) == (other < 2) else 1 - STAY_VOLATILITY
            sign = STAY_SIGN if state % 2 == other % 2 else 1 - STAY_SIGN
            after[other] += belief[state] / total * volatility * sign
    belief[:] = after
