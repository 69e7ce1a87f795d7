"""One self-contained HTML file that says what was tested, how it did against doing nothing, and what the gate said."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard import figures, wording
from dashboard.wording import MISSING
from pipelines.context import Context
from trading.errors import WorkspaceError

EVIDENCE = "data/evidence/evidence.json"
VERDICT = "data/gate/verdict.json"
REPORT = "data/report/report.html"
_DAY = pd.Timedelta(days=1)


def write_report(context: Context, cards: Mapping[str, Path]) -> Path:
    """Write the workspace's report, and a copy under the state folder that outlives the next run of another instrument.

    Reads the evidence, curves and fans that the stages left, and the verdict where it is there already. Versions are
    registered after it, with the report among their artifacts.

    Parameters
    ----------
    context
        Of the finished run.
    cards
        Page of each horizon's model card, in the folder ``cards`` beside the report.

    Returns
    -------
    Path
        ``data/report/report.html`` of the workspace.

    Raises
    ------
    StageError
        If the evidence or a horizon's curves have not been made.
    WorkspaceError
        If the report cannot be written.
    """
    files, instrument = context.files, context.run.instrument
    evidence = files.read_json(EVIDENCE)
    html = render(
        evidence,
        files.read_json(VERDICT) if files.exists(VERDICT) else None,
        {name: files.read_frame(f"data/backtest/{name}/curves.parquet") for name in evidence["horizons"]},
        {name: files.read_frame(f"data/backtest/{name}/fan.parquet") for name in evidence["horizons"]},
        bars_per_day=_DAY / instrument.bar,
        cards={name: f"cards/{page.name}" for name, page in cards.items()},
    )
    path = files.write_text(REPORT, html)
    copy = context.settings.state / "reports" / f"{instrument.name}.html"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    except OSError as error:
        raise WorkspaceError(
            f"cannot write the report: {error.strerror}",
            where=str(copy),
            remedy="choose a folder you may write to with ENGINE_STATE",
        ) from error
    return path


def render(
    evidence: Mapping[str, Any],
    verdict: Mapping[str, Any] | None,
    curves: Mapping[str, pd.DataFrame],
    fans: Mapping[str, pd.DataFrame],
    *,
    bars_per_day: float,
    cards: Mapping[str, str],
) -> str:
    """The page; equal content gives equal bytes.

    Parameters
    ----------
    evidence, verdict
        Content of their JSON files.
    curves
        For each horizon ``equity`` and ``buy_and_hold`` on the test bars.
    fans
        For each horizon quantiles ``p05 p25 p50 p75 p95`` of resampled equity over bars.
    bars_per_day
        To label the fan in days.
    cards
        Address of each horizon's model card, relative to the page.
    """
    from jinja2 import ChainableUndefined, Environment, PackageLoader

    page = Environment(
        loader=PackageLoader("dashboard"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=ChainableUndefined,
    )
    for name in (
        "number",
        "signed",
        "percent",
        "signed_percent",
        "points",
        "scientific",
        "plain",
        "day",
        "minute",
        "label",
        "push",
        "sentence",
    ):
        page.filters[name] = _optional(getattr(wording, name))
    headline, tone = wording.headline(verdict)
    judged: Mapping[str, Any] = (verdict or {}).get("horizons", {})
    spans = {
        "accuracy": _span(evidence, lambda one: [*_ends(one["skill"]["vote"], "accuracy"), _baseline(one)]),
        "sharpe": _span(
            evidence, lambda one: [*_ends(one["strategy"], "sharpe"), one["comparison"]["buy_and_hold"]["sharpe"], 0.0]
        ),
    }
    horizons = [
        {
            "name": name,
            "key": f"h{number}",
            "evidence": one,
            "verdict": judged.get(name),
            "card": cards.get(name),
            "baseline": _baseline(one),
            "members": wording.ordered(one["skill"], wording.FAMILIES),
            "baselines": wording.ordered(one["baselines"], wording.BASELINES),
            "rivals": [name for name in wording.ordered(one["comparison"], wording.BASELINES) if name != "random"],
            "accuracy_whisker": figures.whisker(
                *_ends(one["skill"]["vote"], "accuracy"), mark=_baseline(one), span=spans["accuracy"]
            ),
            "sharpe_whisker": figures.whisker(
                *_ends(one["strategy"], "sharpe"),
                mark=one["comparison"]["buy_and_hold"]["sharpe"],
                span=spans["sharpe"],
            ),
            "performance": figures.performance(f"{name}-performance", curves[name]),
            "fan": figures.fan(f"{name}-fan", fans[name], bars_per_day),
            "calibration": figures.calibration(f"{name}-calibration", one["calibration"]),
            "importance": figures.importance(f"{name}-importance", one["importance"]),
        }
        for number, (name, one) in enumerate(wording.by_length(evidence["horizons"]))
    ]
    return page.get_template("report.html.j2").render(
        evidence=evidence,
        headline=headline,
        tone=tone,
        horizons=horizons,
        questions=wording.QUESTIONS,
        selections=wording.SELECTIONS,
        interval=_interval,
    )


def _interval(
    source: Mapping[str, Any], key: str = "", digits: int = 2, scale: float = 1.0, low: str = "low", high: str = "high"
) -> str:
    """Interval of ``key`` in a mapping that names its ends ``<key>_low`` and ``<key>_high``, or ``p05`` and ``p95``."""
    prefix = f"{key}_" if key else ""
    return wording.interval(source.get(f"{prefix}{low}"), source.get(f"{prefix}{high}"), digits, scale)


def _optional(say: Any) -> Any:
    from jinja2 import Undefined

    def said(value: Any, *options: Any) -> str:
        text: str = MISSING if isinstance(value, Undefined) or value is None else say(value, *options)
        return text

    return said


def _baseline(one: Mapping[str, Any]) -> float | None:
    value: float | None = one["baselines"].get(one["best_baseline"], {}).get("accuracy")
    return value


def _ends(source: Mapping[str, Any], key: str) -> tuple[float | None, float | None, float | None]:
    return source.get(key), source.get(f"{key}_low"), source.get(f"{key}_high")


def _span(evidence: Mapping[str, Any], values: Any) -> tuple[float, float]:
    """One scale for the whiskers of every horizon, so that they can be compared by eye."""
    known = [value for one in evidence["horizons"].values() for value in values(one) if value is not None]
    return (min(known), max(known)) if known else (0.0, 1.0)
