"""What a model card says about one bundle, as plain sections; how it looks is :mod:`dashboard.card_pages`' business.

Nothing is computed here: every figure is one that a stage has stored. What was not measured is said to be missing.

References
----------
Mitchell, M., et al. (2019), "Model Cards for Model Reporting", FAT* '19, 220-229.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import wording
from dashboard.card_limits import limits
from dashboard.wording import MISSING, day, interval, label, minute, number, percent, plain, points

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

Row = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One heading of a card and what stands under it.

    Parameters
    ----------
    key
        Name for links and pictures.
    title
        The heading.
    notes
        Paragraphs before the table.
    head, rows
        A table; without a head, two columns of names and values.
    items
        Bullets.
    code
        Commands.
    """

    key: str
    title: str
    notes: tuple[str, ...] = ()
    head: Row = ()
    rows: tuple[Row, ...] = ()
    items: tuple[str, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Card:
    """A whole card.

    Parameters
    ----------
    name
        Of the registered model.
    headline, tone
        The verdict in a sentence, and ``good`` or ``neutral``.
    about
        What it forecasts, in a sentence.
    sections
        In reading order: what matters most comes first, for a short form is cut at its end.
    """

    name: str
    headline: str
    tone: str
    about: str
    sections: tuple[Section, ...]


def card(
    spec: Mapping[str, Any], evidence: Mapping[str, Any], verdict: Mapping[str, Any] | None, *, command: str
) -> Card:
    """The card of one bundle.

    Parameters
    ----------
    spec
        Content of ``bundle.json``.
    evidence
        Content of ``evidence.json``.
    verdict
        The horizon's part of ``verdict.json``; None before the gate has spoken.
    command
        What makes the same run again, from a checkout of the same commit.
    """
    horizon = spec["horizon"]
    one = evidence["horizons"][horizon]
    passed = verdict is not None and verdict["verdict"] == "passed"
    said = wording.sentence(verdict["summary"]) if verdict else "The gate has not judged this model."
    bars = "bar" if spec["horizon_bars"] == 1 else f"{spec['horizon_bars']} bars"
    return Card(
        name=spec["model_name"],
        headline=said if passed else f"Unproven: for trading on paper only. {said}",
        tone="good" if passed else "neutral",
        about=f"Forecasts whether {spec['symbol']} rises from the next open over {horizon} ({bars} of "
        f"{spec['timeframe']}), as a probability, at every close.",
        sections=(
            _skill(evidence, one),
            _money(one, verdict),
            _gate(verdict),
            Section("limits", "Limits", items=tuple(limits(spec, evidence, verdict))),
            _reproduce(spec, evidence, command),
            _calibration(one),
            _data(spec, evidence),
            _importance(one, evidence),
            _features(spec, evidence),
            _members(spec),
        ),
    )


def _skill(evidence: Mapping[str, Any], one: Mapping[str, Any]) -> Section:
    measured, baselines = one.get("skill", {}), one.get("baselines", {})
    if not measured or not baselines:
        return Section("skill", "Skill", notes=(_NOT_MEASURED,))
    known = [key for key in _SCORES if any(scores.get(key) is not None for scores in measured.values())]
    sure = percent(evidence.get("confidence"), 0)
    test = evidence.get("test", {})
    rows = [
        (
            label(name),
            f"{percent(scores.get('accuracy'))} {_ends(scores, 'accuracy', 1, 100.0)}",
            # The vote's difference stands beside its interval; of members only the interval is stored.
            f"{points(one.get('skill_over_baseline'))} {_ends(one, 'skill', 1, 100.0)}"
            if name == "vote"
            else _ends(scores, "skill", 1, 100.0),
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


def _score(scores: Mapping[str, Any], key: str) -> str:
    _, digits, share = _SCORES[key]
    value = percent(scores.get(key), digits) if share else number(scores.get(key), digits)
    ends = _ends(scores, key, digits, 100.0 if share else 1.0)
    return value if ends == MISSING else f"{value} {ends}"


def _money(one: Mapping[str, Any], verdict: Mapping[str, Any] | None) -> Section:
    strategy = one.get("strategy", {})
    if not strategy:
        return Section("money", "Money after costs", notes=(_NOT_MEASURED,))
    held = one.get("comparison", {}).get("buy_and_hold", {})
    counted = (verdict or {}).get("trials_counted", one.get("trials", {}).get("counted"))
    deflated = verdict.get("deflated_sharpe") if verdict else one.get("deflated_sharpe")
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
                f"deflated Sharpe: not the luck of the best of {number(counted, 0)} trials",
                percent(deflated),
                MISSING,
            ),
            ("total return", percent(strategy.get("total_return")), percent(held.get("total_return"))),
            ("largest drawdown", percent(strategy.get("max_drawdown")), percent(held.get("max_drawdown"))),
            ("round trips", number(strategy.get("round_trips"), 0), MISSING),
            ("break-even cost a side, bps", number(strategy.get("break_even_bps"), 1), MISSING),
        ),
    )


def _gate(verdict: Mapping[str, Any] | None) -> Section:
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


def _calibration(one: Mapping[str, Any]) -> Section:
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


def _data(spec: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section:
    data, known = spec["data"], evidence.get("data", {})
    return Section(
        "data",
        "Data",
        rows=(
            ("bars", f"{number(data['rows'], 0)} of {spec['symbol']}, {spec['timeframe']}"),
            ("period", f"{minute(data['first'])} to {minute(data['last'])}"),
            ("as of", f"{minute(spec['as_of'])}: nothing known later was used"),
            ("missing bars", f"{number(known.get('missing_bars'), 0)}, left as gaps"),
            ("quarantined rows", number(known.get("quarantined"), 0)),
            ("SHA-256 of the validated bars", data["sha256"]),
        ),
    )


def _features(spec: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section:
    features, chosen = spec["features"], spec.get("selection", {})
    off = evidence.get("features", {}).get("off", {})
    method = chosen.get("method")
    looked = ", ".join(f"{label(name)} {len(columns)}" for name, columns in chosen.get("columns", {}).items())
    return Section(
        "features",
        "Features",
        rows=(
            ("columns", number(len(features["names"]), 0)),
            ("groups", ", ".join(label(group) for group in features["groups"])),
            ("groups that are off", "; ".join(f"{label(group)} ({why})" for group, why in off.items()) or "none"),
            ("read beside the bars", ", ".join([*features["assets"], *features["series"]]) or "nothing"),
            ("chosen by", wording.SELECTIONS.get(str(method), "no selection: every fit is given all of them")),
            ("columns that each member is given", looked or MISSING),
            ("SHA-256 of the definitions", features["hash"]),
        ),
    )


def _members(spec: Mapping[str, Any]) -> Section:
    base, settings = spec["params"].get("models", {}), spec.get("settings", {})
    vote, calibration = spec["blend"]["method"], (spec["blend"]["calibration"] or {}).get("method", "none")
    rows = [
        (
            label(member["name"]),
            f"{member['weight']:.3g}",
            number(member["window"], 0),
            _settings(settings.get(member["name"], {})),
            _settings(_apart(settings.get(member["name"], {}), base.get(member["name"], {}))),
        )
        for member in spec["members"]
    ]
    return Section(
        "parameters",
        "Parameters",
        notes=(f"Vote: {label(vote)}. Calibration of the vote: {label(calibration)}.",),
        head=("member", "weight", "window, bars", "settings", "of these tuned"),
        rows=tuple(rows),
    )


def _apart(settings: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in base or base[key] != value}


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {plain(value)}" for key, value in values.items()) or MISSING


def _importance(one: Mapping[str, Any], evidence: Mapping[str, Any]) -> Section:
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


def _reproduce(spec: Mapping[str, Any], evidence: Mapping[str, Any], command: str) -> Section:
    environment = evidence.get("environment", {})
    dirty = spec.get("dirty")
    state = " with uncommitted changes" if dirty else "" if dirty is False else ", state unknown"
    return Section(
        "reproduce",
        "Reproduction",
        notes=("One worker and one thread with the same data and seed give the same bundle.",),
        rows=(
            ("commit", f"{spec['commit'] or MISSING}{state if spec['commit'] else ''}"),
            ("SHA-256 of the lock file", spec["lock_sha256"] or MISSING),
            ("SHA-256 of the parameters", environment.get("params_sha256") or MISSING),
            ("seed", plain(spec["seed"])),
            ("Python", environment.get("python") or MISSING),
            ("bundle", evidence["horizons"][spec["horizon"]].get("bundle", {}).get("hash", MISSING)),
        ),
        code=f"git checkout {spec['commit']}\n{command}" if spec["commit"] else command,
    )


def _ends(source: Mapping[str, Any], key: str, digits: int = 2, scale: float = 1.0) -> str:
    return interval(source.get(f"{key}_low"), source.get(f"{key}_high"), digits, scale)
