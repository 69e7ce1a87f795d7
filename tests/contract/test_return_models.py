"""What every model of returns promises, whichever family it is of."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.base import clone

from models.factory import RETURNS, create_return_model
from models.returns import ReturnModel
from models.windows import as_float32, gather
from pipelines.train.fit import extreme_rows
from tests.contract.test_models import CV, SETTINGS
from trading.errors import ModelError

ROWS = 1500
LEVELS = [0.05, 0.5, 0.95]
INDEX = pd.date_range("2021-01-01", periods=ROWS, freq="h", tz="UTC", name="timestamp")
Make = Callable[[], ReturnModel]


def market(seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Returns whose mean goes with one column and whose spread with another; columns of very different scales."""
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(ROWS, 4))
    spread = 0.01 * np.exp(0.7 * z[:, 1])
    ret = 0.01 * z[:, 0] + spread * generator.normal(size=ROWS)
    X = pd.DataFrame(z * [1e-3, 1.0, 50.0, 1e4] + 3, index=INDEX, columns=["returns", "volatility", "volume", "close"])
    return X, pd.Series(ret, index=INDEX)


X, RET = market()
T_END = pd.Series(INDEX + pd.Timedelta("2h"), index=INDEX)


@pytest.fixture(scope="module", params=RETURNS)
def make(request: pytest.FixtureRequest) -> Make:
    settings = {**SETTINGS[request.param]}
    if request.param == "xgboost":
        settings |= {"n_estimators": 40, "max_depth": 3, "learning_rate": 0.15, "min_child_weight": 10.0}
    return lambda: create_return_model(request.param, settings, LEVELS, seed=4, cv=CV)


@pytest.fixture(scope="module")
def model(make: Make) -> ReturnModel:
    return make().fit(X, RET, t_end=T_END)


def test_forecasts_stand_on_the_index_of_the_features(model: ReturnModel) -> None:
    mean, quantiles = model.predict(X), model.predict_quantiles(X)
    assert mean.index.equals(INDEX)
    assert quantiles.index.equals(INDEX)
    assert quantiles.columns.tolist() == LEVELS
    w = model.window
    assert mean.iloc[: w - 1].isna().all()
    assert quantiles.iloc[w - 1 :].notna().all(axis=None)


def test_a_higher_level_is_never_below_a_lower_one(model: ReturnModel) -> None:
    wild = extreme_rows(X, 2000, seed=1)
    assert (np.diff(model.predict_quantiles(wild).dropna(), axis=1) >= 0).all()


def test_the_mean_and_the_spread_are_learnt(model: ReturnModel) -> None:
    new, ret = market(seed=1)
    mean, quantiles = model.predict(new), model.predict_quantiles(new)
    known = mean.notna()
    assert np.corrcoef(mean[known], ret[known])[0, 1] > 0.25
    width = quantiles[0.95] - quantiles[0.05]
    assert np.corrcoef(width[known], new["volatility"][known])[0, 1] > 0.5
    inside = ret[known].between(quantiles[0.05][known], quantiles[0.95][known]).mean()
    assert 0.82 < inside < 0.97


def test_quantiles_beat_those_that_know_no_features(model: ReturnModel) -> None:
    new, ret = market(seed=1)
    quantiles = model.predict_quantiles(new).dropna()
    ret = ret[quantiles.index]

    def pinball(forecast: pd.Series | float, level: float) -> float:
        away = ret - forecast
        return float(np.maximum(level * away, (level - 1) * away).mean())

    for level in LEVELS:
        assert pinball(quantiles[level], level) < 0.97 * pinball(float(RET.quantile(level)), level)


def test_a_clone_learns_the_same_bits(make: Make, model: ReturnModel) -> None:
    again = clone(make()).fit(X, RET, t_end=T_END)
    pd.testing.assert_frame_equal(again.predict_quantiles(X), model.predict_quantiles(X), check_exact=True)
    pd.testing.assert_series_equal(again.predict(X), model.predict(X), check_exact=True)


def test_the_future_changes_nothing_in_the_past(model: ReturnModel) -> None:
    changed = X.copy()
    changed.iloc[800:] *= -7
    for before, after in (
        (model.predict(X).to_frame(), model.predict(changed).to_frame()),
        (model.predict_quantiles(X), model.predict_quantiles(changed)),
    ):
        pd.testing.assert_frame_equal(before.iloc[:800], after.iloc[:800], check_exact=True)
        assert not before.iloc[800:].equals(after.iloc[800:])


def test_weights_are_honoured_and_rows_without_a_return_are_not_learnt_from(make: Make, model: ReturnModel) -> None:
    weights = pd.Series(np.where(RET > 0, 20.0, 1.0), index=INDEX)
    assert make().fit(X, RET, t_end=T_END, sample_weight=weights).predict(X).mean() > model.predict(X).mean() + 0.002
    hidden = np.arange(ROWS) % 3 == 0
    contrary = RET.where(~hidden, -RET * 3)
    found = make().fit(X, contrary.mask(hidden), t_end=T_END).predict(X)
    known = found.notna()
    assert np.corrcoef(found[known], RET[known])[0, 1] > 0.25


def test_the_unit_of_the_returns_does_not_matter(make: Make, model: ReturnModel) -> None:
    larger = make().fit(X, RET * 1000, t_end=T_END)
    np.testing.assert_allclose(larger.predict(X), model.predict(X) * 1000, rtol=1e-3, atol=1e-3)


def test_a_graph_says_the_same(model: ReturnModel) -> None:
    wild = extreme_rows(X, 10_000, seed=5)
    graph = model.to_onnx()
    assert graph.SerializeToString() == model.to_onnx().SerializeToString()
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    values = as_float32(wild)
    ends = np.arange(model.window - 1, len(values))
    given = values if model.window == 1 else gather(values, ends, model.window)
    (said,) = session.run(None, {"input": given})
    expected = pd.concat([model.predict(wild), model.predict_quantiles(wild)], axis=1).iloc[model.window - 1 :]
    assert np.abs(said - expected.to_numpy()).max() <= 1e-5


def test_bad_input_is_refused(make: Make, model: ReturnModel) -> None:
    with pytest.raises(ModelError, match="'close' is missing"):
        model.predict(X.drop(columns="close"))
    with pytest.raises(ModelError, match="not fitted"):
        make().predict(X)
    with pytest.raises(ModelError, match="not fitted"):
        make().to_onnx()
    with pytest.raises(ModelError, match="too few to fit"):
        make().fit(X[:3], RET[:3], t_end=T_END[:3])
    with pytest.raises(ModelError, match="returns that are all 0"):
        make().fit(X, RET * 0, t_end=T_END)
    holed = X.copy()
    holed.iloc[50, 2] = np.nan
    with pytest.raises(ModelError, match=r"1 column\(s\): volume \(1\)"):
        make().fit(holed, RET, t_end=T_END)


@pytest.mark.parametrize("levels", [[], [0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [0.5, 1.0]])
def test_levels_that_are_none_are_refused(levels: list[float]) -> None:
    with pytest.raises(ModelError, match="quantiles at"):
        create_return_model("xgboost", SETTINGS["xgboost"], levels, seed=1).fit(X, RET, t_end=T_END)


def test_families_that_forecast_directions_only_say_so() -> None:
    with pytest.raises(ModelError, match="random_forest forecasts no returns"):
        create_return_model("random_forest", SETTINGS["random_forest"], LEVELS, seed=1)
    with pytest.raises(ModelError, match="unknown model 'oracle'"):
        create_return_model("oracle", {}, LEVELS, seed=1)
