"""What is live, which of two questions a candidate is asked beside it, and whether it stands."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipelines.gate.ruling import Evidence, Ruling, number, shown
from pipelines.metrics import sharpe_standard_error
from pipelines.monte_carlo.bootstrap import paired_difference
from pipelines.params import GateParams
from trading.instrument import Instrument

Question = Literal["first", "challenge", "refresh"]

# Streams are judged by blocks within which returns depend on each other; on fewer than this many it is an accident.
MIN_BLOCKS = 20


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
    proven
        Whether the gate passed it: an override or a hand in the registry proves nothing.
    claimed
        Open stamp of the last bar of the test with which its recipe made its claim: what came later was not looked at.
    """

    version: str
    bundle_hash: str
    recipe_sha256: str
    stream: pd.Series
    proven: bool
    claimed: pd.Timestamp


def question_of(evidence: Evidence, horizon: str, champion: Champion | None) -> Question:
    """What is asked: nothing to compare with, the champion's recipe on newer data, or another recipe.

    Newer data are no proof either: the recipe of a champion that never passed has its claim still to make.
    """
    if champion is None:
        return "first"
    if champion.recipe_sha256 != evidence["horizons"][horizon]["bundle"]["recipe_sha256"]:
        return "challenge"
    return "refresh" if champion.proven else "first"


def blocks(monte_carlo: Mapping[str, Any]) -> tuple[float, int]:
    """Length of a block in bars, from a horizon's ``monte_carlo``, and bars below which a stream tells nothing."""
    block = max(float(monte_carlo["block"] or 1), 1.0)
    return block, math.ceil(MIN_BLOCKS * block)


def since_claim(evidence: Evidence, horizon: str, gate: GateParams, champion: Champion, stream: pd.Series) -> Ruling:
    """What came after the claim does not show that the recipe loses.

    A claim is about bars that were looked at, and the bars that two versions share are those; only later ones can
    contradict it. They all count, however often the recipe was refreshed on the way, so that a slow loss adds up.
    """
    new = stream[stream.index > champion.claimed].dropna()
    threshold = 1.0 - gate.confidence
    error = sharpe_standard_error(new)
    needed = blocks(evidence["horizons"][horizon]["monte_carlo"])[1]
    if len(new) < needed or not error > 0.0:
        return Ruling(
            "since_claim",
            True,
            None,
            threshold,
            f"{len(new)} bars since the claim of this recipe cannot contradict it: {needed} are needed, with trades.",
        )
    ratio = float(new.mean() / new.std(ddof=0))
    value = NormalDist().cdf(ratio / error)
    passed = value >= threshold
    return Ruling(
        "since_claim",
        passed,
        value,
        threshold,
        f"Over {len(new)} bars since the claim of this recipe, the probability that its Sharpe ratio is above zero is"
        f" {value:.3f} (needed: {threshold:.2g}).",
        "" if passed else "a recipe that has lost since its claim",
    )


def against_champion(
    evidence: Evidence, horizon: str, gate: GateParams, champion: Champion, stream: pd.Series, question: Question
) -> Ruling:
    """Not worse than the champion with its own recipe on newer data; better with another recipe.

    Both streams are resampled together over the bars they share (Ledoit and Wolf 2008, "Robust performance hypothesis
    testing with the Sharpe ratio"), so that what the market did to both cancels out. The bound is a percentile and not
    studentised as theirs: at a level of 5 % it errs in 5 to 7 of 100 cases on streams without an edge, the more the
    fewer blocks there are.
    """
    threshold = 0.0 if question == "challenge" else -gate.non_inferiority_sharpe
    block, needed = blocks(evidence["horizons"][horizon]["monte_carlo"])
    both = pd.concat([stream.rename("new"), champion.stream.rename("old")], axis=1, join="inner").dropna()
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
    paths = int(evidence["horizons"][horizon]["monte_carlo"]["paths"])
    differences = paired_difference(
        both["new"], both["old"], paths, block, int(evidence["seed"]), instrument.bars_per_year
    )
    # A path on which either stream has no variance speaks for nobody, so it counts against the candidate.
    differences = np.where(np.isfinite(differences), differences, -np.inf)
    value = number(float(np.quantile(differences, 1 - gate.confidence, method="lower")))
    passed = value is not None and (value > threshold if question == "challenge" else value >= threshold)
    wanted = f"above {threshold:+.2f}" if question == "challenge" else f"at least {threshold:+.2f}"
    return Ruling(
        "against_champion",
        passed,
        value,
        threshold,
        f"Over {len(both)} common bars the annual Sharpe ratio less that of champion {champion.version} has the lower"
        f" bound {shown(value, '+.2f')} (must be {wanted}).",
        ""
        if passed
        else f"not {'better than' if question == 'challenge' else 'as good as'} champion {champion.version}",
    )
