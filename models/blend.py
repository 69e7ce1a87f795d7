"""How several probabilities become one, defined once for training, testing and serving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.calibration import Calibration, calibration_of, log_odds, sigmoid
from trading.errors import ModelError

VOTE = "vote"
Method = Literal["soft", "hard", "stacking"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Blend:
    """A vote: the members' probabilities of a rise become one.

    Parameters
    ----------
    method
        ``soft``: weighted mean of probabilities. ``hard``: weighted share of the members that say a rise; one half
        counts half. ``stacking``: logistic function of a weighted sum of log odds (Wolpert 1992).
    weights
        One a member, in their order. Of soft and hard votes positive, and only their ratios count; of stacking not
        negative.
    intercept
        Of stacking: the log odds where all members say one half. Otherwise 0.
    calibration
        What is made of the vote in the end; None leaves it.

    Raises
    ------
    ModelError
        If the method is unknown or the weights are not of it.
    """

    method: Method
    weights: tuple[float, ...]
    intercept: float = 0.0
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ModelError(
                f"a vote by {self.method!r}", rule=f"one of {', '.join(METHODS)}", remedy="choose one of them"
            )
        least = 0.0 if self.method == "stacking" else np.nextafter(0, 1)
        if not self.weights or not all(least <= weight < np.inf for weight in self.weights):
            rule = "not negative" if self.method == "stacking" else "one positive weight each"
            raise ModelError(f"weights {list(self.weights)} of a {self.method} vote", rule=rule, remedy="mend them")

    def vote(self, members: pd.DataFrame) -> pd.Series:
        """The vote.

        Parameters
        ----------
        members
            Probability of a rise, one column a member, in the order of the weights.

        Returns
        -------
        Series
            Named ``vote``, on the index of ``members``; NaN where any member has no opinion, because a vote of whoever
            happens to be there would be another model than the one that was tested.
        """
        # Column by column, so that a row's vote does not depend on the rows beside it, to the last bit.
        given = [members[name].to_numpy(dtype=np.float64) for name in members.columns]
        total = np.full(len(members), self.intercept)
        for share, column in zip(self._shares, given, strict=True):
            total += share * self._said(column)
        voted = sigmoid(total) if self.method == "stacking" else total
        if self.calibration is not None:
            voted = self.calibration.apply(voted)
        return pd.Series(voted, index=members.index, name=VOTE)

    def to_json(self) -> dict[str, Any]:
        """Everything but the weights, which stand beside the members."""
        calibration = None if self.calibration is None else self.calibration.to_json()
        return {"method": self.method, "intercept": self.intercept, "calibration": calibration}

    @classmethod
    def of(cls, weights: Sequence[float], content: Mapping[str, Any]) -> Self:
        """What :meth:`to_json` gave, with its weights; errors as the constructor and ``calibration_of``."""
        intercept, calibration = content["intercept"], calibration_of(content["calibration"])
        return cls(content["method"], tuple(weights), float(intercept), calibration)

    @property
    def _shares(self) -> NDArray[np.float64]:
        weights = np.asarray(self.weights, dtype=np.float64)
        return weights if self.method == "stacking" else weights / weights.sum()

    def _said(self, prob_up: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a member brings to the sum."""
        match self.method:
            case "soft":
                return prob_up
            case "hard":
                return 0.5 + 0.5 * np.sign(prob_up - 0.5)
            case _:
                return log_odds(prob_up)
