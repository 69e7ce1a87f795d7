"""How good a forecast or a return stream was, and how sure one may be of it."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from trading.performance import max_drawdown, sharpe

__all__ = [
    "accuracy_interval",
    "auc",
    "brier",
    "difference_interval",
    "effective_number",
    "log_loss",
    "max_drawdown",
    "sharpe",
    "sharpe_interval",
    "sharpe_standard_error",
]

Array = NDArray[np.float64]

# A probability of exactly 0 or 1 that is wrong would cost infinitely much.
_SMALLEST_PROBABILITY = 1e-15


def sharpe_standard_error(returns: ArrayLike, lags: int | None = None) -> float:
    """Standard error of the per-period Sharpe ratio, robust to autocorrelation, skew and fat tails.

    Lo (2002), "The Statistics of Sharpe Ratios", section "Non-IID returns": the ratio is a smooth function of mean
    and variance, so its error is the long-run variance (Newey and West 1987, Bartlett weights) of the ratio's
    influence function. An annual ratio's error is this one times the square root of the periods in a year.

    Parameters
    ----------
    returns
        Simple returns, one a period, in time order.
    lags
        Autocorrelations that count; ``floor(4 * (n / 100) ** (2 / 9))`` if None (Newey and West 1994), 0 for
        independent returns.

    Returns
    -------
    float
        Per period; nan with fewer than two returns, or without variance.
    """
    values = np.asarray(returns, dtype=np.float64)
    n = len(values)
    if n < 2 or values.min() == values.max():
        return math.nan
    z = (values - values.mean()) / values.std()
    influence = z - values.mean() / values.std() / 2.0 * (z**2 - 1.0)
    if lags is None:
        lags = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0))
    covariance = _autocovariance(influence, min(lags, n - 1))
    weights = 1.0 - np.arange(1, len(covariance)) / len(covariance)
    return math.sqrt(max(covariance[0] + 2.0 * float(weights @ covariance[1:]), 0.0) / n)


def sharpe_interval(returns: ArrayLike, periods_per_year: float, confidence: float) -> tuple[float, float]:
    """Confidence interval of the annual Sharpe ratio: normal, with :func:`sharpe_standard_error`.

    Parameters
    ----------
    returns
        Simple returns, one a period, in time order.
    periods_per_year
        Periods in a year.
    confidence
        Coverage, between 0 and 1.

    Returns
    -------
    tuple of float
        Lower and upper bound; nan without a ratio.
    """
    values = np.asarray(returns, dtype=np.float64)
    middle = sharpe(values, periods_per_year)
    error = sharpe_standard_error(values) * math.sqrt(periods_per_year)
    reach = NormalDist().inv_cdf((1.0 + confidence) / 2.0) * error
    return middle - reach, middle + reach


def accuracy_interval(hits: ArrayLike, block: int, confidence: float) -> tuple[float, float]:
    """Confidence interval of the share of right forecasts whose horizons overlap.

    Forecasts over ``block`` bars, made every bar, share their outcomes: far fewer of them are independent than there
    are. The long-run variance counts ``block - 1`` autocovariances with full weight (Hansen and Hodrick 1980: exact
    for an overlap; Bartlett weights would forget a third of it), never less than none; its ratio to the plain
    variance gives the effective number of forecasts, and Wilson's (1927) score interval is taken over that number.

    Parameters
    ----------
    hits
        Whether each forecast was right, in time order.
    block
        Bars of the horizon; 1 for forecasts that do not overlap.
    confidence
        Coverage, between 0 and 1.

    Returns
    -------
    tuple of float
        Lower and upper bound within [0, 1]; (0, 1) without forecasts.
    """
    values, z = _overlapping(hits, block, confidence)
    if not len(values):
        return 0.0, 1.0
    effective = effective_number(values, block)
    share, shrink = float(values.mean()), z**2 / effective
    centre = (share + shrink / 2.0) / (1.0 + shrink)
    half = z / (1.0 + shrink) * math.sqrt(share * (1.0 - share) / effective + z**2 / (4.0 * effective**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def difference_interval(differences: ArrayLike, block: int, confidence: float) -> tuple[float, float]:
    """Confidence interval of the mean of paired differences, such as a model's hits minus a baseline's.

    Normal, with the same long-run variance as :func:`accuracy_interval`.

    Parameters
    ----------
    differences
        One a forecast, in time order; hits minus hits are -1, 0 or 1.
    block
        Bars of the horizon; 1 for forecasts that do not overlap.
    confidence
        Coverage, between 0 and 1.

    Returns
    -------
    tuple of float
        Lower and upper bound; without a difference between any two rows, both are the mean; nan without rows.
    """
    values, z = _overlapping(differences, block, confidence)
    if not len(values):
        return math.nan, math.nan
    half = z * float(values.std()) / math.sqrt(effective_number(values, block))
    return float(values.mean()) - half, float(values.mean()) + half


def _overlapping(values: ArrayLike, block: int, confidence: float) -> tuple[Array, float]:
    """Checked values, and the normal quantile of a two-sided interval."""
    if block < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(f"{block=}, {confidence=}: expected at least 1, and between 0 and 1")
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not np.isfinite(column).all():
        raise ValueError("expected one column without NaN")
    return column, NormalDist().inv_cdf((1.0 + confidence) / 2.0)


def effective_number(values: ArrayLike, block: int) -> float:
    """How many independent values have a mean as certain as these, whose neighbours share up to ``block - 1`` bars.

    Parameters
    ----------
    values
        One a forecast, in time order.
    block
        Bars of the horizon; 1 for forecasts that do not overlap.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    covariance = _autocovariance(values - values.mean(), min(block, n) - 1)
    if covariance[0] <= 0.0:
        # All equal: nothing to estimate the overlap from, so assume all of it.
        return n / block
    long_run = max(covariance[0] + 2.0 * covariance[1:].sum(), covariance[0])
    return float(n * covariance[0] / long_run)


def brier(label: ArrayLike, prob_up: ArrayLike) -> float:
    """Mean squared distance of P(up) from what happened; 0.25 for a coin."""
    outcome, probability = _forecast(label, prob_up)
    return float(np.mean((probability - outcome) ** 2))


def log_loss(label: ArrayLike, prob_up: ArrayLike) -> float:
    """Mean negative log likelihood in nats; 0.693 for a coin. Probabilities are kept 1e-15 away from 0 and 1."""
    outcome, probability = _forecast(label, prob_up)
    probability = np.clip(probability, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return float(-np.mean(np.where(outcome == 1.0, np.log(probability), np.log1p(-probability))))


def auc(label: ArrayLike, prob_up: ArrayLike) -> float:
    """Probability that an up bar got the higher forecast than a down bar, ties half; nan with one class only."""
    outcome, probability = _forecast(label, prob_up)
    ups = int(outcome.sum())
    downs = len(outcome) - ups
    if not ups or not downs:
        return math.nan
    from scipy.stats import rankdata

    ranks = rankdata(probability)[outcome == 1.0].sum()
    return float((ranks - ups * (ups + 1) / 2.0) / (ups * downs))


def _forecast(label: ArrayLike, prob_up: ArrayLike) -> tuple[Array, Array]:
    """Outcomes and probabilities as arrays, refused where they are not that: scores must not skip rows silently."""
    outcome, probability = np.asarray(label, dtype=np.float64), np.asarray(prob_up, dtype=np.float64)
    if outcome.ndim != 1 or outcome.shape != probability.shape or not len(outcome):
        raise ValueError(f"shapes {outcome.shape} and {probability.shape}: expected two equal, non-empty columns")
    if isinstance(label, pd.Series) and isinstance(prob_up, pd.Series) and not label.index.equals(prob_up.index):
        raise ValueError("label and probability have different indices")
    if not np.isin(outcome, (0.0, 1.0)).all() or not ((probability >= 0.0) & (probability <= 1.0)).all():
        raise ValueError("expected labels 0 or 1 and probabilities between 0 and 1, without NaN")
    return outcome, probability


def _autocovariance(centred: Array, lags: int) -> Array:
    """Autocovariances at lags 0 to ``lags`` of values around zero, divided by their number at every lag."""
    n = len(centred)
    return np.array([centred[lag:] @ centred[: n - lag] for lag in range(lags + 1)]) / n
