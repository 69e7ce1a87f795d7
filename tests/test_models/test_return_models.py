"""Regression of returns earns what it claims: where the distribution is known, and beside other implementations."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime import InferenceSession
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_pinball_loss

from models.factory import create_return_model
from models.onnx_export import flat_model
from models.onnx_returns import RETURNS
from models.onnx_session import INPUT
from models.random_forest_returns import RandomForestReturns
from models.return_model import Levels, ReturnModel
from models.windows import as_float32, gather
from trading.errors import ModelError

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SPLIT = 3000
FOREST = {"n_estimators": 60, "max_depth": 8, "min_samples_leaf": 40, "max_features": 1.0, "max_samples": 0.7}
BOOSTED = {
    "n_estimators": 60, "max_depth": 3, "learning_rate": 0.1, "subsample": 0.8, "colsample_bytree": 1.0,
    "min_child_weight": 20.0, "reg_lambda": 1.0, "quantiles": LEVELS,
}  # fmt: skip
SETTINGS = {"random_forest": FOREST, "xgboost": BOOSTED}


@pytest.fixture(scope="module")
def market() -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Returns whose spread is a volatility that wanders, and whose mean is a small share of a known signal."""
    random = np.random.default_rng(5)
    rows = 2 * SPLIT
    log_volatility = np.zeros(rows)
    for t in range(1, rows):
        log_volatility[t] = 0.97 * log_volatility[t - 1] + 0.15 * random.standard_normal()
    volatility = 0.01 * np.exp(log_volatility)
    signal = random.standard_normal(rows)
    index = pd.date_range("2021-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    X = pd.DataFrame({"signal": signal, "noise": random.standard_normal(rows), "volatility": volatility}, index=index)
    shape = np.where(signal > 0, 1.5, 0.75)
    ret = pd.Series(volatility * (0.3 * signal + shape * random.standard_normal(rows)), index=index)
    return X, ret, pd.Series(index + pd.Timedelta("2h"), index=index)


@pytest.fixture(scope="module", params=sorted(SETTINGS))
def model(request: pytest.FixtureRequest, market: tuple[pd.DataFrame, pd.Series, pd.Series]) -> ReturnModel:
    X, ret, t_end = (part.iloc[:SPLIT] for part in market)
    return create_return_model(request.param, SETTINGS[request.param], seed=3, volatility="volatility").fit(
        X, ret, t_end=t_end
    )


def pinball(ret: pd.Series, told: NDArray[np.float64] | pd.Series, level: float) -> float:
    """Loss in units of the typical return."""
    return float(mean_pinball_loss(ret, told, alpha=level)) / float(ret.abs().mean())


def test_quantiles_beat_the_unconditional_ones(
    model: ReturnModel, market: tuple[pd.DataFrame, pd.Series, pd.Series]
) -> None:
    X, ret = market[0].iloc[SPLIT:], market[1].iloc[SPLIT:]
    told = model.predict_quantiles(X, LEVELS)
    unconditional = market[1].iloc[:SPLIT].quantile(list(LEVELS))
    scaled = (market[1] / market[0]["volatility"]).iloc[:SPLIT].quantile(list(LEVELS))
    for level in LEVELS:
        own = pinball(ret, told[level], level)
        assert own < 0.98 * pinball(ret, np.full(len(ret), unconditional[level]), level), level
        # Not by the volatility alone, which anyone can divide by: the signal moves centre and spread.
        assert own < pinball(ret, scaled[level] * X["volatility"], level), level


def test_quantiles_hold_what_they_say(model: ReturnModel, market: tuple[pd.DataFrame, pd.Series, pd.Series]) -> None:
    X, ret = market[0].iloc[SPLIT:], market[1].iloc[SPLIT:]
    told = model.predict_quantiles(X, LEVELS)
    calm = X["volatility"] < X["volatility"].median()
    # The three standard errors of a share of some 1,500 rows, and a little for a fit on 3,000.
    for rows in (calm, ~calm):
        for level in LEVELS:
            share = (ret[rows] <= told[level][rows]).mean()
            assert share == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / rows.sum()) + 0.03), level


def test_the_expected_return_is_near_the_true_one(
    model: ReturnModel, market: tuple[pd.DataFrame, pd.Series, pd.Series]
) -> None:
    X, ret = market[0].iloc[SPLIT:], market[1].iloc[SPLIT:]
    true = 0.3 * X["signal"] * X["volatility"]
    expected = model.predict(X)
    assert np.corrcoef(expected, true)[0, 1] > 0.8
    assert ((ret - expected) ** 2).mean() < ((ret - market[1].iloc[:SPLIT].mean()) ** 2).mean()


def test_units_of_volatility_are_worth_having(market: tuple[pd.DataFrame, pd.Series, pd.Series]) -> None:
    X, ret, t_end = market
    losses = {}
    for volatility in ("volatility", None):
        model = create_return_model("xgboost", BOOSTED, seed=3, volatility=volatility)
        told = model.fit(X[:SPLIT], ret[:SPLIT], t_end=t_end[:SPLIT]).predict_quantiles(X[SPLIT:], [0.05])
        losses[volatility] = pinball(ret[SPLIT:], told[0.05], 0.05)
    assert losses["volatility"] < losses[None]


def test_parity_with_other_implementations() -> None:
    """A straight line with even noise: quantile regression is right by construction, boosting is the same method."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, 4000)
    index = pd.date_range("2021-01-01", periods=len(x), freq="h", tz="UTC")
    X = pd.DataFrame({"x": x, "other": random.standard_normal(len(x))}, index=index)
    ret = pd.Series(x + 0.5 * random.standard_normal(len(x)), index=index)
    t_end = pd.Series(index, index=index)
    inside = X["x"].abs() < 0.8
    for level in (0.1, 0.5, 0.9):
        line = QuantileRegressor(quantile=level, alpha=0).fit(X, ret).predict(X)
        boosted = GradientBoostingRegressor(
            loss="quantile", alpha=level, n_estimators=80, max_depth=3, learning_rate=0.1, min_samples_leaf=40,
            subsample=0.8, random_state=0,
        ).fit(X, ret).predict(X)  # fmt: skip
        reach = np.abs(boosted - line)[inside].mean()
        for name, settings in SETTINGS.items():
            own = settings | ({"quantiles": (level,), "n_estimators": 80} if name == "xgboost" else {})
            model = create_return_model(name, own, seed=0).fit(X, ret, t_end=t_end)
            told = model.predict_quantiles(X, [level])[level]
            assert np.abs(told - line)[inside].mean() < 1.5 * reach + 0.01, (name, level)
            assert pinball(ret, told, level) == pytest.approx(pinball(ret, boosted, level), rel=0.05), (name, level)


def test_forest_quantiles_are_those_of_the_paper(market: tuple[pd.DataFrame, pd.Series, pd.Series]) -> None:
    """Meinshausen's weights, row by row and tree by tree, as his equations (4) to (6) have them."""
    X, ret, t_end = (part.iloc[:400] for part in market)
    weights = pd.Series(np.random.default_rng(1).uniform(0.2, 3.0, len(X)), index=X.index)
    small = {"n_estimators": 7, "max_depth": 3, "min_samples_leaf": 10, "max_features": 1.0, "max_samples": 0.6}
    model = RandomForestReturns(**small, seed=1, volatility=None)
    model.fit(X, ret, t_end=t_end, sample_weight=weights)
    told = model.predict_quantiles(X, LEVELS)
    leaves = model.forest_.apply(X.to_numpy(dtype=np.float32))
    order = np.argsort(ret.to_numpy(), kind="stable")
    for row in range(0, len(X), 37):
        share = np.zeros(len(X))
        for tree in range(leaves.shape[1]):
            together = (leaves[:, tree] == leaves[row, tree]) * weights.to_numpy()
            share += together / together.sum() / leaves.shape[1]
        below = np.cumsum(share[order])
        for level in LEVELS:
            expected = ret.to_numpy()[order][np.flatnonzero(below >= level - 1e-9)[0]]
            assert told[level].iloc[row] == expected


class Averaging(ReturnModel):
    """The mean of a feature over a window of three rows, and levels of it that cross wherever it is above zero."""

    name = "averaging"
    window = 3

    def __init__(self, *, volatility: str | None) -> None:
        self.volatility = volatility

    def _fit(self, values: Any, rows: Any, targets: Any, weights: Any, t_end: pd.Series) -> None:
        self.rows_ = rows

    def _mean(self, values: Any, ends: Any) -> Any:
        return gather(values, ends, self.window)[:, :, 0].mean(axis=1)

    def _quantiles(self, values: Any, ends: Any, levels: Levels) -> Any:
        return self._mean(values, ends)[:, None] * (1 - 2 * np.array(levels))

    def _graphs(self, levels: Levels) -> list[Any]:
        def graph(factor: float) -> Any:
            nodes = [
                helper.make_node("Gather", [INPUT, "first"], ["column"], axis=2),
                helper.make_node("ReduceMean", ["column"], ["mean"], axes=[1], keepdims=0),
                helper.make_node("Mul", ["mean", "factor"], [RETURNS]),
            ]
            tensors = [
                helper.make_tensor("first", TensorProto.INT64, [1], [0]),
                helper.make_tensor("factor", TensorProto.FLOAT, [], [factor]),
            ]
            return flat_model(nodes, tensors, window=self.window, features=self.n_features_in_, output=RETURNS)

        return [graph(factor) for factor in (1.0, *(1 - 2 * level for level in levels))]


def test_a_family_that_looks_at_windows_fits_in(market: tuple[pd.DataFrame, pd.Series, pd.Series]) -> None:
    X, ret, t_end = (part.iloc[:50] for part in market)
    model = Averaging(volatility="volatility").fit(X, ret, t_end=t_end)
    assert model.rows_.tolist() == list(range(2, 50))
    with pytest.raises(ModelError, match="1 labelled rows are too few"):
        model.fit(X[:3], ret[:3], t_end=t_end[:3])
    holed = X.copy()
    holed.iloc[20, 1] = np.nan
    assert np.flatnonzero(model.predict(holed).isna()).tolist() == [0, 1, 20, 21, 22]
    expected = X["signal"].rolling(3).mean() * X["volatility"]
    pd.testing.assert_series_equal(model.predict(X), expected, check_names=False, rtol=1e-5)
    told = model.predict_quantiles(X, (0.1, 0.9))
    pd.testing.assert_series_equal(told[0.9], expected.abs() * 0.8, check_names=False, rtol=1e-5)
    pd.testing.assert_series_equal(told[0.1], -told[0.9], check_names=False)
    session = InferenceSession(model.to_onnx((0.1, 0.9)).SerializeToString(), providers=["CPUExecutionProvider"])
    windows = gather(as_float32(X), np.arange(2, 50), 3)
    ours = np.column_stack([model.predict(X), told])[2:]
    assert np.abs(session.run([RETURNS], {INPUT: windows})[0] - ours).max() < 1e-7


def test_answers_do_not_depend_on_how_many_are_asked_at_once(
    model: ReturnModel, market: tuple[pd.DataFrame, pd.Series, pd.Series]
) -> None:
    X = market[0].iloc[:600]
    whole = model.predict_quantiles(X, LEVELS)
    parts = pd.concat([model.predict_quantiles(X.iloc[start : start + 100], LEVELS) for start in range(0, 600, 100)])
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-9)
