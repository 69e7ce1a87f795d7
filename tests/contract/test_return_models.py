"""What every model of returns promises, whichever family it is of. A new family is one more name in the factory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
from sklearn.base import clone

from models.factory import RETURN_FAMILIES, create_return_model
from models.onnx_returns import RETURNS
from models.onnx_session import INPUT
from models.return_model import ReturnModel
from models.windows import as_float32
from trading.errors import ModelError

ROWS, LEVELS = 300, (0.1, 0.5, 0.9)
SETTINGS: dict[str, dict[str, Any]] = {
    "random_forest": {
        "n_estimators": 8, "max_depth": 4, "min_samples_leaf": 4, "max_features": 0.9, "max_samples": 0.9,
    },
    "xgboost": {
        "n_estimators": 20, "max_depth": 2, "learning_rate": 0.3, "subsample": 0.9, "colsample_bytree": 0.9,
        "min_child_weight": 2.0, "reg_lambda": 1.0, "quantiles": LEVELS,
    },
}  # fmt: skip
Make = Callable[..., ReturnModel]


def _features() -> pd.DataFrame:
    index = pd.date_range("2021-01-01", periods=ROWS, freq="h", tz="UTC", name="timestamp")
    random = np.random.default_rng(8)
    values = random.normal(size=(ROWS, 3)) * [1e-3, 1.0, 1e4]
    return pd.DataFrame(values, index=index, columns=["returns", "rsi", "close"]).assign(
        volatility=np.exp(random.normal(size=ROWS) * 0.7 - 5)
    )


X = _features()
RET = X["volatility"] * (np.sign(X["rsi"]) + 0.3 * np.random.default_rng(1).normal(size=ROWS))
T_END = pd.Series(X.index + pd.Timedelta("2h"), index=X.index)


@pytest.fixture(scope="module", params=RETURN_FAMILIES)
def make(request: pytest.FixtureRequest) -> Make:
    name = request.param

    def made(volatility: str | None = "volatility") -> ReturnModel:
        return create_return_model(name, SETTINGS[name], seed=4, volatility=volatility)

    return made


@pytest.fixture(scope="module")
def model(make: Make) -> ReturnModel:
    return make().fit(X, RET, t_end=T_END)


def answers(model: ReturnModel, X: pd.DataFrame) -> pd.DataFrame:
    return model.predict_quantiles(X, LEVELS).assign(mean=model.predict(X))


def run(model: ReturnModel, X: pd.DataFrame, q: tuple[float, ...]) -> np.ndarray:
    session = ort.InferenceSession(model.to_onnx(q).SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run([RETURNS], {INPUT: as_float32(X)})[0]
    return found


def test_answers_stand_on_the_index_of_the_features(model: ReturnModel) -> None:
    assert model.predict(X).index.equals(X.index)
    assert model.predict(X).name == "expected_return"
    quantiles = model.predict_quantiles(X, LEVELS)
    assert quantiles.index.equals(X.index)
    assert quantiles.columns.tolist() == list(LEVELS)
    assert quantiles.notna().all(axis=None)
    pd.testing.assert_frame_equal(answers(model, X.iloc[100:130]), answers(model, X).iloc[100:130], rtol=1e-5)


def test_something_is_learnt(model: ReturnModel) -> None:
    assert np.corrcoef(model.predict(X), RET)[0, 1] > 0.9
    low, middle, high = (model.predict_quantiles(X, LEVELS)[level] for level in LEVELS)
    assert np.corrcoef(middle, RET)[0, 1] > 0.9
    assert RET.between(low, high).mean() > 0.7


def test_quantiles_never_cross(model: ReturnModel) -> None:
    random = np.random.default_rng(3)
    strange = pd.DataFrame(random.normal(size=X.shape) * 3, columns=X.columns, index=X.index)
    assert (np.diff(model.predict_quantiles(strange, LEVELS), axis=1) >= 0).all()


def test_a_clone_is_unfitted_and_learns_the_same_bits(make: Make, model: ReturnModel) -> None:
    copy = clone(model)
    assert not hasattr(copy, "feature_names_in_")
    assert repr(copy.get_params(deep=False)) == repr(make().get_params(deep=False))
    copy.fit(X, RET, t_end=T_END)
    pd.testing.assert_frame_equal(answers(copy, X), answers(model, X), check_exact=True)
    assert copy.to_onnx().SerializeToString() == model.to_onnx().SerializeToString()
    other = clone(model).set_params(seed=5).fit(X, RET, t_end=T_END)
    assert not other.predict(X).equals(model.predict(X))


def test_the_future_changes_nothing_in_the_past(model: ReturnModel) -> None:
    cut = 150
    changed = X.copy()
    changed.iloc[cut:] = changed.iloc[cut:].to_numpy()[::-1] * 3 + 1
    before, after = answers(model, X), answers(model, changed)
    pd.testing.assert_frame_equal(after.iloc[:cut], before.iloc[:cut], check_exact=True)
    assert not after.iloc[cut:].equals(before.iloc[cut:])


def test_a_row_with_a_hole_has_no_answer(model: ReturnModel) -> None:
    holed = X.copy()
    holed.iloc[40, 1], holed.iloc[90, 3] = np.nan, np.inf
    assert np.flatnonzero(answers(model, holed).isna().any(axis=1)).tolist() == [40, 90]
    assert answers(model, X[:0]).empty


def test_rows_that_are_context_only_are_not_learnt_from(make: Make, model: ReturnModel) -> None:
    hidden = np.arange(ROWS) % 3 == 0
    expected = answers(make().fit(X[~hidden], RET[~hidden], t_end=T_END[~hidden]), X)
    contrary = RET.where(~hidden, -9 * RET)
    broken = X.mask(pd.Series(hidden, index=X.index))
    for fitted in (
        make().fit(X, contrary.mask(hidden), t_end=T_END),
        make().fit(X, contrary, t_end=T_END.mask(hidden)),
        make().fit(X, contrary, t_end=T_END, sample_weight=pd.Series(np.where(hidden, 0.0, 1.0), index=X.index)),
        # Holes in such rows are allowed: they are the warm-up of features.
        make().fit(broken, contrary.mask(hidden), t_end=T_END),
    ):
        pd.testing.assert_frame_equal(answers(fitted, X), expected, check_exact=True)
    assert not answers(model, X).equals(expected)


def test_sample_weights_are_honoured(make: Make, model: ReturnModel) -> None:
    above = X["volatility"] * np.sign(X["rsi"]) < RET
    weighted = make().fit(X, RET, t_end=T_END, sample_weight=above * 29.0 + 1.0)
    unit = X["volatility"]
    for ask in (lambda model: model.predict(X), lambda model: model.predict_quantiles(X, LEVELS)[0.5]):
        assert (ask(weighted) / unit).mean() > (ask(model) / unit).mean() + 0.1


def test_forecasts_are_in_units_of_the_volatility(model: ReturnModel) -> None:
    """The same features at ten times the returns and the volatility: ten times the answers."""
    loud = X.assign(volatility=X["volatility"] * 10)
    fitted = clone(model).fit(loud, RET * 10, t_end=T_END)
    pd.testing.assert_frame_equal(answers(fitted, loud), answers(model, X) * 10, rtol=1e-4)
    still = X.assign(volatility=0.0)
    assert (answers(model, still) == 0).all(axis=None)
    quiet = X.assign(volatility=X["volatility"].where(np.arange(ROWS) % 2 == 0, 0.0))
    odd = RET.where(np.arange(ROWS) % 2 == 0, 1e9)
    # Where nothing moved by the volatility, a return has no size that could be learnt.
    assert clone(model).fit(quiet, odd, t_end=T_END).predict(X).abs().max() < 1


def test_without_a_volatility_returns_are_learnt_as_they_are(make: Make) -> None:
    constant = make(volatility=None).fit(X, RET * 0 + 0.01, t_end=T_END)
    assert answers(constant, X).to_numpy() == pytest.approx(0.01, abs=1e-6)


def test_a_graph_agrees_with_its_model(make: Make, model: ReturnModel) -> None:
    random = np.random.default_rng(2)
    many = X.to_numpy()[random.integers(0, ROWS, 10_000)]
    wild = np.where(random.random(many.shape) < 0.1, random.choice([1e6, -1e6, 0.0, 1e-40], many.shape), many)
    hours = pd.date_range("2021-01-01", periods=len(wild), freq="h", tz="UTC", name="timestamp")
    for frame in (X, pd.DataFrame(wild, index=hours, columns=X.columns)):
        # In units of the volatility, which itself may be anything here.
        unit = np.maximum(frame["volatility"].to_numpy(), 1e-6)[:, None]
        q = LEVELS if model.exports_quantiles else ()
        ours = np.column_stack([model.predict(frame), *([model.predict_quantiles(frame, q)] if q else [])])
        theirs = run(model, frame, q)
        assert theirs.shape == ours.shape == (len(frame), 1 + len(q))
        assert (np.abs(theirs - ours) / unit).max() <= 1e-5
    plain = make(volatility=None).fit(X, RET, t_end=T_END)
    assert np.abs(run(plain, X, ())[:, 0] - plain.predict(X)).max() <= 1e-5 * RET.abs().max()


def test_what_graphs_cannot_hold_is_declared_and_refused(model: ReturnModel) -> None:
    if model.exports_quantiles:
        assert model.to_onnx((0.1, 0.9)).graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3
    else:
        with pytest.raises(ModelError, match="quantiles of random_forest have no graph"):
            model.to_onnx((0.5,))


@pytest.mark.parametrize("q", [(), (0.5, 0.5), (0.9, 0.1), (0.0, 0.5), (1.0,)])
def test_levels_that_are_none_are_refused(model: ReturnModel, q: tuple[float, ...]) -> None:
    with pytest.raises(ModelError, match="increasing, above 0 and below 1"):
        model.predict_quantiles(X, q)


def test_levels_that_it_was_not_made_for_are_refused(model: ReturnModel) -> None:
    if model.levels is None:
        assert model.predict_quantiles(X, [0.123]).notna().all(axis=None)
    else:
        with pytest.raises(ModelError, match=r"(?s)no quantile at 0\.123 in xgboost.*made for 0\.1, 0\.5, 0\.9"):
            model.predict_quantiles(X, [0.1, 0.123])


def test_holes_in_rows_to_learn_from_are_refused_by_name(make: Make) -> None:
    holed = X.copy()
    holed.iloc[[3, 4], 1], holed.iloc[4, 2] = np.nan, -np.inf
    with pytest.raises(ModelError, match=r"(?s)2 rows to learn from hold .*rsi \(2\), close \(1\)"):
        make().fit(holed, RET, t_end=T_END)
    with pytest.raises(ModelError, match="1 returns are infinite"):
        make().fit(X, RET.where(RET.index != RET.index[7], np.inf), t_end=T_END)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_little_data_is_refused(make: Make, rows: int) -> None:
    with pytest.raises(ModelError, match="too few to fit"):
        make().fit(X[:rows], RET[:rows], t_end=T_END[:rows])
    with pytest.raises(ModelError, match="too few to fit"):
        make().fit(X, RET.where(np.arange(ROWS) < rows), t_end=T_END)


def test_frames_that_do_not_belong_together_are_refused(make: Make) -> None:
    with pytest.raises(ModelError, match="y does not stand on the index"):
        make().fit(X, RET[1:], t_end=T_END)
    with pytest.raises(ModelError, match="not in time order"):
        make().fit(X[::-1], RET[::-1], t_end=T_END[::-1])
    with pytest.raises(ModelError, match="no column 'spread'"):
        make(volatility="spread").fit(X, RET, t_end=T_END)


def test_other_features_are_refused(model: ReturnModel) -> None:
    for ask in (model.predict, lambda X: model.predict_quantiles(X, LEVELS)):
        with pytest.raises(ModelError, match="feature 0 is 'rsi' where 'returns' was expected"):
            ask(X[["rsi", "returns", "close", "volatility"]])
        with pytest.raises(ModelError, match="'volatility' is missing"):
            ask(X.drop(columns="volatility"))


def test_an_unfitted_model_answers_nothing(make: Make) -> None:
    for ask in (lambda model: model.predict(X), lambda model: model.to_onnx()):
        with pytest.raises(ModelError, match="not fitted"):
            ask(make())


def test_the_factory_knows_families_and_settings() -> None:
    with pytest.raises(ModelError, match="no model of returns 'svm'"):
        create_return_model("svm", {}, seed=1)
    with pytest.raises(ModelError, match="unknown setting 'depth' of xgboost"):
        create_return_model("xgboost", {**SETTINGS["xgboost"], "depth": 3}, seed=1)
    with pytest.raises(ModelError, match="missing setting 'colsample_bytree' of xgboost"):
        create_return_model("xgboost", {}, seed=1)
