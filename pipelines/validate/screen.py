"""From rows as found to believed bars at the target timeframe, with an account of everything left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.params import ValidateParams
from pipelines.pieces import regrouped, stamp_numbers
from pipelines.validate.rules import Reference, broken_rules, reference_after
from trading.bars import COLUMNS, ORDER_FLOW, bucket_numbers, resample
from trading.errors import BarError, TooFewBarsError
from trading.instrument import duration

_GAPS = 100
_EXAMPLES = 3
_LISTED = 10
_CELLS = [*COLUMNS, "quote_volume", *ORDER_FLOW]


@dataclass(frozen=True)
class Screening:
    """What a look at every row found.

    Parameters
    ----------
    bars
        Believed bars at the target timeframe (the bar contract of :mod:`trading.bars`).
    quarantine
        The other rows, as found, with the first ``rule`` each breaks and its ``detail``.
    report
        Counts of everything, ready for JSON.
    """

    bars: pd.DataFrame
    quarantine: pd.DataFrame
    report: dict[str, Any]


def screen(rows: pd.DataFrame, source: str, target: str, limits: ValidateParams) -> Screening:
    """Judge every row, set the offending ones aside, and build the target bars from the others.

    A target bar is built only when every source bar of it is present and believed; nothing is filled.

    Parameters
    ----------
    rows
        Rows in time order, see :func:`pipelines.ingest.arrange.arrange`.
    source, target
        Timeframe of the rows and of the wanted bars; the second is a multiple of the first.
    limits
        Only ``max_jump`` is used; :func:`enforce` applies the others.
    """
    aside: list[pd.DataFrame] = []
    screener = Screener(source, target, limits)
    bars = pd.concat(screener.bars([rows], aside.append))
    return Screening(bars, pd.concat(aside, ignore_index=True), screener.report)


class Screener:
    """Does what :func:`screen` does, of rows that come in pieces.

    Parameters
    ----------
    source, target, limits
        As :func:`screen`.

    Attributes
    ----------
    quarantine
        Of the rows that were set aside the first few of each rule.
    """

    def __init__(self, source: str, target: str, limits: ValidateParams) -> None:
        self._source, self._target = source, target
        self._bar, self._step = duration(source), duration(target)
        self._max_jump = limits.max_jump
        self._measured_from: Reference | None = None
        self._by_rule: Counter[str] = Counter()
        self._rows_read = self._rows = self._incomplete = 0
        self._first: pd.Timestamp | None = None
        self._last: pd.Timestamp | None = None
        self._gaps_total = self._missing = 0
        self._longest = pd.DataFrame({"start": [], "missing_bars": []})
        self._listed: list[dict[str, Any]] = []
        self.quarantine = pd.DataFrame()

    def bars(
        self, pieces: Iterable[pd.DataFrame], set_aside: Callable[[pd.DataFrame], object]
    ) -> Iterator[pd.DataFrame]:
        """Judge rows and build bars, once.

        Parameters
        ----------
        pieces
            Consecutive rows, as :func:`screen` takes them; one piece at least.
        set_aside
            Given the rows of each piece that cannot be believed, none included; see :class:`Screening`.

        Yields
        ------
        DataFrame
            Believed bars at the target timeframe.
        """
        judged = (self._judge(piece, set_aside) for piece in regrouped(pieces, stamp_numbers))
        believed: Iterator[pd.DataFrame] = judged
        if self._step != self._bar:
            believed = regrouped(judged, lambda rows: bucket_numbers(pd.DatetimeIndex(rows.index), self._step))
        for rows in believed:
            bars, incomplete = resample(rows, self._bar, self._step)
            self._incomplete += incomplete
            self._count(pd.DatetimeIndex(bars.index))
            yield bars

    @property
    def report(self) -> dict[str, Any]:
        """Counts of everything so far, ready for JSON."""
        quarantined = self._by_rule.total()
        return {
            "source_timeframe": self._source,
            "timeframe": self._target,
            "rows_read": self._rows_read,
            "rows_quarantined": quarantined,
            "quarantined_fraction": quarantined / max(self._rows_read, 1),
            "quarantined_by_rule": dict(sorted(self._by_rule.items())),
            "quarantined_examples": list(self._listed),
            "rows": self._rows,
            "first": self._first,
            "last": self._last,
            "incomplete_bars_dropped": self._incomplete,
            "missing_bars": self._missing,
            "missing_fraction": self._missing / max(self._rows + self._missing, 1),
            "gaps_total": self._gaps_total,
            # The longest ones, in time order.
            "gaps": [
                {"start": start, "missing_bars": int(count)} for start, count in self._longest.itertuples(index=False)
            ],
        }

    def _judge(self, rows: pd.DataFrame, set_aside: Callable[[pd.DataFrame], object]) -> pd.DataFrame:
        rows = rows.reset_index(drop=True)
        rule = broken_rules(rows, self._bar, self._max_jump, self._measured_from)
        self._measured_from = reference_after(rows, rule, self._bar, self._measured_from)
        broken = rule.notna().to_numpy(dtype=bool)
        quarantine = rows[broken].assign(rule=rule[broken], detail="").reset_index(drop=True)
        quarantine["detail"] = pd.Series(_details(quarantine), index=quarantine.index, dtype="string")
        set_aside(quarantine)
        self._rows_read += len(rows)
        self._by_rule.update(quarantine["rule"].tolist())
        self._listed += _examples(quarantine.head(_LISTED - len(self._listed)))
        self.quarantine = pd.concat([self.quarantine, quarantine]).groupby("rule").head(_EXAMPLES)
        flow = [name for name in ORDER_FLOW if name in rows]
        return rows[~broken].set_index("timestamp")[[*COLUMNS, *flow]]

    def _count(self, index: pd.DatetimeIndex) -> None:
        if not len(index):
            return
        gaps = find_gaps(index if self._last is None else index.insert(0, self._last), self._step)
        self._gaps_total += len(gaps)
        self._missing += int(gaps["missing_bars"].sum())
        if len(gaps):
            longest = pd.concat([self._longest, gaps]) if len(self._longest) else gaps
            self._longest = longest.nlargest(_GAPS, "missing_bars", keep="first").sort_values("start")
        self._rows += len(index)
        self._first = index[0] if self._first is None else self._first
        self._last = index[-1]


def find_gaps(index: pd.DatetimeIndex, bar: pd.Timedelta) -> pd.DataFrame:
    """Stretches without bars between the first and the last one.

    Returns
    -------
    DataFrame
        ``start`` (stamp of the first missing bar) and ``missing_bars``.
    """
    distance = (index[1:] - index[:-1]) // bar
    at = np.flatnonzero(distance > 1)
    return pd.DataFrame({"start": index[at] + bar, "missing_bars": np.asarray(distance[at], dtype=np.int64) - 1})


def enforce(
    screening: Screening | Screener, limits: ValidateParams, where: str, *, quarantine_file: str | None = None
) -> None:
    """Stop at bars that are worse than params allow.

    Parameters
    ----------
    screening
        What :func:`screen` found, or a screener that has seen everything.
    limits
        Limits of ``params.yaml``.
    where
        The source, for the message.
    quarantine_file
        Where the offending rows were written to, if they were.

    Raises
    ------
    BarError
        If too many rows are quarantined (with the count for each rule and the first examples) or too many bars are
        missing.
    TooFewBarsError
        If fewer bars than ``min_bars`` remain.
    """
    report = screening.report
    if report["quarantined_fraction"] > limits.max_quarantined_fraction:
        raise BarError(_quarantine_message(screening), where=where, **_quarantine_advice(limits, quarantine_file))
    if report["missing_fraction"] > limits.max_missing_fraction:
        worst = max(report["gaps"], key=lambda gap: gap["missing_bars"])
        raise BarError(
            f"{report['missing_bars']} of {report['rows'] + report['missing_bars']} {report['timeframe']} bars are "
            f"missing ({report['missing_fraction']:.1%}); the longest of {report['gaps_total']} gaps is "
            f"{worst['missing_bars']} bars from {worst['start']}",
            where=where,
            rule=f"at most {limits.max_missing_fraction:.1%} missing (validate.max_missing_fraction in params.yaml)",
            remedy="export the missing period, start after the gap, or raise the limit",
        )
    if report["rows"] < limits.min_bars:
        lacking = limits.min_bars - report["rows"]
        span = f", {report['first']} to {report['last']}" if report["rows"] else ""
        raise TooFewBarsError(
            f"{report['rows']} complete {report['timeframe']} bars{span}; {limits.min_bars} are needed",
            where=where,
            rule="enough bars for warm-up, training and test windows (validate.min_bars in params.yaml)",
            remedy=f"give {lacking} more bars ({lacking * duration(report['timeframe'])}), or a finer timeframe",
        )


def _examples(quarantine: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"timestamp": None if pd.isna(stamp) else stamp, "rule": rule, "detail": detail}
        for stamp, rule, detail in quarantine[["timestamp", "rule", "detail"]].itertuples(index=False)
    ]


def _quarantine_message(screening: Screening | Screener) -> str:
    report, quarantine = screening.report, screening.quarantine
    lines = [
        f"{report['rows_quarantined']} of {report['rows_read']} rows ({report['quarantined_fraction']:.2%}) cannot be "
        "believed"
    ]
    for name, count in sorted(report["quarantined_by_rule"].items(), key=lambda item: -item[1]):
        lines.append(f"  {name}: {count}")
        for stamp, detail in quarantine.loc[quarantine["rule"] == name, ["timestamp", "detail"]].head(_EXAMPLES).values:
            lines.append(f"    {'no time' if pd.isna(stamp) else stamp}: {detail}")
    return "\n".join(lines)


def _quarantine_advice(limits: ValidateParams, quarantine_file: str | None) -> dict[str, str]:
    listed = f"; {quarantine_file} lists them all" if quarantine_file else ""
    return {
        "rule": f"at most {limits.max_quarantined_fraction:.2%} (validate.max_quarantined_fraction in params.yaml)",
        "remedy": f"mend the rows in the source, or raise the limit if they may be left out{listed}",
    }


def _details(quarantine: pd.DataFrame) -> list[str]:
    """What stood in each row: the unreadable cells as they were, then the numbers."""
    cells = [name for name in _CELLS if name in quarantine]
    values = zip(*(quarantine[name] for name in cells), strict=True)
    numbers = [" ".join(f"{name}={value!r}" for name, value in zip(cells, row, strict=True)) for row in values]
    return [
        number if pd.isna(fault) else f"{fault}; {number}"
        for fault, number in zip(quarantine["fault_text"], numbers, strict=True)
    ]
