"""Gate: books what was tried, and judges every horizon. Called by flows after the evidence; not a DVC stage."""

from typing import Any

import pandas as pd

from models.bundle import WALK_FORWARD
from pipelines.artifacts import Artifacts, content_hash
from pipelines.context import Context
from pipelines.gate.rules import Champion, judge
from pipelines.tracking import CHAMPION, Tracker, Trial


def run(context: Context) -> None:
    """Read evidence, walk-forward streams, the ledger and the champions; write ``data/gate/verdict.json``."""
    files, instrument = context.files, context.run.instrument
    evidence = files.read_json("data/evidence/evidence.json")
    tracker = Tracker(context.settings, instrument)
    horizons: dict[str, Any] = {}
    for number, horizon in enumerate(evidence["horizons"]):
        context.progress(number, len(evidence["horizons"]), f"judging {horizon}")
        book(tracker, files, horizon)
        stream = files.read_frame(f"data/backtest/{horizon}/curves.parquet")["net_return"]
        horizons[horizon] = judge(
            evidence, horizon, tracker.ledger(horizon), context.params.gate, champion(tracker, horizon), stream
        )
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


def champion(tracker: Tracker, horizon: str) -> Champion | None:
    """The champion with its walk-forward stream, from the bundle that it was registered with."""
    version = tracker.version(horizon, CHAMPION)
    if version is None:
        return None
    folder = tracker.download(horizon, version.version)
    stream = pd.read_parquet(folder / WALK_FORWARD)["net_return"]
    return Champion(version.version, version.bundle_hash, version.tags["recipe_sha256"], stream)
