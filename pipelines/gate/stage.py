"""Gate: books what was tried, and judges every horizon. Called by flows after the evidence; not a DVC stage."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from models.bundle import WALK_FORWARD
from pipelines.artifacts import Artifacts, content_hash
from pipelines.context import Context
from pipelines.gate.budget import Asked
from pipelines.gate.champion import Champion
from pipelines.gate.identity import judged_hash
from pipelines.gate.judgement import judge
from pipelines.params import GateParams
from pipelines.promotion.transaction import evidence_of, recover
from pipelines.tracking import CHAMPION, Registered, Tracker, Trial, registered_horizons


def run(context: Context) -> None:
    """Read evidence, walk-forward streams, the ledger and the champions; write ``data/gate/verdict.json``.

    A champion is not judged against itself: while evidence and thresholds are what they were, the verdict that made it
    champion stands. A run with nothing new therefore writes the same bytes, and so does one that was killed after the
    alias had moved.
    """
    files, instrument, gate = context.files, context.run.instrument, context.params.gate
    evidence = files.read_json("data/evidence/evidence.json")
    tracker = Tracker(context.settings, instrument)
    # A promotion that was killed is brought to its end: what is judged against is the champion.
    recover(context.settings)
    horizons: dict[str, Any] = {}
    claims = asked(tracker)
    for number, horizon in enumerate(evidence["horizons"]):
        context.progress(number, len(evidence["horizons"]), f"judging {horizon}")
        book(tracker, files, horizon)
        live = tracker.version(horizon, CHAMPION)
        verdict = standing(tracker, horizon, live, evidence, gate)
        if verdict is None:
            stream = files.read_frame(f"data/backtest/{horizon}/curves.parquet")["net_return"]
            tried = with_returns(tracker, horizon)
            held = champion(tracker, horizon, live)
            verdict = judge(evidence, horizon, tried, gate, held, stream, claims)
        horizons[horizon] = verdict
    content = {"instrument": instrument.name, "as_of": evidence["as_of"], "horizons": horizons}
    files.write_json("data/gate/verdict.json", content)
    passed = sum(found["verdict"] == "passed" for found in horizons.values())
    context.progress(len(horizons), len(horizons), f"{passed} of {len(horizons)} horizons passed")


def book(tracker: Tracker, files: Artifacts, horizon: str) -> None:
    """Record this run's trials where the ledger lacks them.

    The stages that try things record them as well; but a stage whose outputs DVC restored from its cache did not run,
    and what it tried has been tried all the same.
    """
    studies = dict(files.read_json("data/tune/trials.json").get(horizon, {}))
    studies["walk_forward"] = files.read_json(f"data/backtest/{horizon}/metrics.json")["recipes"]
    for family, tried in studies.items():
        trials = [Trial(**trial) for trial in tried]
        tracker.log_study(horizon, family, content_hash([trial.trial_hash for trial in trials]), trials)


def with_returns(tracker: Tracker, horizon: str) -> list[Trial]:
    """The ledger, each trial with its daily returns, from which is read how alike trials are."""
    returns = tracker.returns(horizon)
    return [replace(trial, returns=returns.get(trial.trial_hash, {})) for trial in tracker.ledger(horizon)]


def standing(
    tracker: Tracker, horizon: str, live: Registered | None, evidence: Mapping[str, Any], gate: GateParams
) -> dict[str, Any] | None:
    """The verdict stored with the champion, if the same bundle is to be judged on equal evidence and thresholds."""
    if live is None or live.bundle_hash != evidence["horizons"][horizon]["bundle"]["hash"]:
        return None
    stored: dict[str, Any] = tracker.document(live, "verdict.json")["horizons"][horizon]
    return stored if stored.get("judged_hash") == judged_hash(evidence, horizon, gate) else None


def asked(tracker: Tracker) -> list[Asked]:
    """Claims of the instrument, whatever the horizon, that were judged and registered, from the versions' tags."""
    return [
        Asked(
            int(version.tags["claim"]),
            version.tags["judged_hash"],
            version.tags["recipe_sha256"],
            pd.Timestamp(version.tags["test_last"]),
        )
        for instrument, horizon in registered_horizons(tracker.settings)
        if instrument == tracker.instrument
        for version in tracker.versions(horizon)
        if version.tags.get("claim")
    ]


def champion(tracker: Tracker, horizon: str, version: Registered | None) -> Champion | None:
    """The champion with its walk-forward stream, from the bundle that it was registered with."""
    if version is None:
        return None
    folder = tracker.download(horizon, version.version)
    stream = pd.read_parquet(folder / WALK_FORWARD)["net_return"]
    recipe = version.tags["recipe_sha256"]
    # A claim that was dropped from the registry is taken to have been about all that this version was tested on.
    claimed = max(
        (pd.Timestamp(one.tags["test_last"]) for one in tracker.versions(horizon) if _claimed(one, recipe)),
        default=stream.index[-1],
    )
    proven = evidence_of(version, CHAMPION) == "proven"
    return Champion(version.version, version.bundle_hash, recipe, stream, proven, claimed)


def _claimed(version: Registered, recipe: str) -> bool:
    """Whether a version made the claim of a recipe, and it was believed."""
    made = version.tags["recipe_sha256"] == recipe and bool(version.tags.get("claim"))
    return made and evidence_of(version, CHAMPION) == "proven"
