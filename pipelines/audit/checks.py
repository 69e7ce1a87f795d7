"""Compare the pipeline's answer under the true future with its answer under another one, up to the moment they part."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from models.return_scale import ReturnScale
from models.voting import SoftVoting
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldTask, fit_vote, predict_block
from pipelines.dataset import Dataset
from trading.instrument import Instrument

FILL_COLUMNS = ["decided_at", "price", "units", "notional", "fee", "spread_cost"]


@dataclass(frozen=True)
class Check:
    """One comparison: how many values were compared, how many differed, and where the first difference is."""

    check: str
    cut: pd.Timestamp
    compared: int
    changed: int
    first_changed: str | None


def compare(name: str, cut: pd.Timestamp, true: pd.DataFrame, other: pd.DataFrame) -> Check:
    """Compare two frames value by value, exactly; a row or column that is in one only differs in every value."""
    rows, columns = true.index.union(other.index), true.columns.union(other.columns)
    left, right = true.reindex(index=rows, columns=columns), other.reindex(index=rows, columns=columns)
    same = (left == right) | (left.isna() & right.isna())
    same.loc[~(rows.isin(true.index) & rows.isin(other.index))] = False
    different = ~same.to_numpy(dtype=bool)
    first = None
    if different.any():
        row, column = np.argwhere(different)[0]
        first = f"{columns[column]} at {rows[row]}"
    return Check(name, cut, different.size, int(different.sum()), first)


def known_by(frame: pd.DataFrame, cut: pd.Timestamp, bar: pd.Timedelta) -> pd.DataFrame:
    """Rows whose bar had closed at ``cut``."""
    return frame.loc[pd.DatetimeIndex(frame.index) + bar <= cut]


def labels_known_by(labels: pd.DataFrame, cut: pd.Timestamp, bar: pd.Timedelta) -> pd.DataFrame:
    """Labels whose last price stands in a bar that had closed at ``cut``."""
    return labels.loc[labels["t_end"] + bar <= cut, ["label", "ret"]]


def outcomes_ahead(name: str, cut: pd.Timestamp, true: pd.DataFrame, other: pd.DataFrame, bar: pd.Timedelta) -> Check:
    """Returns decided by ``cut`` and ending later must all differ under another future.

    One that stays was known when it was to be forecast: a label that a perfect score costs nothing.
    """
    pending = (pd.DatetimeIndex(true.index) + bar <= cut) & (true["t_end"] + bar > cut)
    ret = true.loc[pending, "ret"].dropna()
    same = ret == other["ret"].reindex(ret.index)
    first = f"ret at {ret.index[int(same.to_numpy().argmax())]}" if same.any() else None
    return Check(name, cut, len(ret), int(same.sum()), first)


@dataclass(frozen=True)
class FitAudit:
    """One horizon's first refit, repeated in a world whose future is another. Travels to a worker process.

    Attributes
    ----------
    task
        The refit as the backtest did it.
    other
        The data of a world that parts from ours at the close of the first test bar.
    worlds
        Moments in the test block, and the features of a world that parts from ours at each.
    bars
        Bars of these worlds.
    predictions, fills, equity
        What the backtest stored.
    """

    task: FoldTask
    other: Dataset
    worlds: dict[pd.Timestamp, pd.DataFrame]
    bars: dict[pd.Timestamp, pd.DataFrame]
    predictions: pd.DataFrame
    fills: pd.DataFrame
    equity: pd.DataFrame
    strategy: Strategy


def audit_fit(job: FitAudit) -> list[Check]:
    """Refit on the other world, and follow the forecasts to positions, fills and equity."""
    task, bar = job.task, job.strategy.instrument.bar
    index = pd.DatetimeIndex(task.data.X.index)
    start = index[task.test[0]] + bar
    # The same moments in the other world: a row that is missing there would already be a leak, and shows as one.
    positions = job.other.X.index.get_indexer(index[task.train])
    vote, scale = fit_vote(replace(task, data=job.other, train=positions[positions >= 0]))
    said = [c for c in job.predictions.columns if c in {*task.weights, "vote", "unit_edge", "low", "high"}]
    stored = job.predictions.loc[index[task.test], said]
    again = predict_block(task, vote, scale, task.data.X)[said]
    checks = [compare(f"fit {task.horizon}", start, stored, again)]
    for cut, features in job.worlds.items():
        checks += _follow(job, vote, scale, cut, features, stored)
    return checks


def _follow(
    job: FitAudit, vote: SoftVoting, scale: ReturnScale, cut: pd.Timestamp, features: pd.DataFrame, stored: pd.DataFrame
) -> Iterable[Check]:
    bar, horizon, index = job.strategy.instrument.bar, job.task.horizon, pd.DatetimeIndex(job.task.data.X.index)
    known = replace(job.task, test=job.task.test[index[job.task.test] + bar <= cut])
    true = known_by(stored, cut, bar)
    forecast = predict_block(known, vote, scale, features.reindex(index))[stored.columns]
    yield compare(f"forecasts {horizon}", cut, true, forecast)
    position = job.strategy.positions(forecast["vote"], forecast["unit_edge"])
    then = job.predictions.loc[true.index, ["position"]]
    yield compare(f"positions {horizon}", cut, then, position.to_frame("position"))
    traded = job.strategy.simulate(known_by(job.bars[cut], cut, bar), position)
    yield compare(f"fills {horizon}", cut, _fills(job.fills, cut, bar), _fills(traded.fills, cut, bar))
    yield compare(f"equity {horizon}", cut, known_by(job.equity, cut, bar), traded.equity.to_frame("equity"))


def _fills(fills: pd.DataFrame, cut: pd.Timestamp, bar: pd.Timedelta) -> pd.DataFrame:
    return known_by(fills.set_index("timestamp")[FILL_COLUMNS], cut, bar)


def moments(test: pd.DatetimeIndex, instrument: Instrument, cuts: int, seed: int) -> list[pd.Timestamp]:
    """Moments at bar closes, spread at random over a test block, in order."""
    inside = np.random.default_rng(seed).choice(
        np.arange(1, len(test) - 1), size=min(cuts, len(test) - 2), replace=False
    )
    return [test[position] + instrument.bar for position in sorted(inside)]


def verdict(checks: Iterable[Check], controls: Iterable[Check]) -> dict[str, Any]:
    """Sum the checks up by kind; clean if nothing changed, and the controls, which do look ahead, were caught."""
    checks, controls = list(checks), list(controls)
    kinds: dict[str, list[Check]] = {}
    for check in checks:
        kinds.setdefault(check.check, []).append(check)
    # A strategy that never traded has no fills; no feature, label or forecast would mean that nothing was audited.
    needed = [kind for kind in kinds if not kind.startswith(("fills", "execution"))]
    caught = {control.check: False for control in controls} | {c.check: True for c in controls if c.changed}
    return {
        "clean": all(check.changed == 0 for check in checks)
        and all(sum(check.compared for check in kinds[kind]) > 0 for kind in needed),
        # At one cut a gap may hide what a control does; a kind that is never caught proves nothing.
        "control_caught": bool(caught) and all(caught.values()),
        "controls": _summed(controls),
        "checks": _summed(checks),
    }


def _summed(checks: Iterable[Check]) -> list[dict[str, Any]]:
    kinds: dict[str, list[Check]] = {}
    for check in checks:
        kinds.setdefault(check.check, []).append(check)
    return [
        {
            "check": kind,
            "cuts": len(group),
            "compared": sum(c.compared for c in group),
            "changed": sum(c.changed for c in group),
            "first_changed": next((c.first_changed for c in group if c.first_changed), None),
        }
        for kind, group in kinds.items()
    ]
