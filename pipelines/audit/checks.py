"""What the audit of the real pipeline says: one line for each thing that was questioned, and a verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipelines.audit.pipeline import part_of
from pipelines.audit.report import ROWS, Failure, Report

CONTROL = "control"
# As a bar meets them. What is not about a horizon comes first.
ORDER = (
    *("labels", "outcomes", "tuning data", "fit", "forecasts"),
    *("positions", "fills decided", "execution", "fills", "equity"),
)


@dataclass(frozen=True)
class Check:
    """One thing that was questioned.

    Attributes
    ----------
    check
        Name.
    cuts, first_cut, last_cut
        Moments at which it was: how many, and from when to when.
    compared, changed
        Values compared, and how many of them differed.
    first_changed
        Column and row of the first that did.
    columns
        The guilty columns.
    """

    check: str
    cuts: int
    compared: int
    changed: int
    first_changed: str | None = None
    columns: Sequence[str] = ()
    first_cut: str | None = None
    last_cut: str | None = None


@dataclass
class Findings:
    """Everything that the audit has asked so far."""

    checks: list[Check] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def add(self, report: Report, rows: str) -> None:
        """Take a report on a table; whole rows that came or went are held against the check ``rows``."""
        self.failures += report.failures
        self.checks += checks_of(report, rows)


def checks_of(report: Report, rows: str) -> list[Check]:
    """A check for each frame of a table; rows that came or went are held against the check ``rows``."""
    parts: dict[str, list[str]] = {}
    for column in report.cells:
        parts.setdefault(part_of(column), []).append(column)
    if ROWS in report.columns:
        parts.setdefault(rows, []).append(ROWS)
    return [_check(report, part, columns) for part, columns in parts.items()]


def _check(report: Report, part: str, columns: list[str]) -> Check:
    found = [finding for finding in report.findings if finding.column in columns]
    names = tuple(dict.fromkeys(finding.column.removeprefix(f"{part}: ") for finding in found))
    times = [moment.time.isoformat() for moment in report.moments]
    return Check(
        check=part,
        cuts=len(times),
        compared=sum(report.cells.get(column, 0) for column in columns),
        changed=sum(finding.rows for finding in found),
        first_changed=f"{names[0]} at {found[0].row}" if found else None,
        columns=names,
        first_cut=min(times, default=None),
        last_cut=max(times, default=None),
    )


def outcomes_ahead(name: str, cut: pd.Timestamp, true: pd.DataFrame, other: pd.DataFrame, bar: pd.Timedelta) -> Check:
    """Returns decided by ``cut`` and ending later must all differ under another future.

    One that stays was known when it was to be forecast: a label that a perfect score costs nothing.
    """
    pending = (pd.DatetimeIndex(true.index) + bar <= cut) & (true["t_end"] + bar > cut)
    ret = true.loc[pending, "ret"].dropna()
    same = ret == other["ret"].reindex(ret.index)
    first = f"ret at {ret.index[int(same.to_numpy().argmax())]}" if same.any() else None
    at = cut.isoformat()
    return Check(name, 1, len(ret), int(same.sum()), first, ("ret",) * bool(same.any()), at, at)


def verdict(found: Findings, horizons: Sequence[str]) -> dict[str, Any]:
    """Sum the checks up by name; clean if nothing changed, and the controls, which do look ahead, were caught.

    Parameters
    ----------
    found
        Checks and failures in any order, as several workers may find them.
    horizons
        In their order.

    Returns
    -------
    dict
        ``clean``, ``control_caught``, and for ``checks`` and ``controls`` a row each with the fields of
        :class:`Check`; ``failures``: futures on which something could not be computed.
    """

    def place(check: Check) -> tuple[int, int]:
        kind, _, horizon = check.check.rpartition(" ")
        known = kind in ORDER and horizon in horizons
        return (ORDER.index(kind), horizons.index(horizon)) if known else (-1, 0)

    ordered = sorted(found.checks, key=place)
    checks, controls = (
        _summed(check for check in ordered if check.check.startswith(CONTROL) == control) for control in (False, True)
    )
    # A strategy that never traded has no fills; no feature, label or forecast would mean that nothing was audited.
    needed = [check for check in checks if not check.check.startswith(("fills", "execution"))]
    # A control that is about nothing, for there were no fills, cannot be caught.
    able = [control for control in controls if control.compared]
    return {
        "clean": not any(check.changed for check in checks) and all(check.compared for check in needed),
        "control_caught": bool(able) and all(control.changed for control in able),
        "controls": [vars(control) for control in controls],
        "checks": [vars(check) for check in checks],
        "failures": [
            {"world": one.world, "moment": one.moment.isoformat(), "why": one.why, "error": one.error}
            for one in sorted(found.failures, key=lambda one: (one.moment, one.world, one.error))
        ],
    }


def _summed(checks: Iterable[Check]) -> list[Check]:
    kinds: dict[str, list[Check]] = {}
    for check in checks:
        # A control goes by what it does, whichever horizon it does it at.
        kinds.setdefault(check.check, []).append(check)
    return [
        Check(
            check=kind,
            cuts=sum(c.cuts for c in group),
            compared=sum(c.compared for c in group),
            changed=sum(c.changed for c in group),
            first_changed=next((c.first_changed for c in group if c.first_changed), None),
            columns=tuple(dict.fromkeys(name for c in group for name in c.columns)),
            first_cut=min((c.first_cut for c in group if c.first_cut), default=None),
            last_cut=max((c.last_cut for c in group if c.last_cut), default=None),
        )
        for kind, group in kinds.items()
    ]
