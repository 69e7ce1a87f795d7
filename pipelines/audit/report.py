"""What the look-ahead audit found, to read, to tabulate and to store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipelines.audit.worlds import Moment

ROWS = "(rows)"
_LISTED = 12


@dataclass(frozen=True)
class Finding:
    """One column that changed although nothing known by then had.

    Attributes
    ----------
    column
        The guilty column; :data:`ROWS` where rows appeared or disappeared.
    world
        What the future was replaced by: ``mirrored``, ``shuffled`` or ``removed``.
    moment, why
        Everything known by this moment was left as it is, and what is special about the moment.
    row, known_at
        First row that changed, and when it claims to be known.
    ahead
        Bars, at least, by which it saw too far: 1 is the very next bar.
    rows
        Rows that changed.
    before, after
        The row's value under the true future and under the other one; None for what is no number.
    largest
        Largest difference; None where something appeared, disappeared, or is no number.
    """

    column: Any
    world: str
    moment: pd.Timestamp
    why: str
    row: Any
    known_at: pd.Timestamp
    ahead: int
    rows: int
    before: Any
    after: Any
    largest: float | None


@dataclass(frozen=True)
class Failure:
    """A future on which the step raised: neither a leak nor its absence.

    Attributes
    ----------
    world, moment, why
        As of a :class:`Finding`.
    error
        Type and first line of what was raised.
    """

    world: str
    moment: pd.Timestamp
    why: str
    error: str


@dataclass(frozen=True)
class Report:
    """Outcome of :func:`pipelines.audit.lookahead.find_lookahead`.

    Attributes
    ----------
    findings
        Every change of something known, in the order of discovery; those of a column that lead with it come first.
    cells
        Values compared, by column.
    moments
        Moments looked at, in time order.
    evaluations
        Runs of the step.
    failures
        Futures on which the step raised.
    unstable
        Columns that differ between two runs on the same bars: nothing can be said about them.
    rounding
        Columns that moved by less than the tolerance, and the largest move as a share of the column's size.
    """

    findings: Sequence[Finding]
    cells: Mapping[Any, int]
    moments: Sequence[Moment]
    evaluations: int
    failures: Sequence[Failure] = ()
    unstable: Sequence[Any] = ()
    rounding: Mapping[Any, float] | None = None

    @property
    def columns(self) -> list[Any]:
        """The guilty columns, in the order of the frame; :data:`ROWS` if only the existence of rows gave it away."""
        found = {finding.column for finding in self.findings}
        return [column for column in self.cells if column in found] + [c for c in [ROWS] if c in found]

    @property
    def verdict(self) -> str:
        """``guilty``, ``clean``, or ``undecided`` where a step is not deterministic or never answered."""
        if self.findings:
            return "guilty"
        return "clean" if not self.unstable and self.compared else "undecided"

    @property
    def clean(self) -> bool:
        """Whether something was compared and nothing known depended on what came later."""
        return self.verdict == "clean"

    @property
    def compared(self) -> int:
        """Values compared."""
        return sum(self.cells.values())

    @property
    def unseen(self) -> list[Any]:
        """Columns of which no value was compared: blank in every row that was known at a moment."""
        return [column for column, count in self.cells.items() if not count]

    def first(self, column: Any) -> Finding:
        """The finding that shows a column's leak best: the farthest look ahead, the simplest future."""
        return max((f for f in self.findings if f.column == column), key=lambda finding: finding.ahead)

    def to_frame(self) -> pd.DataFrame:
        """One row for each finding, with the fields of :class:`Finding`."""
        return pd.DataFrame([vars(finding) for finding in self.findings], columns=list(Finding.__annotations__))

    def as_object(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        best = [self.first(column) for column in self.columns]
        return {
            "verdict": self.verdict,
            "clean": self.clean,
            "columns": [str(column) for column in self.columns],
            "findings": [
                {name: _plain(value) for name, value in vars(finding).items()}
                | {"caught": sum(f.column == finding.column for f in self.findings)}
                for finding in best
            ],
            "moments": [{"at": moment.time.isoformat(), "why": moment.why} for moment in self.moments],
            "evaluations": self.evaluations,
            "compared": self.compared,
            "failures": [{name: _plain(value) for name, value in vars(one).items()} for one in self.failures],
            "unstable": [str(column) for column in self.unstable],
            "rounding": {str(column): size for column, size in (self.rounding or {}).items()},
            "unseen": [str(column) for column in self.unseen],
        }

    def to_json(self) -> str:
        """:meth:`as_object` as text."""
        from pipelines.artifacts import json_text

        return json_text(self.as_object())

    def __str__(self) -> str:
        columns = f"{len(self.cells)} column{'s'[: len(self.cells) != 1]}"
        runs = f"{len(self.moments)} moments, {self.evaluations} runs of the step"
        scope = f"{columns}, {self.compared:,} values, {runs}"
        lines = [f"{_VERDICTS[self.verdict]}: {scope}"]
        for column in self.columns[:_LISTED]:
            lines += _told(column, self.first(column), sum(f.column == column for f in self.findings))
        if (more := len(self.columns) - _LISTED) > 0:
            lines.append(f"  and {more} more: {_names(self.columns[_LISTED:])}")
        if self.unstable:
            lines.append(f"  not judged, for two runs on the same bars differ: {_names(self.unstable)}")
        if self.failures:
            one, count = self.failures[0], len(self.failures)
            lines.append(f"  the step raised on {count} of the other futures, which proves nothing either way; first")
            lines.append(f"    {one.world} after {_time(one.moment)} ({one.why}): {one.error}")
        if self.rounding:
            largest = max(self.rounding.values())
            lines.append(
                f"  moved by rounding only, {largest:.1e} of their size at most: {_names(list(self.rounding))}"
            )
        if self.unseen:
            lines.append(f"  never compared, for they were blank wherever they were known: {_names(self.unseen)}")
        return "\n".join(lines)


_VERDICTS = {"guilty": "LOOK-AHEAD", "clean": "no look-ahead", "undecided": "NOT DECIDED"}


def _told(column: Any, finding: Finding, times: int) -> list[str]:
    bars = f"{finding.ahead} bar{'s'[: finding.ahead != 1]}"
    changed = f"{finding.rows} row{'s'[: finding.rows != 1]}"
    values = "" if finding.before is None else f": {_value(finding.before)} became {_value(finding.after)}"
    return [
        f"  {column} sees at least {bars} too far (caught {times} time{'s'[: times != 1]})",
        f"    with the future after {_time(finding.moment)} {finding.world} ({finding.why}), {changed} changed",
        f"    first {_time(finding.row)}, known at {_time(finding.known_at)}{values}",
    ]


def _names(columns: Sequence[Any]) -> str:
    shown = ", ".join(map(str, columns[:_LISTED]))
    return shown + (f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else "")


def _time(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_time, value))
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, pd.Timestamp) else str(value)


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """A value as JSON takes it; what it does not know becomes text."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value if value is None or isinstance(value, int | float | str) else str(value)
