"""Random numbers inside compiled kernels: one stream a path, so that a path is the same in whatever batch it is drawn.

SplitMix64: G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. A
stream is a counter that is scrambled; the counters of different paths start at scrambled, so unrelated, places.
"""

import numpy as np
from numba import njit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_UNIT = 2.0**-53


@njit(cache=True, nogil=True, inline="always")  # type: ignore[misc,unused-ignore]
def scrambled(counter: np.uint64) -> np.uint64:
    """The number that a counter stands for."""
    z = (counter ^ (counter >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return z ^ (z >> _S31)


@njit(cache=True, nogil=True, inline="always")  # type: ignore[misc,unused-ignore]
def stream(seed: int, path: int) -> np.uint64:
    """Counter at which a path's stream starts; each draw adds :func:`after`."""
    begun: np.uint64 = scrambled(scrambled(np.uint64(seed) + _GAMMA) + np.uint64(path + 1) * _GAMMA)
    return begun


@njit(cache=True, nogil=True, inline="always")  # type: ignore[misc,unused-ignore]
def after(counter: np.uint64) -> np.uint64:
    """The counter's next place."""
    return counter + _GAMMA


@njit(cache=True, nogil=True, inline="always")  # type: ignore[misc,unused-ignore]
def uniform(counter: np.uint64) -> float:
    """Uniform draw from [0, 1), of 53 bits, that the counter stands for."""
    return float(scrambled(counter) >> _S11) * _UNIT
