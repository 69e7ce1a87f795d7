"""Switched on, a selection goes through the stages that fit, into the bundle and the metrics."""

from typing import Any
from unittest.mock import MagicMock

import pandas as pd
import pytest

from models.bundle import load_bundle
from pipelines.backtest import stage
from pipelines.context import Context
from pipelines.params import overlay
from tests.conftest import SAMPLE
from tests.workspace import make_context, run_stages

KEEP = 9
LOGGED: dict[str, Any] = {}


@pytest.fixture(scope="module")
def chosen(raw_params: dict[str, Any], sample_bars: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A run of one horizon that chooses by permutation, as far as its backtest. Read only."""
    raw = overlay(raw_params, {"selection": {"method": "permutation", "keep": KEEP}})
    raw["labels"] = {**raw["labels"], "horizons": ["1h"]}
    # Folds of a small fit's rows still hold leaves.
    trees = {**raw["models"]["xgboost"], "min_child_weight": 5.0}
    raw["models"] = {**raw["models"], "xgboost": trees, "voting": {"xgboost": 1.0}}
    context = make_context(tmp_path_factory.mktemp("chosen"), raw, SAMPLE)
    context.files.write_json("data/raw/ingest.json", {"context": []})
    context.files.write_frame("data/validated/bars.parquet", sample_bars.iloc[:3000])
    context.files.write_json("data/tune/best.json", {"1h": [{"xgboost": {}}]})
    with pytest.MonkeyPatch.context() as patch:
        # MLflow has tests of its own, and takes seconds to begin.
        patch.setattr(stage, "Tracker", MagicMock())
        patch.setattr(stage, "log_ranking", lambda _, horizon, __, content: LOGGED.update({horizon: content}))
        run_stages(context, ("features", "labels", "train", "backtest"))
    return context


def test_the_bundle_says_what_its_graph_looks_at(chosen: Context) -> None:
    bundle = load_bundle(chosen.files.path("data/train/1h"))
    columns = bundle.spec["selection"]["columns"]["xgboost"]
    assert bundle.spec["selection"]["method"] == "permutation"
    assert len(columns) == KEEP
    features = chosen.files.read_frame("data/features/features.parquet").dropna().tail(50)
    others = features.columns.difference(columns)
    ignored = features.copy()
    ignored[others] = 1.0
    pd.testing.assert_series_equal(bundle.predict(ignored), bundle.predict(features))
    assert not bundle.predict(features * 2).equals(bundle.predict(features))


def test_the_backtest_ranks_features_and_counts_what_was_kept(chosen: Context) -> None:
    found = chosen.files.read_json("data/backtest/1h/metrics.json")
    named = {name for group in found["importance"] for name in group["features"]}
    assert named == set(chosen.files.read_frame("data/features/features.parquet").columns)
    assert [group["rank"] for group in found["importance"]] == list(range(1, len(found["importance"]) + 1))
    assert all(group["low"] <= group["high"] for group in found["importance"])
    assert found["selection"]["fits"] == found["stability"]["folds"] == chosen.params.backtest.refits
    assert sum(one["share"] for one in found["selection"]["columns"]) == pytest.approx(KEEP)
    by_fold = chosen.files.read_frame("data/backtest/1h/importance.parquet")
    assert len(by_fold) == len(found["importance"]) * found["stability"]["folds"]


def test_the_ranking_goes_to_the_ledgers_store(chosen: Context) -> None:
    stored = chosen.files.read_json("data/backtest/1h/metrics.json")
    assert set(LOGGED["1h"]) == {"importance", "stability", "selection"}
    assert [one["feature"] for one in LOGGED["1h"]["importance"]] == [one["feature"] for one in stored["importance"]]
