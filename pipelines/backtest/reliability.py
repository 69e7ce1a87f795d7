"""Whether a forecast of 60% comes true in 60 of 100 cases, and what its score is made of."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.metrics import accuracy_interval

BINS = 10


def reliability(
    probability: pd.Series, label: pd.Series, horizon_bars: int, confidence: float, bins: int = BINS
) -> list[dict[str, float]]:
    """Reliability table over bins of equal count.

    Parameters
    ----------
    probability, label
        Forecasts and what came, 1 or 0, on one index in time order; rows with a NaN are left out.
    horizon_bars
        Labels of neighbouring rows overlap by this many bars, and intervals are widened for it.
    confidence
        Of the intervals.
    bins
        Their number, at most that of the rows.

    Returns
    -------
    list of dict
        From the lowest forecasts to the highest: mean probability ``predicted``, share that came true ``observed``
        with its interval ``observed_low`` and ``observed_high``, and ``count`` of rows.
    """
    said, came, place = _binned(probability, label, bins)
    table = []
    for one in range(place.max(initial=-1) + 1):
        here = place == one
        low, high = accuracy_interval(came[here], min(horizon_bars, int(here.sum())), confidence)
        table.append(
            {
                "predicted": float(said[here].mean()),
                "observed": float(came[here].mean()),
                "observed_low": low,
                "observed_high": high,
                "count": int(here.sum()),
            }
        )
    return table


def brier_decomposition(probability: pd.Series, label: pd.Series, bins: int = BINS) -> dict[str, float]:
    """What the Brier score is made of: reliability minus resolution plus uncertainty, exactly.

    Murphy (1973), "A new vector partition of the probability score", Journal of Applied Meteorology 12; with the two
    terms of what forecasts do within a bin counted to the resolution, without which the parts do not add up
    (Stephenson, Coelho and Jolliffe 2008, "Two extra components in the Brier score decomposition", Weather and
    Forecasting 23).

    Parameters
    ----------
    probability, label, bins
        As :func:`reliability`.

    Returns
    -------
    dict
        ``reliability``: mean squared distance of what was said from what came, by bin; 0 is calibrated. ``resolution``:
        how far the forecasts tell cases apart; more is better. ``uncertainty``: the score of whoever always says the
        share of rises; 0.25 where both directions are equally frequent.
    """
    said, came, place = _binned(probability, label, bins)
    counts = np.bincount(place)
    mean_said, mean_came = np.bincount(place, said) / counts, np.bincount(place, came) / counts
    away_said, away_came = said - mean_said[place], came - mean_came[place]
    share = counts / counts.sum()
    between = float(share @ (mean_came - came.mean()) ** 2)
    return {
        "reliability": float(share @ (mean_said - mean_came) ** 2),
        "resolution": between - float(np.mean(away_said**2)) + 2 * float(np.mean(away_said * away_came)),
        "uncertainty": float(came.mean() * (1 - came.mean())),
    }


def _binned(
    probability: pd.Series, label: pd.Series, bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Forecasts, outcomes, and the bin of each; bins differ by one row at most."""
    frame = pd.DataFrame({"said": probability, "came": label}).dropna()
    rank = frame["said"].rank(method="first").to_numpy()
    place = np.minimum((rank - 1) * bins // max(len(frame), 1), bins - 1).astype(np.int64)
    _, dense = np.unique(place, return_inverse=True)
    return frame["said"].to_numpy(dtype=float), frame["came"].to_numpy(dtype=float), dense.astype(np.int64)
