"""How long a record must be before its Sharpe ratio can be believed."""

import math
from statistics import NormalDist


def minimum_track_record(sharpe: float, benchmark: float, skew: float, kurtosis: float, confidence: float) -> float:
    """Returns after which a Sharpe ratio like this one is above the benchmark with so much confidence.

    The number of returns at which :func:`pipelines.evidence.deflated_sharpe.probabilistic_sharpe` reaches the
    confidence: Bailey, D. H., and López de Prado, M. (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk
    15(2), equation 13 (MinTRL). Like that probability it takes returns for independent.

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
