"""Random markets, targets, costs and rules: every switch of the simulator, on and off."""

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from trading.costs import Costs, FeeTier
from trading.simulator import Lots, Margin, Rules, Stops

# Each combination of what is on and what is off is compiled once, so a few stand for all. Within one, a switch may have
# the value that does nothing.
SWITCHES = {
    "none": (),
    "stops": ("stops",),
    "market": ("market", "lots"),
    "endless volume": ("stops", "lots", "carry", "margin", "tiers"),
    "all": ("stops", "market", "lots", "carry", "margin", "tiers"),
}


@dataclass
class Case:
    """One random question to the simulator."""

    bars: dict[str, pd.DataFrame]
    positions: pd.DataFrame
    costs: Costs
    rules: Rules
    band: float
    equity: float

    def asked(self) -> tuple[Any, Any]:
        """Bars and positions as :func:`simulate` takes them: of one asset without its name."""
        if len(self.bars) == 1:
            name = next(iter(self.bars))
            return self.bars[name], self.positions[name]
        return self.bars, self.positions


def random_case(seed: int, switches: tuple[str, ...], assets: int, bars: int = 60) -> Case:
    """A case whose every choice comes from the seed."""
    rng = np.random.default_rng(seed)
    pick = rng.choice
    clock = pd.date_range("2024-01-01", periods=bars, freq=pick(["1h", "8h", "1D"]), tz="UTC", name="timestamp")
    wild = pick([0.01, 0.03, 0.1])
    frames = {f"A{number}/USD": _bars(rng, clock, wild, assets > 1) for number in range(assets)}
    clock = clock[np.isin(clock, np.concatenate([frame.index for frame in frames.values()]))]
    positions = pd.DataFrame(
        {
            name: np.repeat(rng.uniform(-1, 1, bars) * (rng.random(bars) < 0.8), pick([1, 3, 9]))[: len(clock)]
            for name in frames
        },
        index=clock,
    )
    gross = positions.abs().sum(axis=1)
    positions = positions.div(gross.where(gross > 1, 1.0), axis=0)
    if pick([True, False]):
        positions = np.sign(positions) / assets
    equity = float(pick([1.0, 1000.0]))
    costs: dict[str, Any] = {name: float(rng.uniform(0, 30)) for name in ("fee_bps", "spread_bps", "slippage_bps")}
    costs["maker_bps"] = pick([None, -1.0, 2.0])
    rules: dict[str, Any] = {
        "latency": int(pick([0, 0, 1, 3])),
        "leverage": float(pick([1.0, 1.0, 3.0, 8.0])),
        "compound": bool(pick([True, True, False])),
    }
    if "stops" in switches:
        rules["stops"] = Stops(*(float(pick([inf, wild, 3 * wild])) for _ in range(3)))
    if "market" in switches:
        costs |= {"impact": float(pick([0.0, 1.0])), "spread_per_volatility": float(pick([0.0, 0.2]))}
        costs["volatility_bars"] = int(pick([1, 5, 24]))
        rules["participation"] = float(pick([inf, 0.5, 0.02]))
        if rules["participation"] == inf and not costs["impact"] and not costs["spread_per_volatility"]:
            costs["impact"] = 1.0  # nothing at all is another combination
    if "lots" in switches:
        lot, tick = float(pick([0.0, 1e-3])) * equity, float(pick([0.0, 0.05]))
        rules["lots"] = Lots(lot, tick, float(pick([0.0, 0.05])) * equity)
    if "carry" in switches:
        costs |= {"borrow": float(pick([0.0, 0.5])), "funding": bool(pick([True, False]))}
        costs["borrow"] = costs["borrow"] if costs["funding"] else 0.5
    if "margin" in switches:
        rules["margin"] = Margin(float(pick([0.01, 0.1])), float(pick([0.0, 50.0])))
    if "tiers" in switches:
        costs["tiers"] = (FeeTier(2 * equity, 1.0, 4.0), FeeTier(9 * equity, -0.5, 2.0))
    return Case(frames, positions, Costs(**costs), Rules(**rules), float(pick([inf, 0.3, 0.02])), equity)


def _bars(rng: np.random.Generator, clock: pd.DatetimeIndex, wild: float, holes: bool) -> pd.DataFrame:
    count = len(clock)
    close = 100.0 * np.exp(rng.normal(0, wild, count).cumsum())
    open_ = np.append(100.0, close[:-1]) * np.exp(rng.normal(0, wild / 4, count))
    high = np.maximum(open_, close) * np.exp(rng.exponential(wild / 2, count))
    low = np.minimum(open_, close) * np.exp(-rng.exponential(wild / 2, count))
    volume = rng.lognormal(2, 1, count) * (rng.random(count) < 0.9)
    rates = np.where(rng.random(count) < 0.3, rng.normal(0, 1e-3, count), np.nan)
    frame = pd.DataFrame(
        {"open": open_, "high": high, "low": low, "close": close, "volume": volume, "funding_rate": rates}, index=clock
    )
    return frame[rng.random(count) < 0.85] if holes else frame
