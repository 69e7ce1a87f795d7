"""What a fill may know of its bar: the open, and the position decided at the close before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.audit.checks import Check
from pipelines.audit.lookahead import find_lookahead
from pipelines.audit.pipeline import table
from pipelines.audit.report import Report
from pipelines.audit.worlds import Moment, stamps_of
from pipelines.backtest.strategy import Strategy

FILL_COLUMNS = ["decided_at", "price", "units", "notional", "fee", "spread_cost"]
EARLY_FILL = "control: a fill that knows its bar's close"


@dataclass(frozen=True)
class Execution:
    """Simulation as a step from bars and positions, the positions being a series published at each close.

    How much trades in a bar says whether an order finds somebody in it: that is the market's answer to a decision, no
    part of it, and stays as it was.
    """

    strategy: Strategy
    volume: pd.Series

    def __call__(self, bars: pd.DataFrame, context: dict[str, pd.DataFrame]) -> pd.DataFrame:
        """Fills of the positions, and of positions each taken a bar early, which is the control."""
        said = context["positions"]["position"]
        bars = bars.assign(volume=self.volume.reindex(bars.index).fillna(1.0))
        decided_on = pd.DatetimeIndex(said.index) - self.strategy.instrument.bar
        # The bar that is open has no decision yet. Another future may hold any number: its sign is a position.
        decided = np.sign(said.set_axis(decided_on).reindex(bars.index)).fillna(0.0)
        name = f"execution {self.strategy.horizon}"
        return table({name: self._fills(bars, decided), EARLY_FILL: self._fills(bars, _early(decided))})

    def _fills(self, bars: pd.DataFrame, positions: pd.Series) -> pd.DataFrame:
        return fill_table(self.strategy.simulate(bars, positions).fills)


def audit_execution(strategy: Strategy, bars: pd.DataFrame, positions: pd.Series, at: Sequence[Moment]) -> Report:
    """Change everything but the open of a bar, and the position decided at its close; the fills up to it must stay.

    Changing the future after a close cannot see this, for a bar's open and close become known in the same record.

    Parameters
    ----------
    strategy
        How positions are traded.
    bars, positions
        As the backtest traded them, on one index.
    at
        Opens of the bars to change: those at which a fill is expected say most.
    """
    published = pd.DatetimeIndex(positions.index + strategy.instrument.bar, name="published_at")
    return find_lookahead(
        Execution(strategy, bars["volume"]),
        bars,
        timeframe=strategy.instrument.timeframe,
        context={"positions": positions.set_axis(published).to_frame("position")},
        known_at="open",
        moments=at,
        tolerance=0.0,
        seed=strategy.params.seed,
    )


def decided_before_filled(fills: pd.DataFrame, bar: pd.Timedelta, horizon: str) -> Check:
    """Every fill happens at or after the close that decided it."""
    late = (fills["decided_at"] + bar > fills["timestamp"]).to_numpy()
    first = str(fills["timestamp"].iloc[int(late.argmax())]) if late.any() else None
    times = (
        [at.isoformat() for at in (fills["timestamp"].min(), fills["timestamp"].max())] if len(fills) else [None] * 2
    )
    guilty = ("decided_at",) * bool(late.any())
    return Check(f"fills decided {horizon}", 1, len(fills), int(late.sum()), first, guilty, *times)


def fills_to_question(fills: pd.DataFrame, count: int, seed: int) -> list[Moment]:
    """Opens of some fills, at random, in order."""
    stamps = pd.DatetimeIndex(fills["timestamp"]).sort_values()
    chosen = np.random.default_rng(seed).choice(len(stamps), size=min(count, len(stamps)), replace=False)
    return [Moment(int(at), True, "the open of a fill") for at in stamps_of(stamps[np.sort(chosen)])]


def fill_table(fills: pd.DataFrame) -> pd.DataFrame:
    """Fills on the bars they happened in."""
    return fills.set_index("timestamp")[FILL_COLUMNS]


def _early(positions: pd.Series) -> pd.Series:
    """Each position a bar before it was decided: a leak."""
    return positions.shift(-1, fill_value=0.0)
