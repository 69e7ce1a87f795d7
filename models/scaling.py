"""Features on one scale for networks, measured so that a few wild rows hardly move it."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.windows import Float32, Positions

# Spreads from the centre beyond which a feature says no more than "extreme": no bad print saturates a network.
CLIP = 5.0
# Pairs of quantiles with their distance in a standard normal. The first pair that is apart measures the spread: a flag
# that is up in few rows has no interquartile range.
_PAIRS = ((0.25, 0.75, 1.3489795), (0.05, 0.95, 3.2897073), (0.01, 0.99, 4.6526957))
# A column that varies by less than float32 can resolve is constant, whatever its computed spread says.
_RESOLUTION = 1e-6


@dataclass(frozen=True, eq=False)
class RobustScaler:
    """Median and interquartile range of each column, in units of a normal's standard deviation.

    Half of the rows may be anything before the median goes with them, a quarter before the range does (Huber and
    Ronchetti 2009, "Robust Statistics", section 1.3); a mean or a standard deviation is carried off by one.

    Attributes
    ----------
    centre, scale : array of float32
        Shape (features,). A column whose quartiles coincide is measured by the distance of outer quantiles, at last by
        its standard deviation; a constant one has scale 1.
    """

    centre: Float32
    scale: Float32

    @classmethod
    def fit(cls, values: Float32, rows: Positions) -> Self:
        """Measure the columns of ``values`` over ``rows``: those that are learnt from, and no others.

        Parameters
        ----------
        values
            Shape (all rows, features); rows outside ``rows`` may hold anything, NaN too.
        rows
            Positions of the training rows, at least one; their values are finite.
        """
        # A column at a time: no second copy of the table.
        measured = [_measure(values[rows, column]) for column in range(values.shape[1])]
        centre, scale = np.array(measured, dtype=np.float32).reshape(-1, 2).T
        return cls(np.ascontiguousarray(centre), np.ascontiguousarray(scale))

    def apply(self, values: Float32) -> Float32:
        """Distance from the centre in spreads, clipped at ``CLIP``, in float32 as in the graph; NaN stays NaN."""
        with np.errstate(over="ignore"):
            scaled = np.subtract(values, self.centre, dtype=np.float32)
            np.divide(scaled, self.scale, out=scaled)
        return np.clip(scaled, np.float32(-CLIP), np.float32(CLIP), out=scaled)


def _measure(column: Float32) -> tuple[float, float]:
    """Centre and spread of one column."""
    wide = column.astype(np.float64)
    tails = [share for low, high, _ in _PAIRS for share in (low, high)]
    centre, *quantiles = np.quantile(wide, [0.5, *tails])
    least = max(_RESOLUTION * abs(centre), float(np.finfo(np.float32).tiny))
    spreads = [
        (high - low) / normal for low, high, (*_, normal) in zip(quantiles[::2], quantiles[1::2], _PAIRS, strict=True)
    ]
    return float(centre), next((float(spread) for spread in [*spreads, wide.std()] if spread > least), 1.0)
