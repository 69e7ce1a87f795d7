"""From a probability to an expected return, by what returns were per unit of volatility."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Self, overload

import numpy as np
import pandas as pd

from trading.errors import ModelError


@dataclass(frozen=True, slots=True)
class ReturnScale:
    """Size of ``ret / (volatility * sqrt(horizon_bars))`` on training rows.

    Scaling by the square root of time is what a random walk does; the volatility is the one known at the close of the
    bar that decides, so the scale moves with the market while its number stays as fitted.

    Parameters
    ----------
    mean_abs
        Mean absolute scaled return.
    """

    mean_abs: float

    def __post_init__(self) -> None:
        if not (isfinite(self.mean_abs) and self.mean_abs >= 0):
            raise ModelError(f"a return scale of {self}", rule="finite, not negative", remedy="train again")

    @classmethod
    def fit(cls, ret: pd.Series, volatility: pd.Series, horizon_bars: int) -> Self:
        """Measure the scale.

        Parameters
        ----------
        ret
            Simple return over the horizon, decided at close t; NaN where there is none. Training rows only.
        volatility
            Standard deviation of one-bar log returns known at close t, on the same index.
        horizon_bars
            Bars in the horizon.

        Raises
        ------
        ModelError
            If the indices differ, or no row has a return and a positive volatility.
        """
        if not ret.index.equals(volatility.index):
            raise ModelError("returns and volatility stand on different bars", rule="one index", remedy="align them")
        scaled = (ret / (volatility.where(volatility > 0) * sqrt(horizon_bars))).dropna().to_numpy(dtype=np.float64)
        if not len(scaled):
            raise ModelError(
                "no row has both a return and a volatility above zero",
                where=f"{len(ret)} training rows",
                rule="the scale of returns is measured on training rows",
                remedy="give more bars, or bars whose prices move",
            )
        return cls(float(np.abs(scaled).mean()))

    @overload
    def edge(self, prob_up: float, volatility: float, horizon_bars: int) -> float: ...
    @overload
    def edge(self, prob_up: pd.Series, volatility: pd.Series, horizon_bars: int) -> pd.Series: ...
    def edge(self, prob_up: float | pd.Series, volatility: float | pd.Series, horizon_bars: int) -> float | pd.Series:
        """Expected return over the horizon: ``(2p - 1) * E|ret|``, as if up and down moves were equally large.

        NaN where the probability or the volatility is.
        """
        return (2 * prob_up - 1) * self.mean_abs * volatility * sqrt(horizon_bars)
