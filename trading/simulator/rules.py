"""How orders are executed and when the market closes a position by itself: every switch of the simulator."""

import math
from dataclasses import dataclass, fields

import numpy as np

from trading.errors import ParamsError


def _refuse(what: str, rule: str) -> ParamsError:
    return ParamsError(what, rule=rule, remedy="leave it out to switch it off, or give a value within the rule")


@dataclass(frozen=True, slots=True)
class Stops:
    """Orders that close a position inside a bar; distances are fractions of a price, ``inf`` is none.

    After one has closed a position, it is not taken again before its target changes.

    Parameters
    ----------
    stop_loss
        Adverse distance from the average price of entry.
    take_profit
        Favourable distance from it, as a resting order: filled at its level with a maker's fee.
    trailing
        Adverse distance from the most favourable price since entry, up to the close before: within a bar nobody knows
        what came first.

    Notes
    -----
    In a bar that reaches both sides, the stop is taken. An open beyond a level fills at the open.
    """

    stop_loss: float = math.inf
    take_profit: float = math.inf
    trailing: float = math.inf

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise _refuse(f"{field.name} is {getattr(self, field.name)}", "a fraction of the price above 0")


@dataclass(frozen=True, slots=True)
class Margin:
    """When a venue closes everything.

    Parameters
    ----------
    maintenance
        Equity below this share of all notional is liquidated, inside the bar at the price at which that happens when
        all held prices move against the account at once.
    liquidation_bps
        Fee of the venue on top of a taker's costs.
    """

    maintenance: float
    liquidation_bps: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.maintenance < 1:
            raise _refuse(f"maintenance is {self.maintenance}", "a share of notional between 0 and 1")
        if not 0 <= self.liquidation_bps < math.inf:
            raise _refuse(f"liquidation_bps is {self.liquidation_bps}", "a finite number, at least 0")


@dataclass(frozen=True, slots=True)
class Lots:
    """What a venue accepts.

    Parameters
    ----------
    lot
        Orders are whole multiples of this many units, rounded towards nothing; 0 is any size.
    tick
        Prices are whole multiples of this, rounded against the account; 0 is any price.
    min_notional
        Orders worth less at the open are not sent.
    """

    lot: float = 0.0
    tick: float = 0.0
    min_notional: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) < math.inf:
                raise _refuse(f"{field.name} is {getattr(self, field.name)}", "a finite number, at least 0")


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that :func:`trading.simulator.simulate` can do beside costs; by default, nothing of it.

    Parameters
    ----------
    stops, margin, lots
        See there.
    participation
        Largest share of a bar's volume that is filled in it; the rest of an order waits for the next opens, until it is
        done or replaced. ``inf`` is no limit.
    latency
        Bars that an order takes to arrive: what is decided at close t is filled from the open of t + 1 + latency.
    leverage
        A target of 1 is this many times the equity.
    compound
        Whether targets are fractions of the present equity; otherwise of the initial one.
    """

    stops: Stops | None = None
    margin: Margin | None = None
    lots: Lots | None = None
    participation: float = math.inf
    latency: int = 0
    leverage: float = 1.0
    compound: bool = True

    def __post_init__(self) -> None:
        if not self.participation > 0:
            raise _refuse(f"participation is {self.participation}", "a share of the volume above 0")
        if not isinstance(self.latency, (int, np.integer)) or self.latency < 0:
            raise _refuse(f"latency is {self.latency}", "a whole number of bars, at least 0")
        if not 0 < self.leverage < math.inf:
            raise _refuse(f"leverage is {self.leverage}", "a finite number above 0")
