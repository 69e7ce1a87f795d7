"""The gate books what was tried before it counts, and judges against what is live."""

from dataclasses import replace

import pandas as pd
import pytest

from pipelines.artifacts import Artifacts
from pipelines.gate import stage
from pipelines.promotion.decisions import promote
from pipelines.register import stage as register
from pipelines.settings import ROOT
from pipelines.tracking import Tracker
from tests.bundles import fake_run
from tests.workspace import with_registry
from trading.instrument import Instrument

EVIDENCE = "data/evidence/evidence.json"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """One store for the module: making it takes seconds."""
    return with_registry(tmp_path_factory.mktemp("state"))


@pytest.fixture
def make(request, state, tmp_path, params, sample_bars):
    """Contexts of runs in one store, of an instrument that no other test uses."""
    coin = Instrument(f"G{abs(hash(request.node.name)) % 10**8}/USD", "1h")
    bars = sample_bars[:300]
    ret = bars["close"].pct_change()
    features = pd.DataFrame({"a": ret, "volatility_24": ret.rolling(8).std()})

    def made(seed=0, horizon="4h"):
        one = params.model_copy(update={"labels": params.labels.model_copy(update={"horizons": [horizon]})})
        context = fake_run(tmp_path / str(seed), one, coin, bars, features, seed=seed)
        return replace(context, settings=context.settings.model_copy(update={"state": state, "home": ROOT}))

    return made


@pytest.fixture(autouse=True)
def trusting(monkeypatch):
    monkeypatch.setattr(register, "check_reload", lambda *args: None)


def test_the_ledger_is_judged_with_its_daily_returns(make):
    context = make()
    days = {"first": "2019-01-01", "values": [0.01, -0.02] * 20}
    tried = [
        {"trial_hash": f"t{n}", "state": "complete", "params": {}, "metrics": {"sharpe_per_bar": 0.02}, "returns": days}
        for n in range(9)
    ]
    context.files.write_json("data/tune/trials.json", {"4h": {"xgboost": tried}})
    stage.run(context)
    said = context.files.read_json("data/gate/verdict.json")["horizons"]["4h"]
    assert said["trials"] == {"counted": 10, "effective": pytest.approx(2.0), "deflated_by": 2}
    # Nine that are the same are one; the recipe has no returns and counts whole.
    reason = next(rule["reason"] for rule in said["rules"] if rule["rule"] == "deflated_sharpe")
    assert "luckiest of 2 independent trials" in reason
    assert "10 were counted, which are as 2.0" in reason


def test_trials_are_booked_and_counted(make):
    context = make()
    tried = [{"trial_hash": "t1", "state": "pruned", "params": {}, "metrics": {"sharpe_per_bar": 0.02}}]
    context.files.write_json("data/tune/trials.json", {"4h": {"xgboost": tried}})
    stage.run(context)
    verdict = context.files.read_json("data/gate/verdict.json")
    first = verdict["horizons"]["4h"]
    assert verdict["instrument"] == context.run.instrument.name
    assert first["question"] == "first"
    assert first["trials"]["counted"] == 2
    assert first["verdict"] == "passed"
    tracker = Tracker(context.settings, context.run.instrument)
    assert {trial.trial_hash for trial in tracker.ledger("4h")} == {"t1", "r04h"}

    stage.run(context)
    assert context.files.read_json("data/gate/verdict.json") == verdict, "counting again is not trying again"

    register.run(context)
    assert tracker.version("4h", "champion").version == "1"


VERDICT, REGISTERED = "data/gate/verdict.json", "data/register/registered.json"


def text(context):
    return context.files.path(VERDICT).read_text()


def test_a_champion_is_not_judged_against_itself(make):
    context = make(seed=1)
    stage.run(context)
    first = text(context)
    register.run(context)
    stage.run(context)
    assert text(context) == first
    # The run that made it champion cannot be taken back by what others try later.
    tried = [{"trial_hash": f"later {n}", "state": "complete", "params": {}, "metrics": {}} for n in range(9)]
    context.files.write_json("data/tune/trials.json", {"4h": {"xgboost": tried}})
    stage.run(context)
    assert text(context) == first
    register.run(context)
    assert not registered(context)["created"]


def test_a_kill_after_the_alias_moved_changes_no_verdict(make, monkeypatch):
    context = make(seed=2)
    stage.run(context)
    undisturbed = text(context)

    def killed(files, name, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Artifacts, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            register.run(context)
    assert not context.files.exists(REGISTERED)
    assert Tracker(context.settings, context.run.instrument).version("4h", "champion").version == "1"
    stage.run(context)
    assert text(context) == undisturbed
    register.run(context)
    assert registered(context)["version"] == "1"
    assert not registered(context)["created"]


def test_a_kill_before_the_alias_moved_is_mended_before_anything_is_judged(make, monkeypatch):
    context = make(seed=6)
    stage.run(context)
    undisturbed = text(context)

    def killed(tracker, horizon, alias, version):
        if alias == "champion":
            raise KeyboardInterrupt
        whole(tracker, horizon, alias, version)

    whole = Tracker.move_alias
    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "move_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            register.run(context)
    tracker = Tracker(context.settings, context.run.instrument)
    assert tracker.version("4h", "champion") is None
    stage.run(context)
    assert tracker.version("4h", "champion").version == "1"
    assert text(context) == undisturbed, "judged as the champion that it is, not against it"
    register.run(context)
    assert registered(context)["aliases_kept"]["champion"] == "already there"


def test_other_thresholds_or_other_evidence_are_another_question(make):
    context = make(seed=3)
    stage.run(context)
    register.run(context)
    stricter = context.params.model_copy(
        update={"gate": context.params.gate.model_copy(update={"min_trades": context.params.gate.min_trades + 1})}
    )
    again = replace(context, params=stricter)
    stage.run(again)
    judged = again.files.read_json(VERDICT)["horizons"]["4h"]
    assert (judged["question"], judged["champion"]) == ("refresh", "1")
    register.run(again)
    assert registered(again)["version"] == "2"
    assert registered(again)["aliases_moved"] == ["candidate", "champion"]
    settled = text(again)
    stage.run(again)
    assert text(again) == settled

    evidence = again.files.read_json(EVIDENCE)
    evidence["horizons"]["4h"]["strategy"]["sharpe"] = -0.01
    again.files.write_json(EVIDENCE, evidence)
    stage.run(again)
    assert again.files.read_json(VERDICT)["horizons"]["4h"]["verdict"] == "refused"


def test_newer_data_with_the_champions_recipe_is_a_refresh(make):
    old, new = make(seed=4), make(seed=5)
    evidence = new.files.read_json(EVIDENCE)
    claimed, evidence["test"]["last"] = evidence["test"]["last"], "2019-12-31T23:00:00+00:00"
    new.files.write_json(EVIDENCE, evidence)
    for context in (old, new):
        stage.run(context)
        register.run(context)
    judged = new.files.read_json(VERDICT)["horizons"]["4h"]
    assert (judged["question"], judged["champion"], judged["verdict"]) == ("refresh", "1", "passed")
    # Nothing since the claim has been looked at, whatever was refreshed on the way.
    tracker = Tracker(new.settings, new.run.instrument)
    live = stage.champion(tracker, "4h", tracker.version("4h", "champion"))
    assert (live.version, live.proven) == ("2", True)
    assert live.claimed == pd.Timestamp(claimed)
    # What was replaced comes back as a challenger like any other.
    stage.run(old)
    assert old.files.read_json(VERDICT)["horizons"]["4h"]["champion"] == "2"


def test_horizons_judged_in_runs_of_their_own_spend_one_budget(make):
    for seed, horizon in ((11, "4h"), (12, "1h"), (13, "24h")):
        context = make(seed, horizon)
        evidence = context.files.read_json(EVIDENCE)
        evidence["horizons"][horizon]["bundle"]["recipe_sha256"] = horizon
        context.files.write_json(EVIDENCE, evidence)
        stage.run(context)
        register.run(context)
        judged = context.files.read_json(VERDICT)["horizons"][horizon]
        assert (judged["question"], judged["number"]) == ("first", seed - 10)


def test_an_override_is_proven_by_no_newer_data(make):
    old, new = make(seed=7), make(seed=8)
    for context in (old, new):
        evidence = context.files.read_json(EVIDENCE)
        evidence["horizons"]["4h"]["moments"]["sharpe_per_bar"] = 0.0005
        context.files.write_json(EVIDENCE, evidence)
        stage.run(context)
        register.run(context)
        if context is old:
            promote(Tracker(old.settings, old.run.instrument), "4h", "1", override="the desk asked for it")
    judged = new.files.read_json(VERDICT)["horizons"]["4h"]
    assert (judged["question"], judged["champion"], judged["verdict"]) == ("first", "1", "refused")


def registered(context):
    return context.files.read_json(REGISTERED)["horizons"]["4h"]
