"""Volatility that clusters, changes regime and jumps: a recursion, as a likelihood and as a simulation.

A bar's log return is ``mean + m_t sqrt(h_t) z_t``. ``h`` is a GARCH(1, 1) recursion (T. Bollerslev, Journal of
Econometrics 31, 1986); ``m`` is the multiplier of a hidden Markov chain of volatility regimes (J. D. Hamilton,
Econometrica 57, 1989); ``z`` is standard normal or, now and then, a jump, which is normal and some times as wide
(R. C. Merton, Journal of Financial Economics 3, 1976; in bars, P. Jorion, Review of Financial Studies 1, 1988). Jumps
and regimes have no direction, so the past says nothing of the sign.

A move counts in the recursion over what past bars expected of its size, regimes and jumps included, in the spirit of
S. F. Gray (Journal of Financial Economics 42, 1996): the recursion does not hang on the hidden path, so Hamilton's
filter is exact, and storms do not feed themselves. It counts as no more than ``cap`` expected squares, a threshold that
parts jumps from volatility (C. Mancini, Scandinavian Journal of Statistics 36, 2009), and what that cuts off on average
is put back: what past bars expect of the next ``h`` is exactly GARCH's, so it returns to its level.
"""

from dataclasses import dataclass
from math import erf, exp, log, pi, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A move of more than three expected deviations is no news of volatility beyond three.
CAP = 9.0


@dataclass(frozen=True, slots=True)
class SwitchingGarch:
    """Parameters of the recursion.

    Parameters
    ----------
    mean
        Of the log returns.
    level
        Standard deviation that the recursion returns to: that of moves, jumps left out.
    alpha, beta
        Weights of the newest square and of the scale so far; their sum is below one.
    multipliers
        Of each regime, calmest first; their mean square over time is one.
    stay
        Probability that a regime lasts one more bar, for each. One leaves for a neighbour.
    jump_share
        Share of the bars that jump.
    jump_scale
        Standard deviation of a jump over that of another move, where ``h`` is at its level. Elsewhere the variance that
        it adds goes with the root of ``h``.
    """

    mean: float
    level: float
    alpha: float
    beta: float
    multipliers: tuple[float, ...]
    stay: tuple[float, ...]
    jump_share: float
    jump_scale: float

    def arrays(self) -> tuple[Array, Array, Array]:
        """What the kernels take: level and weights and jumps; squares of the multipliers; the chain."""
        numbers = (self.level**2, self.alpha, self.beta, self.jump_share, self.jump_scale**2)
        return np.array(numbers), np.array(self.multipliers) ** 2, transitions(np.array(self.stay))


def transitions(stay: Array) -> Array:
    """Chain in which one stays or leaves for a neighbouring regime, both neighbours alike; row: from, column: to."""
    count = len(stay)
    chain: Array = np.diag(stay)
    for regime in range(count):
        neighbours = [other for other in (regime - 1, regime + 1) if 0 <= other < count]
        for other in neighbours:
            chain[regime, other] = (1.0 - stay[regime]) / len(neighbours)
    return chain


def long_run(stay: Array) -> Array:
    """Share of time that each regime takes, by what flows between neighbours, which balances."""
    chain, share = transitions(stay), np.ones(len(stay))
    for regime in range(1, len(stay)):
        share[regime] = share[regime - 1] * chain[regime - 1, regime] / chain[regime, regime - 1]
    normed: Array = share / share.sum()
    return normed


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def advanced(belief: Array, chain: Array, after: Array) -> None:
    """Where the regimes will be at the next bar."""
    for to in range(len(belief)):
        total = 0.0
        for origin in range(len(belief)):
            total += belief[origin] * chain[origin, to]
        after[to] = total


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def jump_square(square: float, level: float, variance: float) -> float:
    """Square of a jump's scale over that of other moves: ``square`` where ``variance`` is at its level.

    What a jump adds goes with the root of ``variance``, halfway between jumps of a size of their own (Merton's) and
    jumps that are other moves times a factor. On the sample's coins the likelihood is highest there of the three, and
    the first have too thin tails, the last too heavy ones.
    """
    return 1.0 + (square - 1.0) * sqrt(level / variance)


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def learned(belief: Array, square: float, variance: float, squares: Array, jump: Array) -> float:
    """Weigh the regimes by a move's density under each, and return the density.

    Parameters
    ----------
    belief
        Probability of each regime given the bars before; given this one too, after the call.
    square
        Of the move.
    variance
        ``h`` of the recursion.
    squares
        Of the regimes' multipliers.
    jump
        Share of jumps, and the present square of their scale over that of other moves.
    """
    total = 0.0
    for regime in range(len(belief)):
        width = variance * squares[regime]
        density = (1.0 - jump[0]) * exp(-0.5 * square / width) / sqrt(width)
        if jump[0] > 0.0:
            density += jump[0] * exp(-0.5 * square / (width * jump[1])) / sqrt(width * jump[1])
        # Where all densities vanish the regimes stay as likely as they were.
        belief[regime] *= density + 1e-300
        total += belief[regime]
    for regime in range(len(belief)):
        belief[regime] /= total
    return total / sqrt(2.0 * pi)


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def capped(size: float, cap: float) -> float:
    """Expectation of ``min(size z², cap)`` with z standard normal."""
    edge = cap / size
    inside = erf(sqrt(edge / 2.0))
    return size * (inside - sqrt(2.0 * edge / pi) * exp(-edge / 2.0)) + cap * (1.0 - inside)


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def news(square: float, variance: float, belief: Array, squares: Array, jump: Array, cap: float) -> float:
    """What a move says of ``h``: ``h`` in expectation, and no more than some times that.

    Parameters
    ----------
    belief
        Probability of each regime given the bars before.
    square, variance, squares, jump
        As for :func:`learned`.
    cap
        Expected squares that a move counts as, at most; infinite for plain GARCH.
    """
    mixed, heavier = 0.0, 1.0 + jump[0] * (jump[1] - 1.0)
    for regime in range(len(belief)):
        mixed += belief[regime] * squares[regime] * heavier
    if cap == np.inf:
        return square / mixed
    expected = 0.0
    for regime in range(len(belief)):
        size = squares[regime] / mixed
        expected += belief[regime] * (1.0 - jump[0]) * capped(size, cap)
        if jump[0] > 0.0:
            expected += belief[regime] * jump[0] * capped(size * jump[1], cap)
    return min(square / mixed, cap * variance) / expected


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def filtered(
    moves: Array, numbers: Array, squares: Array, chain: Array, start: Array, cap: float
) -> tuple[float, Array]:
    """Log likelihood of centred moves, and the standard deviation of each given the bars before it, jumps left out.

    Parameters
    ----------
    moves
        Log returns less their mean, shape (n,).
    numbers, squares, chain
        As :meth:`SwitchingGarch.arrays` gives them.
    start
        Probability of each regime at the first bar.
    cap
        As for :func:`news`.
    """
    level, alpha, beta, jump = numbers[0], numbers[1], numbers[2], numbers[3:]
    belief, after, now = start.copy(), start.copy(), jump.copy()
    variance, likelihood, scales = level, 0.0, np.empty(len(moves))
    for bar in range(len(moves)):
        square, mixed = moves[bar] ** 2, 0.0
        for regime in range(len(belief)):
            mixed += belief[regime] * squares[regime]
        scales[bar] = sqrt(variance * mixed)
        now[1] = jump_square(jump[1], level, variance)
        told = news(square, variance, belief, squares, now, cap)
        likelihood += log(learned(belief, square, variance, squares, now))
        advanced(belief, chain, after)
        belief, after = after, belief
        variance = level * (1.0 - alpha - beta) + alpha * told + beta * variance
    return likelihood, scales


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def simulated(
    normal: Array, uniform: Array, numbers: Array, squares: Array, chain: Array, start: Array, cap: float
) -> tuple[Array, Array]:
    """Draw centred moves, and the standard deviation of each given its regime too, jumps left out.

    Parameters
    ----------
    normal
        Standard normal draws, shape (n,).
    uniform
        Uniform draws for the regime and for jumps, shape (n, 2).
    numbers, squares, chain, start, cap
        As for :func:`filtered`.
    """
    level, alpha, beta, jump = numbers[0], numbers[1], numbers[2], numbers[3:]
    belief, after, now = start.copy(), start.copy(), jump.copy()
    variance, moves, scales = level, np.empty(len(normal)), np.empty(len(normal))
    regime = 0
    for bar in range(len(normal)):
        ahead = chain[regime] if bar else start
        regime, passed = 0, ahead[0]
        while regime < len(start) - 1 and uniform[bar, 0] >= passed:
            regime += 1
            passed += ahead[regime]
        scales[bar] = sqrt(variance * squares[regime])
        now[1] = jump_square(jump[1], level, variance)
        wide = sqrt(now[1]) if uniform[bar, 1] < jump[0] else 1.0
        moves[bar] = scales[bar] * wide * normal[bar]
        square = moves[bar] ** 2
        told = news(square, variance, belief, squares, now, cap)
        learned(belief, square, variance, squares, now)
        advanced(belief, chain, after)
        belief, after = after, belief
        variance = level * (1.0 - alpha - beta) + alpha * told + beta * variance
    return moves, scales
