"""A model that chooses its features in each fit, from the rows it may learn from and no others.

A selection made before the rows are split has seen the test, and shows skill where there is none (Hastie, Tibshirani
and Friedman 2009, "The Elements of Statistical Learning", section 7.10.2). Here the choice is part of the fit, so
whatever splits, purges or audits the model does the same to the choice.
"""

from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pandas as pd
from sklearn.base import clone

from models.base import SignalModel, aligned, probabilities, require_finite
from models.feature_names import require_names
from models.windows import as_float32, complete_windows
from models.wrapped import Wrapped
from trading.errors import ModelError, TooFewBarsError

if TYPE_CHECKING:
    import onnx


class Selector(Protocol):
    """Chooses columns."""

    def choose(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None) -> list[str]:
        """Names of the columns to keep, one or more.

        Parameters
        ----------
        X
            Rows that are learnt from, in time order, without NaN; there may be gaps between them.
        y
            1 for a rise, 0 for a fall; both occur.
        t_end
            Time at which each label is known: what splits of these rows are purged by.
        sample_weight
            Positive weights, or None.
        """


class Selected(Wrapped):
    """A model on the columns that a selector chooses among the rows of the fit.

    From outside it is a model of all features: it asks for them, and has no probability where any of them is missing,
    so that graphs and frames need not know what was chosen.

    Parameters
    ----------
    model
        Unfitted; a fit works on a clone of it.
    selector
        Chooses the columns. Labels of one class leave nothing to choose by: all columns are kept then.

    Attributes
    ----------
    columns_
        Names of the chosen columns, in the order of the frame.
    model_
        The fitted model of these columns.
    """

    def __init__(self, model: SignalModel, selector: Selector) -> None:
        self.model = model
        self.selector = selector

    def fit(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """Choose columns, then fit a clone of the model on them; parameters and errors as :meth:`SignalModel.fit`."""
        labels, weights = aligned(X, y, t_end, sample_weight)
        require_finite(X, as_float32(X), ~np.isnan(labels) & (weights > 0), name=self.name)
        # A hole in a column that is not chosen would otherwise be no hole for this model, and be one for its graph.
        labels[~self._complete(X)] = np.nan
        learnt = ~np.isnan(labels) & (weights > 0)
        known = pd.Series(labels, index=X.index)
        if len(np.unique(labels[learnt])) < 2:
            chosen = list(X.columns)
        else:
            shares = None if sample_weight is None else sample_weight[learnt]
            try:
                chosen = self.selector.choose(X[learnt], known[learnt], t_end=t_end[learnt], sample_weight=shares)
            except (TooFewBarsError, ModelError) as error:
                raise ModelError(
                    f"{int(learnt.sum())} labelled rows are too few to fit {self.name} on chosen features",
                    where=str(error),
                    rule="what the selector splits off must be enough to choose by",
                    remedy="give more bars, or another selection.method",
                ) from error
        self.columns_ = [name for name in X.columns if name in set(chosen)]
        self.model_ = clone(self.model).fit(X[self.columns_], known, t_end=t_end, sample_weight=sample_weight)
        self.classes_ = self.model_.classes_
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X: pd.DataFrame) -> pd.DataFrame:
        """As :meth:`SignalModel.predict_proba`."""
        self._require_fitted()
        require_names(self.feature_names_in_.tolist(), X.columns, where=f"{self.name}.predict_proba")
        up = self.model_.predict_proba(X[self.columns_])[1].to_numpy().copy()
        up[~self._complete(X)] = np.nan
        return probabilities(up, X.index)

    def to_onnx(self) -> "onnx.ModelProto":
        """The model's graph behind a choice of columns; see :meth:`SignalModel.to_onnx`."""
        from models.onnx_export import selected_graph

        self._require_fitted()
        columns = [self.feature_names_in_.tolist().index(name) for name in self.columns_]
        return selected_graph(self.model_.to_onnx(), columns, window=self.window, features=self.n_features_in_)

    def _complete(self, X: pd.DataFrame) -> np.ndarray:
        """Whether each row's window is complete in all columns."""
        complete = np.zeros(len(X), dtype=bool)
        complete[complete_windows(as_float32(X), self.window)] = True
        return complete
