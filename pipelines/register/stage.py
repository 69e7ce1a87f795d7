"""Register: a version per judged bundle, loaded back before any alias moves.

Called by flows after the gate; not a DVC stage. A version is a bundle with the evidence and the verdict that are stored
with it: when all are equal a second call makes nothing; the same bundle on other evidence is another version, so no
alias ever stands on evidence that its version does not hold.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from models.bundle import Bundle, load_bundle
from pipelines.context import Context
from pipelines.gate.identity import evidence_hash
from pipelines.promotion.chain import read
from pipelines.promotion.decisions import promote
from pipelines.promotion.errors import SupersededError
from pipelines.promotion.moves import logged, withdrawn
from pipelines.promotion.transaction import log_path, move, recover
from pipelines.register.packaging import check_reload, package
from pipelines.tracking import CANDIDATE, CHAMPION, Registered, Tracker
from trading.errors import StageError

REPORT = "data/report/report.html"
CARDS = "data/report/cards"
_DIRTY: Mapping[bool | None, str] = {True: "true", False: "false", None: "unknown"}
# A graph run twice on one machine answers alike; the tolerance is for MLflow's own conversions of the input.
RELOAD_TOLERANCE = 1e-9


@dataclass(frozen=True)
class _Judged:
    """A bundle, what is known about it, and rows that it can be asked about."""

    horizon: str
    bundle: Bundle
    verdict: Mapping[str, Any]
    example: pd.DataFrame

    @property
    def passed(self) -> bool:
        return bool(self.verdict["verdict"] == "passed")


def run(context: Context) -> None:
    """Read bundles, evidence and verdicts; write versions, aliases and ``data/register/registered.json``.

    Raises
    ------
    StageError
        If evidence or verdict are about another bundle than the one that lies in ``data/train``, or if a version cannot
        be loaded back.
    """
    files = context.files
    evidence, verdict = files.read_json("data/evidence/evidence.json"), files.read_json("data/gate/verdict.json")
    features = files.read_frame("data/features/features.parquet")
    tracker = Tracker(context.settings, context.run.instrument)
    judged = [_judged(context, horizon, evidence, verdict, features) for horizon in evidence["horizons"]]
    versions: dict[str, Registered] = {}
    for number, item in enumerate(judged):
        context.progress(number, len(judged) + 1, f"registering {item.horizon}")
        versions[item.horizon] = _register(context, tracker, item, evidence, verdict)
    context.progress(len(judged), len(judged) + 1, "loading back what was registered")
    _prove(context, tracker, judged, versions)
    report = {item.horizon: _promote(tracker, item, versions[item.horizon]) for item in judged}
    files.write_json(
        "data/register/registered.json",
        {"instrument": context.run.instrument.name, "as_of": evidence["as_of"], "horizons": report},
    )
    context.progress(len(judged) + 1, len(judged) + 1, "registered")


def _judged(
    context: Context, horizon: str, evidence: Mapping[str, Any], verdict: Mapping[str, Any], features: pd.DataFrame
) -> _Judged:
    folder = f"data/train/{horizon}"
    bundle = load_bundle(context.files.path(folder))
    about = {evidence["horizons"][horizon]["bundle"]["hash"], verdict["horizons"][horizon]["bundle_hash"]}
    if about != {bundle.hash}:
        raise StageError(
            f"evidence and verdict of {horizon} are about another bundle",
            where=str(context.files.path(folder)),
            rule="what is registered is what was tested and judged",
            remedy="run `engine run`, which makes all of them",
        )
    example = features[bundle.feature_names].dropna().tail(2 * bundle.window)
    return _Judged(horizon, bundle, verdict["horizons"][horizon], example)


def _register(
    context: Context, tracker: Tracker, item: _Judged, evidence: Mapping[str, Any], verdict: Mapping[str, Any]
) -> Registered:
    identity = evidence_hash(evidence, item.horizon, item.verdict)
    if existing := tracker.find(item.horizon, item.bundle.hash, identity):
        return existing
    files, spec = context.files, item.bundle.spec
    history = files.read_json("data/train/history.json")[item.horizon]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        package(
            folder,
            bundle=files.path(f"data/train/{item.horizon}"),
            home=context.settings.home,
            walk_forward=files.read_frame(f"data/backtest/{item.horizon}/curves.parquet"),
            example=item.example,
            answer=item.bundle.predict_members(item.example),
        )
        return tracker.register(
            item.horizon,
            folder,
            bundle_hash=item.bundle.hash,
            evidence_hash=identity,
            tags={
                "symbol": spec["symbol"],
                "timeframe": spec["timeframe"],
                "as_of": spec["as_of"],
                "data_first": spec["data"]["first"],
                "data_last": spec["data"]["last"],
                "data_sha256": spec["data"]["sha256"],
                "commit": spec["commit"] or "unknown",
                "commit_dirty": _DIRTY[spec.get("dirty")],
                "lock_sha256": spec["lock_sha256"] or "unknown",
                "recipe_sha256": spec["recipe_sha256"],
                "seed": str(spec["seed"]),
                "verdict": item.verdict["verdict"],
                # What the error budget remembers; a refresh and a claim that was not asked have no number.
                "claim": str(item.verdict["number"] or ""),
                "judged_hash": item.verdict["judged_hash"],
                "test_last": evidence["test"]["last"],
            },
            params={"params": spec["params"], "settings": spec.get("settings", {}), "seed": spec["seed"]},
            metrics=_measured(evidence["horizons"][item.horizon]),
            epochs={family: told["epochs"] for family, told in history.items()},
            documents={"evidence.json": evidence, "verdict.json": verdict},
            attachments=[files.path(name) for name in (REPORT, CARDS) if files.exists(name)],
            description=_card(context, item.horizon),
        )


def _card(context: Context, horizon: str) -> str:
    """The model card in Markdown; nothing where none was written."""
    path = context.files.path(f"{CARDS}/{context.run.instrument.model_name(horizon)}.md")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _measured(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that versions are compared by in MLflow's tables."""
    keys = (
        "skill",
        "strategy",
        "monte_carlo",
        "onnx",
        "skill_over_baseline",
        "skill_low",
        "skill_high",
        "deflated_sharpe",
    )
    return {key: evidence[key] for key in keys}


def _prove(context: Context, tracker: Tracker, judged: list[_Judged], versions: Mapping[str, Registered]) -> None:
    """Load back every version that has not been loaded back before."""
    fresh = {item.horizon: item for item in judged if "reloaded" not in versions[item.horizon].tags}
    if not fresh:
        return
    uris = {horizon: tracker.model_uri(versions[horizon]) for horizon in fresh}
    check_reload(
        context.settings.tracking_uri,
        {uris[horizon]: item.example for horizon, item in fresh.items()},
        {uris[horizon]: item.bundle.predict_members(item.example) for horizon, item in fresh.items()},
        RELOAD_TOLERANCE,
    )
    for horizon in fresh:
        tracker.tag_version(horizon, versions[horizon].version, "reloaded", "true")


def _promote(tracker: Tracker, item: _Judged, version: Registered) -> dict[str, Any]:
    """Move what may move: ``candidate`` to the newest version, ``champion`` to one that passed."""
    recover(tracker.settings)
    moved, kept = [], {}
    for alias, reason in ((CANDIDATE, ""), (CHAMPION, _held_back(tracker, item, version))):
        current = tracker.version(item.horizon, alias)
        if current is not None and current.version == version.version:
            kept[alias] = "already there"
        elif reason:
            kept[alias] = reason
        elif _is_older(version, current):
            kept[alias] = f"version {current.version if current else ''} knows newer data"
        else:
            try:
                if alias == CHAMPION:
                    promote(tracker, item.horizon, version.version)
                else:
                    expected = current.version if current else None
                    move(
                        tracker,
                        item.horizon,
                        alias,
                        version,
                        expected=expected,
                        kind="candidate",
                        why="newest version",
                    )
                moved.append(alias)
            except SupersededError:
                kept[alias] = "the alias moved after the verdict; judge again"
    return {
        "name": version.name,
        "version": version.version,
        "bundle_hash": version.bundle_hash,
        "created": version.created,
        "verdict": item.verdict["verdict"],
        "aliases_moved": moved,
        "aliases_kept": kept,
    }


def _held_back(tracker: Tracker, item: _Judged, version: Registered) -> str:
    """Why a version does not become champion by itself; empty if it may."""
    if not item.passed:
        return str(item.verdict["summary"])
    if version.bundle_hash in withdrawn(logged(read(log_path(tracker.settings))), version.name):
        return "it was rolled back from; `engine promote` makes it champion again"
    return ""


def _is_older(new: Registered, current: Registered | None) -> bool:
    """Whether a version knows less than the current one: it was made as of an earlier moment."""
    return current is not None and pd.Timestamp(new.tags["as_of"]) < pd.Timestamp(current.tags["as_of"])
