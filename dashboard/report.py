"""One self-contained HTML file that says what was tested, how it did against doing nothing, and what the gate said."""

import shutil
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dashboard import evidence_figures, figures, wording
from dashboard.history import WINDOW_DAYS, drawdowns, monthly_returns, rolling_sharpe
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
        For each horizon ``equity``, ``buy_and_hold`` and ``net_return`` on the test bars.
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
        "scenario",
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
            # The gate's number and what it was deflated by; before it has spoken, those of the run.
            "deflated": judged.get(name, one),
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
            "months": _months(curves[name]["equity"]),
            "drawdowns": drawdowns(curves[name]["equity"]),
            "costs": _costs(one["strategy"]),
            **_simulated(name, one),
            **_doubts(name, one, curves[name]["net_return"], bars_per_day, evidence["confidence"]),
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
        window_days=WINDOW_DAYS,
    )


def _interval(
    source: Mapping[str, Any] | None,
    key: str = "",
    digits: int = 2,
    scale: float = 1.0,
    low: str = "low",
    high: str = "high",
) -> str:
    """Interval of ``key`` in a mapping that names its ends ``<key>_low`` and ``<key>_high``; None was not measured."""
    known, prefix = source or {}, f"{key}_" if key else ""
    return wording.interval(known.get(f"{prefix}{low}"), known.get(f"{prefix}{high}"), digits, scale)


def _optional(say: Any) -> Any:
    from jinja2 import Undefined

    def said(value: Any, *options: Any) -> str:
        text: str = MISSING if isinstance(value, Undefined) or value is None else say(value, *options)
        return text

    return said


def _doubts(
    name: str, one: Mapping[str, Any], returns: pd.Series, bars_per_day: float, confidence: float
) -> dict[str, Any]:
    """Pictures of what the evidence has measured; None where there is nothing to draw."""
    ratios = rolling_sharpe(returns, bars_per_day, confidence)
    missing = ratios["sharpe"].isna()
    costs, capacity = one.get("break_even_curve") or {}, (one.get("stress") or {}).get("capacity") or {}
    chosen = {kind: (found or {}).get("logits") for kind, found in (one.get("overfitting") or {}).items()}
    return {
        "rolling_holes": bool(missing.any()),
        "rolling": None if missing.all() else evidence_figures.rolling_sharpe(f"{name}-rolling", ratios),
        "break_even": evidence_figures.break_even(f"{name}-break-even", costs) if _measured(costs) else None,
        "capacity": evidence_figures.capacity(f"{name}-capacity", capacity) if _measured(capacity) else None,
        "overfitting": {
            kind: evidence_figures.overfitting(f"{name}-overfitting-{kind}", logits) if logits else None
            for kind, logits in chosen.items()
        },
    }


def _simulated(name: str, one: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of what was drawn anew, as far as it was, and their picture."""
    told = one.get("simulated") or {}
    found = [
        (words, reduce(lambda node, key: (node or {}).get(key), keys, told)) for keys, words in wording.DRAWN.items()
    ]
    rows = [(words, drawn) for words, drawn in found if drawn and drawn["draws"]]
    ratios = [(words, drawn["sharpe"]) for words, drawn in rows if (drawn.get("sharpe") or {}).get("mean") is not None]
    own = one["strategy"]["sharpe"]
    return {
        "simulated": rows,
        "spreads": evidence_figures.spreads(f"{name}-spreads", ratios, own) if ratios else None,
    }


def _measured(curve: Mapping[str, Any]) -> bool:
    return any(value is not None for value in curve.get("sharpe") or ())


def _costs(strategy: Mapping[str, Any]) -> list[tuple[str, float | None, float | None]]:
    """What was paid for, with its share of all; kinds that a run does not know are left out."""
    paid = [(words, strategy.get(key)) for key, words in wording.COSTS.items() if key in strategy]
    total = sum(amount or 0.0 for _, amount in paid)
    return [(words, amount, None if amount is None or not total else amount / total) for words, amount in paid]


def _months(equity: pd.Series) -> list[dict[str, Any]]:
    """Rows of the heat map; a cell's share of colour grows with its return, up to that of the largest one."""
    table = monthly_returns(equity)
    largest = float(np.nanmax(np.abs(table.drop(columns="year").to_numpy()))) or 1.0
    return [
        {
            "year": year,
            "total": row["year"],
            "cells": [
                {"value": value, "share": None if pd.isna(value) else round(45 * abs(value) / largest)}
                for value in row.drop("year")
            ],
        }
        for year, row in table.iterrows()
    ]


def _baseline(one: Mapping[str, Any]) -> float | None:
    value: float | None = one["baselines"].get(one["best_baseline"], {}).get("accuracy")
    return value


def _ends(source: Mapping[str, Any], key: str) -> tuple[float | None, float | None, float | None]:
    return source.get(key), source.get(f"{key}_low"), source.get(f"{key}_high")


def _span(evidence: Mapping[str, Any], values: Any) -> tuple[float, float]:
    """One scale for the whiskers of every horizon, so that they can be compared by eye."""
    known = [value for one in evidence["horizons"].values() for value in values(one) if value is not None]
    return (min(known), max(known)) if known else (0.0, 1.0)
