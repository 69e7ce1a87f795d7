"""What it costs to trade, and to hold."""

import math
from dataclasses import dataclass, fields

from trading.errors import ParamsError

BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True)
class FeeTier:
    """Fees from some trailing volume on.

    Parameters
    ----------
    volume
        Notional filled over the 30 days before a fill, in the unit of equity, from which these fees apply.
    maker_bps, taker_bps
        Fees a side, of the notional. A maker's may be negative: a rebate.
    """

    volume: float
    maker_bps: float
    taker_bps: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of a fill, in basis points of its notional where the name says so, and of what is held.

    Parameters
    ----------
    fee_bps
        Taker fee, a side.
    spread_bps
        Full quoted spread; a fill pays half of it.
    slippage_bps
        Distance of the fill from the quote, a side.
    maker_bps
        Fee of a resting order (a take-profit); that of a taker if None.
    tiers
        Fees that fall with trailing volume, in growing order of it; below the first one the fees above apply.
    spread_per_volatility
        Part of the full spread that grows with volatility: this times the volatility of a bar's return.
    impact
        Coefficient Y of the square-root law: a fill of q units in a bar of V is worse by Y * volatility * sqrt(q / V).
        Almgren, R. et al. (2005), "Direct Estimation of Equity Market Impact", Risk 18(7), find it close to one.
    volatility_bars
        Bars over which volatility is measured: the root mean square of their log returns, up to the close before.
    borrow
        Annual rate on what is sold short, and on cash that is owed.
    funding
        Whether the ``funding_rate`` of a bar is paid, by longs to shorts, on what is held when it opens.

    Raises
    ------
    ParamsError
        If a cost is not finite, or negative where no rebate exists, or tiers are not in order.
    """

    fee_bps: float
    spread_bps: float
    slippage_bps: float
    maker_bps: float | None = None
    tiers: tuple[FeeTier, ...] = ()
    spread_per_volatility: float = 0.0
    impact: float = 0.0
    volatility_bars: int = 24
    borrow: float = 0.0
    funding: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("tiers", "funding", "maker_bps"):
                continue
            least = 1 if field.name == "volatility_bars" else 0
            if not least <= value < math.inf:
                raise ParamsError(
                    f"{field.name} is {value}", rule=f"a finite number, at least {least}", remedy="mend it"
                )
        if self.volatility_bars % 1:
            raise ParamsError(
                f"volatility_bars is {self.volatility_bars}", rule="a whole number, at least 1", remedy="mend it"
            )
        rates = [self.maker, *(bps for tier in self.tiers for bps in (tier.maker_bps, tier.taker_bps))]
        if not all(map(math.isfinite, rates)):
            raise ParamsError("a maker's or a tier's fee is not a finite number", rule="basis points", remedy="mend it")
        volumes = [tier.volume for tier in self.tiers]
        if not all(low < high < math.inf for low, high in zip([0.0, *volumes], volumes, strict=False)):
            raise ParamsError(
                f"fee tiers from volumes of {volumes}", rule="above zero and in growing order", remedy="sort them"
            )

    @property
    def price_shift(self) -> float:
        """Fraction by which a fill is worse than the quote in any case: half the spread and the slippage."""
        return (self.spread_bps / 2 + self.slippage_bps) * BASIS_POINT

    @property
    def fee(self) -> float:
        """Fraction of the notional that a taker pays as a fee."""
        return self.fee_bps * BASIS_POINT

    @property
    def maker(self) -> float:
        """Fraction of the notional that a maker pays as a fee."""
        return self.fee if self.maker_bps is None else self.maker_bps * BASIS_POINT

    @property
    def needs_volatility(self) -> bool:
        """Whether any cost depends on volatility."""
        return self.impact > 0 or self.spread_per_volatility > 0

    @property
    def per_side(self) -> float:
        """Costs of a small fill in a calm market, as a fraction of its notional."""
        return self.price_shift + self.fee
