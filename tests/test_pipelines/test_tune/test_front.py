"""The front holds what nothing beats, and its knee is nearest to the best of everything."""

import numpy as np
import optuna

from pipelines.tune.front import knee, pareto_front


def test_the_front_is_optuna_s() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        values = rng.integers(0, 5, size=(12, 3)).astype(float)
        study = optuna.create_study(directions=["minimize"] * 3)
        study.add_trials([optuna.trial.create_trial(values=list(row)) for row in values])
        assert pareto_front(values) == sorted(trial.number for trial in study.best_trials)


def test_the_knee_is_between_the_extremes() -> None:
    values = np.array([[0.0, 100.0], [0.2, 30.0], [1.0, 0.0], [1.0, 90.0]])
    front = pareto_front(values)
    assert front == [0, 1, 2]
    assert knee(values, front) == 1


def test_with_one_objective_it_is_the_first_of_the_least() -> None:
    values = np.array([[3.0], [1.0], [2.0], [1.0]])
    assert pareto_front(values) == [1, 3]
    assert knee(values, [1, 3]) == 1
