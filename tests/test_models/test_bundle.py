import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import models.bundle
from models.bundle import REQUIRED, Member, load_bundle, write_bundle
from pipelines.artifacts import digest
from trading.errors import ModelError, WorkspaceError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]
ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"f{i}" for i in range(5)]
MEMBERS = ("random_forest", "xgboost", "lstm")


@pytest.fixture(scope="session")
def members(fitted: dict[str, Any], graphs: dict[str, Any]) -> list[Member]:
    return [Member(name, graphs[name], fitted[name].window, weight)
            for name, weight in zip(MEMBERS, [1.0, 2.0, 0.5], strict=True)]  # fmt: skip


@pytest.fixture
def spec() -> dict[str, Any]:
    content: dict[str, Any] = dict.fromkeys(REQUIRED, "x")
    content["features"] = {
        "groups": ["volatility"],
        "assets": [],
        "series": [],
        "names": NAMES,
        "hash": "h",
        "warmup": 100,
    }
    content["blend"] = {"method": "soft", "intercept": 0.0, "calibration": None}
    content["seed"] = np.int64(7)
    content["data"] = {"first": pd.Timestamp("2020-01-01", tz="UTC"), "rows": 3, "file": Path("a/b")}
    return content


@pytest.fixture
def folder(tmp_path: Path, members: list[Member], spec: dict[str, Any], data: Data) -> Path:
    return write_bundle(tmp_path / "train" / "1h", members=members, spec=spec, history=data[0])


def test_a_bundle_predicts_what_the_models_did(folder: Path, fitted: dict[str, Any], data: Data) -> None:
    bundle = load_bundle(folder)
    found = bundle.predict_members(data[0])
    assert found.columns.tolist() == [*MEMBERS, "vote"]
    assert found.index.equals(data[0].index)
    for name in MEMBERS:
        np.testing.assert_allclose(found[name], fitted[name].predict_proba(data[0])[1], atol=1e-5)
    np.testing.assert_allclose(found["vote"], np.average(found[[*MEMBERS]], axis=1, weights=[1, 2, 0.5]))
    assert found.isna().any(axis=1).tolist() == [True] * 3 + [False] * 397
    vote = bundle.predict(data[0])
    assert vote.name == "prob_up"
    np.testing.assert_array_equal(vote, found["vote"])


def test_the_tail_suffices_for_the_newest_row(folder: Path, data: Data) -> None:
    bundle = load_bundle(folder)
    assert bundle.window == 4
    tail = bundle.predict(data[0].tail(bundle.window))
    assert tail.iloc[-1] == pytest.approx(bundle.predict(data[0]).iloc[-1], abs=1e-7)
    assert tail.iloc[:-1].isna().all()


def test_spec_and_history_come_back(folder: Path, data: Data) -> None:
    bundle = load_bundle(folder)
    pd.testing.assert_frame_equal(bundle.history(), data[0], check_freq=False)
    assert bundle.feature_names == NAMES
    assert bundle.spec["seed"] == 7
    assert bundle.spec["data"] == {"first": "2020-01-01T00:00:00+00:00", "rows": 3, "file": "a/b"}
    assert [(m["name"], m["file"], m["window"], m["weight"]) for m in bundle.spec["members"]] == [
        ("random_forest", "random_forest.onnx", 1, 1.0),
        ("xgboost", "xgboost.onnx", 1, 2.0),
        ("lstm", "lstm.onnx", 4, 0.5),
    ]
    keys = list(json.loads((folder / "bundle.json").read_text()))
    assert keys == sorted(keys)


def test_the_walk_forward_stream_is_added_later(folder: Path) -> None:
    before = load_bundle(folder)
    assert before.walk_forward() is None
    stream = pd.DataFrame({"net_return": [0.1]}, index=pd.DatetimeIndex(["2020-01-01"], tz="UTC", name="timestamp"))
    stream.to_parquet(folder / "walk_forward.parquet")
    after = load_bundle(folder)
    found = after.walk_forward()
    assert found is not None
    pd.testing.assert_frame_equal(found, stream)
    assert after.hash != before.hash


def test_equal_bundles_have_equal_hashes_and_those_of_the_artifacts(
    folder: Path, tmp_path: Path, members: list[Member], spec: dict[str, Any], data: Data
) -> None:
    as_bytes = [Member(m.name, m.content, m.window, m.weight) for m in members]
    other = write_bundle(tmp_path / "elsewhere", members=as_bytes, spec=spec, history=data[0])
    assert load_bundle(folder).hash == load_bundle(other).hash == digest(other)
    changed = write_bundle(tmp_path / "third", members=members, spec={**spec, "seed": 8}, history=data[0])
    assert load_bundle(changed).hash != load_bundle(other).hash


def test_other_features_are_refused(folder: Path, data: Data) -> None:
    bundle, X = load_bundle(folder), data[0]
    with pytest.raises(ModelError, match="feature 0 is 'f4'"):
        bundle.predict(X[NAMES[::-1]])
    with pytest.raises(ModelError, match="'f4' is missing"):
        bundle.predict_members(X[NAMES[:-1]])
    with pytest.raises(ModelError, match="extra feature 'more'"):
        bundle.predict(X.assign(more=1.0))


@pytest.mark.parametrize("name", ["lstm.onnx", "history.parquet"])
def test_a_changed_or_missing_file_is_refused(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=f"{name} is not the file that was written"):
        load_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        load_bundle(folder)


class TestContext:
    """What features read beside the bars is stored beside the bars."""

    @pytest.fixture
    def beside(self) -> dict[str, pd.DataFrame]:
        days = pd.date_range("2020-01-01", periods=3, tz="UTC", name="published_at")
        hours = pd.date_range("2020-01-01", periods=5, freq="h", tz="UTC", name="timestamp")
        late = pd.DataFrame({"fear_greed": [0.1, 0.2, 0.3], "not_before": [pd.NaT, pd.NaT, days[2]]}, index=days)
        return {"fear_greed": late, "ETH/USDT:USDT": pd.DataFrame({"close": np.arange(5.0)}, index=hours)}

    @pytest.fixture
    def reads_both(self, spec: dict[str, Any]) -> dict[str, Any]:
        features = {**spec["features"], "assets": ["ETH/USDT:USDT"], "series": ["fear_greed"]}
        return {**spec, "features": features}

    @pytest.fixture
    def with_context(self, tmp_path: Path, members: list[Member], reads_both: Any, data: Data, beside: Any) -> Path:
        return write_bundle(tmp_path / "b", members=members, spec=reads_both, history=data[0], context=beside)

    def test_it_comes_back_by_name(self, with_context: Path, beside: dict[str, pd.DataFrame]) -> None:
        found = load_bundle(with_context).context()
        assert found.keys() == beside.keys()
        for name, frame in beside.items():
            pd.testing.assert_frame_equal(found[name], frame, check_freq=False)
        assert sorted(path.name for path in with_context.glob("context*")) == [
            "context-1-ETH-USDT-USDT.parquet",
            "context-2-fear_greed.parquet",
        ]

    def test_a_bundle_of_bars_alone_has_none(self, folder: Path) -> None:
        assert load_bundle(folder).context() == {}

    def test_what_was_changed_is_refused(self, with_context: Path) -> None:
        (with_context / "context-2-fear_greed.parquet").write_bytes(b"other")
        with pytest.raises(ModelError, match=r"fear_greed\.parquet is not the file that was written"):
            load_bundle(with_context)

    def test_other_values_are_another_bundle(
        self, with_context: Path, tmp_path: Path, members: list[Member], reads_both: Any, data: Data, beside: Any
    ) -> None:
        changed = {**beside, "fear_greed": beside["fear_greed"].assign(fear_greed=0.5)}
        other = write_bundle(tmp_path / "c", members=members, spec=reads_both, history=data[0], context=changed)
        assert load_bundle(other).hash != load_bundle(with_context).hash

    @pytest.mark.parametrize("wrong", [{}, {"fear_greed": None}, {"more": None}])
    def test_what_is_not_read_or_not_given_is_not_written(
        self, tmp_path: Path, members: list[Member], reads_both: Any, data: Data, beside: Any, wrong: Any
    ) -> None:
        given = {**beside, **wrong} if "more" in wrong else wrong
        with pytest.raises(ModelError, match="context of") as caught:
            write_bundle(tmp_path / "b", members=members, spec=reads_both, history=data[0], context=given)
        assert "ETH/USDT:USDT, fear_greed" in caught.value.rule


def test_a_member_cannot_point_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    outside.write_bytes((folder / "lstm.onnx").read_bytes())
    rewrite(folder, lambda spec: spec["members"][2].update(file=str(outside)))
    with pytest.raises(ModelError, match=r"outside\.onnx cannot be read"):
        load_bundle(folder)


def rewrite(folder: Path, change: Any) -> None:
    path = folder / "bundle.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec.update(schema=1), "bundle schema 1"),
        (lambda spec: spec.pop("horizon_bars"), "'horizon_bars' is missing"),
        (lambda spec: spec["members"][0].pop("window"), "'window' is missing"),
        (lambda spec: spec["members"][2].update(window=5), "lstm takes 4 rows of 5 features"),
        (lambda spec: spec["members"][0].update(weight=-1.0), "weights .-1.0, 2.0, 0.5. of a soft vote"),
        (lambda spec: spec["features"]["names"].append("f5"), "its spec says 1 rows of 6"),
        (lambda spec: spec["features"].pop("series"), "'series' is missing"),
        (lambda spec: spec["features"].update(series=["fear_greed"]), "context of nothing"),
        (lambda spec: spec.update(context=[{"name": "x"}]), "'file' is missing"),
        (lambda spec: spec.update(members=[]), "without members"),
    ],
)
def test_a_spec_that_does_not_hold_is_refused(folder: Path, change: Any, message: str) -> None:
    rewrite(folder, change)
    with pytest.raises(ModelError, match=message):
        load_bundle(folder)


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_spec_that_is_none_is_refused(folder: Path, content: str | None) -> None:
    if content is None:
        (folder / "bundle.json").unlink()
    else:
        (folder / "bundle.json").write_text(content)
    with pytest.raises(ModelError, match=r"cannot be read|schema None"):
        load_bundle(folder)


def test_what_does_not_fit_is_not_written(
    tmp_path: Path, members: list[Member], spec: dict[str, Any], data: Data
) -> None:
    lstm = members[2]
    missing = {key: value for key, value in spec.items() if key != "commit"}
    for wrong, content, message in (
        (members, missing, "'commit' is missing"),
        (members, {**spec, "schema": 1}, "'schema' in the spec"),
        ([], spec, "one or more"),
        ([lstm, lstm], spec, "named differently"),
        ([Member("lstm", lstm.graph, 5, 1.0)], spec, "takes 4 rows"),
        ([Member("lstm", lstm.graph, 4, float("nan"))], spec, "weights .nan. of a soft vote"),
        (members, {**spec, "costs": {"fee_bps": float("nan")}}, "not JSON"),
        (members, {**spec, "costs": object()}, "not JSON"),
    ):
        with pytest.raises(ModelError, match=message):
            write_bundle(tmp_path / "b" / "1h", members=wrong, spec=content, history=data[0])
    assert not (tmp_path / "b").exists()


def test_a_failure_leaves_the_old_bundle_and_no_litter(
    folder: Path, members: list[Member], spec: dict[str, Any], data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_bundle(folder).hash

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(models.bundle, "put_in_place", full)
        with pytest.raises(WorkspaceError, match="No space left"):
            write_bundle(folder, members=members, spec={**spec, "seed": 9}, history=data[0])
    assert load_bundle(folder).hash == before
    assert [path.name for path in folder.parent.iterdir()] == ["1h"]


def test_a_new_bundle_replaces_the_old_and_sweeps_what_a_kill_left(
    folder: Path, members: list[Member], spec: dict[str, Any], data: Data
) -> None:
    (folder.parent / ".1h.0123abcd.tmp").mkdir()
    write_bundle(folder, members=members[:1], spec=spec, history=data[0])
    assert load_bundle(folder).predict_members(data[0]).columns.tolist() == ["random_forest", "vote"]
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "history.parquet", "random_forest.onnx"]
    assert [path.name for path in folder.parent.iterdir()] == ["1h"]


def test_loading_takes_little_time(folder: Path) -> None:
    load_bundle(folder)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        load_bundle(folder)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


def test_serving_needs_no_learning_library(folder: Path, data: Data, tmp_path: Path) -> None:
    data[0].to_parquet(tmp_path / "x.parquet")
    script = f"""
import sys
from pathlib import Path
import pandas as pd
from models.bundle import load_bundle
bundle = load_bundle(Path({str(folder)!r}))
vote = bundle.predict(pd.read_parquet({str(tmp_path / "x.parquet")!r}))
assert vote.notna().sum() == 397
heavy = {{"tensorflow", "keras", "sklearn", "xgboost", "onnx", "tf2onnx", "skl2onnx", "onnxmltools", "mlflow"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
