"""Whether positions were taken at the right times: the same ones at other times, and how many of those did as well.

T. Masters, "Testing and Tuning Market Trading Systems", Apress (2018): what has no skill in timing does as well at
other times. Rotating the positions keeps their turnover, their exposure and the order of their trades; putting their
runs in another order keeps the runs. Costs and the market's drift are the same for all, so neither passes for skill.

The p-value is (r + 1) / (n + 1) with r of n others at least as good (A. C. Davison and D. V. Hinkley, "Bootstrap
Methods and their Application", Cambridge University Press, 1997, section 4.2): the positions themselves are one of what
chance could have brought.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import ParamsError

Array = NDArray[np.float64]
Shuffle = Literal["rotation", "runs"]


@dataclass(frozen=True, eq=False)
class TimingTest:
    """Positions beside the same ones at other times.

    Parameters
    ----------
    own
        Statistic of the positions.
    others
        Statistics of the shuffled ones.
    """

    own: float
    others: Array

    @property
    def p_value(self) -> float:
        """Probability of doing as well without skill in timing; nan if the positions have no statistic.

        Others that have none count as at least as good.
        """
        if math.isnan(self.own):
            return math.nan
        as_good = int((~(self.others < self.own)).sum())
        return (as_good + 1.0) / (len(self.others) + 1.0)

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the p-value."""
        return math.sqrt(self.p_value * (1.0 - self.p_value) / (len(self.others) + 1.0))


def timing_test(
    positions: pd.Series, statistic: Callable[[pd.Series], float], shuffle: Shuffle, draws: int, seed: int
) -> TimingTest:
    """Compare positions with the same ones at other times.

    Parameters
    ----------
    positions
        One a bar, at least two.
    statistic
        Of positions on the index of ``positions``; larger is better: the Sharpe ratio that they would have had.
    shuffle
        ``rotation``: moved by a random number of bars, what leaves at the end comes in at the start; all rotations are
        different, so that there are fewer than ``draws`` where there are few bars, and with all of them the test is
        exact. ``runs``: stretches of one sign in random order, each whole; where two of one sign meet, there is a trade
        less.
    draws
        Others to compare with.
    seed
        Draw number i is told by seed and i.

    Raises
    ------
    ParamsError
        For another kind of shuffle, no draws, or fewer than two positions.
    """
    if draws < 1 or len(positions) < 2:
        raise ParamsError(
            f"{draws} draws, {len(positions)} positions",
            rule="at least one and two",
            remedy="ask for more draws, or test a longer backtest",
        )
    if shuffle not in _SHUFFLES:
        raise ParamsError(f"shuffle {shuffle!r}", rule=f"one of {', '.join(_SHUFFLES)}", remedy="choose one of them")
    values = positions.to_numpy(dtype=np.float64)
    others = [
        statistic(pd.Series(other, index=positions.index, name=positions.name))
        for other in _SHUFFLES[shuffle](values, draws, seed)
    ]
    return TimingTest(float(statistic(positions)), np.array(others, dtype=np.float64))


def _rotations(values: Array, draws: int, seed: int) -> Iterator[Array]:
    shifts = np.random.default_rng(seed).permutation(len(values) - 1)[:draws] + 1
    return (np.roll(values, shift) for shift in shifts)


def _run_orders(values: Array, draws: int, seed: int) -> Iterator[Array]:
    side = np.sign(values)
    runs = np.split(values, np.flatnonzero(side[1:] != side[:-1]) + 1)
    for draw in range(draws):
        order = np.random.default_rng([seed, draw]).permutation(len(runs))
        yield np.concatenate([runs[run] for run in order])


_SHUFFLES: dict[Shuffle, Callable[[Array, int, int], Iterator[Array]]] = {
    "rotation": _rotations,
    "runs": _run_orders,
}
