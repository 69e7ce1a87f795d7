"""From a score to a probability that one can bet on, learnt on rows that the score was not.

Only numbers are kept, so that training, testing and serving apply the same ones; nothing but numpy is needed for that.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from trading.errors import ModelError

Float64 = NDArray[np.float64]
Method = Literal["none", "platt", "isotonic"]

# A probability is no closer to 0 or 1 than this before its log odds are taken: no member is sure beyond a hundred to
# one, and rounding in one of them moves nothing.
EXTREME = 0.01


class Calibration(Protocol):
    """A rising function from probability to probability."""

    def apply(self, prob_up: Float64) -> Float64:
        """Calibrated probabilities of a rise; NaN stays NaN."""

    def to_json(self) -> dict[str, Any]:
        """What :func:`calibration_of` rebuilds it from."""


@dataclass(frozen=True, slots=True)
class Platt:
    """Logistic function of the log odds (Platt 1999).

    Parameters
    ----------
    slope
        Not negative: a score that was wrong on the held-out rows is worth nothing, not its opposite. 0 is the base
        rate for every row.
    intercept
        Log odds where the score says one half.
    """

    slope: float
    intercept: float

    def apply(self, prob_up: Float64) -> Float64:
        """As :class:`Calibration`."""
        return sigmoid(self.slope * log_odds(prob_up) + self.intercept)

    def to_json(self) -> dict[str, Any]:
        """As :class:`Calibration`."""
        return {"method": "platt", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Rising line through a few points, level beyond them (isotonic regression; Zadrozny and Elkan 2002).

    Parameters
    ----------
    scores, probabilities
        Points, both rising.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def apply(self, prob_up: Float64) -> Float64:
        """As :class:`Calibration`."""
        found: Float64 = np.interp(prob_up, self.scores, self.probabilities)
        return found

    def to_json(self) -> dict[str, Any]:
        """As :class:`Calibration`."""
        return {"method": "isotonic", "scores": list(self.scores), "probabilities": list(self.probabilities)}


def calibration_of(content: Mapping[str, Any] | None) -> Calibration | None:
    """What :meth:`Calibration.to_json` gave, as a calibration again; None for None.

    Raises
    ------
    ModelError
        If it is nothing of the kind.
    """
    match content:
        case None:
            return None
        case {"method": "platt", "slope": float(slope), "intercept": float(intercept)} if slope >= 0:
            return Platt(slope, intercept)
        case {"method": "isotonic", "scores": list(scores), "probabilities": list(values)} if (
            0 < len(scores) == len(values) and (np.diff(scores) > 0).all() and (np.diff(values) >= 0).all()
        ):
            return Isotonic(tuple(scores), tuple(values))
        case _:
            raise ModelError(f"a calibration of {content}", rule="platt or isotonic, rising", remedy="train again")


def fit_calibration(method: Method, prob_up: Float64, labels: Float64, weights: Float64) -> Calibration | None:
    """Learn a calibration from rows that the score did not learn from.

    Parameters
    ----------
    method
        ``none`` gives None.
    prob_up
        Scores between 0 and 1, shape (n,), without NaN.
    labels, weights
        1 or 0, and not negative, shape (n,).

    Raises
    ------
    ModelError
        If the rows hold one class only: what the other is worth cannot be learnt from them.
    """
    if method == "none":
        return None
    if len(np.unique(labels[weights > 0])) < 2:
        raise ModelError(
            f"{len(labels)} held-out rows of one class to calibrate on",
            rule="both classes occur among them",
            remedy="give more bars, hold back more (inner in params.yaml), or set models.ensemble.calibration to none",
        )
    if method == "platt":
        return fit_platt(log_odds(prob_up), labels, weights)
    from sklearn.isotonic import IsotonicRegression

    steps = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(prob_up, labels, sample_weight=weights)
    # Steps become a line through their middles, weighted by what lies on them: next to an edge a rounding error would
    # be worth a whole step (centred isotonic regression; Oron and Flournoy 2017).
    values, step = np.unique(np.round(steps, 12), return_inverse=True)
    worth = np.bincount(step, weights)
    middles = np.bincount(step, weights * prob_up) / worth
    return Isotonic(tuple(map(float, middles)), tuple(map(float, values)))


def fit_platt(scores: Float64, labels: Float64, weights: Float64) -> Platt:
    """Slope and intercept that make a logistic function of scores most likely.

    Labels are drawn in from 0 and 1 by what a uniform prior adds to each class, so that a score that separates the
    classes does not become certain (Platt 1999; Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs for
    support vector machines", Machine Learning 68).

    Parameters
    ----------
    scores
        Larger speaks for a rise; shape (n,).
    labels, weights
        1 or 0, both present, and not negative; shape (n,).
    """
    from scipy.optimize import minimize

    # Their sum says how many rows they are worth (Kish 1965): weights of ten times the size are no more evidence.
    shares = weights * (weights.sum() / (weights**2).sum())
    rises, falls = shares[labels > 0].sum(), shares[labels == 0].sum()
    target = np.where(labels > 0, (rises + 1) / (rises + 2), 1 / (falls + 2))
    spread = float(scores.std()) or 1.0

    def loss(x: Float64) -> tuple[float, Float64]:
        z = x[0] * scores / spread + x[1]
        error = shares * (sigmoid(z) - target)
        value = shares @ (np.logaddexp(0.0, z) - target * z)
        return float(value), np.array([error @ scores / spread, error.sum()])

    # From no slope: where all scores are alike none is learnt.
    start = np.array([0.0, np.log((rises + 1) / (falls + 1))])
    bounds = [(0.0, None), (None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-9})
    return Platt(float(found.x[0] / spread), float(found.x[1]))


def log_odds(prob_up: Float64) -> Float64:
    """Log odds of probabilities that are kept :data:`EXTREME` away from 0 and 1."""
    kept = np.clip(prob_up, EXTREME, 1 - EXTREME)
    odds: Float64 = np.log(kept / (1 - kept))
    return odds


def sigmoid(z: Float64) -> Float64:
    """Logistic function, without overflow."""
    half: Float64 = 0.5 * (1.0 + np.tanh(0.5 * z))
    return half
