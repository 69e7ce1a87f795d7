"""Blocks of which resampled paths are made: how long, and how that is drawn.

Stationary: D. N. Politis and J. P. Romano, "The stationary bootstrap", JASA 89 (1994): geometric lengths. Circular:
D. N. Politis and J. P. Romano, "A circular block-resampling procedure for stationary data", in LePage and Billard
(eds.), Exploring the Limits of Bootstrap, Wiley (1992): one length. Either way a block starts anywhere, each start
equally likely, and wraps around the end, and a path's last block is cut.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading.errors import ParamsError

Kind = Literal["stationary", "circular"]

# Bins of the table of lengths, as powers of two: enough that one draw nearly always tells a length, and no more than
# the processor's first cache holds.
_FEWEST, _MOST = 4, 12


@dataclass(frozen=True, slots=True)
class Blocks:
    """How the blocks of a path are drawn.

    Parameters
    ----------
    kind
        ``stationary``: lengths are geometric. ``circular``: all are equal.
    length
        Mean length in periods, at least 1, which draws each period alone; a whole number for circular blocks.

    Raises
    ------
    ParamsError
        For another kind or length.
    """

    kind: Kind
    length: float

    def __post_init__(self) -> None:
        if self.kind not in ("stationary", "circular"):
            raise ParamsError(
                f"blocks of kind {self.kind!r}", rule="stationary or circular", remedy="choose one of them"
            )
        whole = self.kind == "stationary" or self.length % 1 == 0
        if not (1.0 <= self.length < math.inf and whole):
            raise ParamsError(
                f"{self.kind} blocks of {self.length} periods",
                rule="at least 1; a whole number for circular blocks",
                remedy="choose such a length, or leave it to optimal_blocks",
            )


def optimal_blocks(returns: ArrayLike, kind: Kind) -> Blocks:
    """Blocks that suit the dependence of the returns.

    D. N. Politis and H. White, "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23
    (2004), corrected by A. Patton, D. N. Politis and H. White (2009), as implemented by ``arch``. Circular blocks are
    rounded to whole periods. Returns that are all equal have no dependence: blocks of 1.

    Parameters
    ----------
    returns
        One a period, in time order; finite.
    kind
        Of the blocks.
    """
    from arch.bootstrap import optimal_block_length

    values = np.asarray(returns, dtype=np.float64)
    length = 1.0
    if values.min() < values.max():
        length = max(float(optimal_block_length(values)[kind].iloc[0]), 1.0)
    return Blocks(kind, length if kind == "stationary" else float(round(length)))


def length_table(blocks: Blocks) -> NDArray[np.uint64]:
    """Table by which one number of 32 bits tells a length: the alias method.

    A. J. Walker, "An efficient method for generating discrete random variables with general distributions", ACM
    Transactions on Mathematical Software 3 (1977). The upper bits choose a bin; the others, where they are not below
    its threshold, send on to its alias. Bin i is a block of i + 1 periods; the last bin, i, is i periods of a block
    that goes on: geometric lengths have no memory, so that one draws again.

    Returns
    -------
    array of shape (bins,)
        Threshold in the upper half of each number, alias in the lower; empty for circular blocks, whose length is not
        drawn.
    """
    if blocks.kind == "circular":
        return np.empty(0, dtype=np.uint64)
    bits = min(max(math.ceil(math.log2(8.0 * blocks.length)), _FEWEST), _MOST)
    bins = 1 << bits
    stay = 1.0 - 1.0 / blocks.length
    reached = stay ** np.arange(bins)
    share = np.append(reached[:-1] - reached[1:], reached[-1]) * bins
    threshold, alias = np.ones(bins), np.arange(bins, dtype=np.uint64)
    poor = [i for i in range(bins) if share[i] < 1.0]
    rich = [i for i in range(bins) if share[i] >= 1.0]
    while poor and rich:
        giver, taker = rich[-1], poor.pop()
        threshold[taker], alias[taker] = share[taker], giver
        share[giver] -= 1.0 - share[taker]
        if share[giver] < 1.0:
            poor.append(rich.pop())
    return (np.round(threshold * 2.0 ** (32 - bits)).astype(np.uint64) << np.uint64(32)) | alias
