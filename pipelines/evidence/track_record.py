"""How long a record must be before its Sharpe ratio can be believed."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any


def minimum_track_record(sharpe: float, benchmark: float, skew: float, kurtosis: float, confidence: float) -> float:
    """Returns after which a Sharpe ratio like this one is above the benchmark with so much confidence.

    The number of returns at which :func:`pipelines.evidence.deflated_sharpe.probabilistic_sharpe` reaches the
    confidence: Bailey, D. H., and López de Prado, M. (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk
    15(2): MinTRL. Like that probability it takes returns for independent.

    Parameters
    ----------
    sharpe, benchmark
        Estimated Sharpe ratio and the one to beat, per period.
    skew, kurtosis
        Of the returns; the kurtosis of a normal distribution is 3.
    confidence
        Above one half and below 1.

    Returns
    -------
    float
        Periods, not rounded; infinite where the ratio is not above the benchmark (no record of such returns would do),
        nan without a ratio.

    Raises
    ------
    ValueError
        For another confidence, or moments that no distribution has.
    """
    if not 0.5 < confidence < 1.0:
        raise ValueError(f"{confidence=}: expected above 0.5 and below 1")
    if math.isnan(sharpe):
        return math.nan
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not spread > 0.0:
        raise ValueError(f"{skew=}, {kurtosis=}: no distribution has them; kurtosis exceeds 1 + skew**2")
    if sharpe <= benchmark:
        return math.inf
    return 1.0 + spread * (NormalDist().inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def track_record(moments: Mapping[str, float], luck: float, bars_per_year: float, confidence: float) -> dict[str, Any]:
    """Years of a record like this one after which its Sharpe ratio is above zero, and above what luck would show.

    Parameters
    ----------
    moments
        ``observations``, ``sharpe_per_bar``, ``skewness`` and ``kurtosis`` of the record.
    luck
        Per-bar Sharpe ratio that the best of all trials would show without skill.
    bars_per_year
        Bars in a year.
    confidence
        As for :func:`minimum_track_record`.

    Returns
    -------
    dict
        ``confidence``, ``observed_years``; ``above_zero`` and ``above_luck``, each with ``years``, None with a
        ``reason`` where no record is long enough.
    """

    def years(benchmark: float, name: str) -> dict[str, Any]:
        bars = minimum_track_record(
            moments["sharpe_per_bar"], benchmark, moments["skewness"], moments["kurtosis"], confidence
        )
        if math.isinf(bars):
            return {"years": None, "reason": f"the Sharpe ratio is not above {name}"}
        return {"years": bars / bars_per_year, "reason": None}

    return {
        "confidence": confidence,
        "observed_years": moments["observations"] / bars_per_year,
        "above_zero": years(0.0, "zero"),
        "above_luck": years(luck, "what luck would show"),
    }
