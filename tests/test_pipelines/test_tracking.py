"""Trials are counted once and never forgotten; versions are found again by what they hold."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.settings import Settings
from pipelines.tracking import Tracker, Trial, registered_horizons
from pipelines.tracking_store import first_sections, flatten, from_text, is_server, open_store, to_text
from tests.workspace import with_registry
from trading.errors import StageError, WorkspaceError
from trading.instrument import Instrument

BITCOIN, ETHER = Instrument("BTC/USD", "1h"), Instrument("ETH/USD", "1h")
TRIALS = [
    Trial(f"hash{n}", "complete", {"depth": n, "rate": 0.1, "kind": "text"}, {"auc": 0.5 + n / 100}) for n in range(3)
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(state=with_registry(tmp_path_factory.mktemp("state")), mlflow_tracking_uri="")


@pytest.fixture
def tracker(settings, request):
    """A tracker whose instrument no other test uses."""
    return Tracker(settings, Instrument(f"T{abs(hash(request.node.name)) % 10**8}/USD", "1h"))


def children(tracker):
    return tracker.client.search_runs([tracker.experiment], "tags.kind = 'trial'")


def test_a_trial_is_a_child_run_and_comes_back_from_the_ledger(tracker):
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    assert tracker.ledger("1h") == TRIALS
    parents = tracker.client.search_runs([tracker.experiment], "tags.kind = 'study'")
    assert len(parents) == 1
    assert {run.data.tags["mlflow.parentRunId"] for run in children(tracker)} == {parents[0].info.run_id}
    assert {run.info.status for run in [*parents, *children(tracker)]} == {"FINISHED"}


def test_the_same_content_is_the_same_trial(tracker):
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    tracker.log_study("1h", "xgboost", "a study with one more", [*TRIALS, Trial("new", "pruned")])
    tracker.log_study("1h", "xgboost", "twice in one", [Trial("twin", "complete"), Trial("twin", "complete")])
    assert len(children(tracker)) == 5
    assert {trial.trial_hash for trial in tracker.ledger("1h")} == {"hash0", "hash1", "hash2", "new", "twin"}


def test_horizons_and_instruments_have_ledgers_of_their_own(settings, tracker):
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    tracker.log_study("4h", "xgboost", "study of 4h", TRIALS[:1])
    assert len(tracker.ledger("4h")) == 1
    assert tracker.ledger("24h") == []
    assert Tracker(settings, ETHER).ledger("1h") == []


def test_failed_and_pruned_trials_count(tracker):
    tried = [Trial("f", "failed", {}, {"auc": float("nan")}), Trial("p", "pruned", {}, {"auc": 0.4})]
    tracker.log_study("1h", "xgboost", "study", tried)
    assert [(t.trial_hash, t.state) for t in tracker.ledger("1h")] == [("f", "failed"), ("p", "pruned")]
    assert dict(tracker.ledger("1h")[0].metrics) == {}


def test_daily_returns_of_trials_are_kept_by_their_hashes(tracker):
    daily = {"first": "2019-01-01", "values": [0.01, -0.02]}
    tried = [Trial("with", "complete", {}, {"auc": 0.5}, daily), Trial("without", "failed")]
    for _ in range(2):
        tracker.log_study("1h", "xgboost", "study", tried)
    assert tracker.returns("1h") == {"with": daily}
    assert tracker.returns("4h") == {}


def test_a_trial_that_a_kill_left_half_written_is_finished(tracker):
    tags = {"kind": "trial", "horizon": "1h", "family": "xgboost", "trial_hash": "hash0", "state": "complete"}
    tracker.client.create_run(tracker.experiment, tags=tags)
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    assert tracker.ledger("1h") == TRIALS
    assert {run.info.status for run in children(tracker)} == {"FINISHED"}


def test_the_ledger_has_no_last_page(tracker, monkeypatch):
    monkeypatch.setattr("pipelines.tracking.PAGE", 2)
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    assert tracker.ledger("1h") == TRIALS


def test_a_study_of_35_trials_costs_seconds(tracker):
    tracker.ledger("1h")
    begin = time.process_time()
    tracker.log_study("1h", "xgboost", "study", [Trial(str(n), "complete", {"n": n}, {"auc": 0.5}) for n in range(35)])
    assert time.process_time() - begin < 5


def test_the_process_wide_address_stays_as_it_was(tracker):
    import mlflow

    before = mlflow.get_tracking_uri()
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    assert mlflow.get_tracking_uri() == before


def test_artifacts_lie_under_the_state_folder(settings, tracker):
    experiment = tracker.client.get_experiment(tracker.experiment)
    assert experiment.artifact_location == f"{settings.artifact_root}/{tracker.instrument.name}"
    assert experiment.name == tracker.instrument.name


def test_a_deleted_experiment_is_restored(settings, tracker):
    tracker.log_study("1h", "xgboost", "study", TRIALS)
    tracker.client.delete_experiment(tracker.experiment)
    assert len(Tracker(settings, tracker.instrument).ledger("1h")) == 3


def test_many_open_a_store_at_once(tmp_path):
    fresh = Settings(state=tmp_path, mlflow_tracking_uri="")
    trackers = [Tracker(fresh, BITCOIN if n % 2 else ETHER) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda tracker: tracker.experiment, trackers))
    assert len(set(found)) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_state_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WorkspaceError, match="cannot write MLflow's store"):
        open_store(Settings(state=tmp_path, mlflow_tracking_uri=""))


def test_a_state_folder_that_is_a_file(tmp_path):
    (tmp_path / "mlflow").write_text("in the way")
    with pytest.raises(WorkspaceError, match="ENGINE_STATE"):
        open_store(Settings(state=tmp_path, mlflow_tracking_uri=""))


class TestVersions:
    @pytest.fixture
    def model(self, tmp_path):
        folder = tmp_path / "model"
        (folder / "artifacts" / "bundle").mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors: {}\n")
        (folder / "artifacts" / "bundle" / "bundle.json").write_text("{}")
        return folder

    def register(self, tracker, model, identity, **changes):
        given = {
            "bundle_hash": identity,
            "evidence_hash": "ee",
            "tags": {"as_of": "2019-10-01T00:00:00+00:00"},
            "params": {"models": {"xgboost": {"depth": 3}}, "many": {str(n): n for n in range(150)}},
            "metrics": {"strategy": {"sharpe": 0.8, "unknown": None}},
            "epochs": {},
            "documents": {"evidence.json": {"a": 1}},
            "attachments": [],
        }
        return tracker.register("1h", model, **{**given, **changes})

    def test_a_bundle_with_its_evidence_is_registered_once(self, tracker, model):
        first = self.register(tracker, model, "aa")
        again = self.register(tracker, model, "aa")
        other = self.register(tracker, model, "bb")
        assert (first.version, first.created, first.name) == ("1", True, tracker.instrument.model_name("1h"))
        assert (again.version, again.created) == ("1", False)
        assert (other.version, other.created) == ("2", True)
        assert tracker.find("1h", "aa", "ee").tags["as_of"] == "2019-10-01T00:00:00+00:00"
        assert tracker.find("1h", "cc", "ee") is None

    def test_the_same_bundle_on_other_evidence_is_another_version(self, tracker, model):
        first = self.register(tracker, model, "aa")
        other = self.register(tracker, model, "aa", evidence_hash="ff", documents={"evidence.json": {"a": 2}})
        assert (other.version, other.created) == ("2", True)
        assert tracker.find("1h", "aa", "ee").version == "1"
        assert tracker.find("1h", "aa", "ff").version == "2"
        assert tracker.find("1h", "aa", "gg") is None
        assert tracker.document(first, "evidence.json") == {"a": 1}
        assert tracker.document(other, "evidence.json") == {"a": 2}

    def test_its_run_has_the_epochs_of_each_member_as_steps(self, tracker, model):
        told = [{"loss": 0.7, "tail_loss": None}, {"loss": 0.6, "tail_loss": 0.65}]
        self.register(tracker, model, "aa", epochs={"lstm": told})
        (run,) = tracker.client.search_runs([tracker.experiment], "tags.kind = 'registration'")
        found = {
            key: [(one.step, one.value) for one in tracker.client.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
            if key.startswith("epochs.")
        }
        assert found == {"epochs.lstm.loss": [(1, 0.7), (2, 0.6)], "epochs.lstm.tail_loss": [(2, 0.65)]}

    def test_its_run_has_params_metrics_and_documents(self, tracker, model, tmp_path):
        report = tmp_path / "report.html"
        report.write_text("<html>")
        self.register(tracker, model, "aa", attachments=[report])
        (run,) = tracker.client.search_runs([tracker.experiment], "tags.kind = 'registration'")
        assert run.data.params["models.xgboost.depth"] == "3"
        assert len(run.data.params) == 151
        assert run.data.metrics == {"strategy.sharpe": 0.8}
        assert {f.path for f in tracker.client.list_artifacts(run.info.run_id)} == {"evidence.json", "report.html"}

    def test_what_lies_beside_it_is_found_again(self, settings, tracker, model, tmp_path, monkeypatch):
        cards = tmp_path / "cards"
        cards.mkdir()
        (cards / "m.html").write_text("<html>")
        made = self.register(tracker, model, "aa", attachments=[cards])
        lies = tracker.attachment(made, "cards/m.html")
        assert lies.read_text() == "<html>"
        assert lies.is_relative_to(settings.state / "mlflow")
        monkeypatch.setattr("pipelines.tracking.is_server", lambda settings: True)
        fetched = tracker.attachment(made, "cards/m.html")
        assert fetched.read_text() == "<html>"
        assert fetched.is_relative_to(settings.state / "state" / "versions")
        assert tracker.attachment(made, "cards/n.html") is None
        assert tracker.attachment(made, "pictures/m.html") is None

    def test_its_description_is_as_much_as_mlflow_holds(self, tracker, model):
        long = "# M\n\n" + "".join(f"## S{number}\n\n{'x' * 1000}\n\n" for number in range(7))
        for version, (text, identity) in enumerate([("", "aa"), ("# short", "bb"), (long, "cc")], start=1):
            self.register(tracker, model, identity, description=text)
            stored = tracker.client.get_model_version(tracker.instrument.model_name("1h"), str(version)).description
            assert stored == (first_sections(text) or None)
        assert len(stored) <= 5000
        assert "## S3" in stored
        assert stored.endswith("*In the run's artifacts: S4, S5, S6.*\n")

    def test_versions_are_listed_from_the_newest(self, tracker, model):
        assert tracker.versions("1h") == []
        for number in range(11):
            self.register(tracker, model, f"b{number}")
        assert [found.version for found in tracker.versions("1h")] == [str(n) for n in range(11, 0, -1)]

    def test_aliases_and_downloads(self, tracker, model):
        assert tracker.version("1h", "champion") is None
        self.register(tracker, model, "aa")
        assert tracker.version("1h", "champion") is None
        tracker.move_alias("1h", "champion", "1")
        assert tracker.version("1h", "champion").bundle_hash == "aa"
        assert (tracker.download("1h", "champion") / "bundle.json").exists()
        assert tracker.download("1h", "champion") == tracker.download("1h", "1")

    def test_what_a_server_keeps_is_fetched_once(self, settings, tracker, model, monkeypatch):
        self.register(tracker, model, "aa")
        monkeypatch.setattr("pipelines.tracking.is_server", lambda settings: True)
        folder = tracker.download("1h", "1")
        assert folder.is_relative_to(settings.state / "state" / "versions")
        assert (folder / "bundle.json").read_text() == "{}"
        import mlflow

        monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda **given: pytest.fail("fetched again"))
        assert tracker.download("1h", "1") == folder

    def test_versions_of_one_bundle_are_fetched_apart(self, tracker, model, monkeypatch):
        beside = model / "artifacts" / "bundle" / "walk_forward.parquet"
        for evidence_hash in ("ee", "ff"):
            beside.write_text(evidence_hash)
            self.register(tracker, model, "aa", evidence_hash=evidence_hash)
        monkeypatch.setattr("pipelines.tracking.is_server", lambda settings: True)
        stored = [(tracker.download("1h", version) / beside.name).read_text() for version in ("1", "2")]
        assert stored == ["ee", "ff"]

    @pytest.mark.parametrize("name", ["champion", "7"])
    def test_what_is_not_there_cannot_be_downloaded(self, tracker, model, name):
        self.register(tracker, model, "aa")
        with pytest.raises(StageError, match="engine run"):
            tracker.download("1h", name)

    def test_a_kill_before_the_version_leaves_nothing_that_counts(self, tracker, model, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(type(tracker.client), "create_model_version", self.killed)
            with pytest.raises(KeyboardInterrupt):
                self.register(tracker, model, "aa")
        assert tracker.find("1h", "aa", "ee") is None
        assert self.register(tracker, model, "aa").created
        runs = tracker.client.search_runs([tracker.experiment], "tags.kind = 'registration'")
        assert sorted(run.info.status for run in runs) == ["FINISHED", "KILLED"]

    @staticmethod
    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    def test_registered_horizons_are_listed_by_length(self, tmp_path, model):
        fresh = Settings(state=tmp_path / "fresh", mlflow_tracking_uri="")
        assert registered_horizons(fresh) == []
        for instrument in (ETHER, BITCOIN):
            for horizon in ("24h", "4h"):
                Tracker(fresh, instrument).register(
                    horizon,
                    model,
                    bundle_hash="x",
                    evidence_hash="e",
                    tags={},
                    params={},
                    metrics={},
                    epochs={},
                    documents={},
                    attachments=[],
                )
        wanted = [(BITCOIN, "4h"), (BITCOIN, "24h"), (ETHER, "4h"), (ETHER, "24h")]
        assert registered_horizons(fresh) == wanted


def test_a_text_without_sections_is_cut():
    assert first_sections("x" * 30, 20) == "x" * 20
    assert first_sections("# T\n\n## A\n\n" + "x" * 60, 50) == "# T\n\n*In the run's artifacts: A.*\n"


def test_nested_values_are_flattened():
    assert flatten({"a": {"b": {"c": 1}, "d": [1]}, "e": None}) == {"a.b.c": 1, "a.d": [1], "e": None}


@pytest.mark.parametrize("value", [1, 0.1, True, None, [32, 32], "text", "1h"])
def test_parameters_survive_the_store(value):
    assert from_text(to_text(value)) == value


def test_only_an_address_of_the_web_is_a_server():
    assert is_server(Settings(mlflow_tracking_uri="http://127.0.0.1:5000"))
    assert not is_server(Settings(mlflow_tracking_uri="postgresql://db/mlflow"))
    assert not is_server(Settings(mlflow_tracking_uri=""))


def test_a_server_that_does_not_answer_is_said_at_once(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(WorkspaceError, match=r"does not answer: .*refused") as caught:
        open_store(Settings(state=tmp_path, mlflow_tracking_uri=address))
    assert caught.value.where == address
