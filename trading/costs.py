"""What it costs to trade."""

from dataclasses import dataclass

BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True)
class Costs:
    """Proportional costs of a fill, in basis points of its notional.

    Parameters
    ----------
    fee_bps
        Taker fee, a side.
    spread_bps
        Full quoted spread; a fill pays half of it.
    slippage_bps
        Distance of the fill from the quote, a side.
    """

    fee_bps: float
    spread_bps: float
    slippage_bps: float

    @property
    def price_shift(self) -> float:
        """Fraction by which a fill is worse than the open: half the spread and the slippage."""
        return (self.spread_bps / 2 + self.slippage_bps) * BASIS_POINT

    @property
    def fee(self) -> float:
        """Fraction of the notional paid as a fee."""
        return self.fee_bps * BASIS_POINT

    @property
    def per_side(self) -> float:
        """All costs of one fill, as a fraction of its notional."""
        return self.price_shift + self.fee
