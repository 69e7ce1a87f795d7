"""A version per bundle and evidence, loaded back by a stranger before an alias moves; no move without a log line."""

import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.promotion.chain import read
from pipelines.promotion.decisions import promote, rollback
from pipelines.promotion.moves import logged
from pipelines.promotion.transaction import log_path
from pipelines.register import packaging, stage
from pipelines.settings import ROOT
from pipelines.tracking import Tracker
from tests import bundles
from tests.bundles import fake_run
from tests.workspace import with_registry
from trading.errors import StageError
from trading.instrument import Instrument


@pytest.fixture(scope="module")
def one(params):
    """Params with one horizon."""
    return params.model_copy(update={"labels": params.labels.model_copy(update={"horizons": ["4h"]})})


@pytest.fixture(scope="module")
def features(sample_bars):
    """Three columns that stand for features."""
    ret = sample_bars["close"].pct_change()
    table = pd.DataFrame({"a": ret * 100, "b": ret.rolling(5).mean() * 100, "volatility_24": ret.rolling(8).std()})
    return table.iloc[:600]


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """One store for the module: making it takes seconds."""
    return with_registry(tmp_path_factory.mktemp("state"))


@pytest.fixture
def coin(request):
    """An instrument that no other test uses."""
    return Instrument(f"R{abs(hash(request.node.name)) % 10**8}/USD", "1h")


@pytest.fixture
def make(state, one, coin, sample_bars, features, tmp_path):
    """Contexts of runs over more or fewer bars, in one store."""

    def made(rows=500, *, params=one, **changes):
        return fake_run_in(state, tmp_path / f"w{rows}{changes}", params, coin, sample_bars[:rows], features, **changes)

    return made


def fake_run_in(state, root, params, instrument, bars, features, **changes):
    context = fake_run(root, params, instrument, bars, features, **changes)
    return replace(context, settings=context.settings.model_copy(update={"state": state, "home": ROOT}))


@pytest.fixture
def trusting(monkeypatch):
    """Skips the process that loads back, which takes seconds and has tests of its own."""
    monkeypatch.setattr(stage, "check_reload", lambda *args: None)


def registered(context, horizon="4h"):
    return context.files.read_json("data/register/registered.json")["horizons"][horizon]


def log_of(context):
    moves = [one.move for one in logged(read(log_path(context.settings)))]
    return [made for made in moves if made.instrument == context.run.instrument]


def test_a_stranger_loads_what_was_registered(make, tmp_path):
    context = make()
    stage.run(context)
    answer = registered(context)
    assert answer["created"]
    assert answer["aliases_moved"] == ["candidate"]
    tracker = Tracker(context.settings, context.run.instrument)
    version = tracker.version("4h", "candidate")
    assert version.tags["reloaded"] == "true"
    assert version.tags["verdict"] == "refused"
    assert version.tags["commit"] == "deadbeef"
    assert version.tags["bundle_hash"] == answer["bundle_hash"]
    folder = tracker.download("4h", "candidate")
    assert (folder / "walk_forward.parquet").exists()
    code = (
        "import mlflow, sys, pathlib; mlflow.set_tracking_uri(sys.argv[1]);"
        "m = mlflow.pyfunc.load_model(f'models:/{sys.argv[2]}@candidate');"
        "x = m.input_example; out = m.predict(x);"
        "named = m.metadata.signature.outputs.input_names();"
        "print(list(out.columns), len(x), out['vote'].notna().sum(), named);"
        "print(sys.modules['models'].__file__)"
    )
    arguments = [context.settings.tracking_uri, answer["name"]]
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said, source = done.stdout.strip().splitlines()[-2:]
    assert said == "['xgboost', 'lstm', 'vote'] 8 5 ['xgboost', 'lstm', 'vote']"
    assert not source.startswith(str(ROOT / "models"))
    model = folder.parents[1]
    assert not list(model.rglob("*.pkl")), "nothing is pickled"
    assert (model / "requirements.txt").read_text().count("onnxruntime==") == 1
    assert {p.name for p in (model / "code").iterdir()} == {"models", "trading"}


def test_a_version_carries_its_card(make, trusting):
    context = make()
    name = context.run.instrument.model_name("4h")
    for ending, text in (("md", "# Model card\n"), ("html", "<html>")):
        context.files.write_text(f"{stage.CARDS}/{name}.{ending}", text)
    stage.run(context)
    tracker = Tracker(context.settings, context.run.instrument)
    version = tracker.version("4h", "candidate")
    assert tracker.client.get_model_version(name, version.version).description == "# Model card\n"
    assert tracker.attachment(version, f"cards/{name}.html").read_text() == "<html>"
    assert tracker.attachment(version, f"cards/{name}.md").read_text() == "# Model card\n"


def test_a_second_call_makes_nothing(make, trusting):
    context = make()
    stage.run(context)
    tracker = Tracker(context.settings, context.run.instrument)
    runs = len(tracker.client.search_runs([tracker.experiment]))
    stage.run(context)
    again = registered(context)
    assert not again["created"]
    assert again["aliases_moved"] == []
    assert again["aliases_kept"]["candidate"] == "already there"
    assert len(tracker.client.search_runs([tracker.experiment])) == runs
    assert len(log_of(context)) == 1


def test_the_candidate_is_the_newest_data_and_a_replay_does_not_take_it_back(make, trusting):
    for rows in (400, 500):
        stage.run(make(rows))
    stage.run(make(450))
    replay = make(450)
    tracker = Tracker(replay.settings, replay.run.instrument)
    assert tracker.version("4h", "candidate").version == "2"
    assert [(e.origin, e.to) for e in log_of(replay)] == [(None, "1"), ("1", "2")]
    stage.run(replay)
    assert "newer data" in registered(replay)["aliases_kept"]["candidate"]


def test_on_the_same_data_what_ran_last_is_the_candidate(make, trusting):
    first, second = make(), make(seed=9)
    for context in (first, second, first):
        stage.run(context)
    assert [e.to for e in log_of(first)] == ["1", "2", "1"]


def test_only_what_passed_becomes_champion(make, trusting):
    stage.run(make())
    passed = make(passed=True, seed=9)
    stage.run(passed)
    assert registered(passed)["aliases_moved"] == ["candidate", "champion"]
    champion = [e for e in log_of(passed) if e.alias == "champion"]
    assert [(e.origin, e.to, e.why, e.kind) for e in champion] == [(None, "2", "passed: all rules", "promotion")]
    stage.run(passed)
    assert registered(passed)["aliases_kept"]["champion"] == "already there"


def test_a_verdict_about_a_former_champion_moves_nothing(make, trusting):
    stage.run(make(passed=True))
    late = make(550, passed=True)
    stage.run(late)
    assert registered(late)["aliases_kept"]["champion"] == "the alias moved after the verdict; judge again"
    heeding = make(550, passed=True, champion="1")
    stage.run(heeding)
    tracker = Tracker(heeding.settings, heeding.run.instrument)
    assert tracker.version("4h", "champion").version == registered(heeding)["version"]


def test_the_champion_does_not_go_back_in_time(make, trusting):
    stage.run(make(passed=True))
    old = make(400, passed=True, champion="1")
    stage.run(old)
    assert "newer data" in registered(old)["aliases_kept"]["champion"]


def test_another_verdict_on_the_same_bundle_is_another_version(make, trusting):
    first, changed = make(), make(passed=True)
    stage.run(first)
    before = registered(first)
    stage.run(changed)
    after = registered(changed)
    assert after["bundle_hash"] == before["bundle_hash"]
    assert (before["version"], after["version"], after["created"]) == ("1", "2", True)
    tracker = Tracker(changed.settings, changed.run.instrument)
    for version, word in (("1", "refused"), ("2", "passed")):
        tracker.move_alias("4h", "asked", version)
        found = tracker.version("4h", "asked")
        assert found.tags["verdict"] == word
        assert tracker.document(found, "verdict.json")["horizons"]["4h"]["verdict"] == word
    assert tracker.version("4h", "champion").version == "2", "the alias stands on what is stored with the version"
    stage.run(changed)
    assert (registered(changed)["version"], registered(changed)["created"]) == ("2", False)


def test_other_evidence_on_the_same_bundle_is_another_version(make, trusting):
    context = make()
    stage.run(context)
    evidence = context.files.read_json("data/evidence/evidence.json")
    evidence["measured"] = {"latency_ms": {"p50": 99.0}}
    context.files.write_json("data/evidence/evidence.json", evidence)
    stage.run(context)
    assert registered(context)["version"] == "1", "what was timed is no evidence"
    evidence["horizons"]["4h"]["strategy"]["sharpe"] = 0.7
    context.files.write_json("data/evidence/evidence.json", evidence)
    curves = context.files.read_frame("data/backtest/4h/curves.parquet")
    context.files.write_frame("data/backtest/4h/curves.parquet", curves.assign(net_return=0.5))
    stage.run(context)
    assert registered(context)["version"] == "2"
    tracker = Tracker(context.settings, context.run.instrument)
    found = tracker.version("4h", "candidate")
    assert found.tags["evidence_hash"] != ""
    assert tracker.document(found, "evidence.json") == evidence
    assert tracker.client.get_run(tracker.client.get_model_version(found.name, "2").run_id).data.metrics[
        "strategy.sharpe"
    ] == pytest.approx(0.7)
    assert set(pd.read_parquet(tracker.download("4h", "2") / "walk_forward.parquet")["net_return"]) == {0.5}
    assert set(pd.read_parquet(tracker.download("4h", "1") / "walk_forward.parquet")["net_return"]) != {0.5}


@pytest.mark.parametrize(("dirty", "tag"), [(True, "true"), (False, "false"), (None, "unknown"), (..., "unknown")])
def test_uncommitted_code_shows_on_the_version(make, trusting, monkeypatch, dirty, tag):
    known = {} if dirty is ... else {"dirty": dirty}
    clean = bundles.spec
    monkeypatch.setattr(bundles, "spec", lambda *args, **given: {**clean(*args, **given), **known})
    context = make()
    stage.run(context)
    tracker = Tracker(context.settings, context.run.instrument)
    assert tracker.version("4h", "candidate").tags["commit_dirty"] == tag


def test_no_alias_moves_to_what_cannot_be_loaded(make, monkeypatch):
    def refuse(*args):
        raise StageError("a registered version cannot be loaded")

    context = make()
    with monkeypatch.context() as patch:
        patch.setattr(stage, "check_reload", refuse)
        with pytest.raises(StageError):
            stage.run(context)
    tracker = Tracker(context.settings, context.run.instrument)
    assert tracker.version("4h", "candidate") is None
    # The next run finds the version, and tests it again rather than trusting it.
    asked = []
    monkeypatch.setattr(stage, "check_reload", lambda uri, examples, answers, tolerance: asked.extend(examples))
    stage.run(context)
    assert len(asked) == 1
    assert tracker.version("4h", "candidate").version == "1"


def test_evidence_about_another_bundle_is_refused(make, trusting):
    context = make()
    verdict = context.files.read_json("data/gate/verdict.json")
    verdict["horizons"]["4h"]["bundle_hash"] = "another"
    context.files.write_json("data/gate/verdict.json", verdict)
    with pytest.raises(StageError, match="about another bundle"):
        stage.run(context)
    assert not context.files.exists("data/register/registered.json")


def test_a_report_is_stored_where_there_is_one(make, trusting):
    context = make()
    context.files.write_text("data/report/report.html", "<html>")
    stage.run(context)
    tracker = Tracker(context.settings, context.run.instrument)
    (run,) = tracker.client.search_runs([tracker.experiment], "tags.kind = 'registration'")
    names = {item.path for item in tracker.client.list_artifacts(run.info.run_id)}
    assert names == {"evidence.json", "verdict.json", "report.html"}
    assert run.data.metrics["skill.vote.accuracy"] == 0.55
    assert run.data.params["params.models.xgboost.max_depth"] == "3"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("print(json.dumps({'models:/m/1': {'vote': [None, 0.6]}}))", None),
        ("print(json.dumps({'models:/m/1': {'vote': [None, 0.6001]}}))", "otherwise than its bundle"),
        ("print(json.dumps({'models:/m/1': {'vote': [0.5, 0.6]}}))", "otherwise than its bundle"),
        ("raise ImportError('no module named keras')", "cannot be loaded.*keras"),
    ],
)
def test_loading_back_compares_what_is_said(monkeypatch, features, said, complaint):
    monkeypatch.setattr(packaging, "_LOADER", f"import json\n{said}")
    answer = pd.DataFrame({"vote": [float("nan"), 0.6]})
    given = ("sqlite:///none", {"models:/m/1": features.tail(2)}, {"models:/m/1": answer}, 1e-9)
    if complaint is None:
        packaging.check_reload(*given)
    else:
        with pytest.raises(StageError, match=complaint):
            packaging.check_reload(*given)


def test_what_was_rolled_back_from_comes_back_only_by_hand(make, trusting):
    first, second = make(passed=True), make(seed=9, passed=True, champion="1")
    stage.run(first)
    stage.run(second)
    assert registered(second)["aliases_moved"] == ["candidate", "champion"]
    tracker = Tracker(second.settings, second.run.instrument)
    assert rollback(tracker, "4h", "it lost money").to == "1"
    stage.run(second)
    assert "rolled back" in registered(second)["aliases_kept"]["champion"]
    assert tracker.version("4h", "champion").version == "1"
    promote(tracker, "4h", "2")
    stage.run(second)
    assert registered(second)["aliases_kept"]["champion"] == "already there"
    assert tracker.version("4h", "champion").version == "2"


def test_artifacts_are_read_only_through_artifacts(make, trusting):
    context = make()
    context.files.path("data/gate/verdict.json").unlink()
    with pytest.raises(StageError, match=r"verdict\.json is missing"):
        stage.run(replace(context, files=Artifacts(context.files.root)))
