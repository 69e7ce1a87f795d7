"""A verdict passes only if every rule does, and each rule can refuse on its own."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.artifacts import json_text
from pipelines.evidence.deflated_sharpe import deflated_sharpe
from pipelines.gate import significance
from pipelines.gate.champion import Champion
from pipelines.gate.judgement import judge
from pipelines.params import GateParams
from pipelines.tracking import Trial
from trading.errors import StageError

GATE = GateParams(
    min_trades=30,
    error_budget=0.05,
    ask_again="30d",
    min_skill=0.0,
    max_overfitting=0.5,
    max_selection_loss=0.1,
    max_seed_spread=3.0,
    max_stress_drawdown=0.5,
    max_null_z=4.0,
    max_latency_ms=50.0,
    max_drawdown=0.35,
    max_onnx_difference=1e-5,
    confidence=0.95,
    non_inferiority_sharpe=0.5,
)
GOOD = {
    "instrument": {"symbol": "BTC/USD", "timeframe": "1h"},
    "seed": 7,
    "test": {"first": "2018-09-01T00:00:00+00:00", "last": "2019-09-01T00:00:00+00:00"},
    "measured": {"latency_ms": {"p50": 1.0, "p99": 3.0}},
    "audit": {"clean": True, "control_caught": True, "checks": [{"check": "features", "compared": 100, "changed": 0}]},
    "horizons": {
        "1h": {
            "best_baseline": "reversal",
            "skill_over_baseline": 0.02,
            "skill_low": 0.01,
            "skill_high": 0.03,
            "strategy": {"trades": 640, "round_trips": 320, "max_drawdown": 0.2, "sharpe": 4.6},
            "monte_carlo": {"paths": 500, "block": 10.0},
            "trials": {"counted": 3, "sharpe_variance": 1e-4},
            "moments": {"observations": 8700, "sharpe_per_bar": 0.05, "skewness": 0.1, "kurtosis": 12.0},
            "overfitting": {
                "search": {"probability": None, "probability_of_loss": None, "configurations": 2, "reason": "only 2"},
                "recipes": {"probability": 0.3, "probability_of_loss": 0.2, "configurations": 4, "reason": None},
            },
            "seeds": {"sharpe": {"values": [4.0, 5.0]}},
            "stress": {"scenarios": [{"name": "gap", "drawdown": 0.1}, {"name": "crash", "drawdown": 0.3}]},
            "simulated": {"markets": {"draws": 8, "z": 0.3, "reason": None}},
            "onnx": {"rows": 1000, "max_difference": 3e-7},
            "bundle": {"hash": "aa11", "recipe_sha256": "bb22"},
        }
    },
}
# The claim was about all bars of a stream.
END = pd.Timestamp("2020-01-01", tz="UTC")
LEDGER = [Trial("a", "complete", {}, {"sharpe_per_bar": 0.01}), Trial("b", "pruned", {}, {"sharpe_per_bar": 0.0})]


def stream(mean: float, *, rows: int = 4000, seed: int = 0) -> pd.Series:
    index = pd.date_range("2019-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    return pd.Series(np.random.default_rng(seed).normal(mean, 0.01, rows), index=index, name="net_return")


def evidence(**changes) -> dict:
    """The good evidence with values replaced; keys are paths with double underscores, below the horizon."""
    made = copy.deepcopy(GOOD)
    for path, value in changes.items():
        node = made if path.startswith(("audit", "measured")) else made["horizons"]["1h"]
        *parents, last = path.split("__")
        for key in parents:
            node = node[key]
        node[last] = value
    return made


def rule(verdict: dict, name: str) -> dict:
    return next(item for item in verdict["rules"] if item["rule"] == name)


def test_good_evidence_passes():
    verdict = judge(GOOD, "1h", LEDGER, GATE, None, stream(0.0))
    assert verdict["verdict"] == "passed"
    assert verdict["question"] == "first"
    assert verdict["champion"] is None
    assert verdict["bundle_hash"] == "aa11"
    assert all(item["passed"] for item in verdict["rules"])
    assert verdict["summary"].startswith("passed: all 13 rules")
    json_text(verdict)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("audit_clean", {"audit__clean": False}),
        ("audit_clean", {"audit__checks": [{"check": "features", "compared": 100, "changed": 1}]}),
        ("audit_clean", {"audit__checks": [{"check": "features", "compared": 0, "changed": 0}]}),
        ("audit_clean", {"audit__checks": []}),
        ("audit_control", {"audit__control_caught": False}),
        ("simulated_markets", {"simulated__markets__z": 4.1}),
        ("simulated_markets", {"simulated__markets__z": -4.1}),
        ("simulated_markets", {"simulated__markets__z": None}),
        ("onnx_parity", {"onnx__max_difference": 2e-5}),
        ("onnx_parity", {"onnx__max_difference": None}),
        ("onnx_parity", {"onnx__rows": 0}),
        ("enough_trades", {"strategy__round_trips": 29}),
        ("enough_trades", {"strategy__round_trips": None}),
        ("skill", {"skill_over_baseline": 0.0}),
        ("skill", {"skill_over_baseline": -0.004}),
        ("skill", {"skill_over_baseline": None}),
        ("deflated_sharpe", {"moments__sharpe_per_bar": 0.0085}),
        ("deflated_sharpe", {"moments__sharpe_per_bar": None}),
        ("drawdown", {"strategy__max_drawdown": 0.36}),
        ("latency", {"measured__latency_ms__p99": 50.1}),
        ("latency", {"measured__latency_ms__p99": None}),
        ("stress", {"stress__scenarios": [{"name": "gap", "drawdown": 0.51}, {"name": "crash", "drawdown": 0.3}]}),
        ("stress", {"stress__scenarios": [{"name": "gap", "drawdown": None}, {"name": "crash", "drawdown": 0.3}]}),
        ("stress", {"stress__scenarios": []}),
        ("seed_spread", {"seeds__sharpe__values": [1.0, 4.1]}),
        ("seed_spread", {"seeds__sharpe__values": [4.0]}),
        ("seed_spread", {"seeds__sharpe__values": [4.0, 4.1, None]}),
        ("overfitting", {"overfitting__recipes__probability": 0.51}),
        ("drawdown", {"strategy__max_drawdown": math.nan}),
    ],
)
def test_each_rule_refuses_alone(name, changes):
    verdict = judge(evidence(**changes), "1h", LEDGER, GATE, None, stream(0.0))
    assert verdict["verdict"] == "refused"
    assert [item["rule"] for item in verdict["rules"] if not item["passed"]] == [name]
    assert verdict["summary"].startswith("refused: ")
    assert "refusal" not in rule(verdict, name)
    json_text(verdict)


def test_the_summary_says_what_trials_could_not_explain():
    ledger = [Trial(str(number), "complete", {}, {"sharpe_per_bar": number * 1e-3}) for number in range(37)]
    verdict = judge(evidence(moments__sharpe_per_bar=0.01), "1h", ledger, GATE, None, stream(0.0))
    assert verdict["summary"] == "refused: no edge after costs that 37 trials could not explain"


def test_boundaries_are_on_the_allowed_side():
    edge = evidence(strategy__round_trips=30, strategy__max_drawdown=0.35, onnx__max_difference=1e-5)
    assert judge(edge, "1h", LEDGER, GATE, None, stream(0.0))["verdict"] == "passed"


@given(more=st.integers(1, 300))
def test_more_trials_never_help(more):
    few = judge(GOOD, "1h", LEDGER, GATE, None, stream(0.0, rows=10))
    many = LEDGER + [Trial(f"failed {number}", "failed") for number in range(more)]
    after = judge(GOOD, "1h", many, GATE, None, stream(0.0, rows=10))
    assert after["trials"]["counted"] == max(len(many), 3)
    assert after["deflated_sharpe"] <= few["deflated_sharpe"]


def test_a_trial_repeated_is_one_trial_and_a_new_ledger_does_not_forget_this_run():
    assert judge(GOOD, "1h", LEDGER * 50, GATE, None, stream(0.0))["trials"]["counted"] == 3
    assert judge(GOOD, "1h", [], GATE, None, stream(0.0))["trials"]["counted"] == 3
    assert significance.tried(evidence(trials__counted=0), "1h", []) == significance.Tried(1, 1.0, 1)


def dsr(ledger, **changes):
    return judge(evidence(**changes), "1h", ledger, GATE, None, stream(0.0, rows=10))["deflated_sharpe"]


def trials(*metrics):
    return [Trial(str(number), "complete", {}, one) for number, one in enumerate(metrics)]


def with_days(number, values):
    return Trial(str(number), "complete", {}, {}, {"first": "2019-01-01", "values": list(values)})


def test_trials_that_trade_alike_count_as_few_and_never_for_more_than_they_are():
    noise = np.random.default_rng(3).normal(size=(200, 13))
    alike = [with_days(n, noise[:, 12] + 0.1 * noise[:, n]) for n in range(12)]
    apart = [with_days(n, noise[:, n]) for n in range(12)]
    silent = [Trial(str(n), "complete") for n in range(12)]
    assert dsr(alike) > dsr(apart) >= dsr(silent)
    assert dsr(silent) == pytest.approx(deflated_sharpe(0.05, 8700, 0.1, 12.0, 12, 1 / 8700))
    assert dsr(alike) == pytest.approx(deflated_sharpe(0.05, 8700, 0.1, 12.0, 2, 1 / 8700))
    verdict = judge(GOOD, "1h", alike, GATE, None, stream(0.0, rows=10))
    assert verdict["trials"] == {"counted": 12, "effective": pytest.approx(1.2, abs=0.05), "deflated_by": 2}
    said = rule(verdict, "deflated_sharpe")["reason"]
    assert "the luckiest of 2 independent trials" in said
    assert "12 were counted, which are as 1.2 that" in said
    # Each more can only make it harder, also one that is like some others.
    for tried in (alike + apart[:1], [*alike, *silent]):
        renamed = [Trial(str(n), "complete", {}, {}, trial.returns) for n, trial in enumerate(tried)]
        steps = [dsr(renamed[:take]) for take in (3, 7, 12, len(renamed))]
        assert (np.diff(steps) <= 0).all()


def test_variance_between_trials_deflates_and_is_never_below_that_of_luck():
    wide = trials(*({"sharpe_per_bar": n * 0.05} for n in range(5)))
    narrow = trials(*({"sharpe_per_bar": 0.01 + n * 1e-9} for n in range(5)))
    silent = trials(*({} for _ in range(5)))
    assert dsr(wide) < dsr(narrow)
    # Trials among which nothing varies must not switch the deflation off.
    luck = deflated_sharpe(0.05, 8700, 0.1, 12.0, 5, 1 / 8700)
    assert dsr(narrow) == dsr(silent) == pytest.approx(luck)
    assert luck < dsr([], trials__counted=1)


def test_trials_that_never_traded_count_but_do_not_narrow_the_variance():
    traded = [{"sharpe_per_bar": n * 0.02, "trades": 50.0, "observations": 8700.0} for n in range(5)]
    idle = [{"sharpe_per_bar": 0.0, "trades": 0.0, "observations": 8700.0}] * 5
    among = deflated_sharpe(0.05, 8700, 0.1, 12.0, 10, float(np.var([n * 0.02 for n in range(5)], ddof=1)))
    assert dsr(trials(*traded, *idle)) == pytest.approx(among)


def test_a_trial_over_a_short_window_is_scaled_to_the_candidates_observations():
    # A quarter of the bars doubles the noise: the same evidence of skill shows as twice the Sharpe ratio.
    long = [{"sharpe_per_bar": n * 0.02, "trades": 50.0, "observations": 8700.0} for n in range(5)]
    short = [{"sharpe_per_bar": n * 0.04, "trades": 50.0, "observations": 2175.0} for n in range(5)]
    assert dsr(trials(*short)) == pytest.approx(dsr(trials(*long)))


def test_a_trial_recorded_twice_weighs_once_in_the_variance():
    wide = trials(*({"sharpe_per_bar": n * 0.05} for n in range(5)))
    assert dsr(wide + wide[:1] * 9) == dsr(wide)


def test_the_level_is_shared_by_the_horizons_judged_together():
    def sharpe_rule(horizons):
        made = evidence(moments__sharpe_per_bar=0.0305)  # its probability is between the two levels
        made["horizons"] |= {f"{n}h": made["horizons"]["1h"] for n in range(2, horizons + 1)}
        return rule(judge(made, "1h", [], GATE, None, stream(0.0, rows=10)), "deflated_sharpe")

    alone, together = sharpe_rule(1), sharpe_rule(3)
    assert alone["value"] == together["value"]
    assert alone["threshold"] == pytest.approx(1 - 0.05 * 6 / np.pi**2)
    assert together["threshold"] == pytest.approx(1 - 0.05 * 6 / np.pi**2 / 3)
    assert (alone["passed"], together["passed"]) == (True, False)
    assert "(needed: 0.9899)" in together["reason"]


@pytest.mark.parametrize(
    ("values", "said", "refusal"),
    [
        ([4.0], "1 of 1 seeds traded", "the spread over seeds is not known (set backtest.seeds)"),
        ([None, None], "0 of 2 seeds traded", "2 of 2 seeds that never traded on the newest test block"),
        ([4.0, 4.1, None], "2 of 3 seeds traded", "1 of 3 seeds that never traded on the newest test block"),
        ([1.0, 4.1], "2 of 2 seeds traded", "seeds that differ by 3.10 in their Sharpe ratio"),
    ],
)
def test_seeds_are_refused_for_what_they_did(values, said, refusal):
    verdict = judge(evidence(seeds__sharpe__values=values), "1h", LEDGER, GATE, None, stream(0.0))
    assert verdict["summary"] == f"refused: {refusal}"
    assert said in rule(verdict, "seed_spread")["reason"]


def test_rebalancing_fills_are_no_round_trips():
    verdict = judge(evidence(strategy__trades=640, strategy__round_trips=3), "1h", LEDGER, GATE, None, stream(0.0))
    assert rule(verdict, "enough_trades")["value"] == 3
    assert not rule(verdict, "enough_trades")["passed"]


def test_graphs_that_could_not_be_compared_are_refused_in_words():
    verdict = judge(evidence(onnx__max_difference=None), "1h", LEDGER, GATE, None, stream(0.0))
    assert "by at most unknown" in rule(verdict, "onnx_parity")["reason"]
    assert verdict["summary"] == "refused: the exported graphs do not agree with the final fits"


class TestAgainstChampion:
    def judged(self, new: float, old: float, recipe: str, *, seed: int = 0, rows: int = 4000) -> dict:
        champion = Champion("3", "cc", recipe, stream(old, rows=rows, seed=seed), True, END)
        return judge(GOOD, "1h", LEDGER, GATE, champion, stream(new))

    def test_a_refresh_that_is_the_same_passes(self):
        verdict = self.judged(1e-4, 1e-4, "bb22")
        assert verdict["question"] == "refresh"
        assert verdict["champion"] == "3"
        assert rule(verdict, "against_champion")["value"] == pytest.approx(0.0)
        assert rule(verdict, "against_champion")["threshold"] == -0.5
        assert verdict["verdict"] == "passed"
        assert "champion 3" in verdict["summary"]

    def test_a_challenge_that_is_the_same_is_refused(self):
        verdict = self.judged(1e-4, 1e-4, "other")
        assert verdict["question"] == "challenge"
        assert verdict["verdict"] == "refused"
        assert verdict["summary"] == "refused: not better than champion 3"

    def test_a_challenge_must_be_clearly_better(self):
        # The same noise around a higher mean: nothing but the edge differs.
        assert self.judged(1e-3, 0.0, "other")["verdict"] == "passed"
        # Other noise: a difference that the noise explains.
        assert self.judged(1e-4, 0.0, "other", seed=1)["verdict"] == "refused"

    def test_a_refresh_that_is_clearly_worse_is_refused(self):
        verdict = self.judged(-1e-3, 0.0, "bb22")
        assert verdict["summary"] == "refused: not as good as champion 3"

    def test_too_few_common_bars_cannot_be_compared(self):
        verdict = self.judged(1e-3, 0.0, "other", rows=199)
        assert rule(verdict, "against_champion")["value"] is None
        assert "199 bars" in rule(verdict, "against_champion")["reason"]
        assert verdict["verdict"] == "refused"
        assert self.judged(1e-3, 0.0, "other", rows=200)["verdict"] == "passed"

    def test_a_champion_that_never_traded_is_not_beaten_by_undefined_numbers(self):
        flat = Champion("3", "cc", "other", stream(0.0) * 0.0, True, END)
        verdict = judge(GOOD, "1h", LEDGER, GATE, flat, stream(1e-3))
        assert rule(verdict, "against_champion")["value"] is None
        assert verdict["verdict"] == "refused"

    def test_newer_data_prove_no_recipe_that_was_never_proven(self):
        """After an override the same recipe has its claim still to make, and may not be worse."""
        for mean, changes, refused in (
            (1e-4, {"moments__sharpe_per_bar": 0.001}, "no edge"),
            (-1e-3, {}, "as good as"),
        ):
            champion = Champion("3", "cc", "bb22", stream(1e-4), False, END)
            verdict = judge(evidence(**changes), "1h", LEDGER, GATE, champion, stream(mean))
            assert (verdict["question"], verdict["number"], verdict["verdict"]) == ("first", 1, "refused")
            assert refused in verdict["summary"]
        assert judge(GOOD, "1h", LEDGER, GATE, champion, stream(1e-4))["verdict"] == "passed"

    def test_a_refresh_makes_no_claim_but_must_be_sound_and_earn(self):
        champion = Champion("3", "cc", "bb22", stream(1e-4), True, END)
        weak = evidence(moments__sharpe_per_bar=0.001, skill_over_baseline=-0.1, overfitting__recipes__probability=0.9)
        verdict = judge(weak, "1h", LEDGER, GATE, champion, stream(1e-4))
        assert (verdict["verdict"], verdict["number"]) == ("passed", None)
        assert {"skill", "deflated_sharpe", "error_budget", "overfitting"}.isdisjoint(
            one["rule"] for one in verdict["rules"]
        )
        for changes, name in (
            ({"strategy__sharpe": 0.0}, "earning"),
            ({"strategy__sharpe": None}, "earning"),
            ({"stress__scenarios": []}, "stress"),
        ):
            verdict = judge(evidence(**changes), "1h", LEDGER, GATE, champion, stream(1e-4))
            assert [one["rule"] for one in verdict["rules"] if not one["passed"]] == [name]

    @pytest.mark.parametrize(
        ("new", "since", "passed"), [(-2e-3, 1000, False), (-2e-3, 199, True), (0.0, 1000, True), (1e-3, 1000, True)]
    )
    def test_a_refresh_may_not_have_lost_since_its_claim(self, new: float, since: int, passed: bool):
        """Bars that the champion's test shares are equal, so nothing else would see it."""
        whole = stream(1e-3)
        whole.iloc[-since:] += new - whole.iloc[-since:].mean()
        champion = Champion("3", "cc", "bb22", whole.iloc[:-100], True, whole.index[-since - 1])
        verdict = judge(GOOD, "1h", LEDGER, GATE, champion, whole)
        assert verdict["question"] == "refresh"
        assert [one["rule"] for one in verdict["rules"] if not one["passed"]] == ([] if passed else ["since_claim"])
        said = rule(verdict, "since_claim")
        assert str(since) in said["reason"]
        assert (said["value"] is None) == (since < 200)


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_equals_may_change_places_as_long_as_each_earns(probability):
    made = evidence(overfitting__recipes__probability=probability, overfitting__recipes__probability_of_loss=0.1)
    assert judge(made, "1h", LEDGER, GATE, None, stream(0.0))["verdict"] == "passed"


@pytest.mark.parametrize("overfitted", ["search", "recipes"])
def test_a_choice_that_holds_does_not_hide_one_that_does_not(overfitted):
    """The one that holds loses more often, and was the only one looked at."""
    made = evidence()
    for name, found in made["horizons"]["1h"]["overfitting"].items():
        bad = name == overfitted
        found.update(probability=0.6 if bad else 0.2, probability_of_loss=0.15 if bad else 0.3)
    verdict = judge(made, "1h", LEDGER, GATE, None, stream(0.0))
    assert [one["rule"] for one in verdict["rules"] if not one["passed"]] == ["overfitting"]
    assert f"({overfitted})" in rule(verdict, "overfitting")["reason"]


def test_too_little_to_choose_from_cannot_be_overfitted_and_says_why():
    made = evidence(overfitting__recipes__probability=None)
    made["horizons"]["1h"]["overfitting"]["recipes"]["reason"] = "only 3"
    said = rule(judge(made, "1h", LEDGER, GATE, None, stream(0.0)), "overfitting")
    assert said["passed"]
    assert "only 2; only 3" in said["reason"]


def test_markets_that_cannot_be_simulated_refuse_nothing_and_say_why():
    made = evidence(simulated__markets={"draws": 0, "z": None, "reason": "simulated bars have no trades"})
    said = rule(judge(made, "1h", LEDGER, GATE, None, stream(0.0)), "simulated_markets")
    assert said["passed"]
    assert "no trades" in said["reason"]


@pytest.mark.parametrize(
    "missing",
    ["stress", "simulated", "seeds", "overfitting", "moments", "skill_low", "strategy__round_trips",
     "moments__skewness", "stress__scenarios", "audit__checks", "measured__latency_ms__p99"],
)  # fmt: skip
def test_a_gate_without_its_evidence_is_an_error(missing):
    made = evidence()
    *parents, last = missing.split("__")
    node = made if missing.startswith(("audit", "measured")) else made["horizons"]["1h"]
    for key in parents:
        node = node[key]
    del node[last]
    with pytest.raises(StageError, match=f"the evidence of 1h lacks {'.'.join([*parents, last])}"):
        judge(made, "1h", LEDGER, GATE, None, stream(0.0))
