"""From rows as found to believed bars at the target timeframe, with an account of everything left out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.params import ValidateParams
from pipelines.validate.rules import broken_rules
from trading.bars import COLUMNS, resample
from trading.errors import BarError, TooFewBarsError
from trading.instrument import duration

_GAPS = 100
_EXAMPLES = 3
_LISTED = 10
_CELLS = ["open", "high", "low", "close", "volume", "quote_volume"]


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
    bar, step = duration(source), duration(target)
    rule = broken_rules(rows, bar, limits.max_jump)
    broken = rule.notna().to_numpy(dtype=bool)
    quarantine = rows[broken].assign(rule=rule[broken], detail="").reset_index(drop=True)
    quarantine["detail"] = pd.Series(_details(quarantine), index=quarantine.index, dtype="string")
    believed = rows[~broken].set_index("timestamp")[COLUMNS]
    bars, incomplete = resample(believed, bar, step)
    gaps = find_gaps(pd.DatetimeIndex(bars.index), step)
    missing = int(gaps["missing_bars"].sum())
    longest = gaps.nlargest(_GAPS, "missing_bars", keep="first").sort_values("start")
    report = {
        "source_timeframe": source,
        "timeframe": target,
        "rows_read": len(rows),
        "rows_quarantined": len(quarantine),
        "quarantined_fraction": len(quarantine) / max(len(rows), 1),
        "quarantined_by_rule": {str(name): int(count) for name, count in rule.value_counts().sort_index().items()},
        "quarantined_examples": _examples(quarantine),
        "rows": len(bars),
        "first": bars.index[0] if len(bars) else None,
        "last": bars.index[-1] if len(bars) else None,
        "incomplete_bars_dropped": incomplete,
        "missing_bars": missing,
        "missing_fraction": missing / max(len(bars) + missing, 1),
        "gaps_total": len(gaps),
        # The longest ones, in time order.
        "gaps": [{"start": start, "missing_bars": int(count)} for start, count in longest.itertuples(index=False)],
    }
    return Screening(bars, quarantine, report)


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


def enforce(screening: Screening, limits: ValidateParams, where: str, *, quarantine_file: str | None = None) -> None:
    """Stop at bars that are worse than params allow.

    Parameters
    ----------
    screening
        What :func:`screen` found.
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
    first = quarantine[["timestamp", "rule", "detail"]].head(_LISTED)
    return [
        {"timestamp": None if pd.isna(stamp) else stamp, "rule": rule, "detail": detail}
        for stamp, rule, detail in first.itertuples(index=False)
    ]


def _quarantine_message(screening: Screening) -> str:
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
