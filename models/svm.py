"""Support vector machine with a radial kernel (Cortes and Vapnik 1995), exact below a size and approximate above it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.base import Float64, SingleModel
from models.calibration import fit_platt, sigmoid
from models.out_of_fold import Splitter
from models.scaling import RobustScaler
from models.windows import Float32, Positions
from trading.errors import ModelError, TooFewBarsError

if TYPE_CHECKING:
    import onnx

# Rows whose kernel is held at a time.
_ROWS = 2048


class SVM(SingleModel):
    """Radial kernels around some training rows, weighted and summed.

    Features are scaled robustly and clipped, as for networks. Up to ``exact_rows`` labelled rows the weights are those
    of the support vectors. Above, the kernel is approximated from ``components`` random rows (Williams and Seeger
    2001, "Using the Nyström method to speed up kernel machines") and a linear machine with squared hinge loss is
    fitted to that: time grows with the rows, and no longer with their square.

    Either way the decision is ``exp(-gamma |x - s|²) @ dual + intercept`` over centres s, and Platt's logistic function
    of it is the probability, learnt on decisions about rows that ``cv`` held back from other fits.

    Parameters
    ----------
    c
        Cost of a row on the wrong side of its margin; larger fits closer.
    gamma
        Sharpness of the kernel, over the number of features.
    exact_rows
        Labelled rows up to which the machine is exact.
    components
        Centres of the approximation, at most.
    seed
        Of the choice of centres.
    cv
        Purged splits of the training rows.

    Attributes
    ----------
    centres_, dual_, intercept_
        Scaled rows (m, features), their weights (m,), and what is added.
    platt_
        From decision to probability.
    """

    name = "svm"

    def __init__(self, *, c: float, gamma: float, exact_rows: int, components: int, seed: int, cv: Splitter) -> None:
        self.c = c
        self.gamma = gamma
        self.exact_rows = exact_rows
        self.components = components
        self.seed = seed
        self.cv = cv

    def _fit(self, values: Float32, rows: Positions, labels: Float64, weights: Float64, t_end: pd.Series) -> None:
        from threadpoolctl import threadpool_limits

        # A sum split over threads depends on their number in its last bits.
        with threadpool_limits(1):
            self.scaler_ = RobustScaler.fit(values, rows)
            scaled = self.scaler_.apply(values[rows]).astype(np.float64)
            held = np.full(len(rows), np.nan)
            for train, test in self._splits(t_end):
                # A part of the past in which prices only rose has nothing to say about the others.
                if len(np.unique(labels[train])) == 2:
                    held[test] = self._decisions(
                        scaled[test], *self._machine(scaled[train], labels[train], weights[train])
                    )
            said = ~np.isnan(held)
            if len(np.unique(labels[said])) < 2:
                raise ModelError(
                    f"{int(said.sum())} held-out rows, and not of both classes, to learn the probabilities of svm from",
                    where=f"{len(rows)} labelled rows",
                    rule="both classes occur in what is learnt from and in what is held back",
                    remedy="give more bars, or hold back more (inner in params.yaml)",
                )
            self.platt_ = fit_platt(held[said], labels[said], weights[said])
            self.centres_, self.dual_, self.intercept_ = self._machine(scaled, labels, weights)

    def _splits(self, t_end: pd.Series) -> list[tuple[Positions, Positions]]:
        try:
            return [(train, test) for train, test in self.cv.split(t_end, t_end=t_end)]
        except TooFewBarsError as error:
            raise ModelError(
                f"{len(t_end)} labelled rows are too few to fit svm",
                where=str(error),
                rule="some are held back, to learn probabilities from",
                remedy="give more bars, or hold back less (inner in params.yaml)",
            ) from error

    def _machine(self, scaled: Float64, labels: Float64, weights: Float64) -> tuple[Float64, Float64, float]:
        """Centres, their weights, and what is added."""
        sharpness = self.gamma / scaled.shape[1]
        relative = weights / weights.mean()
        if len(scaled) <= self.exact_rows:
            from sklearn.svm import SVC

            exact = SVC(C=self.c, gamma=sharpness).fit(scaled, labels, sample_weight=relative)
            return np.ascontiguousarray(exact.support_vectors_), exact.dual_coef_[0].copy(), float(exact.intercept_[0])
        from sklearn.kernel_approximation import Nystroem
        from sklearn.svm import LinearSVC

        count = min(self.components, len(scaled))
        nystroem = Nystroem(gamma=sharpness, n_components=count, random_state=self.seed).fit(scaled)
        linear = LinearSVC(C=self.c, dual=False, tol=1e-3)
        linear.fit(nystroem.transform(scaled), labels, sample_weight=relative)
        return nystroem.components_, nystroem.normalization_.T @ linear.coef_[0], float(linear.intercept_[0])

    def _decisions(self, scaled: Float64, centres: Float64, dual: Float64, intercept: float) -> Float64:
        found = np.empty(len(scaled))
        reach = (centres**2).sum(axis=1)
        for begin in range(0, len(scaled), _ROWS):
            x = scaled[begin : begin + _ROWS]
            squared = (x**2).sum(axis=1)[:, None] + reach - 2 * x @ centres.T
            found[begin : begin + _ROWS] = np.exp(-self.gamma / scaled.shape[1] * squared) @ dual + intercept
        return found

    def _predict(self, values: Float32, ends: Positions) -> NDArray[Any]:
        from threadpoolctl import threadpool_limits

        scaled = self.scaler_.apply(values[ends]).astype(np.float64)
        with threadpool_limits(1):
            decision = self._decisions(scaled, self.centres_, self.dual_, self.intercept_)
        return sigmoid(self.platt_.slope * decision + self.platt_.intercept)

    def _to_onnx(self) -> "onnx.ModelProto":
        from models.onnx_export import scaled_graph
        from models.onnx_svm import kernel_graph
        from models.scaling import CLIP

        features = self.n_features_in_
        graph = kernel_graph(
            self.centres_,
            self.platt_.slope * self.dual_,
            self.platt_.slope * self.intercept_ + self.platt_.intercept,
            self.gamma / features,
        )
        return scaled_graph(graph, self.scaler_.centre, self.scaler_.scale, CLIP, window=1, features=features)
