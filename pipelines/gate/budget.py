"""The error budget: how sure a claim has to be, when claims are made again and again.

Whoever retrains every night and asks every night will see noise pass one day. So a budget is declared, the probability
that noise is ever promoted, and every run that asks spends a part of it: the k-th gets ``6 / (pi**2 k**2)`` of the
whole, of which all together are one, and shares it among its horizons. The probability that any of them passes by luck
is then at most the budget, whatever the questions have in common (alpha-spending: Tian, J. and Ramdas, A. (2021),
"Online control of the familywise error rate", Statistical Methods in Medical Research 30(4), section 2; Foster, D. and
Stine, R. (2008), "Alpha-investing", Journal of the Royal Statistical Society B 70(2)).

Asking the same recipe again about nearly the same bars would spend without learning. So it is not asked again before
its test has grown by a stated time; meanwhile it stays refused. A refresh makes no claim and spends nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipelines.gate.ruling import Ruling
from pipelines.params import GateParams
from trading.instrument import duration


@dataclass(frozen=True)
class Asked:
    """A question that was answered with a registered version.

    Parameters
    ----------
    number
        Of the run that asked, from 1, among those of the instrument that did.
    judged_hash
        Identity of what was asked; see :func:`pipelines.gate.identity.judged_hash`.
    recipe_sha256
        Identity of the recipe.
    test_last
        Open stamp of the last bar of its test.
    """

    number: int
    judged_hash: str
    recipe_sha256: str
    test_last: pd.Timestamp


@dataclass(frozen=True)
class Level:
    """What a question may spend.

    Parameters
    ----------
    number
        Of the run among those that asked; None if it does not.
    error
        Probability that noise passes it.
    until
        End of the test from which on it may be asked again; None if it is asked.
    """

    number: int | None
    error: float
    until: pd.Timestamp | None = None


def level_of(
    asked: Sequence[Asked],
    judged_hash: str,
    recipe_sha256: str,
    test_last: pd.Timestamp,
    horizons: int,
    gate: GateParams,
) -> Level:
    """The level at which a claim is judged now.

    Parameters
    ----------
    asked
        Questions about the instrument so far, before this run: about any horizon, which has its own recipes.
    judged_hash, recipe_sha256, test_last
        The claim; the same one again has the number that it had.
    horizons
        Judged together: the budget is for all of them.
    gate
        ``error_budget`` and ``ask_again``.
    """
    for one in asked:
        if one.judged_hash == judged_hash:
            return Level(one.number, spent(one.number, gate) / horizons)
    before = max((one.test_last for one in asked if one.recipe_sha256 == recipe_sha256), default=None)
    if before is not None and test_last < before + duration(gate.ask_again):
        return Level(None, 0.0, before + duration(gate.ask_again))
    number = 1 + max((one.number for one in asked), default=0)
    return Level(number, spent(number, gate) / horizons)


def spent(number: int, gate: GateParams) -> float:
    """Part of the budget that the run with this number may spend, for all its horizons together."""
    return gate.error_budget * 6.0 / (math.pi * number) ** 2


def within_budget(level: Level, gate: GateParams) -> Ruling:
    """Whether the question is asked at all, and at which level."""
    if level.number is None:
        return Ruling(
            "error_budget",
            False,
            None,
            gate.error_budget,
            f"This recipe was asked about nearly the same bars; it may be asked again once its test ends at"
            f" {level.until} or later ({gate.ask_again} of new bars). Every question spends a part of the budget of"
            f" {gate.error_budget:g}.",
            f"not asked again before its test ends at {level.until}",
        )
    return Ruling(
        "error_budget",
        True,
        level.error,
        gate.error_budget,
        f"Question {level.number} about this instrument is judged at a level of {level.error:.2g}: a part of the"
        f" probability {gate.error_budget:g} that noise is ever promoted.",
    )
