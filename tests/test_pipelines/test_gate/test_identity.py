"""Judgements and versions are the same exactly as long as what they rest on is."""

import copy

import pytest

from pipelines.gate.identity import evidence_hash, judged_hash

EVIDENCE = {
    "as_of": "2019-10-01T00:00:00+00:00",
    "seed": 7,
    "audit": {"clean": True},
    "horizons": {"1h": {"skill_low": 0.01, "bundle": {"hash": "a"}}, "4h": {"skill_low": 0.02}},
    "measured": {"latency_ms": {"p50": 1.5}},
}


@pytest.fixture
def gate(params):
    return params.gate


@pytest.fixture
def evidence():
    return copy.deepcopy(EVIDENCE)


def both(evidence, gate):
    return judged_hash(evidence, "1h", gate), evidence_hash(evidence, "1h", {"verdict": "passed"})


def test_latencies_and_other_horizons_are_no_part_of_it(evidence, gate):
    before = both(evidence, gate)
    evidence["measured"]["latency_ms"]["p50"] = 9.9
    evidence["horizons"]["4h"]["skill_low"] = -1.0
    assert both(evidence, gate) == before


@pytest.mark.parametrize("part", ["horizons", "audit", "seed"])
def test_what_the_rules_read_is(evidence, gate, part):
    before = both(evidence, gate)
    match part:
        case "horizons":
            evidence["horizons"]["1h"]["skill_low"] = 0.011
        case "audit":
            evidence["audit"]["clean"] = False
        case _:
            evidence["seed"] = 8
    assert all(now != then for now, then in zip(both(evidence, gate), before, strict=True))


def test_thresholds_are_part_of_the_question(evidence, gate):
    before = judged_hash(evidence, "1h", gate)
    assert judged_hash(evidence, "1h", gate.model_copy(update={"min_trades": gate.min_trades + 1})) != before
    del evidence["horizons"]["4h"]
    assert judged_hash(evidence, "1h", gate) != before


def test_the_verdict_is_part_of_what_is_stored(evidence):
    assert evidence_hash(evidence, "1h", {"verdict": "passed"}) != evidence_hash(evidence, "1h", {"verdict": "refused"})
