"""Series that many features start from. Each can be read on the base bars and on longer ones.

In formulas o h l c are the logarithms of the prices, v the volume, and what is named here has its symbol.

Prices are logarithms: what is computed from their differences does not depend on the level of the price, and a move of
one per cent weighs the same at any time. Volumes have a unit, so features use them only in ratios.
"""

from pipelines.features.expression import Expression, named
from pipelines.features.operators import FLOOR, change, column, lag, larger, log_of, ratio, smaller, wilder

OPEN, HIGH, LOW, CLOSE = (named(name[0], log_of(column(name))) for name in ("open", "high", "low", "close"))
VOLUME = named("v", column("volume"))

RETURN = named("r", change(CLOSE))
"""Log return of each bar over the one before."""

RANGE = HIGH - LOW

TYPICAL = named("p", (HIGH + LOW + CLOSE) / 3)
"""Mean of high, low and close."""

TRUE_RANGE = named("tr", larger(HIGH, lag(CLOSE)) - smaller(LOW, lag(CLOSE)))
"""Range of the bar together with the close before it (Wilder 1978)."""

MONEY = named("m", column("close") * VOLUME)
"""What changed hands, in quote units."""

WHERE_CLOSED = named("w", ratio(2 * CLOSE - HIGH - LOW, RANGE))
"""Where in its range the bar closed, in [-1, 1]; 0 when it has none."""

# The moment a row is known, seconds since 1970, and the number of its place on the time grid.
KNOWN_AT, PLACE = column("known_at"), column("place")


def smooth(x: Expression, rows: int) -> Expression:
    """Wilder's smoothing of what stands in a ratio that is settled by ``FLOOR``: it must forget that much more."""
    return wilder(x, rows, scale=10 / FLOOR)


def settled(above: Expression, below: Expression) -> Expression:
    """``above / below`` of two smoothed movements, drawn to 0 where nothing moves any more."""
    return ratio(above, below + FLOOR)
