"""Several models with one vote: by their mean, by majority, or as a model of models learnt on rows they did not see."""

from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from sklearn.base import clone

from models import calibration
from models.base import Float64, SignalModel, aligned, probabilities
from models.blend import VOTE, Blend, Method
from models.calibration import fit_calibration, log_odds, sigmoid
from models.out_of_fold import Splitter, out_of_fold
from models.overlap import labels_at_once
from trading.errors import ModelError, TooFewBarsError

if TYPE_CHECKING:
    import onnx


class Ensemble(SignalModel):
    """Vote of several models; NaN where any member has no probability.

    A stack and a calibration are learnt from what clones of the members say about rows that the splitter held back from
    them; then the members learn from all rows.

    Parameters
    ----------
    models
        Unfitted members with different names; a fit works on clones of them.
    weights
        One positive weight a member: of the vote, or what a stack is drawn towards. Only their ratios count.
    method
        ``soft``, ``hard`` or ``stacking``; see :class:`models.blend.Blend`.
    penalty
        Of a stack, in rows: how many rows' evidence it takes to leave the given weights; see :func:`fit_stack`.
    calibration
        ``none``, ``platt`` or ``isotonic``; see :mod:`models.calibration`.
    cv
        Purged splits of the training rows, for what is learnt on held-out rows; may be None where nothing is.

    Attributes
    ----------
    models_
        The fitted members.
    blend_
        How they vote.
    """

    name = VOTE

    def __init__(
        self,
        models: list[SignalModel],
        weights: list[float],
        *,
        method: Method = "soft",
        penalty: float = 0.0,
        calibration: calibration.Method = "none",
        cv: Splitter | None = None,
    ) -> None:
        self.models = models
        self.weights = weights
        self.method = method
        self.penalty = penalty
        self.calibration = calibration
        self.cv = cv

    @property
    def window(self) -> int:
        """The longest window among the members."""
        return max(model.window for model in self.models)

    def fit(self, X: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None) -> Self:
        """Fit a clone of each member, and what is learnt about them; parameters as :meth:`SignalModel.fit`.

        Raises
        ------
        ModelError
            As :meth:`SignalModel.fit`, if members and weights do not fit each other, and if something is to be learnt
            on held-out rows and there is no splitter, or not enough of them.
        """
        names = [model.name for model in self.models]
        if not names or len(set(names)) < len(names) or VOTE in names:
            raise ModelError(
                f"a vote among {names}", rule="one or more members with different names", remedy="name each once"
            )
        if len(self.weights) != len(names):
            raise ModelError(f"weights {self.weights} of {names}", rule="one positive weight each", remedy="mend them")
        blend = self.given
        labels, _ = aligned(X, y, t_end, sample_weight)
        # Members that have seen one class are sure of it, and there is nothing to learn about them.
        if self.learns and len(np.unique(labels[~np.isnan(labels)])) != 1:
            if self.cv is None:
                raise ModelError(
                    f"a {self.method} vote with calibration {self.calibration} and no splitter",
                    rule="it is learnt on purged splits",
                    remedy="give cv",
                )
            held = self._held_out(X, y, t_end, sample_weight, self.cv)
            blend = self.learnt(held, y, t_end=t_end, sample_weight=sample_weight)
        fitted = [clone(model).fit(X, y, t_end=t_end, sample_weight=sample_weight) for model in self.models]
        self.models_: list[SignalModel] = fitted
        self.blend_ = blend
        self.classes_ = fitted[0].classes_
        self.feature_names_in_ = fitted[0].feature_names_in_
        self.n_features_in_ = fitted[0].n_features_in_
        return self

    @property
    def given(self) -> Blend:
        """The vote before anything is learnt: by the given weights; a stack starts from the soft vote."""
        return Blend("soft" if self.method == "stacking" else self.method, tuple(self.weights))

    @property
    def learns(self) -> bool:
        """Whether anything is learnt on held-out rows."""
        return self.method == "stacking" or self.calibration != "none"

    def learnt(
        self, held: pd.DataFrame, y: pd.Series, *, t_end: pd.Series, sample_weight: pd.Series | None = None
    ) -> Blend:
        """How the members vote, learnt from what they said about rows that were held back from them.

        Parameters
        ----------
        held
            Probability of a rise by each member, as :func:`models.out_of_fold.out_of_fold` gives it; rows with a NaN
            teach nothing.
        y, t_end, sample_weight
            As :meth:`SignalModel.fit`, on the index of ``held``.
        """
        labels, weights = aligned(held, y, t_end, sample_weight)
        rows = np.flatnonzero(held.notna().all(axis=1).to_numpy() & ~np.isnan(labels) & (weights > 0))
        if len(np.unique(labels[rows])) < 2:
            raise ModelError(
                f"{len(rows)} held-out rows, and not of both classes, to learn a vote from",
                rule="members are compared where both classes occur",
                remedy="give more bars, hold back more (inner in params.yaml), or set models.ensemble.method to soft "
                "and calibration to none",
            )
        said, happened, weighed = held.iloc[rows], labels[rows], weights[rows]
        blend = self.given
        if self.method == "stacking":
            shared = labels_at_once(held.index[rows], t_end.iloc[rows])
            odds = log_odds(said.to_numpy(dtype=np.float64))
            blend = fit_stack(odds, happened, weighed / shared, np.asarray(self.weights), self.penalty)
        calibrated = fit_calibration(self.calibration, blend.vote(said).to_numpy(), happened, weighed)
        return Blend(blend.method, blend.weights, blend.intercept, calibrated)

    def _held_out(
        self, X: pd.DataFrame, y: pd.Series, t_end: pd.Series, sample_weight: pd.Series | None, cv: Splitter
    ) -> pd.DataFrame:
        """What clones of the members say about rows that are held back from them."""
        try:
            return pd.DataFrame(
                {
                    model.name: out_of_fold(model, X, y, t_end=t_end, sample_weight=sample_weight, cv=cv)
                    for model in self.models
                }
            )
        except TooFewBarsError as error:
            raise ModelError(
                f"{int(y.notna().sum())} labelled rows are too few to fit a {self.method} vote with calibration "
                f"{self.calibration}",
                where=str(error),
                rule="some are held back, to learn about the members from",
                remedy="give more bars, or hold back less (inner in params.yaml)",
            ) from error

    def predict_members(self, X: pd.DataFrame) -> pd.DataFrame:
        """Probability of a rise by each member, and their vote.

        Returns
        -------
        DataFrame
            Index of ``X``, a column a member, and ``vote``.
        """
        self._require_fitted()
        members = pd.DataFrame({model.name: model.predict_proba(X)[1] for model in self.models_}, index=X.index)
        return members.assign(**{VOTE: self.blend_.vote(members)})

    def predict_proba(self, X: pd.DataFrame) -> pd.DataFrame:
        """As :meth:`SignalModel.predict_proba`."""
        return probabilities(self.predict_members(X)[VOTE].to_numpy(), X.index)

    def to_onnx(self) -> "onnx.ModelProto":
        """One graph of all members and their vote; see :meth:`SignalModel.to_onnx`."""
        from models.onnx_vote import vote_graph

        self._require_fitted()
        graphs = [model.to_onnx() for model in self.models_]
        windows = [model.window for model in self.models_]
        return vote_graph(graphs, windows, self.blend_, features=self.n_features_in_)


def fit_stack(odds: Float64, labels: Float64, weights: Float64, prior: Float64, penalty: float) -> Blend:
    """Logistic regression of the label on the members' log odds.

    Coefficients are not negative: of members that learnt from the same rows, one that seems to be worth less than
    nothing is a member whose errors another shares, and such weights do not last (Breiman 1996, "Stacked regressions",
    Machine Learning 24). They are drawn towards the given weights, whose sum is 1: the geometric mean of odds.

    Parameters
    ----------
    odds
        Log odds by each member, shape (n, members).
    labels, weights
        1 or 0, and how many independent rows each is worth, shape (n,).
    prior
        Weights that the coefficients are drawn to, shape (members,); only their ratios count.
    penalty
        Rows whose evidence it takes to be drawn half of the way.
    """
    from scipy.optimize import minimize

    centre = prior / prior.sum()
    # A coefficient moves the log odds by its member's spread: what is drawn is that move, whatever the member's scale.
    spread = np.maximum(odds.std(axis=0), 1e-3)
    # Curvature of the log loss, p(1 - p), at one half.
    pull = penalty * 0.25 * spread**2

    def loss(x: Float64) -> tuple[float, Float64]:
        z = odds @ x[:-1] + x[-1]
        away = x[:-1] - centre
        error = weights * (sigmoid(z) - labels)
        value = weights @ (np.logaddexp(0.0, z) - labels * z) + 0.5 * pull @ away**2
        return float(value), np.append(error @ odds + pull * away, error.sum())

    bounds = [(0.0, None)] * len(centre) + [(None, None)]
    options = {"ftol": 1e-14, "gtol": 1e-8, "maxiter": 1000}
    found = minimize(loss, np.append(centre, 0.0), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Blend("stacking", tuple(map(float, found.x[:-1])), float(found.x[-1]))
