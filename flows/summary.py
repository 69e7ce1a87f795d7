"""What a command has to say: for a run one screen of 24 lines of 100 columns, or one object for a program."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from dashboard.wording import (
    FAMILIES,
    by_length,
    day,
    headline,
    interval,
    label,
    minute,
    number,
    ordered,
    percent,
    position,
    sentence,
    signed_percent,
)

if TYPE_CHECKING:
    from flows.retrain import RetrainResult
    from pipelines.exchange.update import Refreshed
    from pipelines.params import RunIdentity
    from pipelines.settings import Settings

WIDTH = 100
LINES = 24
_MOST_HORIZONS = 5


def lines_of(result: "RetrainResult", settings: "Settings") -> list[str]:
    """The summary of a finished run."""
    news = "" if result.ran else f"no bar after {minute(result.evidence['as_of'])}, so nothing was computed again"
    return summary(
        result.evidence,
        result.verdict,
        result.signal,
        shorten(result.report),
        port=settings.port,
        news=news,
        source=() if result.source is None else (str(result.source), *result.source.notes),
    )


def as_object(result: "RetrainResult", run: "RunIdentity") -> dict[str, Any]:
    """The same for a program, and everything that it rests on."""
    return {
        "symbol": run.instrument.symbol,
        "timeframe": run.timeframe,
        "source": run.source,
        "fetched": None if result.source is None else _fetched(result.source),
        "workspace": result.workspace,
        "new_bars": result.new_bars,
        "ran": list(result.ran),
        "headline": headline(result.verdict)[0],
        "signals": list(result.signal),
        "report": result.report,
        "evidence": result.evidence,
        "verdict": result.verdict,
        "registered": result.registered,
    }


def _fetched(source: "Refreshed") -> dict[str, Any]:
    bars = None if source.updated is None else source.updated.bars
    return {
        "last": source.last,
        "added": bars.added if bars else 0,
        "corrected": bars.corrected if bars else 0,
        "requests": bars.requests if bars else 0,
        "away": source.away,
        "notes": list(source.notes),
    }


def shorten(path: Path) -> str:
    """Relative to where the user stands, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def summary(
    evidence: Mapping[str, Any],
    verdict: Mapping[str, Any] | None,
    signals: Iterable[Mapping[str, Any]],
    report: str,
    *,
    port: int = 3000,
    news: str = "",
    source: Sequence[str] = (),
) -> list[str]:
    """Lines of at most 100 columns: what was tested, how it did against doing nothing, the verdict, what to do next.

    Parameters
    ----------
    evidence, verdict
        Content of ``evidence.json`` and ``verdict.json``.
    signals
        The newest signal of each horizon.
    report
        Path of the report.
    port
        Where serving will listen.
    news
        A sentence about what this run did, if it did less than all.
    source
        What an exchange gave, and what was odd about it; the screen has room for one oddity.
    """
    rows = by_length(evidence["horizons"])
    tested, data = evidence["test"], evidence["data"]
    models = ", ".join(label(name) for name in ordered(rows[0][1]["skill"], FAMILIES) if name != "vote")
    lines = [
        f"{evidence['instrument']['symbol']} {evidence['instrument']['timeframe']}   {number(data['rows'], 0)} bars,"
        f" {day(data['first'])} to {day(data['last'])}, {data['feature_count']} features",
        f"Tested on {day(tested['first'])} to {day(tested['last'])} in {tested['folds']} refits,"
        f" {number(evidence['costs']['per_side_bps'], 1)} bps a side; {_audit(evidence['audit'])}",
        f"Models    {models}, and their vote",
        *_feature_notes(evidence["features"]),
        "",
        *_table(evidence, verdict, rows),
        "",
        f"Verdict   {sentence(headline(verdict)[0])}",
        *_signal_summary(signals, evidence["horizons"]),
        *(f"{name:10}{said}" for name, said in zip(("Source", ""), source, strict=False)),
        f"Report    {report}",
        *([f"News      {news}"] if news else []),
        "Next      engine report   to open it        make ui      to compare models in MLflow",
        "          make serve      and then ask for a signal:",
        f"          curl -s localhost:{port}/predict -H 'content-type: application/json' \\",
        f'               -d \'{{"symbol": "{evidence["instrument"]["slug"]}"}}\'',
    ]
    while len(lines) > LINES and "" in lines:
        lines.remove("")
    return [line if len(line) <= WIDTH or line.startswith("Report") else f"{line[: WIDTH - 1]}…" for line in lines]


def _feature_notes(features: Mapping[str, Any]) -> list[str]:
    """What is missing beside the bars, and the groups of features that are off: two lines, the report has the rest."""
    said = [note.partition(":")[0] for note in features["notes"]]
    if off := ", ".join(f"{group} ({why})" for group, why in features["off"].items()):
        said.append(f"off: {off}")
    lines = wrap("; ".join(said), WIDTH - 10, max_lines=2, placeholder=" …")
    return [f"{name:10}{line}" for name, line in zip(("Features", ""), lines, strict=False)]


def _audit(audit: Mapping[str, Any]) -> str:
    if not audit["control_caught"]:
        return "THE AUDIT MISSED ITS CONTROL"
    return "nothing saw the future" if audit["clean"] else "THE AUDIT IS NOT CLEAN"


def _table(
    evidence: Mapping[str, Any], verdict: Mapping[str, Any] | None, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[str]:
    judged = (verdict or {}).get("horizons", {})
    level = percent(evidence["confidence"], 0)
    table = [
        ["", f"accuracy % [{level}]", "without skill %", f"net Sharpe [{level}]", "hold", "deflated (trials)", "gate"]
    ]
    for name, one in rows[:_MOST_HORIZONS]:
        vote, traded, found = one["skill"]["vote"], one["strategy"], judged.get(name, {})
        best = one["baselines"][one["best_baseline"]]["accuracy"]
        trials = found.get("trials", one["trials"])["counted"]
        table.append(
            [
                name,
                f"{_hundredth(vote['accuracy'])} {interval(vote['accuracy_low'], vote['accuracy_high'], 1, 100)}",
                f"{_hundredth(best)} {_SHORT.get(one['best_baseline'], label(one['best_baseline']))}",
                f"{number(traded['sharpe'])} {interval(traded['sharpe_low'], traded['sharpe_high'])}",
                number(one["comparison"]["buy_and_hold"]["sharpe"]),
                f"{number(found.get('deflated_sharpe', one['deflated_sharpe']))} ({number(trials, 0)})",
                found.get("verdict", "not judged"),
            ]
        )
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    lines.insert(1, "─" * min(sum(widths) + 2 * (len(widths) - 1), WIDTH))
    if more := len(rows) - _MOST_HORIZONS:
        lines += [f"… and {more} more in the report"] if more > 0 else []
    return lines


_SHORT: Mapping[str, str] = {
    "reversal": "reversal",
    "train_majority": "majority",
    "test_majority": "test majority",
}


def _hundredth(value: float | None) -> str:
    return number(None if value is None else value * 100, 1)


def _signal_summary(signals: Iterable[Mapping[str, Any]], judged: Iterable[str]) -> list[str]:
    """What is served now, which may be more than this run has made: horizons it left out keep their models."""
    found, judged = list(signals), set(judged)
    if not found:
        return []
    unproven = all(one["evidence"] == "unproven" for one in found)
    parts = [
        f"{one['horizon']} {position(one['position'])} (up {percent(one['prob_up'], 0)}"
        f"{'' if unproven else ', ' + one['evidence']}{'' if one['horizon'] in judged else ', earlier run'})"
        for one in found[:_MOST_HORIZONS]
    ]
    return [
        f"Signal    {'   '.join(parts)}",
        f"          known at {minute(str(found[0]['known_at']))}"
        f"{'; unproven: for trading on paper only' if unproven else ''}",
    ]


def signal_lines(signals: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of signals, with what they are worth."""
    first = signals[0]
    lines = [
        f"{first['symbol']} {first['timeframe']}, known at {minute(str(first['known_at']))}",
        "",
        f"{'horizon':8} {'position':10} {'up':>6}  {'return expected within':24} {'model':28} {'evidence'}",
    ]
    lines += [
        f"{one['horizon']:8} {position(one['position']):10} {percent(one['prob_up']):>6}  "
        f"{_range(one):24} {one['model_name'] + ' v' + str(one['model_version']):28} {one['evidence']}"
        for one in signals
    ]
    known = {one["evidence"] for one in signals}
    said = [text for evidence, text in _WORTH.items() if evidence in known]
    return [*lines, *([""] if said else []), *said]


_WORTH: Mapping[str, str] = {
    "unproven": "unproven: the model has not passed the gate. For trading on paper, not with money.",
    "overridden": "overridden: somebody promoted the model over the gate's head; `engine history` says who and why.",
}


def _range(one: Mapping[str, Any]) -> str:
    return f"{signed_percent(one['interval_low'])} to {signed_percent(one['interval_high'])}"


def validation_lines(report: Mapping[str, Any]) -> list[str]:
    """What a file of bars is, and what had to be left out."""
    columns = ", ".join(f"{name} from {source!r}" for name, source in report["columns"].items() if name != source)
    broken = ", ".join(f"{count} {rule}" for rule, count in report["quarantined_by_rule"].items())
    lines = [
        f"{report['source']} can be used",
        f"bars         {number(report['rows'], 0)} of {report['timeframe']}"
        f" (the file's own: {report['source_timeframe']}),"
        f" {minute(str(report['first']))} to {minute(str(report['last']))}",
        f"missing      {number(report['missing_bars'], 0)} ({percent(report['missing_fraction'], 2)}) in"
        f" {number(report['gaps_total'], 0)} gaps; left as gaps",
        f"incomplete   {number(report['incomplete_bars_dropped'], 0)} dropped",
        f"quarantined  {number(report['rows_quarantined'], 0)}{f': {broken}' if broken else ''}",
        f"duplicates   {number(report['duplicates_collapsed'], 0)} equal rows collapsed",
    ]
    if columns:
        lines.append(f"columns      {columns}")
    return lines + [f"note         {remark}" for remark in report["notes"]]
