"""Two versions side by side, as rows for the terminal and as a page of its own."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from dashboard import evidence_figures, wording
from dashboard.wording import MISSING, interval, minute, number, percent, plain, points, signed

# Words, and how the value is said: a share, a difference of shares or a number, with so many digits.
_SAID: Mapping[str, tuple[str, Callable[[float | None, int], str], int]] = {
    "skill.vote.accuracy": ("direction right", percent, 1),
    "best_baseline_accuracy": ("the best rule without skill", percent, 1),
    "skill_over_baseline": ("direction right over that rule, points", points, 1),
    "strategy.sharpe": ("Sharpe ratio after costs", number, 2),
    "strategy.total_return": ("total return", percent, 1),
    "strategy.max_drawdown": ("largest drawdown", percent, 1),
    "strategy.trades": ("fills", number, 0),
    "strategy.turnover_per_year": ("turnover a year", number, 0),
    "strategy.exposure": ("in the market", percent, 1),
    "comparison.buy_and_hold.sharpe": ("Sharpe ratio of buy and hold", number, 2),
    "probabilistic_sharpe": ("probabilistic Sharpe", percent, 1),
    "verdict.deflated_sharpe": ("deflated Sharpe, over the whole ledger", percent, 1),
    "verdict.trials.deflated_by": ("independent trials deflated by", number, 0),
    "verdict.trials.counted": ("trials counted", number, 0),
    "overfitting.search.probability": ("overfitting of the search", percent, 1),
    "superior_ability.probability": ("p-value, no better than the baselines", number, 3),
    "break_even_curve.zero_bps": ("cost of Sharpe 0, bps a side", number, 1),
}

Row = tuple[str, ...]


def version_rows(found: Mapping[str, Any]) -> list[Row]:
    """What each version is, and what the gate said."""
    both = [found["versions"][side] for side in ("a", "b")]

    def row(words: str, say: Any) -> Row:
        return (words, *(say(one) for one in both))

    return [
        row("aliases", lambda one: ", ".join(one["aliases"]) or MISSING),
        row("as of", lambda one: minute(one["as_of"])),
        row("tested from", lambda one: minute(one["test"]["first"])),
        row("tested to", lambda one: minute(one["test"]["last"])),
        row("verdict", lambda one: one["verdict"]),
        row("asked", lambda one: one["question"] or MISSING),
        row("recipe", lambda one: one["recipe_sha256"][:12]),
    ]


def summaries(found: Mapping[str, Any]) -> Row:
    """What the gate said of each, in a sentence."""
    return tuple(wording.sentence(found["versions"][side]["summary"]) for side in ("a", "b"))


def metric_rows(found: Mapping[str, Any]) -> list[Row]:
    """Metrics of both, each over its own test, and the first less the second; of shares in percentage points."""
    rows: list[Row] = []
    for one in found["metrics"]:
        words, say, digits = _SAID[one["metric"]]
        less, scale = (signed, 1.0) if say is number else (points, 100.0)
        both = [
            f"{say(one[side], digits)} {interval(ends[0], ends[1], digits, scale)}" if ends else say(one[side], digits)
            for side, ends in one["interval"].items()
        ]
        rows.append((words, *both, less(one["difference"], digits)))
    return rows


def param_rows(found: Mapping[str, Any]) -> list[Row]:
    """Parameters that differ."""
    return [(one["param"], plain(one["a"]), plain(one["b"])) for one in found["params"]]


def difference_said(found: Mapping[str, Any]) -> str:
    """The paired difference in a sentence: what the gate asks."""
    common, names = found["common"], [found["versions"][side]["version"] for side in ("a", "b")]
    bars = f"{number(common['bars'], 0)} common bars, {minute(str(common['first']))} to {minute(str(common['last']))}"
    if common["difference"] is None:
        both = f"the Sharpe ratios of versions {names[0]} and {names[1]}"
        return f"Over {bars}, {both} can't be compared: {common['reason']}."
    said = (
        f"Over {bars}, "
        f"the Sharpe ratio of version {names[0]} is {number(common['sharpe']['a'])}, of version {names[1]} "
        f"{number(common['sharpe']['b'])}: a difference of {signed(common['difference'])}"
    )
    if common["reason"]:
        return f"{said}. It has no interval: {common['reason']}."
    shown = "not shown" if common["low"] <= 0 <= common["high"] else "shown"
    return (
        f"{said} {interval(common['low'], common['high'])} ({percent(common['confidence'], 0)} interval, "
        f"{number(common['paths'], 0)} pairs of paths in blocks of {number(common['block'], 0)} bars). The first is "
        f"better on {percent(common['above'], 0)} of them; no difference would be 50%. A difference is {shown}."
    )


def render_comparison(found: Mapping[str, Any], model: str, returns: pd.DataFrame) -> str:
    """The page: one file that loads nothing.

    Parameters
    ----------
    found
        Result of :func:`pipelines.gate.comparison.compare`.
    model
        Name of the registered model.
    returns
        Net returns ``a`` and ``b`` over the common bars.
    """
    from jinja2 import Environment, PackageLoader

    page = Environment(loader=PackageLoader("dashboard"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    names = [f"version {found['versions'][side]['version']}" for side in ("a", "b")]
    curves = (1 + returns[["a", "b"]]).cumprod().set_axis(_apart(names), axis=1)
    return page.get_template("comparison.html.j2").render(
        model=model,
        names=names,
        said=difference_said(found),
        picture=evidence_figures.overlaid("comparison", curves),
        versions=[*version_rows(found), ("in words", *summaries(found))],
        metrics=metric_rows(found),
        params=param_rows(found),
    )


def _apart(names: list[str]) -> list[str]:
    """A version beside itself needs two names."""
    return names if names[0] != names[1] else [names[0], f"{names[1]} again"]
