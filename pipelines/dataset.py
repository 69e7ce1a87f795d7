"""One horizon's features and labels on one index, and the rows a split may train on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading.errors import TooFewBarsError


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
        Return from the open of t+1 to the open of t+1+h.
    t_end : Series
        When that last price is known; NaT where ``y`` is NaN.
    """

    X: pd.DataFrame
    y: pd.Series
    ret: pd.Series
    t_end: pd.Series

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
        return cls(warm, labels["label"], labels["ret"], labels["t_end"])

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

    def before(self, stop: int, latest: pd.Timestamp) -> "Dataset":
        """Rows before ``stop``; labels that end after ``latest`` are hidden."""
        t_end = self.t_end.iloc[:stop]
        known = (t_end <= latest).to_numpy()
        return Dataset(
            self.X.iloc[:stop], self.y.iloc[:stop].where(known), self.ret.iloc[:stop].where(known), t_end.where(known)
        )
