"""A ranking is in MLflow once, with its numbers and its table."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.importance.record import log_ranking
from pipelines.settings import Settings
from pipelines.tracking import Tracker
from tests.workspace import with_registry
from trading.instrument import Instrument

GROUPS: list[dict[str, Any]] = [
    {
        "feature": name, "features": [name, f"{name}_twin"], "mean": worth, "low": worth - 1, "high": worth + 1,
        "shapley": worth, "information": float("nan"),
    }
    for name, worth in (("rsi_14", 3.0), ("hour_sin", 0.5))
]  # fmt: skip
CONTENT = {"importance": GROUPS, "stability": {"folds": 3, "rank_correlation": 0.4}, "selection": {"method": "none"}}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    return Tracker(
        Settings(state=with_registry(tmp_path_factory.mktemp("state")), mlflow_tracking_uri=""),
        Instrument("BTC/USD", "1h"),
    )


def test_it_is_logged_once(tracker: Tracker, tmp_path: Path) -> None:
    run_id = log_ranking(tracker, "1h", "recipe", CONTENT)
    assert log_ranking(tracker, "1h", "recipe", CONTENT) == run_id
    run = tracker.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["recipe_sha256"] == "recipe"
    assert run.data.metrics["permutation.rsi_14"] == 3.0
    assert run.data.metrics["permutation_low.hour_sin"] == -0.5
    assert run.data.metrics["stability.rank_correlation"] == 0.4
    assert "information.rsi_14" not in run.data.metrics
    stored = json.loads(Path(tracker.client.download_artifacts(run_id, "importance.json", str(tmp_path))).read_text())
    assert stored["importance"][0]["features"] == ["rsi_14", "rsi_14_twin"]
    # It is no trial: significance is not deflated by it.
    assert tracker.ledger("1h") == []


def test_another_ranking_is_another_run(tracker: Tracker) -> None:
    first = log_ranking(tracker, "4h", "recipe", CONTENT)
    assert log_ranking(tracker, "24h", "recipe", CONTENT) != first
    assert log_ranking(tracker, "4h", "other recipe", CONTENT) != first
    assert log_ranking(tracker, "4h", "recipe", {**CONTENT, "importance": GROUPS[:1]}) != first


def test_one_that_was_cut_short_is_logged_again(tracker: Tracker) -> None:
    first = log_ranking(tracker, "1d", "recipe", CONTENT)
    tracker.client.update_run(first, status="RUNNING")
    second = log_ranking(tracker, "1d", "recipe", CONTENT)
    assert second != first
    assert tracker.client.get_run(first).info.status == "KILLED"
    assert log_ranking(tracker, "1d", "recipe", CONTENT) == second
