"""Every stage, one after another, on real bars: what comes out, twice, and what a planted leak does to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from dashboard.card import card
from dashboard.card_pages import to_markdown
from models.bundle import load_bundle
from pipelines.backtest import walk_forward
from pipelines.context import Context
from pipelines.params import overlay
from pipelines.tracking import Tracker
from tests.workspace import ROOT, make_context, run_stages

pytestmark = pytest.mark.slow


def evidence(context: Context) -> dict[str, Any]:
    found: dict[str, Any] = context.files.read_json("data/evidence/evidence.json")
    return found


def test_the_evidence_holds_what_the_gate_and_the_report_need(finished: Context) -> None:
    found = evidence(finished)
    assert found["instrument"]["slug"] == "BTC-USD"
    assert list(found["horizons"]) == ["1h", "4h"]
    for horizon in found["horizons"].values():
        assert set(horizon["skill"]) == {"vote", "random_forest", "xgboost", "lstm"}
        assert 0.4 < horizon["skill"]["vote"]["accuracy"] < 0.65
        assert horizon["skill_low"] <= horizon["skill_over_baseline"] <= horizon["skill_high"]
        assert len(horizon["folds"]) == finished.params.backtest.refits
        assert 0 <= horizon["deflated_sharpe"] <= horizon["probabilistic_sharpe"] <= 1
        # Two studies of two trials, the vote and its three members.
        assert horizon["trials"]["counted"] == 8
        # Trials before the test and recipes in it share no day.
        assert 2 <= horizon["trials"]["effective"] <= 8
        assert horizon["onnx"]["max_difference"] <= 1e-5
        assert horizon["onnx"]["rows"] == 10_000
        # Long or short as they may be, some positions meet a crash of bitcoin the wrong way.
        losses = {row["name"]: row["loss"] for row in horizon["stress"]["scenarios"]}
        assert len(losses) == 16
        assert max(losses.values()) > 0.05
        markets = horizon["simulated"]["markets"]
        assert (markets["draws"], markets["reason"]) == (3, None)
        assert abs(markets["z"]) < 4.0


def test_numbers_are_weighed_or_their_absence_is_explained(finished: Context) -> None:
    for horizon in evidence(finished)["horizons"].values():
        trials = horizon["trials"]
        assert 1 <= trials["deflated_by"] <= trials["counted"]
        assert trials["effective"] <= trials["deflated_by"] + 1e-6
        for among in horizon["overfitting"].values():
            assert (among["probability"] is None) == (among["reason"] is not None)
        assert horizon["overfitting"]["search"]["trials"] == 4
        assert horizon["overfitting"]["recipes"]["trials"] == 4
        ability = horizon["superior_ability"]
        assert set(ability["against"]) == {"flat", "buy_and_hold", "reversal"}
        assert (ability["probability"] is None) == (ability["reason"] is not None)
        record = horizon["minimum_track_record"]
        for one in (record["above_zero"], record["above_luck"]):
            assert (one["years"] is None) == (one["reason"] is not None)
        # What a record like this needs, it has where the probability says so.
        if (years := record["above_zero"]["years"]) is not None:
            enough = years <= record["observed_years"] * (1 + 1e-9)
            assert enough == (horizon["probabilistic_sharpe"] >= record["confidence"])
        curve = horizon["break_even_curve"]
        assert len(curve["sharpe"]) == len(curve["cost_bps"]) == len(finished.params.backtest.break_even_bps)
        assert curve["own_bps"] == 7.0
        seeds = horizon["seeds"]
        assert seeds["seeds"] == [7, 8]
        assert len(seeds["accuracy"]["values"]) == 2
        assert seeds["first"] == horizon["folds"][-1]["test_first"]
        assert {"turnover_per_year", "exposure", "holding_bars"} <= set(horizon["strategy"])


def test_the_example_that_others_are_tested_with_has_the_same_shape(finished: Context) -> None:
    example = json.loads((ROOT / "tests" / "data" / "evidence.json").read_text())

    def shape(node: Any) -> Any:
        """Keys all the way down; what is measured of a list or where nothing is, is no matter of shape."""
        return {key: shape(value) for key, value in node.items()} if isinstance(node, dict) else None

    def narrowed(horizon: dict[str, Any]) -> dict[str, Any]:
        names = (
            "trials",
            "overfitting",
            "superior_ability",
            "minimum_track_record",
            "break_even_curve",
            "seeds",
            "stress",
            "simulated",
        )
        found: dict[str, Any] = {name: shape(horizon[name]) for name in names}
        for among in found["overfitting"].values():
            del among["logits"]
        for one in found["superior_ability"]["against"].values():
            del one["vote"], one["any"]
        return found

    made = next(iter(evidence(finished)["horizons"].values()))
    for name, horizon in example["horizons"].items():
        assert narrowed(horizon) == narrowed(made), name
        rows = horizon["stress"]["scenarios"] + made["stress"]["scenarios"]
        assert {tuple(row) for row in rows} == {tuple(made["stress"]["scenarios"][0])}
        assert set(horizon["strategy"]) <= set(made["strategy"])


def test_the_look_ahead_audit_is_clean_and_its_controls_are_caught(finished: Context) -> None:
    found = evidence(finished)["audit"]
    assert found["clean"], found
    assert found["control_caught"]
    kinds = {check["check"] for check in found["checks"]}
    assert {"bars", "features", "labels 4h", "fit 4h", "forecasts 1h", "positions 1h", "fills 1h", "equity 1h"} <= kinds


def test_every_trial_is_in_the_ledger_once(finished: Context) -> None:
    tracker = Tracker(finished.settings, finished.run.instrument)
    assert [len(tracker.ledger(horizon)) for horizon in ("1h", "4h")] == [8, 8]
    run_stages(finished, ["tune"])
    assert len(tracker.ledger("1h")) == 8


def test_the_bundle_says_what_it_was_made_of(finished: Context) -> None:
    bundle = load_bundle(finished.files.path("data/train/4h"))
    found = evidence(finished)
    assert bundle.hash == found["horizons"]["4h"]["bundle"]["hash"]
    assert bundle.spec["recipe_sha256"] == found["horizons"]["4h"]["bundle"]["recipe_sha256"]
    assert bundle.spec["data"]["sha256"] == found["data"]["sha256"]
    assert bundle.spec["horizon_bars"] == 4
    assert bundle.spec["features"]["hash"] == found["data"]["feature_hash"]


def test_a_card_finds_all_that_it_says_in_a_real_run(finished: Context) -> None:
    spec, found = finished.files.read_json("data/train/4h/bundle.json"), evidence(finished)
    text = to_markdown(card(spec, found, None, command="make run"))
    assert "Not measured" not in text
    vote = found["horizons"]["4h"]["skill"]["vote"]
    assert f"| vote of all models | {vote['accuracy']:.1%} " in text
    assert f"| SHA-256 of the validated bars | {found['data']['sha256']} |" in text
    assert f"| columns | {len(spec['features']['names'])} |" in text
    # What has no value stands as a dash: baselines without scores, and what only the strategy has.
    assert text.count("| – |") < 20


def test_the_same_seed_gives_the_same_evidence_byte_for_byte(
    finished: Context, raw_params: dict[str, Any], source_file: Path, tmp_path: Path
) -> None:
    again = make_context(tmp_path / "again", raw_params, source_file)
    run_stages(again)
    name = "data/evidence/evidence.json"
    first, second = (context.files.read_json(name) for context in (finished, again))
    assert first.pop("measured").keys() == second.pop("measured").keys()
    assert first == second
    for part in ("predictions", "fills", "curves", "fan"):
        file = f"data/backtest/4h/{part}.parquet"
        assert finished.files.sha256(file) == again.files.sha256(file)


def test_a_missing_purge_is_found_by_the_audit(
    raw_params: dict[str, Any], source_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training on rows whose label ends inside the test block: it hardly shows in results, and must show here."""
    trees = {"models": {**raw_params["models"], "voting": {"random_forest": 1.0, "xgboost": 1.0}}}
    one = overlay({**raw_params, **trees}, {"labels": {"horizons": ["4h"]}})
    context = make_context(tmp_path / "leaky", one, source_file)
    honest = walk_forward.fold_tasks

    def unpurged(horizon: str, data: Any, *rest: Any, **more: Any) -> Any:
        from dataclasses import replace

        import numpy as np

        for task in honest(horizon, data, *rest, **more):
            yield replace(task, train=np.flatnonzero(data.y.iloc[: task.test[0]].notna().to_numpy()))

    for module in ("backtest", "audit"):
        monkeypatch.setattr(f"pipelines.{module}.stage.fold_tasks", unpurged)
    run_stages(context, ["ingest", "validate", "features", "labels", "tune", "backtest", "audit"])
    found = context.files.read_json("data/audit/audit.json")
    assert not found["clean"]
    changed = {check["check"] for check in found["checks"] if check["changed"]}
    assert "fit 4h" in changed
    assert not changed & {"bars", "features", "labels 4h"}
