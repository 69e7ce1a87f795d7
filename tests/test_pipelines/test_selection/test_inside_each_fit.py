"""In the walk-forward and in the final fit, features are chosen by what is known then."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.onnx_session import OnnxSession
from models.selected import Selected
from pipelines.backtest.features_worth import JudgedFold, judged_tasks, run_judged
from pipelines.backtest.walk_forward import FoldTask, fit_vote, fold_tasks
from pipelines.dataset import Dataset
from pipelines.params import Params, overlay, parse_params
from pipelines.recipe import family_settings, recipe_hash
from pipelines.train.fit import MemberTask, fit_member
from trading.instrument import Instrument

METHODS = ("mutual_information", "clusters", "permutation")
N = 1300


def choosing(raw_params: dict[str, Any], method: str, keep: int = 3) -> Params:
    """Params that choose, and vote with the trees only."""
    change = {"selection": {"method": method, "keep": keep}, "importance": {"correlation": 0.3}}
    models = {**raw_params["models"], "voting": {"random_forest": 1.0, "xgboost": 1.0}}
    return parse_params(overlay({**raw_params, "models": models}, change))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Twelve columns of which one shifts the odds of the next return."""
    generator = np.random.default_rng(0)
    index = pd.date_range("2021-01-01", periods=N, freq="h", tz="UTC", name="timestamp")
    X = pd.DataFrame(generator.normal(size=(N, 12)), index=index, columns=[f"f{n}" for n in range(12)])
    X["volatility_24"] = 0.01
    ret = pd.Series(0.01 * (X["f5"] + generator.normal(size=N)), index=index)
    t_end = pd.Series(index + pd.Timedelta("2h"), index=index)
    return Dataset(X, (ret > 0).astype(float), ret, t_end)


def tasks(params: Params, data: Dataset, instrument: Instrument) -> list[FoldTask]:
    return list(fold_tasks("1h", data, params, instrument, family_settings(params, {})))


def judged(task: FoldTask, params: Params) -> JudgedFold:
    """The refit with what its features were worth."""
    return run_judged(next(judged_tasks([task], params)))


def changed_from(data: Dataset, row: int) -> Dataset:
    """Another future: every value and outcome from ``row`` on."""
    X, y, ret = data.X.copy(), data.y.copy(), data.ret.copy()
    X.iloc[row:] = X.iloc[row:].to_numpy()[::-1] * -7
    # Columns that were strangers become twins.
    X.iloc[row:, 1] = X.iloc[row:, 0]
    y.iloc[row:], ret.iloc[row:] = 1 - y.iloc[row:], -ret.iloc[row:]
    return replace(data, X=X, y=y, ret=ret)


@pytest.mark.parametrize("method", METHODS)
def test_the_future_changes_no_earlier_choice(
    method: str, raw_params: dict[str, Any], data: Dataset, instrument: Instrument
) -> None:
    params = choosing(raw_params, method)
    first = tasks(params, data, instrument)[0]
    after_training = tasks(params, changed_from(data, int(first.train.max()) + 1), instrument)[0]
    chosen = [
        [member.columns_ for member in fit_vote(task)[0].models_ if isinstance(member, Selected)]
        for task in (first, after_training)
    ]
    assert chosen[0] == chosen[1]
    assert [len(columns) for columns in chosen[0]] == [3, 3]
    assert "f5" in chosen[0][0]
    # Whatever comes after the test block changes nothing that was said about it.
    after_testing = tasks(params, changed_from(data, int(first.test.max()) + 1), instrument)[0]
    one, other = judged(first, params), judged(after_testing, params)
    pd.testing.assert_frame_equal(one.result.predictions, other.result.predictions, check_exact=True)
    pd.testing.assert_frame_equal(one.importance.rises, other.importance.rises, check_exact=True)
    assert one.groups == other.groups
    assert one.importance.chosen == other.importance.chosen


def test_each_refit_chooses_anew(raw_params: dict[str, Any], data: Dataset, instrument: Instrument) -> None:
    turned = data.X.copy()
    half = N // 2
    turned.iloc[half:, [5, 6]] = turned.iloc[half:, [6, 5]].to_numpy()
    late = replace(data, X=turned)
    params = choosing(raw_params, "mutual_information", keep=1)
    # What told the outcome in the first half is another column in the second; rows of one half at a time.
    first, *_, last = tasks(params, late, instrument)
    second_half = replace(last, train=last.train[last.train >= half])
    found = [judged(task, params).importance.chosen["xgboost"] for task in (first, second_half)]
    assert found == [["f5"], ["f6"]]


@pytest.mark.parametrize("method", METHODS)
def test_the_final_fit_serves_what_it_chose(
    method: str, raw_params: dict[str, Any], data: Dataset, instrument: Instrument
) -> None:
    params = choosing(raw_params, method)
    selector = tasks(params, data, instrument)[0].selector
    settings = params.models.xgboost.model_dump()
    member = fit_member(MemberTask("1h", "xgboost", data, data.known_rows(), settings, 0, 500, selector))
    assert len(member.columns) == 3
    assert "f5" in member.columns
    assert member.max_difference <= 1e-5
    session = OnnxSession(member.graph)
    assert session.features == 13
    values = data.X.to_numpy(dtype=np.float32)
    others = [place for place, name in enumerate(data.X.columns) if name not in member.columns]
    ignored = values.copy()
    ignored[:, others] = 99.0
    np.testing.assert_array_equal(session.predict(ignored), session.predict(values))


def test_without_a_method_every_column_is_kept(
    raw_params: dict[str, Any], data: Dataset, instrument: Instrument
) -> None:
    task = tasks(choosing(raw_params, "none"), data, instrument)[0]
    assert task.selector is None
    assert not any(isinstance(member, Selected) for member in fit_vote(task)[0].models_)
    plain = fit_member(MemberTask("1h", "xgboost", data, data.known_rows(), task.settings["xgboost"], 0, 100))
    assert plain.columns == list(data.X.columns)


def test_how_features_are_chosen_is_part_of_the_recipe_and_how_they_are_judged_is_not(
    raw_params: dict[str, Any],
) -> None:
    def recipe(change: dict[str, Any]) -> str:
        return recipe_hash(parse_params(overlay(raw_params, change)), "1h", "spec")

    assert recipe({"selection": {"method": "clusters"}}) != recipe({})
    assert recipe({"importance": {"rows": 10}}) == recipe({})
