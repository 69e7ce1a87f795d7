"""What a feature declares about itself, and how long a moving average remembers its start."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, log

from pipelines.features.market import Array, Market

TOLERANCE = 1e-9

# Where a ratio of two smoothed quantities tends to 0/0 because nothing moves, it is drawn to its neutral value by
# activity / (activity + FLOOR). A ten-millionth of a basis point is far below one tick of anything that trades.
FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: what it is called, when it may be trusted, and how it is computed.

    Parameters
    ----------
    name
        Column name.
    group
        technical, volume, calendar or multi_timeframe.
    warmup
        Number of leading rows, in bars of the base timeframe, that are blank. From there on the value does not depend
        on where the history starts, to 1e-9 absolute.
    formula
        The definition, in symbols: o h l c v are the bar, r the log return of c.
    source
        Where the definition comes from.
    compute
        Gives one value a row from rows up to and including it. Rows before ``warmup`` may hold anything.
    """

    name: str
    group: str
    warmup: int
    formula: str
    source: str
    compute: Callable[[Market], Array] = field(repr=False, compare=False)


def ema_memory(span: int, scale: float = 10.0) -> int:
    """Bars after which an exponential average has forgotten its seed.

    The seed is the mean of the first ``span`` values, and the weight of the past shrinks by (span-1)/(span+1) a bar.

    Parameters
    ----------
    span
        Span of the average; Wilder's smoothing over n bars has span 2n-1.
    scale
        Largest error that the seed can have, in units of the result.
    """
    return span - 1 + ceil(log(scale / TOLERANCE) / log((span + 1) / (span - 1)))


def wilder_memory(bars: int) -> int:
    """Bars after which a ratio of Wilder's averages, drawn to neutral below ``FLOOR``, has forgotten its seed."""
    return ema_memory(2 * bars - 1, scale=1 / FLOOR)
