"""What follows the positions, in money: capital, costs, how it trades; and what it is worth, inside bars too."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.params import Params
from trading.costs import BASIS_POINT, Costs
from trading.instrument import Instrument
from trading.simulator import Rules, Simulation, simulate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Account:
    """How positions are followed.

    Parameters
    ----------
    capital
        Equity at the start, in the unit of price times volume: it decides what impact costs and how much is filled.
    costs, rules, rebalance_band, bars_per_year
        As :func:`trading.simulator.simulate` takes them. Without stops and margin: those close positions inside a bar.
    """

    capital: float
    costs: Costs
    rules: Rules
    rebalance_band: float
    bars_per_year: float

    @classmethod
    def of(cls, params: Params, instrument: Instrument) -> "Account":
        """The run's account: its costs, with what the size of an order costs on top."""
        market = params.stress.liquidity
        costs = replace(params.costs.costs(), impact=market.impact, volatility_bars=market.volatility_bars)
        return cls(
            params.stress.capital,
            costs,
            Rules(participation=market.participation),
            params.positions.rebalance_band,
            instrument.bars_per_year,
        )

    def follow(self, bars: Mapping[str, pd.DataFrame], positions: pd.DataFrame) -> Simulation:
        """Trade positions, a column for each asset; funding is paid on those whose bars have a rate."""
        alone, funded = len(bars) == 1, any("funding_rate" in frame for frame in bars.values())
        if funded:
            bars = {
                name: frame if "funding_rate" in frame else frame.assign(funding_rate=0.0)
                for name, frame in bars.items()
            }
        return simulate(
            next(iter(bars.values())) if alone else bars,
            positions.iloc[:, 0] if alone else positions,
            replace(self.costs, funding=funded),
            rebalance_band=self.rebalance_band,
            bars_per_year=self.bars_per_year,
            initial_equity=self.capital,
            rules=self.rules,
        )


@dataclass(frozen=True, eq=False)
class Worth:
    """What an account was worth.

    Parameters
    ----------
    index
        Stamps of n bars.
    close
        Equity at each close, shape (n,).
    worst
        Equity at the worst price of each bar, all assets at theirs at once, shape (n,).
    held
        Fraction of equity held at each close, of several assets their sum, shape (n,).
    """

    index: pd.DatetimeIndex
    close: Array
    worst: Array
    held: Array

    @classmethod
    def of(
        cls,
        traded: Simulation,
        bars: Mapping[str, pd.DataFrame],
        costs: Costs,
        first: int = 0,
        after: int = 0,
        spread: float = 1.0,
    ) -> "Worth":
        """Value a simulation of these bars, where between two bars the spread was a multiple of that of the costs.

        The simulator knows one spread. What the fills of these bars pay beyond it is taken off as the share of equity
        that it is, for sizes follow equity: right but for the return, on that share, until the next fill.
        """
        index = pd.DatetimeIndex(traded.equity.index)
        close, held = traded.equity.to_numpy(), traded.held.to_numpy().reshape(len(index), -1)
        adverse = np.zeros(len(index))
        for share, frame in zip(held.T, bars.values(), strict=True):
            low, high, last = frame.reindex(index)[["low", "high", "close"]].to_numpy().T
            adverse += np.nan_to_num(share * (np.where(share > 0, low, high) / last - 1.0))
        extra = np.zeros(len(index))
        if spread != 1.0 and len(traded.fills):
            at = index.searchsorted(pd.DatetimeIndex(traded.fills["timestamp"]))
            dearer = (at >= first) & (at < after)
            paid = traded.fills["notional"].to_numpy() * (spread - 1.0) * costs.spread_bps / 2 * BASIS_POINT
            np.add.at(extra, at[dearer], paid[dearer])
        share_left = np.divide(close - extra, close, out=np.ones_like(close), where=close > 0)
        left = np.cumprod(np.maximum(share_left, 0.0))
        return cls(
            index,
            close * left,
            np.maximum(close * (1.0 + adverse), 0.0) * left,
            held.sum(axis=1),
        )
