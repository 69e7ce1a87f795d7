"""What makes two judgements the same judgement, and two versions the same version: hashes of what they rest on.

Only what repeats exactly goes in. Latencies differ from run to run and are no part of an identity; commit, data and
params are in the bundle, which has a hash of its own.
"""

from collections.abc import Mapping
from typing import Any

from pipelines.artifacts import content_hash
from pipelines.params import GateParams


def judged_hash(evidence: Mapping[str, Any], horizon: str, gate: GateParams) -> str:
    """Identity of what a verdict was asked: the evidence of a horizon, and everything it was held against.

    What others tried and which champion stood there at the time are not in it: both change once a verdict is acted on.

    Parameters
    ----------
    evidence
        Content of ``evidence.json``.
    horizon
        One of its horizons.
    gate
        Thresholds. How many horizons are judged together is one of them.
    """
    thresholds = {"gate": gate.model_dump(mode="json"), "horizons": len(evidence["horizons"])}
    return content_hash({"evidence": _measured(evidence, horizon), "thresholds": thresholds})


def evidence_hash(evidence: Mapping[str, Any], horizon: str, verdict: Mapping[str, Any]) -> str:
    """Identity of what is stored with a version: the evidence of its horizon, and the verdict on it.

    Parameters
    ----------
    evidence, horizon
        As in :func:`judged_hash`.
    verdict
        The horizon's part of ``verdict.json``, with every rule's outcome.
    """
    return content_hash({"evidence": _measured(evidence, horizon), "verdict": verdict})


def _measured(evidence: Mapping[str, Any], horizon: str) -> dict[str, Any]:
    return {"audit": evidence["audit"], "seed": evidence["seed"], "horizon": evidence["horizons"][horizon]}
