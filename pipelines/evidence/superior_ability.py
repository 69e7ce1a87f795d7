"""Whether what was earned beats what needs no model, by more than luck and choice explain.

Hansen, P. R. (2005), "A Test for Superior Predictive Ability", Journal of Business & Economic Statistics 23(4).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.monte_carlo.blocks import optimal_blocks

Array = NDArray[np.float64]

FEWEST_DAYS = 20


def superior_ability(differences: pd.DataFrame, block: int, paths: int, seed: int) -> dict[str, float]:
    """p-values of: no model has a higher expected return than the benchmark.

    The statistic is the largest of the models' mean differences, each divided by its own standard error; its
    distribution under the null is that of stationary bootstrap samples (``arch``) whose means are set to what the null
    allows: all to zero (``upper``, which poor models make too large), all but those that are worse on average
    (``lower``), or all but those that are so much worse that it is no accident (``consistent``). Where no model is
    better on average there is nothing to explain: 1. The sample itself counts as one of the resamples, so that no
    p-value is 0.

    ``arch`` does not divide by standard errors, so that one erratic model would drown the others. They are
    divided by here beforehand; that is the same, for they are those of the sample in every resample.

    Parameters
    ----------
    differences : DataFrame of shape (periods, models)
        Return of each model less the benchmark's, in time order.
    block
        Mean length of a block in periods, at least 1.
    paths, seed
        Resamples, and the seed of their generator.

    Returns
    -------
    dict
        ``lower`` <= ``consistent`` <= ``upper``.

    Raises
    ------
    ValueError
        Without models or with fewer than three periods, for a value that is not finite, or a model that differs from
        the benchmark by the same in every period: no error can be told for it.
    """
    from arch.bootstrap import SPA

    values = differences.to_numpy(dtype=np.float64)
    if len(values) < 3 or not values.shape[1] or not np.isfinite(values).all():
        raise ValueError(f"differences of shape {values.shape}: expected models over three periods, all finite")
    if (values.min(axis=0) == values.max(axis=0)).any():
        raise ValueError("a model's differences are all the same")
    scaled = values / long_run_deviation(values, block)
    names = ("lower", "consistent", "upper")
    if scaled.mean(axis=0).max() <= 0.0:
        return dict.fromkeys(names, 1.0)
    # It takes losses: what is earned more than the benchmark is lost less.
    test = SPA(np.zeros(len(values)), -scaled, block_size=block, reps=paths, bootstrap="stationary", seed=seed)
    test.compute()
    return {name: float((test.pvalues[name] * paths + 1) / (paths + 1)) for name in names}


def long_run_deviation(values: Array, block: int) -> Array:
    """Standard error of each column's mean times the root of the periods, as the stationary bootstrap has it.

    Hansen's (2005) estimate: autocovariances weighed by ((n - i) / n)(1 - q)^i + (i / n)(1 - q)^(n - i), with q = 1 /
    ``block`` (Politis and Romano 1994).
    """
    n = len(values)
    centred = values - values.mean(axis=0)
    lags, stay = np.arange(1, n), 1.0 - 1.0 / block
    weights = (1 - lags / n) * stay**lags + lags / n * stay ** (n - lags)
    covariance = np.array([(centred[lag:] * centred[: n - lag]).sum(axis=0) for lag in range(n)]) / n
    deviation: Array = np.sqrt(covariance[0] + 2.0 * weights @ covariance[1:])
    return deviation


def against_baselines(streams: pd.DataFrame, models: Sequence[str], paths: int, seed: int) -> dict[str, Any]:
    """The test of the vote, and of all models together, against each baseline, on net returns by day.

    For each baseline there are two nulls: ``vote``, that the vote's expected net return is not above the baseline's;
    and ``any``, that no model's is, the vote among them. The vote is better than *every* baseline only where all of the
    first kind are rejected, so the largest of their p-values is the one that counts (an intersection-union test:
    Berger 1982, Technometrics 24(4); it needs no correction for the number of baselines).

    Parameters
    ----------
    streams : DataFrame
        Net return of each bar; index ``timestamp``; one column for each model and each baseline. Doing nothing
        (``flat``) is a baseline beside those.
    models
        Columns that are models; ``vote`` is the one that is served.
    paths, seed
        Of the bootstrap.

    Returns
    -------
    dict
        ``days``, ``block`` (mean length of a block, in days: what the median difference asks for), ``paths``;
        ``against``: by baseline ``daily_difference``
        (of the vote, mean), and ``vote`` and ``any`` with their three p-values, None where nothing differs;
        ``probability``: the largest consistent p-value of the vote, ``hardest``: the baseline that it belongs to; both
        None with the ``reason`` where one could not be measured, as on fewer than 20 days.
    """
    daily = streams.resample("1D").sum()
    baselines = {"flat": pd.Series(0.0, index=daily.index)} | {
        name: daily[name] for name in daily.columns if name not in models
    }
    differences = {name: daily[list(models)].sub(other, axis=0) for name, other in baselines.items()}
    enough = len(daily) >= FEWEST_DAYS
    columns = [one[column] for one in differences.values() for column in one] if enough else []
    block = math.ceil(statistics.median([optimal_blocks(one, "stationary").length for one in columns] or [1.0]))
    against: dict[str, dict[str, Any]] = {}
    for name, one in differences.items():
        moving = one.loc[:, one.nunique() > 1] if enough else one.iloc[:, :0]
        against[name] = {
            "daily_difference": float(one["vote"].mean()),
            "vote": superior_ability(moving[["vote"]], block, paths, seed) if "vote" in moving else None,
            "any": superior_ability(moving, block, paths, seed) if len(moving.columns) else None,
        }
    return {"days": len(daily), "block": block, "paths": paths, "against": against} | _hardest(against, len(daily))


def _hardest(against: Mapping[str, Mapping[str, Any]], days: int) -> dict[str, Any]:
    if days < FEWEST_DAYS:
        return {"probability": None, "hardest": None, "reason": f"{days} days are fewer than {FEWEST_DAYS}"}
    alike = [name for name, found in against.items() if found["vote"] is None]
    if alike:
        reason = f"the vote's returns do not differ from {' and '.join(alike)} by more than a constant"
        return {"probability": None, "hardest": None, "reason": reason}
    hardest = max(against, key=lambda name: against[name]["vote"]["consistent"])
    return {"probability": against[hardest]["vote"]["consistent"], "hardest": hardest, "reason": None}
