"""What a model card says about one bundle, as plain sections; how it looks is :mod:`dashboard.card_pages`' business.

Nothing is computed here: every figure is one that a stage has stored. What was not measured is said to be missing.

References
----------
Mitchell, M., et al. (2019), "Model Cards for Model Reporting", FAT* '19, 220-229.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard import card_results as results
from dashboard import wording
from dashboard.card_limits import limits
from dashboard.card_section import Section
from dashboard.wording import MISSING, label, minute, number, plain


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
            results.skill(evidence, one),
            results.money(one, verdict),
            results.gate(verdict),
            Section("limits", "Limits", items=tuple(limits(spec, evidence, verdict))),
            _reproduce(spec, evidence, command),
            results.calibration(one),
            _data(spec, evidence),
            results.importance(one, evidence),
            _features(spec, evidence),
            _members(spec),
        ),
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
