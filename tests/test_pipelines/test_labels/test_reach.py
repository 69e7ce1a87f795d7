"""Barriers and weights reach every fit: the search, the walk-forward and the final one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.gradient_boosting import XGBoost
from models.random_forest import RandomForest
from pipelines.backtest.judge import judge
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import fit_scale, fit_vote, fold_tasks, predict_block, run_fold
from pipelines.dataset import VOLATILITY, Dataset
from pipelines.labels.labelling import make_labels
from pipelines.params import overlay, parse_params
from pipelines.recipe import family_settings
from pipelines.train.fit import MemberTask, fit_member
from pipelines.tune.database import Database
from pipelines.tune.past import before_the_test
from pipelines.tune.search import run_study
from pipelines.tune.study import StudyTask

HORIZON = "4h"
ROWS = 1200
BARRIERS = {"method": "triple_barrier", "weights": "return", "oldest_weight": 0.5}


@pytest.fixture(scope="module")
def params_with(raw_params):
    """Tiny params that vote with the trees only, and these labels."""

    def made(**labels):
        trees = {**raw_params["models"], "voting": {"random_forest": 1.0, "xgboost": 1.0}}
        study = {**raw_params["tune"], "trials": {"xgboost": 1}}
        return parse_params(overlay({**raw_params, "models": trees, "tune": study}, {"labels": labels}))

    return made


@pytest.fixture(scope="module")
def data_with(sample_bars, instrument):
    """Features that say nothing, and the labels that the params want, on real bars."""
    bars = sample_bars.iloc[:ROWS]
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(ROWS, 3)), index=bars.index, columns=["a", "b", VOLATILITY])
    X[VOLATILITY] = np.log(bars["close"]).diff().rolling(24).std()

    def made(params):
        return Dataset.join(X, make_labels(bars, instrument, HORIZON, params.labels, params.costs.costs()))

    return made


@pytest.fixture
def fits(monkeypatch):
    """Weights that every fit of a tree was given."""
    seen = []
    for family in (XGBoost, RandomForest):
        honest = family.fit

        def spied(self, X, y, *, t_end, sample_weight=None, honest=honest):
            seen.append((y, sample_weight))
            return honest(self, X, y, t_end=t_end, sample_weight=sample_weight)

        monkeypatch.setattr(family, "fit", spied)
    return seen


def everything_fitted(params, data, instrument, bars, folder):
    settings = family_settings(params, {})
    task = next(fold_tasks(HORIZON, data, params, instrument, settings))
    run_fold(task)
    past = before_the_test(data, data.X.index[task.test[0]], params, instrument)
    run_study(
        StudyTask(
            "xgboost",
            HORIZON,
            instrument,
            past,
            bars,
            params,
            Database(f"sqlite:///{folder / 'a.db'}", 5.0, 60),
            "code",
        )
    )
    settings, old = settings["xgboost"], params.labels.oldest_weight
    member = MemberTask(HORIZON, "xgboost", data, data.known_rows(), settings, 7, 50, oldest_weight=old)
    fit_member(member)


@pytest.mark.parametrize("labels", [BARRIERS, {"weights": "uniqueness"}])
def test_every_fit_is_given_its_rows_weights(params_with, data_with, instrument, sample_bars, fits, tmp_path, labels):
    params = params_with(**labels)
    data = data_with(params)
    everything_fitted(params, data, instrument, sample_bars.iloc[:ROWS], tmp_path)
    # Two members of the fold, one trial on each of two splits, one final fit.
    assert len(fits) == 5
    for y, weight in fits:
        trained = y.notna().to_numpy()
        assert weight[trained].mean() == pytest.approx(1)
        assert not weight[~trained].any()
        assert weight[trained].std() > 0


def test_plain_labels_are_fitted_without_weights(params_with, data_with, instrument, sample_bars, fits, tmp_path):
    params = params_with()
    everything_fitted(params, data_with(params), instrument, sample_bars.iloc[:ROWS], tmp_path)
    assert [weight for _, weight in fits] == [None] * 5


def test_a_study_of_other_weights_is_another_study(params_with, data_with, instrument, sample_bars, tmp_path):
    plain = params_with()
    task = StudyTask(
        "xgboost", HORIZON, instrument, data_with(plain), sample_bars.iloc[:ROWS], plain, Database("x", 5.0, 60), "code"
    )
    found = {task.content}
    for labels in ({"weights": "return"}, {"weights": "return", "oldest_weight": 0.5}, {"method": "triple_barrier"}):
        other = params_with(**labels)
        found.add(replace(task, params=other).content)
    assert len(found) == 4


def test_labels_and_weights_that_were_not_known_change_no_fit(params_with, data_with, instrument):
    params = params_with(**BARRIERS)
    data = data_with(params)
    settings = family_settings(params, {})
    task = next(fold_tasks(HORIZON, data, params, instrument, settings))
    limit = data.t_end.iloc[task.train].max()
    late = (data.t_end > limit).to_numpy()
    running = (data.horizon_end > limit).to_numpy()
    assert (running & ~late)[task.train].any()  # touched in time, but the horizon goes on
    other = replace(
        data,
        y=data.y.mask(late, 1 - data.y),
        weight=data.weight.mask(late, 99.0),
        uniqueness=data.uniqueness.mask(late, 0.01),
        ret=data.ret.mask(late, 9.0),
        horizon_ret=data.horizon_ret.mask(running, 9.0),
    )
    # Intervals adapt within the test, to outcomes that are known by then.
    columns = ["vote", "unit_edge"]
    said, again = (run_fold(replace(task, data=world)).predictions[columns] for world in (data, other))
    pd.testing.assert_frame_equal(said, again, check_exact=True)


def test_the_edge_is_about_the_label_and_the_interval_about_the_horizon(params_with, data_with, instrument):
    barriers, plain = (data_with(params_with(**labels)) for labels in ({"method": "triple_barrier"}, {}))
    rows = np.flatnonzero(barriers.y.notna())
    ended, held = fit_scale(barriers, rows, 4), fit_scale(plain, rows, 4)
    assert ended.mean_abs < held.mean_abs  # a barrier takes the largest moves away
    params = params_with()
    task = next(fold_tasks(HORIZON, plain, params, instrument, family_settings(params, {})))
    fitted = fit_vote(task)
    wide, same = (predict_block(task, *fitted, data)[["low", "high"]] for data in (plain, barriers))
    pd.testing.assert_frame_equal(wide, same, check_exact=True)


def test_the_walk_forward_is_judged_on_what_was_labelled(params_with, data_with, instrument, sample_bars):
    params = params_with(**BARRIERS)
    data = data_with(params)
    tasks = fold_tasks(HORIZON, data, params, instrument, family_settings(params, {}))
    bars = sample_bars.iloc[:ROWS]
    judged = judge(Strategy(params, instrument, HORIZON), bars, [run_fold(task) for task in tasks], "recipe", 0.95)
    assert judged.metrics["interval"]["coverage"] == pytest.approx(params.backtest.interval, abs=0.07)
    assert judged.metrics["samples"] == judged.predictions["label"].notna().sum()
    pd.testing.assert_series_equal(
        judged.predictions["label"], data.y.loc[judged.predictions.index], check_names=False, check_freq=False
    )
