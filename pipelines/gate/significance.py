"""Whether a result could be luck."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.evidence.deflated_sharpe import deflated_sharpe, trial_variance
from pipelines.evidence.effective_trials import trials_to_deflate_by
from pipelines.gate.budget import Level
from pipelines.gate.ruling import Evidence, Ruling, number, shown
from pipelines.params import GateParams
from pipelines.tracking import Trial


@dataclass(frozen=True)
class Tried:
    """How much was tried, over the whole ledger.

    Parameters
    ----------
    counted
        Everything ever tried for the horizon, and at least what this run tried: a ledger may be new.
    effective
        The number of independent trials that they amount to, from their daily returns; a trial without counts whole
        (:mod:`pipelines.evidence.effective_trials`).
    deflated_by
        The same, rounded up.
    """

    counted: int
    effective: float
    deflated_by: int


def tried(evidence: Evidence, horizon: str, ledger: Sequence[Trial]) -> Tried:
    """Count the trials of the ledger; one that is recorded twice is one trial."""
    distinct = {trial.trial_hash for trial in ledger}
    counted = max(len(distinct), int(evidence["horizons"][horizon]["trials"]["counted"]), 1)
    returns = {trial.trial_hash: trial.returns for trial in ledger if trial.returns}
    return Tried(counted, *trials_to_deflate_by(returns.values(), counted))


def enough_trades(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """A result of a handful of round trips is an anecdote; fills that only rebalance a position decide nothing."""
    value = number(evidence["horizons"][horizon]["strategy"]["round_trips"])
    passed = value is not None and value >= gate.min_trades
    return Ruling(
        "enough_trades",
        passed,
        value,
        float(gate.min_trades),
        f"{shown(value, '.0f')} round trips out of sample (needed: {gate.min_trades}).",
        "" if passed else f"too few trades to judge ({shown(value, '.0f')} of {gate.min_trades})",
    )


def skill(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """Accuracy beats the best of the no-skill baselines, as measured; the interval is told.

    What may not be luck is the money, and that is asked once, at a declared level (:func:`deflated`). To ask the same
    bars for the same luck in another unit would only make the level another one than was declared.
    """
    measured = evidence["horizons"][horizon]
    value = number(measured["skill_over_baseline"])
    low, high = (shown(number(measured[name]), "+.4f") for name in ("skill_low", "skill_high"))
    passed = value is not None and value > gate.min_skill
    return Ruling(
        "skill",
        passed,
        value,
        gate.min_skill,
        f"Accuracy beats the best no-skill baseline, {measured['best_baseline']!r}, by {shown(value, '+.4f')}"
        f" (must exceed {gate.min_skill:+.4f}; interval {low} to {high}).",
        "" if passed else f"no skill over the baseline {measured['best_baseline']!r}",
    )


def deflated(evidence: Evidence, horizon: str, ledger: Sequence[Trial], trials: Tried, level: Level) -> Ruling:
    """The net Sharpe ratio beats what the best of all trials would show by luck, at the level of the question.

    The trials are those of the whole ledger, not of this run: whoever runs again with other params has tried again. All
    of them count, for as many independent ones as they amount to; what varies between them is :func:`trial_variance`'s
    to say.

    References
    ----------
    Bailey, D. H., and López de Prado, M. (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5).
    """
    measured = evidence["horizons"][horizon]
    moments = {key: known for key, given in measured["moments"].items() if (known := number(given)) is not None}
    value: float | None = None
    if len(moments) == len(measured["moments"]):
        metrics = {trial.trial_hash: trial.metrics for trial in ledger}
        variance = trial_variance(list(metrics.values()), int(moments["observations"]))
        value = number(
            deflated_sharpe(
                moments["sharpe_per_bar"],
                int(moments["observations"]),
                moments["skewness"],
                moments["kurtosis"],
                trials.deflated_by,
                variance,
            )
        )
    threshold = 1.0 - level.error
    passed = value is not None and level.number is not None and value >= threshold
    return Ruling(
        "deflated_sharpe",
        passed,
        value,
        threshold,
        f"After costs, the probability that the Sharpe ratio beats the luckiest of {trials.deflated_by} independent"
        f" trials without skill is {shown(value, '.3f')} (needed: {threshold:.4g}); {trials.counted} were counted,"
        f" which are as {trials.effective:.1f} that have nothing to do with each other.",
        "" if passed else f"no edge after costs that {trials.counted} trials could not explain",
    )


def overfitting(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """What was chosen as the best is not among the worst once it is chosen, or at least earns something.

    Among configurations that are equally good, the best of one half is one of the worse of the other as often as not:
    that is no overfitting as long as whichever is chosen earns. So a high probability of overfitting refuses only
    together with a high probability of loss.

    References
    ----------
    Bailey, D. H., Borwein, J., López de Prado, M. and Zhu, Q. J. (2017), "The Probability of Backtest Overfitting",
    Journal of Computational Finance 20(4).
    """
    told = dict(evidence["horizons"][horizon]["overfitting"])
    known = {name: found for name, found in told.items() if number(found["probability"]) is not None}
    if not known:
        why = "; ".join(sorted({found["reason"] for found in told.values()}))
        return Ruling(
            "overfitting", True, None, gate.max_overfitting, f"Too little was chosen from to be overfitted: {why}."
        )
    failed = {
        name: found
        for name, found in known.items()
        if found["probability"] > gate.max_overfitting and found["probability_of_loss"] > gate.max_selection_loss
    }
    worst = max(failed or known, key=lambda name: (known[name]["probability_of_loss"], known[name]["probability"]))
    value, loss, passed = known[worst]["probability"], known[worst]["probability_of_loss"], not failed
    return Ruling(
        "overfitting",
        passed,
        value,
        gate.max_overfitting,
        f"Chosen on one half of the days, the best of {known[worst]['configurations']} ({worst}) is among the worse"
        f" half on the other with probability {value:.2f} (allowed: {gate.max_overfitting:g}), and loses there with"
        f" probability {loss:.2f} (or allowed: {gate.max_selection_loss:g}).",
        "" if passed else "what was chosen does not hold where it was not chosen",
    )


def seed_spread(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """A result that another seed takes away was the seed's."""
    told = evidence["horizons"][horizon]["seeds"]["sharpe"]
    values = [number(value) for value in told["values"]]
    known = [value for value in values if value is not None]
    spread = max(known) - min(known) if len(known) > 1 else None
    passed = spread is not None and len(known) == len(values) and spread <= gate.max_seed_spread
    if len(values) < 2:
        refusal = "the spread over seeds is not known (set backtest.seeds)"
    elif len(known) < len(values):
        refusal = f"{len(values) - len(known)} of {len(values)} seeds that never traded on the newest test block"
    else:
        refusal = f"seeds that differ by {shown(spread, '.2f')} in their Sharpe ratio"
    return Ruling(
        "seed_spread",
        passed,
        spread,
        gate.max_seed_spread,
        f"On the newest test block, {len(known)} of {len(values)} seeds traded, and their annual Sharpe ratios are"
        f" {shown(spread, '.2f')} apart (allowed: {gate.max_seed_spread:g}).",
        "" if passed else refusal,
    )
