"""What a bundle must show before the champion's alias may move to it: one small function per rule, and the judgement.

Everything here is pure. The evidence is what :mod:`pipelines.evidence` wrote; a number that it could not measure is
None, and None never passes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipelines.evidence.deflated_sharpe import deflated_sharpe, trial_variance
from pipelines.evidence.effective_trials import trials_to_deflate_by
from pipelines.gate.identity import judged_hash
from pipelines.monte_carlo.bootstrap import paired_difference
from pipelines.params import GateParams
from pipelines.tracking import Trial
from trading.instrument import Instrument

Question = Literal["first", "challenge", "refresh"]
Evidence = Mapping[str, Any]

# Two streams are compared by blocks; on fewer than this many the bootstrap's bound is an accident.
MIN_COMMON_BLOCKS = 20


@dataclass(frozen=True)
class Champion:
    """The version that the candidate is compared with.

    Parameters
    ----------
    version
        Its version in the registry.
    bundle_hash, recipe_sha256
        Identity of the bundle, and of the method that made it.
    stream
        Out-of-sample net return of its recipe per bar, from the walk-forward stored with it.
    """

    version: str
    bundle_hash: str
    recipe_sha256: str
    stream: pd.Series


@dataclass(frozen=True)
class Ruling:
    """What one rule said.

    Parameters
    ----------
    rule
        Its name.
    passed
        Whether the evidence meets it.
    value, threshold
        What was measured, and what it was held against; None where nothing could be measured.
    reason
        One sentence with both.
    refusal
        The reason in a few words, for the summary of a refusal; empty when passed.
    """

    rule: str
    passed: bool
    value: float | None
    threshold: float
    reason: str
    refusal: str = ""


def audit_clean(evidence: Evidence) -> Ruling:
    """No value changed when what became known after it was changed."""
    checks = evidence["audit"]["checks"]
    changed = sum(check["changed"] for check in checks)
    compared = sum(check["compared"] for check in checks)
    passed = bool(evidence["audit"]["clean"]) and changed == 0 and compared > 0
    return Ruling(
        "audit_clean",
        passed,
        float(changed),
        0.0,
        f"{changed} of {compared} values changed when only what became known after them was changed.",
        "" if passed else "the look-ahead audit is not clean",
    )


def audit_control(evidence: Evidence) -> Ruling:
    """The audit catches a leak that was planted for it: without that, its silence says nothing."""
    passed = bool(evidence["audit"]["control_caught"])
    return Ruling(
        "audit_control",
        passed,
        float(passed),
        1.0,
        f"The audit {'caught' if passed else 'missed'} the leak that was planted to test it.",
        "" if passed else "the look-ahead audit missed the leak planted to test it",
    )


def onnx_parity(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """The graphs that are served say what the final fits say that they were exported from.

    A difference that is None says that no row could be compared, which is no agreement.
    """
    measured = evidence["horizons"][horizon]["onnx"]
    value = _number(measured["max_difference"])
    passed = value is not None and value <= gate.max_onnx_difference and measured["rows"] > 0
    return Ruling(
        "onnx_parity",
        passed,
        value,
        gate.max_onnx_difference,
        f"On {measured['rows']} rows the exported graphs differ from the final fits by at most {_shown(value, '.1e')}"
        f" (allowed: {gate.max_onnx_difference:.1e}).",
        "" if passed else "the exported graphs do not agree with the final fits",
    )


def enough_trades(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """A result of a handful of round trips is an anecdote; fills that only rebalance a position decide nothing."""
    value = _number(evidence["horizons"][horizon]["strategy"]["round_trips"])
    passed = value is not None and value >= gate.min_trades
    return Ruling(
        "enough_trades",
        passed,
        value,
        float(gate.min_trades),
        f"{_shown(value, '.0f')} round trips out of sample (needed: {gate.min_trades}).",
        "" if passed else f"too few trades to judge ({_shown(value, '.0f')} of {gate.min_trades})",
    )


def skill(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """Accuracy beats the best of the no-skill baselines, with the lower end of its interval."""
    measured = evidence["horizons"][horizon]
    value = _number(measured["skill_low"])
    passed = value is not None and value > gate.min_skill
    return Ruling(
        "skill",
        passed,
        value,
        gate.min_skill,
        f"Accuracy beats the best no-skill baseline ({measured['best_baseline']}) by"
        f" {_shown(_number(measured['skill_over_baseline']), '+.4f')}, lower bound {_shown(value, '+.4f')}"
        f" (must exceed {gate.min_skill:+.4f}).",
        "" if passed else f"no skill over the baseline {measured['best_baseline']!r}",
    )


def deflated(evidence: Evidence, horizon: str, ledger: Sequence[Trial], gate: GateParams) -> Ruling:
    """The net Sharpe ratio beats what the best of all trials would show by luck.

    The trials are those of the whole ledger, not of this run: whoever runs again with other params has tried again. All
    of them count, for as many independent ones as they amount to (:mod:`pipelines.evidence.effective_trials`, from
    their daily returns; a trial without counts whole), rounded up; what varies between them is
    :func:`trial_variance`'s to say.

    Every horizon keeps a ledger of its own, and each is one more chance that something passes by luck. The level asked
    for holds for all horizons of the run together (Bonferroni): each has to reach 1 - (1 - level) / horizons.

    References
    ----------
    Bailey, D. H., and López de Prado, M. (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5).
    """
    measured = evidence["horizons"][horizon]
    moments = {key: number for key, given in measured["moments"].items() if (number := _number(given)) is not None}
    trials = trials_counted(evidence, horizon, ledger)
    returns = {trial.trial_hash: trial.returns for trial in ledger if trial.returns}
    effective, deflated_by = trials_to_deflate_by(returns.values(), trials)
    value: float | None = None
    if len(moments) == len(measured["moments"]):
        metrics = {trial.trial_hash: trial.metrics for trial in ledger}
        variance = trial_variance(list(metrics.values()), int(moments["observations"]))
        value = _number(
            deflated_sharpe(
                moments["sharpe_per_bar"],
                int(moments["observations"]),
                moments["skewness"],
                moments["kurtosis"],
                deflated_by,
                variance,
            )
        )
    horizons = len(evidence["horizons"])
    threshold = 1.0 - (1.0 - gate.min_deflated_sharpe) / horizons
    passed = value is not None and value >= threshold
    family = f", for {gate.min_deflated_sharpe:g} over {horizons} horizons together" if horizons > 1 else ""
    return Ruling(
        "deflated_sharpe",
        passed,
        value,
        threshold,
        f"After costs, the probability that the Sharpe ratio beats the luckiest of {deflated_by} independent"
        f" trials without skill is {_shown(value, '.3f')} (needed: {threshold:.3f}{family}); {trials} were counted,"
        f" which are as {effective:.1f} that have nothing to do with each other.",
        "" if passed else f"no edge after costs that {trials} trials could not explain",
    )


def drawdown(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """The worst loss from a peak is one that somebody would have sat through."""
    value = _number(evidence["horizons"][horizon]["strategy"]["max_drawdown"])
    passed = value is not None and value <= gate.max_drawdown
    return Ruling(
        "drawdown",
        passed,
        value,
        gate.max_drawdown,
        f"The largest loss from a peak was {_shown(value, '.1%')} (allowed: {gate.max_drawdown:.1%}).",
        "" if passed else f"a drawdown of {_shown(value, '.1%')}",
    )


def against_champion(
    evidence: Evidence, horizon: str, gate: GateParams, champion: Champion, stream: pd.Series, question: Question
) -> Ruling:
    """Not worse than the champion with its own recipe on newer data; better with another recipe.

    Both streams are resampled together over the bars they share (Ledoit and Wolf 2008, "Robust performance hypothesis
    testing with the Sharpe ratio"), so that what the market did to both cancels out.
    """
    threshold = -gate.non_inferiority_sharpe if question == "refresh" else 0.0
    budget = evidence["horizons"][horizon]["monte_carlo"]
    block = max(float(budget["block"]), 1.0)
    both = pd.concat([stream.rename("new"), champion.stream.rename("old")], axis=1, join="inner").dropna()
    needed = math.ceil(MIN_COMMON_BLOCKS * block)
    if len(both) < needed:
        return Ruling(
            "against_champion",
            False,
            None,
            threshold,
            f"Only {len(both)} bars are common to the walk-forward tests of this version and of champion"
            f" {champion.version} (needed: {needed}).",
            f"too few bars in common with champion {champion.version}",
        )
    instrument = Instrument(evidence["instrument"]["symbol"], evidence["instrument"]["timeframe"])
    differences = paired_difference(
        both["new"], both["old"], int(budget["paths"]), block, int(evidence["seed"]), instrument.bars_per_year
    )
    # A path on which either stream has no variance speaks for nobody, so it counts against the candidate.
    differences = np.where(np.isfinite(differences), differences, -np.inf)
    value = _number(float(np.quantile(differences, 1 - gate.confidence, method="lower")))
    passed = value is not None and (value >= threshold if question == "refresh" else value > threshold)
    wanted = f"at least {threshold:+.2f}" if question == "refresh" else f"above {threshold:+.2f}"
    return Ruling(
        "against_champion",
        passed,
        value,
        threshold,
        f"Over {len(both)} common bars the annual Sharpe ratio less that of champion {champion.version} has the lower"
        f" bound {_shown(value, '+.2f')} (must be {wanted}).",
        "" if passed else f"not {'as good as' if question == 'refresh' else 'better than'} champion {champion.version}",
    )


def trials_counted(evidence: Evidence, horizon: str, ledger: Sequence[Trial]) -> int:
    """Everything ever tried for the horizon, and at least what this run tried: a ledger may be new."""
    return max(len({trial.trial_hash for trial in ledger}), int(evidence["horizons"][horizon]["trials"]["counted"]), 1)


def question_of(evidence: Evidence, horizon: str, champion: Champion | None) -> Question:
    """What is asked: nothing to compare with, the champion's recipe on newer data, or another recipe."""
    if champion is None:
        return "first"
    same = champion.recipe_sha256 == evidence["horizons"][horizon]["bundle"]["recipe_sha256"]
    return "refresh" if same else "challenge"


def judge(
    evidence: Evidence,
    horizon: str,
    ledger: Sequence[Trial],
    gate: GateParams,
    champion: Champion | None,
    stream: pd.Series,
) -> dict[str, Any]:
    """Judge one horizon's bundle.

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

    Returns
    -------
    dict
        ``verdict`` (passed only if every rule is), ``question``, ``bundle_hash``, ``judged_hash`` (of the evidence and
        the thresholds), ``champion`` (the version it was judged against), ``trials_counted``, ``deflated_sharpe``,
        ``rules`` and a one-sentence ``summary``.
    """
    question = question_of(evidence, horizon, champion)
    sharpe = deflated(evidence, horizon, ledger, gate)
    rulings = [
        audit_clean(evidence),
        audit_control(evidence),
        onnx_parity(evidence, horizon, gate),
        enough_trades(evidence, horizon, gate),
        skill(evidence, horizon, gate),
        sharpe,
        drawdown(evidence, horizon, gate),
    ]
    if champion is not None:
        rulings.append(against_champion(evidence, horizon, gate, champion, stream, question))
    refusals = [ruling.refusal for ruling in rulings if not ruling.passed]
    trials = trials_counted(evidence, horizon, ledger)
    return {
        "verdict": "refused" if refusals else "passed",
        "question": question,
        "bundle_hash": evidence["horizons"][horizon]["bundle"]["hash"],
        "judged_hash": judged_hash(evidence, horizon, gate),
        "champion": None if champion is None else champion.version,
        "trials_counted": trials,
        "deflated_sharpe": sharpe.value,
        "rules": [{k: v for k, v in asdict(ruling).items() if k != "refusal"} for ruling in rulings],
        "summary": _summary(refusals, question, champion, trials, len(rulings)),
    }


def _summary(refusals: list[str], question: Question, champion: Champion | None, trials: int, rules: int) -> str:
    if refusals:
        return f"refused: {'; '.join(refusals)}"
    against = {
        "first": "there was no champion before it",
        "refresh": "it is not worse than champion {} with the same recipe",
        "challenge": "it is better than champion {}, which has another recipe",
    }[question].format(champion.version if champion else "")
    return f"passed: all {rules} rules, with {trials} trials counted; {against}"


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _shown(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)
