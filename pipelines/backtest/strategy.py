"""From probabilities to positions to money: the one way a forecast is turned into a backtest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.params import Params
from trading.costs import Costs
from trading.instrument import Instrument
from trading.no_trade_band import band_positions
from trading.simulator import Simulation, simulate


@dataclass(frozen=True)
class Strategy:
    """What is needed to trade one horizon's forecasts of one instrument."""

    params: Params
    instrument: Instrument
    horizon: str

    def positions(self, probability: pd.Series, unit_edge: pd.Series) -> pd.Series:
        """Target positions, decided at the close of each row and tradable from the next open.

        Parameters
        ----------
        probability
            Probability of a positive return over the horizon; NaN is no forecast.
        unit_edge
            Expected return if the forecast were certain, on the same index.
        """
        return band_positions(
            (2 * probability - 1) * unit_edge,
            self.params.costs.costs().per_side,
            self.instrument.bars_in(self.horizon),
            self.params.positions.round_trips,
        )

    def simulate(self, bars: pd.DataFrame, positions: pd.Series, costs: Costs | None = None) -> Simulation:
        """Trade the positions at the run's costs or at others, over the bars from the first position on."""
        return simulate(
            bars.loc[positions.index[0] :],
            positions,
            costs or self.params.costs.costs(),
            rebalance_band=self.params.positions.rebalance_band,
            bars_per_year=self.instrument.bars_per_year,
        )


def trade(strategy: Strategy, bars: pd.DataFrame, predictions: pd.DataFrame, member: str = "vote") -> Simulation:
    """Simulate one member's forecasts over the bars that they are about."""
    positions = strategy.positions(predictions[member], predictions["unit_edge"])
    return strategy.simulate(bars.loc[: predictions.index[-1]], positions)


def comparisons(strategy: Strategy, bars: pd.DataFrame, positions: pd.Series) -> dict[str, Simulation]:
    """What anyone could have done instead over the same bars at the same costs: hold, or bet against the last bar."""
    bars = bars.loc[positions.index[0] : positions.index[-1]]
    held = pd.Series(1.0, index=positions.index)
    change = (bars["close"] - bars["open"]).reindex(positions.index)
    last = pd.Series(np.sign(change.to_numpy()), index=positions.index)
    return {"buy_and_hold": strategy.simulate(bars, held), "reversal": strategy.simulate(bars, -last)}


def per_bar(simulation: Simulation) -> dict[str, float]:
    """What the ledger needs to weigh a trial: its Sharpe ratio a bar (0 if it never moved), fills, and bars."""
    returns = simulation.returns.to_numpy()
    moving = returns.std() > 0
    return {
        "sharpe_per_bar": float(returns.mean() / returns.std(ddof=1)) if moving else 0.0,
        "trades": simulation.metrics["trades"],
        "observations": float(len(returns)),
    }


def daily(simulation: Simulation) -> dict[str, Any]:
    """Net returns summed by day (UTC), from which later evidence reads how correlated trials were.

    Returns
    -------
    dict
        ``first``: the first day, as ISO 8601. ``values``: one number for it and each day that follows.
    """
    days = simulation.returns.resample("1D").sum()
    return {"first": days.index[0].date().isoformat(), "values": [round(float(value), 9) for value in days]}


def round_trips(positions: pd.Series) -> int:
    """Times that a position was taken anew or turned round; rebalancing one is no trip."""
    before = positions.shift(fill_value=0.0)
    return int(((positions != before) & (positions != 0)).sum())


def holding_bars(positions: pd.Series) -> float:
    """Bars that a position is kept on average, from being taken anew to being closed or turned; nan without any."""
    taken = round_trips(positions)
    return float((positions != 0).sum() / taken) if taken else float("nan")


def summary(simulation: Simulation) -> Mapping[str, float]:
    """Metrics of a simulation, in the order that reports use."""
    keys = (
        "sharpe",
        "total_return",
        "annual_return",
        "annual_volatility",
        "max_drawdown",
        "trades",
        "turnover_per_year",
    )
    more = ("exposure", "fees", "spread_cost", "impact_cost", "funding", "borrow", "break_even_bps")
    return {key: simulation.metrics[key] for key in (*keys, *more)}
