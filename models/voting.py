"""Soft voting: the weighted mean of several models' probabilities."""

from typing import TYPE_CHECKING, Self

import pandas as pd
from sklearn.base import clone

from models.base import SignalModel, probabilities
from models.blend import VOTE, weighted_mean
from trading.errors import ModelError

if TYPE_CHECKING:
    import onnx


class SoftVoting(SignalModel):
    """Weighted mean of the members' probabilities; NaN where any member has none.

    Parameters
    ----------
    models
        Unfitted members with different names; a fit works on clones of them.
    weights
        One positive weight a member; only their ratios count.

    Attributes
    ----------
    models_
        The fitted members.
    """

    name = VOTE

    def __init__(self, models: list[SignalModel], weights: list[float]) -> None:
        self.models = models
        self.weights = weights

    @property
    def window(self) -> int:
        """The longest window among the members."""
        return max(model.window for model in self.models)

    def fit(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """Fit a clone of each member; parameters and errors as :meth:`SignalModel.fit`."""
        names = [model.name for model in self.models]
        if not names or len(set(names)) < len(names) or VOTE in names:
            raise ModelError(
                f"a vote among {names}", rule="one or more members with different names", remedy="name each once"
            )
        if len(self.weights) != len(names) or not all(0 < weight < float("inf") for weight in self.weights):
            raise ModelError(f"weights {self.weights} of {names}", rule="one positive weight each", remedy="mend them")
        fitted = [clone(model).fit(X, y, t_end=t_end, sample_weight=sample_weight) for model in self.models]
        self.models_: list[SignalModel] = fitted
        self.classes_ = fitted[0].classes_
        self.feature_names_in_ = fitted[0].feature_names_in_
        self.n_features_in_ = fitted[0].n_features_in_
        return self

    def predict_members(self, X: pd.DataFrame) -> pd.DataFrame:
        """Probability of a rise by each member, and their vote.

        Returns
        -------
        DataFrame
            Index of ``X``, a column a member, and ``vote``.
        """
        self._require_fitted()
        members = pd.DataFrame({model.name: model.predict_proba(X)[1] for model in self.models_}, index=X.index)
        return members.assign(**{VOTE: weighted_mean(members, self.weights)})

    def predict_proba(self, X: pd.DataFrame) -> pd.DataFrame:
        """As :meth:`SignalModel.predict_proba`."""
        return probabilities(self.predict_members(X)[VOTE].to_numpy(), X.index)

    def to_onnx(self) -> "onnx.ModelProto":
        """One graph of all members and their vote; see :meth:`SignalModel.to_onnx`."""
        from models.onnx_export import vote_graph

        self._require_fitted()
        graphs = [model.to_onnx() for model in self.models_]
        windows = [model.window for model in self.models_]
        return vote_graph(graphs, windows, self.weights, features=self.n_features_in_)
