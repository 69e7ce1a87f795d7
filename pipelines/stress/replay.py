"""Positions as they were decided, replayed through every scenario from many moments."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.params import StressParams
from pipelines.stress.account import Account, Worth
from pipelines.stress.lay import lay, span
from pipelines.stress.moments import choose_moments
from pipelines.stress.outcome import DAY, Outcome, outcome
from pipelines.stress.scenario import Scenario
from trading.instrument import duration

Bars = Mapping[str, pd.DataFrame]
PATHS = ["scenario", "bar", "price", "equity", "unstressed"]


@dataclass(frozen=True, eq=False)
class Replay:
    """One scenario from one moment.

    Parameters
    ----------
    at
        Opening of the first bar that it touches.
    held
        Fraction of equity held at the close before; of several assets their sum.
    stressed, unstressed
        What happened to the account, and what would have happened without the scenario.
    worths
        The account's, in the same order, from the first bar of the replay on; the second may go on for longer.
    bars
        With the scenario on them.
    before
        Number of the close before.
    """

    at: pd.Timestamp
    held: float
    stressed: Outcome
    unstressed: Outcome
    worths: tuple[Worth, Worth]
    bars: Bars
    before: int

    def path(self) -> pd.DataFrame:
        """``price`` (mean of assets), ``equity``, ``unstressed`` by ``bar`` since the close before, where all are 1."""
        index, before = self.worths[0].index, self.before
        closes = np.stack([frame["close"].reindex(index).ffill().to_numpy() for frame in self.bars.values()])
        equity, unstressed = (one.close[before : len(index)] / (one.close[before] or np.nan) for one in self.worths)
        return pd.DataFrame(
            {
                "bar": np.arange(len(index) - before),
                "price": (closes / closes[:, [before]]).mean(axis=0)[before:],
                "equity": equity,
                "unstressed": unstressed,
            }
        )


def replay(
    scenario: Scenario, bars: Bars, positions: pd.DataFrame, start: pd.Timestamp, account: Account, bar: pd.Timedelta
) -> Replay:
    """Follow positions through bars with a scenario on them.

    Nothing is decided anew: the positions are those of the bars as they were, for the strategy could not know. The
    account starts with its capital at the first bar.

    Parameters
    ----------
    scenario
        What happens.
    bars
        By symbol, from the first to the last position.
    positions
        Targets, a column for each asset.
    start
        Opening of the first bar that the scenario touches.
    account
        Who follows them.
    bar
        Length of a bar.

    Raises
    ------
    BarError
        If no bar is before ``start``, or none in the scenario's hours.
    """
    return _replay(scenario, bars, positions, start, account, bar, _worth(account, bars, positions))


def stress_test(
    scenarios: Sequence[Scenario],
    bars: Bars,
    positions: pd.DataFrame,
    account: Account,
    settings: StressParams,
    bar: pd.Timedelta,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Every scenario from the same moments, and what the worst of them did.

    Each replay starts anew with the account's capital, a day and the bars of the impact's volatility before its moment.

    Parameters
    ----------
    scenarios
        The catalogue.
    bars, positions, account, bar
        As for :func:`replay`, over the whole test.
    settings
        How many moments, how long recovery is waited for, limits.

    Returns
    -------
    tuple of dict and DataFrame
        The table, as docs/stress-tests.md lists it; and the path of each scenario's worst moment, with columns
        ``scenario bar price equity unstressed``.
    """
    index = pd.DatetimeIndex(positions.index)
    lead = settings.liquidity.volatility_bars + math.ceil(DAY / bar)
    wanted, skipped = _possible(scenarios, len(bars), len(index) - lead, bar)
    longest = max((_bars(scenario, bar) for scenario in wanted), default=0)
    moments = choose_moments(positions, settings.moments if wanted else 0, lead, len(index) - longest + 1)
    found: dict[str, list[tuple[Outcome, Outcome]]] = {scenario.name: [] for scenario in wanted}
    worst: dict[str, Replay] = {}
    waited = math.ceil(duration(settings.recovery) / bar)
    for moment in moments:
        unstressed = _worth(account, *_around(bars, positions, moment - lead, moment + longest + waited))
        for scenario in wanted:
            seen = _around(bars, positions, moment - lead, moment + _bars(scenario, bar) + waited)
            one = _replay(scenario, *seen, index[moment], account, bar, unstressed)
            found[scenario.name].append((one.stressed, one.unstressed))
            # Only the worst is kept whole.
            worst[scenario.name] = max(worst.get(scenario.name, one), one, key=_severity)
    table = {
        "moments": len(moments),
        "exposure": float((positions != 0).any(axis=1).mean()),
        "capital": account.capital,
        "limits": settings.limits.model_dump(),
        "scenarios": [_row(one, found[one.name], worst[one.name], settings, bar) for one in wanted],
        "skipped": skipped,
    }
    drawn = [one.path().assign(scenario=name)[PATHS] for name, one in worst.items()]
    return table, pd.concat(drawn, ignore_index=True) if drawn else pd.DataFrame(columns=PATHS)


def _replay(
    scenario: Scenario,
    bars: Bars,
    positions: pd.DataFrame,
    start: pd.Timestamp,
    account: Account,
    bar: pd.Timedelta,
    unstressed: Worth,
) -> Replay:
    first, after = span(pd.DatetimeIndex(positions.index), start, scenario.hours)
    laid = lay(scenario, bars, start, bar)
    stressed = _worth(account, laid, positions, first, after, scenario.spread)
    return Replay(
        start,
        float(stressed.held[first - 1]),
        outcome(stressed, first, after),
        outcome(unstressed, first, after),
        (stressed, unstressed),
        laid,
        first - 1,
    )


def _around(bars: Bars, positions: pd.DataFrame, first: int, after: int) -> tuple[Bars, pd.DataFrame]:
    """Bars and positions between two positions, the second excluded."""
    followed = positions.iloc[first:after]
    seen = slice(followed.index[0], followed.index[-1])
    return {symbol: frame.loc[seen] for symbol, frame in bars.items()}, followed


def _worth(
    account: Account, bars: Bars, positions: pd.DataFrame, first: int = 0, after: int = 0, spread: float = 1.0
) -> Worth:
    return Worth.of(account.follow(bars, positions), bars, account.costs, first, after, spread)


def _bars(scenario: Scenario, bar: pd.Timedelta) -> int:
    """Bars that a scenario lasts, where none is missing."""
    return math.ceil(pd.Timedelta(hours=scenario.hours) / bar)


def _possible(
    scenarios: Sequence[Scenario], assets: int, room: int, bar: pd.Timedelta
) -> tuple[list[Scenario], list[dict[str, str]]]:
    """Scenarios that can be laid, and why the others cannot."""
    reasons = {}
    for scenario in scenarios:
        if scenario.correlated and assets < 2:
            reasons[scenario.name] = "needs several assets"
        elif _bars(scenario, bar) > room:
            reasons[scenario.name] = f"lasts {_bars(scenario, bar)} bars, and the test has room for {max(room, 0)}"
    return (
        [scenario for scenario in scenarios if scenario.name not in reasons],
        [{"name": name, "reason": reason} for name, reason in reasons.items()],
    )


def _severity(one: Replay) -> tuple[float, float]:
    return one.stressed.loss, one.stressed.drawdown


def _row(
    scenario: Scenario,
    pairs: Sequence[tuple[Outcome, Outcome]],
    worst: Replay,
    settings: StressParams,
    bar: pd.Timedelta,
) -> dict[str, Any]:
    """A scenario's line of the table."""
    outcomes = [stressed for stressed, _ in pairs]
    fired = [one.fired(**settings.limits.model_dump()) for one in outcomes]
    return {
        "name": scenario.name,
        "kind": scenario.kind,
        "description": scenario.description,
        "source": scenario.source,
        "hours": scenario.hours,
        "bars": _bars(scenario, bar),
        "loss": worst.stressed.loss,
        "loss_median": float(np.median([one.loss for one in outcomes])),
        "drawdown": max(one.drawdown for one in outcomes),
        "drawdown_median": float(np.median([one.drawdown for one in outcomes])),
        "daily_loss": max(one.daily_loss for one in outcomes),
        "at": worst.at,
        "held": worst.held,
        "unstressed_loss": worst.unstressed.loss,
        "added_loss": max(stressed.loss - unstressed.loss for stressed, unstressed in pairs),
        "recovery_bars": worst.stressed.recovery_bars,
        "recovered": float(np.mean([one.recovery_bars is not None for one in outcomes])),
        "limits": {
            name: float(np.mean([name in limits for limits in fired])) for name in type(settings.limits).model_fields
        },
    }
