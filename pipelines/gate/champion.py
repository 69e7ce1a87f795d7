"""What is live, which of two questions a candidate is asked beside it, and whether it stands."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pipelines.gate.ruling import Evidence, Ruling, number, shown
from pipelines.monte_carlo.bootstrap import paired_difference
from pipelines.params import GateParams
from trading.instrument import Instrument

Question = Literal["first", "challenge", "refresh"]

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
    proven
        Whether the gate passed it: an override or a hand in the registry proves nothing.
    """

    version: str
    bundle_hash: str
    recipe_sha256: str
    stream: pd.Series
    proven: bool


def question_of(evidence: Evidence, horizon: str, champion: Champion | None) -> Question:
    """What is asked: nothing to compare with, the champion's recipe on newer data, or another recipe.

    Newer data are no proof either: the recipe of a champion that never passed has its claim still to make.
    """
    if champion is None:
        return "first"
    if champion.recipe_sha256 != evidence["horizons"][horizon]["bundle"]["recipe_sha256"]:
        return "challenge"
    return "refresh" if champion.proven else "first"


def against_champion(
    evidence: Evidence, horizon: str, gate: GateParams, champion: Champion, stream: pd.Series, question: Question
) -> Ruling:
    """Not worse than the champion with its own recipe on newer data; better with another recipe.

    Both streams are resampled together over the bars they share (Ledoit and Wolf 2008, "Robust performance hypothesis
    testing with the Sharpe ratio"), so that what the market did to both cancels out.
    """
    threshold = 0.0 if question == "challenge" else -gate.non_inferiority_sharpe
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
