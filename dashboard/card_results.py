"""What a model card says about results: skill, money, the gate, calibration, importance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboard import wording
from dashboard.card_section import Row, Section
from dashboard.wording import MISSING, day, interval, label, number, percent, points

_MOST_GROUPS = 8
_NOT_MEASURED = "Not measured in this run."
# Shown where a run has them, in this order: digits, and whether it is a share.
_SCORES: Mapping[str, tuple[str, int, bool]] = {
    "balanced_accuracy": ("balanced accuracy", 1, True),
    "log_loss": ("log loss", 4, False),
    "log_loss_skill": ("log-loss skill", 4, False),
    "brier": ("Brier", 4, False),
    "auc": ("AUC", 3, False),
    "information_coefficient": ("information coefficient", 3, False),
}


def skill(evidence: Mapping[str, Any], one: Mapping[str, Any]) -> Section:
    """Every score of the vote, its members and the rules without skill."""
    measured, baselines = one.get("skill", {}), one.get("baselines", {})
    if not measured or not baselines:
        return Section("skill", "Skill", notes=(_NOT_MEASURED,))
    known = [key for key in _SCORES if any(scores.get(key) is not None for scores in measured.values())]
    sure = percent(evidence.get("confidence"), 0)
    test = evidence.get("test", {})
    best = baselines.get(one["best_baseline"], {}).get("accuracy")
    rows = [
        (
            label(name),
            f"{percent(scores.get('accuracy'))} {_ends(scores, 'accuracy', 1, 100.0)}",
            f"{points(one.get('skill_over_baseline'))} {_ends(one, 'skill', 1, 100.0)}"
            if name == "vote"
            else f"{points(_less(scores.get('accuracy'), best))} {_ends(scores, 'skill', 1, 100.0)}",
            *(_score(scores, key) for key in known),
        )
        for name in wording.ordered(measured, wording.FAMILIES)
        for scores in (measured[name],)
    ]
    rows += [
        (label(name), percent(scores.get("accuracy")), MISSING, *(_score(scores, key) for key in known))
        for name in wording.ordered(baselines, wording.BASELINES)
        for scores in (baselines[name],)
    ]
    return Section(
        "skill",
        "Skill",
        notes=(
            f"Out of sample, {day(test.get('first'))} to {day(test.get('last'))}, {number(test.get('folds'), 0)} "
            f"refits: {number(one.get('samples'), 0)} forecasts, worth about {number(one.get('effective_samples'), 0)} "
            f"independent ones. Brackets hold {sure} intervals. The best rule without skill is "
            f"“{label(one['best_baseline'])}”; a difference whose interval reaches zero shows no skill.",
        ),
        head=("model", "accuracy", "over the best rule, points", *(_SCORES[key][0] for key in known)),
        rows=tuple(rows),
    )


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _score(scores: Mapping[str, Any], key: str) -> str:
    _, digits, share = _SCORES[key]
    value = percent(scores.get(key), digits) if share else number(scores.get(key), digits)
    ends = _ends(scores, key, digits, 100.0 if share else 1.0)
    return value if ends == MISSING else f"{value} {ends}"


def money(one: Mapping[str, Any], verdict: Mapping[str, Any] | None) -> Section:
    """The strategy beside buy and hold, and how much of it luck explains."""
    strategy = one.get("strategy", {})
    if not strategy:
        return Section("money", "Money after costs", notes=(_NOT_MEASURED,))
    held = one.get("comparison", {}).get("buy_and_hold", {})
    # The gate counts over the whole ledger, the evidence in this run.
    judged = verdict or one
    tried = judged.get("trials", {})
    counted = f"{number(tried.get('counted'), 0)} counted in {'the ledger' if verdict else 'this run'}"
    return Section(
        "money",
        "Money after costs",
        head=("", "strategy", "buy and hold"),
        rows=(
            (
                "Sharpe ratio a year",
                f"{number(strategy.get('sharpe'))} {_ends(strategy, 'sharpe')}",
                number(held.get("sharpe")),
            ),
            (
                f"deflated Sharpe: not the luck of the best of {number(tried.get('deflated_by'), 0)} independent "
                f"trials ({counted})",
                percent(judged.get("deflated_sharpe")),
                MISSING,
            ),
            ("total return", percent(strategy.get("total_return")), percent(held.get("total_return"))),
            ("largest drawdown", percent(strategy.get("max_drawdown")), percent(held.get("max_drawdown"))),
            ("round trips", number(strategy.get("round_trips"), 0), MISSING),
            ("break-even cost a side, bps", number(strategy.get("break_even_bps"), 1), MISSING),
        ),
    )


def gate(verdict: Mapping[str, Any] | None) -> Section:
    """The verdict with its rules."""
    if verdict is None:
        return Section("gate", "Gate", notes=("The gate has not judged it.",))
    against = f"champion {verdict['champion']}" if verdict.get("champion") else "no champion"
    return Section(
        "gate",
        "Gate",
        notes=(f"Verdict: {verdict['verdict']}. Question: {verdict.get('question', MISSING)}, against {against}.",),
        head=("rule", "result", "reason"),
        rows=tuple(
            (label(rule["rule"]), "pass" if rule["passed"] else "FAIL", wording.sentence(rule["reason"]))
            for rule in verdict.get("rules", ())
        ),
    )


def calibration(one: Mapping[str, Any]) -> Section:
    """How often it rose where it was said to."""
    bins = one.get("calibration", [])
    vote = one.get("skill", {}).get("vote", {})
    constant = one.get("baselines", {}).get("constant", {})
    if not bins and vote.get("brier") is None:
        return Section("calibration", "Calibration", notes=(_NOT_MEASURED,))
    stated = one.get("interval", {})
    parts = [f"{label(name)} {number(value, 4)}" for name, value in one.get("brier", {}).items()]
    split = f" ({', '.join(parts)})" if parts else ""
    return Section(
        "calibration",
        "Calibration",
        notes=(
            f"Brier score {number(vote.get('brier'), 4)}{split}, {number(constant.get('brier'), 4)} for a constant "
            f"50%. The stated {percent(stated.get('nominal'), 0)} ranges of the return held "
            f"{percent(stated.get('coverage'))} of the outcomes, worth "
            f"{number(stated.get('effective_samples'), 0)} independent ones.",
        ),
        head=("forecasts", *(number(one_bin.get("count"), 0) for one_bin in bins)),
        rows=(
            ("said", *(percent(one_bin.get("predicted")) for one_bin in bins)),
            ("rose", *(percent(one_bin.get("observed")) for one_bin in bins)),
        )
        if bins
        else (),
    )


def importance(one: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section:
    """What the leading groups of features were worth."""
    groups: Sequence[Mapping[str, Any]] = one.get("importance", [])
    if not groups:
        return Section("importance", "Importance", notes=(_NOT_MEASURED,))
    return Section(
        "importance",
        "Importance",
        notes=(
            "Log loss added on test bars, in thousandths, when a group of features is shuffled, with its "
            f"{percent(evidence.get('confidence'), 0)} interval; one that reaches zero says little. "
            f"The first {min(_MOST_GROUPS, len(groups))} of {len(groups)} groups, each by its leading feature.",
        ),
        head=("group", "log loss added", "more of it speaks for a"),
        rows=tuple(_worth(groups[:_MOST_GROUPS])),
    )


def _worth(groups: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for group in groups:
        others = len(group.get("features", [])) - 1
        added = MISSING if group.get("mean") is None else number(group["mean"] * 1000)
        ends = interval(group.get("low"), group.get("high"), 2, 1000.0)
        yield (
            f"{group['feature']} and {others} more" if others > 0 else str(group["feature"]),
            f"{added} {ends}",
            wording.push(group.get("direction")),
        )


def _ends(source: Mapping[str, Any], key: str, digits: int = 2, scale: float = 1.0) -> str:
    return interval(source.get(f"{key}_low"), source.get(f"{key}_high"), digits, scale)
