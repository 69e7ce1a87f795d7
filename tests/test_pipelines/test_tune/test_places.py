"""Every place of a study is decided once, whoever made which trial when."""

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipelines.tune.objective import REFUSED
from pipelines.tune.places import PLACE, decided, is_surplus, lost, places, unmade


def _trials(*made: tuple[str, int | None]) -> list[FrozenTrial]:
    study = optuna.create_study()
    for state, place in made:
        attributes: dict[str, Any] = {} if place is None else {PLACE: place}
        if state == "REFUSED":
            attributes[REFUSED] = "no"
        kind = TrialState["FAIL" if state == "REFUSED" else state]
        study.add_trial(create_trial(state=kind, value=1.0 if state == "COMPLETE" else None, user_attrs=attributes))
    return study.get_trials()


def test_trials_that_repeat_another_do_not_count_up() -> None:
    trials = _trials(("COMPLETE", None), ("FAIL", None), ("COMPLETE", 1), ("RUNNING", None))
    assert places(trials) == [0, 1, 1, 2]
    assert {place: trial.number for place, trial in decided(trials, 9).items()} == {0: 0, 1: 2}
    assert lost(trials, 9) == {}


def test_the_first_that_came_to_an_end_decides() -> None:
    trials = _trials(("FAIL", None), ("REFUSED", 0), ("COMPLETE", 0), ("PRUNED", None), ("COMPLETE", None))
    assert {place: trial.number for place, trial in decided(trials, 2).items()} == {0: 1, 1: 3}
    assert [is_surplus(trials, number, 2) for number in range(5)] == [False, False, True, False, True]


@pytest.mark.parametrize(("state", "is_lost"), [("FAIL", True), ("REFUSED", False), ("RUNNING", False)])
def test_a_place_is_lost_if_nothing_came_of_it(state: str, is_lost: bool) -> None:
    trials = _trials(("COMPLETE", None), (state, None))
    assert list(lost(trials, 2)) == ([1] if is_lost else [])
    assert list(lost(trials, 1)) == []


def test_what_is_there_to_take() -> None:
    trials = _trials(("COMPLETE", None), ("RUNNING", None))
    assert unmade(trials, 3)
    assert not unmade(trials, 2)
    assert unmade(_trials(("COMPLETE", None), ("FAIL", None), ("WAITING", 1)), 2)
