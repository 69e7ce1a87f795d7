"""The paths that the kernel never makes: the same numbers, drawn and walked by plain Python."""

import math

import numpy as np

from pipelines.monte_carlo.blocks import Blocks, length_table

_WORD = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15


def scrambled(counter: int) -> int:
    z = ((counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
    return z ^ (z >> 31)


class Stream:
    """SplitMix64 from integers of any size."""

    def __init__(self, seed: int, path: int) -> None:
        first = scrambled((seed + _GAMMA) & _WORD)
        self.counter = scrambled((first + (path + 1) * _GAMMA) & _WORD)

    def draw(self) -> int:
        self.counter = (self.counter + _GAMMA) & _WORD
        return scrambled(self.counter)


def blocks_of(count: int, blocks: Blocks, seed: int, path: int) -> list[tuple[int, int]]:
    """Start and length of each block of a path of ``count`` returns."""
    stream, table = Stream(seed, path), [int(entry) for entry in length_table(blocks)]
    drawn, taken = [], 0
    while taken < count:
        number = stream.draw()
        start, low = ((number >> 32) * count) >> 32, number % 2**32
        length = int(blocks.length) if blocks.kind == "circular" else 0
        while blocks.kind == "stationary":
            width = 2**32 // len(table)
            place, rest = divmod(low, width)
            place = place if rest < table[place] >> 32 else table[place] % 2**32
            if place < len(table) - 1 or length >= count:
                length += place + 1
                break
            length, low = length + place, stream.draw() % 2**32
        length = min(length, count - taken)
        drawn.append((start, length))
        taken += length
    return drawn


def materialised(returns: np.ndarray, paths: int, blocks: Blocks, seed: int) -> np.ndarray:
    """Returns of each path, shape (paths, returns)."""
    n = len(returns)
    rows = [
        [returns[(start + step) % n] for start, length in blocks_of(n, blocks, seed, path) for step in range(length)]
        for path in range(paths)
    ]
    return np.array(rows)


def walked(path: np.ndarray) -> dict[str, float]:
    """Statistics of one path, bar by bar."""
    equity = peak = lowest = 1.0
    drawdown, since, longest = 0.0, 0, 0
    for bar, value in enumerate(path.tolist(), start=1):
        equity *= 1.0 + value
        if equity >= peak:
            longest, since, peak = max(longest, bar - 1 - since), bar, equity
        drawdown, lowest = max(drawdown, 1.0 - equity / peak), min(lowest, equity)
    longest = max(longest, len(path) - since)
    mean = math.fsum(path) / len(path)
    variance = math.fsum((value - mean) ** 2 for value in path) / (len(path) - 1)
    return {
        "sharpe": mean / math.sqrt(variance) if variance > 0 else math.nan,
        "total_return": equity - 1.0,
        "max_drawdown": drawdown,
        "time_under_water": longest,
        "lowest_equity": lowest,
    }
