"""Windowing, the training loop and the LSTM, against arithmetic in numpy."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import models.sequence
from models.factory import create_model
from pipelines.splits import PurgedWalkForward
from trading.errors import ModelError

Data = tuple[pd.DataFrame, pd.Series, pd.Series]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lstm_layer(inputs: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """Hochreiter and Schmidhuber's cell with forget gates, Keras' gate order i f c o; (steps, k) -> (steps, units)."""
    units = recurrent.shape[0]
    hidden, cell, out = np.zeros(units), np.zeros(units), []
    for row in inputs:
        i, f, c, o = np.split(row @ kernel + hidden @ recurrent + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        out.append(hidden)
    return np.array(out)


def test_predictions_are_those_of_the_equations(fitted: dict[str, Any], data: Data) -> None:
    model, X = fitted["lstm"], data[0].to_numpy()
    *_, k1, r1, b1, k2, r2, b2, dense, dense_bias, out, out_bias = (
        weights.astype(float) for weights in model.network_.get_weights() if weights.ndim
    )
    low, centre, high = np.quantile(X[3:], [0.25, 0.5, 0.75], axis=0)
    scaled = np.clip((X - centre) / (high - low) * 1.3489795, -5, 5)
    predicted = model.predict_proba(data[0])[1].to_numpy()
    assert np.isnan(predicted[:3]).all()
    for end in (3, 57, 399):
        upper = lstm_layer(lstm_layer(scaled[end - 3 : end + 1], k1, r1, b1), k2, r2, b2)
        logit = np.maximum(upper[-1] @ dense + dense_bias, 0) @ out + out_bias
        assert predicted[end] == pytest.approx(sigmoid(logit)[0], abs=1e-6)


def test_it_learns_what_only_a_window_shows() -> None:
    generator = np.random.default_rng(0)
    index = pd.date_range("2020", periods=1500, freq="h", tz="UTC")
    X = pd.DataFrame({"a": generator.normal(size=1500) * 1e-4 + 5}, index=index)
    y = (X["a"].shift(2) > 5).astype(float)
    settings = {
        "crosses": 0, "window": 3, "units": [8], "dropout": 0.0, "dense": 8, "epochs": 8, "batch_size": 64,
        "learning_rate": 0.02, "warmup": 0.0, "sparsity": 0.0, "patience": 0, "stride": 1,
    }  # fmt: skip
    model = create_model("lstm", settings, seed=0).fit(X[:1000], y[:1000], t_end=pd.Series(index[:1000], index[:1000]))
    losses = [epoch.loss for epoch in model.history_]  # type: ignore[attr-defined]
    assert losses[0] == pytest.approx(np.log(2), abs=0.1)
    assert losses[-1] < 0.3
    assert ((model.predict_proba(X[1000:])[1] > 0.5) == y[1000:])[2:].mean() > 0.9


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the training loop is handed, without training."""
    calls: dict[str, Any] = {}

    def record(network: Any, values: Any, rows: Any, labels: Any, weights: Any, **rest: Any) -> list[Any]:
        calls.update(rest, network=network, values=values.numpy(), rows=rows, labels=labels, weights=weights)
        return []

    monkeypatch.setattr(models.sequence, "train", record)
    return calls


def fit(settings: dict[str, Any], data: Data, **over: Any) -> Any:
    X, y, t_end = data
    return create_model("lstm", {**settings["lstm"], **over}, seed=3).fit(X, y, t_end=t_end)


def test_stride_takes_every_kth_window_and_the_newest(seen: Any, settings: dict[str, Any], data: Data) -> None:
    fit(settings, data, stride=10)
    assert seen["rows"].tolist() == list(range(9, 400, 10))
    np.testing.assert_array_equal(seen["labels"], data[1].to_numpy()[9::10])


def test_rows_without_a_label_are_context_of_later_windows(seen: Any, settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    unlabelled = y.copy()
    unlabelled.iloc[100:200] = np.nan
    fit(settings, (X, unlabelled, t_end))
    assert seen["rows"].tolist() == [*range(3, 100), *range(200, 400)]
    assert len(seen["values"]) == len(X)


def test_windows_with_a_missing_value_are_left_out(seen: Any, settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    holed = X.copy()
    holed.iloc[50, 2] = np.nan
    holed.iloc[60, 1] = np.inf
    unlabelled = y.where(~np.isin(np.arange(400), [50, 60]))
    fit(settings, (holed, unlabelled, t_end))
    assert sorted(set(range(3, 400)) - set(seen["rows"])) == [50, 51, 52, 53, 60, 61, 62, 63]


def test_scale_is_that_of_the_labelled_rows(seen: Any, settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    wild = X.copy()
    wild.iloc[200:] *= 1e5
    half = y.where(np.arange(400) < 200)
    model = fit(settings, (wild, half, t_end))
    labelled = X.iloc[3:200].astype(np.float32).astype(float)
    np.testing.assert_allclose(model.scaler_.centre, labelled.median(), rtol=1e-5)
    np.testing.assert_allclose(seen["values"][:200], model.scaler_.apply(X.to_numpy(np.float32)[:200]))


def test_a_context_row_that_is_not_finite_spoils_no_scale(seen: Any, settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    holed, unlabelled = X.copy(), y.copy()
    holed.iloc[:20], holed.iloc[100] = np.nan, np.inf
    unlabelled.iloc[[*range(30), 100]] = np.nan
    model = fit(settings, (holed, unlabelled, t_end))
    assert np.isfinite(model.scaler_.centre).all()
    assert np.isfinite(seen["values"][20:100]).all()
    assert seen["rows"].min() == 30


def test_one_bad_print_moves_a_prediction_no_further_than_an_extreme_one(fitted: dict[str, Any], data: Data) -> None:
    X = data[0].iloc[:8].copy()
    bad, extreme = X.copy(), X.copy()
    bad.iloc[5, 1] = 1e9
    extreme.iloc[5, 1] = 1e5
    model = fitted["lstm"]
    pd.testing.assert_frame_equal(model.predict_proba(bad), model.predict_proba(extreme))
    assert not model.predict_proba(bad).equals(model.predict_proba(X))


def test_rows_that_come_later_change_no_bit(fitted: dict[str, Any], data: Data) -> None:
    long = pd.concat([data[0]] * 3, ignore_index=True)
    whole = fitted["lstm"].predict_proba(long)
    for rows in (700, 513, 4):
        pd.testing.assert_frame_equal(fitted["lstm"].predict_proba(long[:rows]), whole[:rows], check_exact=True)


def test_a_model_survives_the_way_to_another_process(fitted: dict[str, Any], data: Data) -> None:
    model = fitted["lstm"]
    travelled = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(travelled.predict_proba(data[0]), model.predict_proba(data[0]), check_exact=True)
    assert travelled.history_ == model.history_


def test_several_threads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    def started(count: int) -> None:
        raise RuntimeError(f"{count} after the start")

    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", started)
    with pytest.raises(ModelError, match="several threads"):
        models.sequence.single_thread()


TAIL = PurgedWalkForward(2, 0.5, pd.Timedelta("3h"))


def test_patience_holds_the_last_test_of_the_splitter_back(seen: Any, settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    weights = pd.Series(np.linspace(1, 3, 400), index=X.index)
    chosen = {**settings["lstm"], "patience": 2, "stride": 7}
    model: Any = create_model("lstm", chosen, seed=3, cv=TAIL).fit(X, y, t_end=t_end, sample_weight=weights)
    rows = t_end.iloc[3:]
    learnt, tail = list(TAIL.split(rows, t_end=rows))[-1]
    assert seen["rows"].tolist() == (learnt[::-1][::7][::-1] + 3).tolist()
    assert seen["rows"].max() < 3 + tail[0] - 3
    assert seen["plan"].patience == 2
    scale = X.iloc[3 + learnt].astype(np.float32).astype(float)
    np.testing.assert_allclose(model.scaler_.centre, scale.median(), rtol=1e-5)
    held = rows.index[tail]
    up, label = model.predict_proba(X)[1][held], y[held]
    each = -np.log(np.where(label == 1, up, 1 - up))
    assert seen["judge"]() == pytest.approx(np.average(each, weights=weights[held]))


def test_without_patience_nothing_is_held_back(seen: Any, settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    create_model("lstm", settings["lstm"], seed=3, cv=TAIL).fit(X, y, t_end=t_end)
    assert seen["rows"].tolist() == list(range(3, 400))
    assert seen["judge"] is None


def test_nothing_is_learnt_from_the_tail_nor_from_what_the_purge_takes(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    # One epoch: the tail has nothing to decide.
    model = create_model("lstm", {**settings["lstm"], "epochs": 1, "patience": 1}, seed=3, cv=TAIL)
    rows = t_end.iloc[3:]
    last = 3 + list(TAIL.split(rows, t_end=rows))[-1][0][-1]
    before = model.fit(X, y, t_end=t_end).predict_proba(X)
    contrary = y.where(np.arange(400) <= last, 1 - y)
    pd.testing.assert_frame_equal(model.fit(X, contrary, t_end=t_end).predict_proba(X), before, check_exact=True)
    nearer = y.where(np.arange(400) < last, 1 - y)
    assert not model.fit(X, nearer, t_end=t_end).predict_proba(X).equals(before)


def test_a_forecast_that_is_sure_and_wrong_has_a_finite_loss_and_none_has_none() -> None:
    labels, weights = np.array([1.0, 0.0]), np.ones(2)
    head = models.sequence.DIRECTION
    assert head.judged(labels, np.array([[0.0], [1.0]]), weights) == pytest.approx(-np.log(2.0**-23))
    assert np.isnan(head.judged(labels, np.array([[0.5], [np.nan]]), weights))


def test_patience_asks_for_a_splitter_and_for_rows_to_hold_back(settings: dict[str, Any], data: Data) -> None:
    X, y, t_end = data
    chosen = {**settings["lstm"], "patience": 1}
    with pytest.raises(ModelError, match="lstm with patience 1 and without a splitter"):
        create_model("lstm", chosen, seed=3).fit(X, y, t_end=t_end)
    wide = PurgedWalkForward(2, 0.5, pd.Timedelta("300h"))
    with pytest.raises(ModelError, match="397 labelled rows are too few to fit lstm and to hold some back"):
        create_model("lstm", chosen, seed=3, cv=wide).fit(X, y, t_end=t_end)
