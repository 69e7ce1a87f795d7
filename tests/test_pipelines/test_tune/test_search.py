"""A study is a pure function of its task, however often it was interrupted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.params import Params, Range, overlay, parse_params
from pipelines.tune import search
from pipelines.tune.front import knee, pareto_front
from pipelines.tune.objective import splits
from pipelines.tune.search import run_study
from pipelines.tune.study import StudyResult, StudyTask
from pipelines.tune.tasks import settled
from tests.studies import TRIALS, sqlite
from trading.errors import ModelError, TooFewBarsError


def test_every_trial_is_kept_and_the_best_one_is_the_best(task: StudyTask) -> None:
    result = run_study(task)
    assert len(result.trials) == TRIALS
    assert {trial["state"] for trial in result.trials} <= {"complete", "pruned"}
    complete = [trial for trial in result.trials if trial["state"] == "complete"]
    best = min(complete, key=lambda trial: trial["metrics"]["log_loss"])
    assert dict(result.best) == best["params"]
    # The planted feature is found.
    assert best["metrics"]["accuracy_low"] > 0.55
    assert all(np.isfinite(list(trial["metrics"].values())).all() for trial in result.trials)


def test_the_first_trial_has_the_settings_of_params_as_near_as_the_ranges_allow(task: StudyTask) -> None:
    space, first = task.space, run_study(task).trials[0]["params"]
    assert set(first) == set(space)
    for name, span in space.items():
        assert first[name] == min(max(task.base[name], span.low), span.high)
    assert any(span.low <= task.base[name] <= span.high for name, span in space.items())


def test_a_finished_study_is_not_run_again(task: StudyTask, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_study(task)

    def refuse(*_: object) -> float:
        raise AssertionError("a trial was run twice")

    monkeypatch.setattr(search, "objective", refuse)
    assert run_study(task) == first


def test_an_interrupted_study_ends_as_an_undisturbed_one(
    task: StudyTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run_study(task)
    broken = replace(task, database=sqlite(tmp_path, "b"))
    honest, calls = search.objective, 0

    def dies_in_the_fourth(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return honest(*arguments)

    monkeypatch.setattr(search, "objective", dies_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run_study(broken)
    monkeypatch.setattr(search, "objective", honest)
    _leave_a_trial_running(broken)
    assert run_study(broken) == undisturbed


def test_the_same_outcome_is_the_same_trial_whatever_the_code(task: StudyTask, tmp_path: Path) -> None:
    first = run_study(task)
    again = run_study(replace(task, code="refactored"))
    assert first.study_hash != again.study_hash
    assert [trial["trial_hash"] for trial in first.trials] == [trial["trial_hash"] for trial in again.trials]


def test_a_study_stops_when_its_time_is_up_and_goes_on_when_it_has_more(task: StudyTask, tmp_path: Path) -> None:
    hurried = _tuned(task, timeout_seconds=1e-6)
    result = run_study(hurried)
    assert (len(result.trials), result.stopped_by) == (1, "time")
    assert result.summary["trials"] == 1
    assert run_study(hurried) == result, "a rerun adds no trial"
    patient = _tuned(task, timeout_seconds=3600.0)
    whole = run_study(patient)
    assert (len(whole.trials), whole.stopped_by) == (TRIALS, "trials")
    assert whole == run_study(replace(task, database=sqlite(tmp_path, "b")))


def test_several_objectives_prune_nothing_and_the_knee_is_chosen(task: StudyTask) -> None:
    several = _tuned(task, objectives=["log_loss", "turnover", "latency"])
    result = run_study(several)
    assert {trial["state"] for trial in result.trials} == {"complete"}
    metrics = [trial["metrics"] for trial in result.trials]
    assert all(one["latency"] >= 1 and one["turnover"] >= 0 for one in metrics)
    values = np.array([[one[name] for name in several.params.tune.objectives] for one in metrics])
    assert result.front == pareto_front(values)
    assert dict(result.best) == result.trials[knee(values, result.front)]["params"]
    assert result.log_loss == metrics[knee(values, result.front)]["log_loss"]
    # Another study, of trials that are pruned otherwise; and the trees are counted the same again.
    assert several.identity != task.identity
    assert run_study(several) == result


def test_a_family_without_a_space_has_one_trial_of_its_own_settings(task: StudyTask) -> None:
    alone = replace(task, family="random_forest")
    params = alone.params.model_copy(update={"tune": alone.params.tune.model_copy(update={"search": {}, "trials": {}})})
    result = run_study(replace(alone, params=params))
    assert len(result.trials) == 1
    assert dict(result.best) == {}


def test_values_that_do_not_go_together_are_a_failed_trial(task: StudyTask) -> None:
    heads = {"transformer": {"heads": Range(low=3, high=5, log=False)}}
    tune = task.params.tune.model_copy(update={"search": heads, "trials": {"transformer": 1}, "startup_trials": 1})
    wide = task.params.models.transformer.model_copy(update={"width": 7, "heads": 7})
    params = task.params.model_copy(
        update={"tune": tune, "models": task.params.models.model_copy(update={"transformer": wide})}
    )
    with pytest.raises(ModelError, match="none of 1 trials") as caught:
        run_study(replace(task, family="transformer", params=params))
    assert "width 7 must be a multiple of heads" in caught.value.where


def test_a_fold_without_a_known_outcome_is_refused(task: StudyTask) -> None:
    hidden = task.data.y.copy()
    hidden.iloc[-60:] = np.nan
    with pytest.raises(TooFewBarsError, match="no bar of validation fold"):
        run_study(_tuned(replace(task, data=replace(task.data, y=hidden)), splits=20))


def test_the_weaker_families_leave_the_vote(params: Params) -> None:
    results = [
        StudyResult(family, "1h", "hash", {"x": loss}, loss, [], [0], "trials")
        for family, loss in (("lstm", 0.6), ("random_forest", 0.7), ("xgboost", 0.6))
    ]

    def kept(select: int) -> Any:
        return settled(results, params.model_copy(update={"tune": params.tune.model_copy(update={"select": select})}))

    assert kept(0) == {"lstm": {"x": 0.6}, "random_forest": {"x": 0.7}, "xgboost": {"x": 0.6}}
    assert kept(2) == {"lstm": {"x": 0.6}, "random_forest": None, "xgboost": {"x": 0.6}}
    # Equals: the one named first.
    first = next(family for family in params.models.voting if family in ("lstm", "xgboost"))
    assert [family for family, values in kept(1).items() if values is not None] == [first]


def _tuned(task: StudyTask, **changes: Any) -> StudyTask:
    return replace(task, params=task.params.model_copy(update={"tune": task.params.tune.model_copy(update=changes)}))


def _leave_a_trial_running(task: StudyTask) -> None:
    """What SIGKILL leaves in the database."""
    import optuna

    (name,) = optuna.get_all_study_names(task.database.url)
    optuna.load_study(study_name=name, storage=task.database.url).ask()


def rolled(task: StudyTask, window: str) -> StudyTask:
    backtest = task.params.backtest.model_copy(update={"train_window": window})
    return replace(task, params=task.params.model_copy(update={"backtest": backtest}))


def test_trials_look_back_as_far_as_the_fits_that_they_are_for(task: StudyTask) -> None:
    for (known, test), (train, same) in zip(splits(task), splits(rolled(task, "50h")), strict=True):
        assert np.array_equal(train, known[-50:])
        assert np.array_equal(test, same)


def test_other_data_params_or_seed_are_another_study(task: StudyTask, params: Params) -> None:
    nudged = task.data.X.copy()
    nudged.iloc[3, 0] += 1e-9
    others = {
        replace(task, data=replace(task.data, X=nudged)).identity,
        replace(task, horizon="4h").identity,
        replace(task, code="other").identity,
        replace(task, params=params).identity,
        replace(task, params=task.params.model_copy(update={"seed": 99})).identity,
    }
    assert len(others | {rolled(task, "30d").identity, task.identity}) == 7
    assert replace(task, database=replace(task.database, url="elsewhere")).identity == task.identity


def test_a_trial_that_no_model_can_fit_is_counted_as_failed(task: StudyTask, raw_params: dict[str, Any]) -> None:
    weights = {"low": 1.0, "high": 1e6, "log": True}
    mixed = _with_weights(task, raw_params, weights)
    states = [trial["state"] for trial in run_study(mixed).trials]
    assert len(states) == TRIALS
    assert {"failed", "complete"} <= set(states)
    with pytest.raises(ModelError, match="none of 6 trials"):
        run_study(_with_weights(task, raw_params, {"low": 1e6, "high": 2e6, "log": True}))


def _with_weights(task: StudyTask, raw_params: dict[str, Any], weights: dict[str, Any]) -> StudyTask:
    tune = {"trials": {"xgboost": TRIALS}, "startup_trials": 2, "search": {"xgboost": {"min_child_weight": weights}}}
    return replace(task, params=parse_params(overlay(raw_params, {"tune": tune})))
