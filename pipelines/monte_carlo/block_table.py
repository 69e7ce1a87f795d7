"""What a block adds to a path and where it may set records, by where it starts: tables of the block bootstrap."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Log equity that a total loss adds: no gain that a float can hold brings it back, and sums with it stay finite.
TOTAL_LOSS = -2000.0
# Bars after a start of which a row tells which are records: one a bit.
REACH = 64
# A row fills a line of the processor's cache.
_LINE = 64
_ROW = np.dtype(
    {
        "names": ["returns", "squares", "level", "highs", "lows"],
        "formats": ["f8", "f8", "f8", "u8", "u8"],
        "itemsize": _LINE,
    }
)
_ONE = np.uint64(1)


def block_table(returns: Array) -> NDArray[np.void]:
    """Running sums and records over the returns, twice in a row: a block may wrap around the end.

    Parameters
    ----------
    returns
        Simple returns, shape (n,); -1 is a total loss.

    Returns
    -------
    structured array of shape (2 n + 1,)
        ``returns``, ``squares``, ``level``: sums of the returns before the row, of their squares, of log growth.
        ``highs``, ``lows``: bit j says that the level j + 1 bars after the row is at least, or at most, every level
        after the row until then.
    """
    rows = 2 * len(returns) + 1
    memory = np.zeros((rows + 1) * _LINE, dtype=np.uint8)
    skipped = -memory.ctypes.data % _LINE
    table = memory[skipped : skipped + rows * _LINE].view(_ROW)
    fill_sums(table, returns)
    fill_records(table)
    return table


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def fill_sums(table: NDArray[np.void], returns: Array) -> None:
    """Write the running sums."""
    n = len(returns)
    for i in range(2 * n):
        value = returns[i % n]
        growth = np.log1p(value) if value > -1.0 else TOTAL_LOSS
        table["returns"][i + 1] = table["returns"][i] + value
        table["squares"][i + 1] = table["squares"][i] + value * value
        table["level"][i + 1] = table["level"][i] + growth


@njit(cache=True, nogil=True)  # type: ignore[misc,unused-ignore]
def fill_records(table: NDArray[np.void]) -> None:
    """Write which levels are records, from the levels."""
    level, n = table["level"], len(table) // 2
    for start in range(n):
        high, low, highs, lows, bit = -np.inf, np.inf, np.uint64(0), np.uint64(0), _ONE
        for bar in range(start + 1, start + 1 + min(REACH, n)):
            if level[bar] >= high:
                high, highs = level[bar], highs | bit
            if level[bar] <= low:
                low, lows = level[bar], lows | bit
            bit <<= _ONE
        for place in (start, start + n):
            table["highs"][place], table["lows"][place] = highs, lows
