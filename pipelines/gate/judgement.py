"""The verdict on a candidate: which rules it is asked, and what they said.

Everything here is pure. The gate reads the evidence, the ledger and the champion's stored stream, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from pipelines.gate.budget import Asked, level_of, within_budget
from pipelines.gate.champion import Champion, Question, against_champion, question_of, since_claim
from pipelines.gate.endurance import drawdown, earning, stress
from pipelines.gate.identity import judged_hash
from pipelines.gate.ruling import Evidence
from pipelines.gate.significance import deflated, enough_trades, overfitting, seed_spread, skill, tried
from pipelines.gate.soundness import audit_clean, audit_control, latency, onnx_parity, simulated_markets
from pipelines.params import GateParams
from pipelines.tracking import Trial
from trading.errors import StageError

# What the rules look at: of the run, and of the horizon.
_OF_RUN = (
    "audit.clean", "audit.control_caught", "audit.checks", "instrument.symbol", "instrument.timeframe", "seed",
    "measured.latency_ms.p99", "test.last",
)  # fmt: skip
_OF_HORIZON = (
    "best_baseline", "skill_over_baseline", "skill_low", "skill_high", "strategy.round_trips", "strategy.max_drawdown",
    "strategy.sharpe", "monte_carlo.block", "monte_carlo.paths", "trials.counted", "moments.observations",
    "moments.sharpe_per_bar", "moments.skewness", "moments.kurtosis", "overfitting.search", "seeds.sharpe.values",
    "stress.scenarios", "simulated.markets", "onnx.rows", "onnx.max_difference", "bundle.hash", "bundle.recipe_sha256",
)  # fmt: skip


def judge(
    evidence: Evidence,
    horizon: str,
    ledger: Sequence[Trial],
    gate: GateParams,
    champion: Champion | None,
    stream: pd.Series,
    asked: Sequence[Asked] = (),
) -> dict[str, Any]:
    """Judge one horizon's bundle.

    A first recipe and a challenger make a claim, which spends from the error budget: they must show an edge that luck
    and the search cannot explain, and a challenger must beat the champion's recipe. A refresh makes none: it must be
    sound, earn, also since its claim, and not be worse than the champion by more than a margin.

    Parameters
    ----------
    evidence
        Content of ``evidence.json``.
    horizon
        One of its horizons.
    ledger
        Every trial ever recorded for the instrument and the horizon, with its daily returns.
    gate
        Thresholds.
    champion
        What is live, or None.
    stream
        Out-of-sample net return per bar of the bundle's recipe, index ``timestamp``.
    asked
        Claims about the instrument that were judged before this run.

    Returns
    -------
    dict
        ``verdict`` (passed only if every rule is), ``question``, ``number`` (of the claim; None where none is made),
        ``bundle_hash``, ``judged_hash`` (of the evidence and the thresholds), ``champion`` (the version it was judged
        against), ``trials`` (of the whole ledger: ``counted``, ``effective``, ``deflated_by``), ``deflated_sharpe``,
        ``rules`` and a one-sentence ``summary``.

    Raises
    ------
    StageError
        If the evidence lacks what a rule looks at.
    """
    measured = evidence["horizons"][horizon]
    missing = [name for name in _OF_RUN if not _told(evidence, name)]
    if missing := [*missing, *(name for name in _OF_HORIZON if not _told(measured, name))]:
        raise StageError(
            f"the evidence of {horizon} lacks {', '.join(missing)}",
            where="data/evidence/evidence.json",
            rule="the gate judges what was measured, all of it",
            remedy="run `engine run`, which measures what is missing",
        )
    question = question_of(evidence, horizon, champion)
    identity = judged_hash(evidence, horizon, gate)
    last = pd.Timestamp(evidence["test"]["last"])
    level = level_of(asked, identity, measured["bundle"]["recipe_sha256"], last, len(evidence["horizons"]), gate)
    trials = tried(evidence, horizon, ledger)
    sharpe = deflated(evidence, horizon, ledger, trials, level)
    rulings = [
        audit_clean(evidence),
        audit_control(evidence),
        simulated_markets(evidence, horizon, gate),
        onnx_parity(evidence, horizon, gate),
        latency(evidence, gate),
        enough_trades(evidence, horizon, gate),
        drawdown(evidence, horizon, gate),
        stress(evidence, horizon, gate),
        seed_spread(evidence, horizon, gate),
    ]
    if question == "refresh" and champion is not None:
        rulings += [earning(evidence, horizon), since_claim(evidence, horizon, gate, champion, stream)]
    else:
        rulings += [
            skill(evidence, horizon, gate),
            within_budget(level, gate),
            sharpe,
            overfitting(evidence, horizon, gate),
        ]
    if champion is not None:
        rulings.append(against_champion(evidence, horizon, gate, champion, stream, question))
    refusals = [ruling.refusal for ruling in rulings if not ruling.passed]
    return {
        "verdict": "refused" if refusals else "passed",
        "question": question,
        "number": None if question == "refresh" else level.number,
        "bundle_hash": measured["bundle"]["hash"],
        "judged_hash": identity,
        "champion": None if champion is None else champion.version,
        "trials": asdict(trials),
        "deflated_sharpe": sharpe.value,
        "rules": [{k: v for k, v in asdict(ruling).items() if k != "refusal"} for ruling in rulings],
        "summary": _summary(refusals, question, champion, trials.counted, len(rulings)),
    }


def _told(told: Any, name: str) -> bool:
    """Whether there is a value, be it None, at the end of a path of keys."""
    for key in name.split("."):
        if not isinstance(told, Mapping) or key not in told:
            return False
        told = told[key]
    return True


def _summary(refusals: list[str], question: Question, champion: Champion | None, trials: int, rules: int) -> str:
    if refusals:
        return f"refused: {'; '.join(refusals)}"
    against = {
        "first": "no champion before it was proven",
        "refresh": "it is not worse than champion {} with the same recipe",
        "challenge": "it is better than champion {}, which has another recipe",
    }[question].format(champion.version if champion else "")
    return f"passed: all {rules} rules, with {trials} trials counted; {against}"
