"""One horizon's features and labels on one index, and what a split may train on, with which weights."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import TooFewBarsError

VOLATILITY, VOLATILITY_BARS = "volatility_24", 25
"""The feature that forecasts are scaled by, and the bars until it is known."""


@dataclass(frozen=True)
class Dataset:
    """Features and labels of one horizon after the warm-up.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Features in time order, without the warm-up; row t is known at the close of bar t.
    y : Series
        1.0 if the return is positive, 0.0 if not, NaN where a gap or the end of the data hides it.
    ret : Series
        Return from the open of t+1 to the exit that the label judges: the open of t+1+h, or a barrier before it.
    t_end : Series
        When that last price is known; NaT where ``y`` is NaN.
    weight, uniqueness : Series, optional
        How much each label tells, and the share of its bars that is its own; None where all weigh alike.
    horizon_ret, horizon_end : Series, optional
        Return from the open of t+1 to the open of t+1+h, and when that one is known; None where ``ret`` is just that.
    """

    X: pd.DataFrame
    y: pd.Series
    ret: pd.Series
    t_end: pd.Series
    weight: pd.Series | None = None
    uniqueness: pd.Series | None = None
    horizon_ret: pd.Series | None = None
    horizon_end: pd.Series | None = None

    @classmethod
    def join(cls, features: pd.DataFrame, labels: pd.DataFrame) -> "Dataset":
        """Drop the warm-up, and align the labels to what is left.

        Raises
        ------
        TooFewBarsError
            If no row is warm.
        """
        warm = features.dropna()
        if warm.empty:
            raise TooFewBarsError(
                f"{len(features)} bars, and none of them is past the features' warm-up",
                rule="a row is used once every feature is warm",
                remedy="give a longer history",
            )
        labels = labels.reindex(warm.index)
        more = {name: labels[name] for name in _OPTIONAL if name in labels}
        return cls(warm, labels["label"], labels["ret"], labels["t_end"], **more)

    def training_rows(self, train: np.ndarray) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
        """Frame, labels and end times to fit on: every row up to the last training row, others without a label.

        Rows that a split purged stay in the frame as context, so that a sequence model's windows are made of
        consecutive bars; their label is NaN and nothing learns from it.

        Parameters
        ----------
        train
            Positions of the training rows.
        """
        stop = int(train.max()) + 1
        chosen = np.zeros(stop, dtype=bool)
        chosen[train] = True
        return self.X.iloc[:stop], self.y.iloc[:stop].where(chosen), self.t_end.iloc[:stop]

    def known_rows(self, newest: int | None = None) -> NDArray[np.intp]:
        """Positions of the rows whose label is known, or of so many of the newest of them."""
        labelled = np.flatnonzero(self.y.notna().to_numpy())
        return labelled if newest is None else labelled[-newest:]

    def training_weights(self, train: np.ndarray, oldest_weight: float) -> pd.Series | None:
        """Weights of the rows of :meth:`training_rows`, None where all weigh alike.

        The training rows' weights fade with age and are scaled to a mean of 1, so that what a model's settings say
        about numbers of rows stays true; rows that are only context weigh 0. Nothing but the training rows counts.

        Parameters
        ----------
        train
            Positions of the training rows, in time order.
        oldest_weight
            What the oldest row keeps of its weight, from 0 to 1; see :func:`time_decay`.
        """
        if self.weight is None or self.uniqueness is None:
            return None
        faded = self.weight.iloc[train].to_numpy() * time_decay(self.uniqueness.iloc[train].to_numpy(), oldest_weight)
        weights = np.zeros(int(train.max()) + 1)
        # In a market that never moves no return weighs anything, and models say so themselves.
        weights[train] = faded / (faded.mean() or 1.0)
        return pd.Series(weights, index=self.X.index[: len(weights)], name="weight")

    def before(self, stop: int, latest: pd.Timestamp) -> "Dataset":
        """Rows before ``stop``; labels that end after ``latest`` are hidden."""
        cut = {
            field.name: value.iloc[:stop] for field in fields(self) if (value := getattr(self, field.name)) is not None
        }
        X, whole = cut.pop("X"), cut.get("horizon_end")
        known = (cut["t_end"] <= latest).to_numpy()
        # The horizon may still be going on when a barrier has long been touched.
        over = known if whole is None else (whole <= latest).to_numpy()
        return replace(
            self, X=X, **{name: value.where(over if name in _HORIZON else known) for name, value in cut.items()}
        )


_HORIZON = ("horizon_ret", "horizon_end")
_OPTIONAL = ("weight", "uniqueness", *_HORIZON)


def time_decay(uniqueness: NDArray[np.float64], oldest: float) -> NDArray[np.float64]:
    """Factor for each label that falls in a line from 1 for the newest to about ``oldest`` for the oldest.

    Age is counted in cumulated uniqueness, not in time: a thousand labels about the same day are one day old news.

    Parameters
    ----------
    uniqueness
        Average uniqueness of the labels, in time order.
    oldest
        From 0 to 1; 1 does not fade.

    References
    ----------
    M. López de Prado, *Advances in Financial Machine Learning*, Wiley 2018, section 4.7.
    """
    seen = np.cumsum(uniqueness)
    factor: NDArray[np.float64] = 1.0 - (1.0 - oldest) * (1.0 - seen / seen[-1])
    return factor
