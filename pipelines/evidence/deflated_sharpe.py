"""How sure one may be of a Sharpe ratio that is the best of many that were tried.

Bailey, D. H. and López de Prado, M. (2014), "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
Overfitting, and Non-Normality", Journal of Portfolio Management 40(5). Every Sharpe ratio here is per period: an annual
one divided by the square root of the periods in a year (and its variance divided by the periods in a year).
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, variance

_NORMAL = NormalDist()
_EULER_MASCHERONI = 0.57721566490153286061


def probabilistic_sharpe(sharpe: float, benchmark: float, n: int, skew: float, kurtosis: float) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark`` (equation 2 with its benchmark in place of 0).

    Parameters
    ----------
    sharpe, benchmark
        Estimated Sharpe ratio and the one to beat, per period.
    n
        Number of returns behind the estimate.
    skew, kurtosis
        Of these returns; the kurtosis of a normal distribution is 3.

    Returns
    -------
    float
        Between 0 and 1; nan if the estimate is nan (returns without variance have no Sharpe ratio).

    Raises
    ------
    ValueError
        With fewer than two returns, or moments that no distribution has.
    """
    if n < 2:
        raise ValueError(f"{n=}: a Sharpe ratio needs at least two returns")
    if math.isnan(sharpe):
        return math.nan
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not spread > 0.0:
        raise ValueError(f"{skew=}, {kurtosis=}: no distribution has them; kurtosis exceeds 1 + skew**2")
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt((n - 1) / spread))


def expected_maximum_sharpe(variance: float, trials: float) -> float:
    """Sharpe ratio that the best of so many trials without any skill is expected to show (equation 1, mean zero).

    The equation is an approximation for many trials, and negative from 1.3 downwards; between one trial and two a
    straight line stands for it, which is above it and grows.

    Parameters
    ----------
    variance
        Variance of the Sharpe ratios across trials, per period.
    trials
        Number of independent trials, whole or not. One trial is not selected from anything: 0.

    Raises
    ------
    ValueError
        If ``variance`` is negative or NaN, or ``trials`` is below 1.
    """
    if not variance >= 0.0 or not 1.0 <= trials < math.inf:
        raise ValueError(f"{variance=}, {trials=}: expected at least 0 and 1, and finite")
    if trials < 2:
        return (trials - 1.0) * expected_maximum_sharpe(variance, 2)
    first = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - _EULER_MASCHERONI) * first + _EULER_MASCHERONI * second)


def deflated_sharpe(sharpe: float, n: int, skew: float, kurtosis: float, trials: float, variance: float) -> float:
    """Probability that the true Sharpe ratio is above what selection among ``trials`` alone would have shown.

    The probabilistic Sharpe ratio against :func:`expected_maximum_sharpe`; arguments and errors as there.
    """
    return probabilistic_sharpe(sharpe, expected_maximum_sharpe(variance, trials), n, skew, kurtosis)


def trial_variance(trials: Sequence[Mapping[str, float]], observations: int) -> float:
    """Variance of the trials' Sharpe ratios, as if each had been measured over ``observations`` bars.

    A ratio measured over fewer bars varies more without being worth more, so each is weighed by the root of its own
    number of bars. A trial that never traded says nothing of the spread, and is left out here (it still counts as a
    trial). The variance is never below that of pure noise, one over the number of bars: a few trials that happen to
    agree must not switch deflation off.

    Parameters
    ----------
    trials
        ``sharpe_per_bar``, ``observations`` and ``trades`` of each; those without a Sharpe ratio are passed over.
    observations
        Bars that the strategy in question was measured over.

    Returns
    -------
    float
        In units of a squared per-bar Sharpe ratio.
    """
    scaled = [
        trial["sharpe_per_bar"] * math.sqrt(trial.get("observations", observations))
        for trial in trials
        if trial.get("trades", 1.0) > 0 and math.isfinite(trial.get("sharpe_per_bar", math.nan))
    ]
    spread = variance(scaled) if len(scaled) > 1 else 0.0
    return max(spread, 1.0) / observations
