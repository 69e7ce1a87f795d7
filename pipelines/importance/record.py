"""A ranking in MLflow: one run for each different ranking, with its numbers as metrics and the table as a file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import content_hash, json_text
from pipelines.tracking_store import log_values

if TYPE_CHECKING:
    from pipelines.tracking import Tracker

KIND = "importance"
FILE = "importance.json"


def log_ranking(tracker: "Tracker", horizon: str, recipe_sha256: str, content: Mapping[str, Any]) -> str:
    """Record a ranking, unless the same one is recorded already.

    Parameters
    ----------
    tracker
        Of the instrument.
    horizon
        What was forecast.
    recipe_sha256
        Whose features these are.
    content
        ``importance`` (groups from the most important down), ``stability`` and ``selection``, as the evidence has them.

    Returns
    -------
    str
        Id of the run.
    """
    client = tracker.client
    tags = {"kind": KIND, "horizon": horizon, "importance_hash": content_hash([horizon, recipe_sha256, content])}
    condition = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    for run in client.search_runs([tracker.experiment], condition):
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
        # Cut short by a kill: two runs of one instrument never overlap.
        client.set_terminated(run.info.run_id, "KILLED")
    run = client.create_run(
        tracker.experiment, tags={**tags, "recipe_sha256": recipe_sha256}, run_name=f"{KIND}-{horizon}"
    )
    measured: dict[str, Any] = {
        measure: {group["feature"]: group[key] for group in content["importance"]}
        for measure, key in (
            ("permutation", "mean"),
            ("permutation_low", "low"),
            ("permutation_high", "high"),
            ("shapley", "shapley"),
            ("information", "information"),
        )
    }
    log_values(client, run.info.run_id, {}, {**measured, "stability": content["stability"]})
    client.log_text(run.info.run_id, json_text(content), FILE)
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)
