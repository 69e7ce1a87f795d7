"""Run one study until its places are decided: alone, or beside workers on other processes and machines."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipelines.artifacts import content_hash
from pipelines.tune.errors import StudyError
from pipelines.tune.front import knee, pareto_front
from pipelines.tune.objective import METRICS, REFUSED, RETURNS, objective, splits
from pipelines.tune.places import PLACE, decided, is_surplus, lost, unmade
from pipelines.tune.study import StudyResult, StudyTask
from pipelines.tune.worker import WORKER, Undertaker, this_worker
from trading.errors import ModelError

if TYPE_CHECKING:
    import optuna
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

_LOOK = 0.2
_CUTS = 3
_IDENTITY = "identity"


class _SurplusError(Exception):
    """A trial that another worker made superfluous before it ran."""


def open_study(task: StudyTask, storage: "RDBStorage", *, join: bool = False) -> "optuna.Study":
    """The task's study, made where it is missing.

    Parameters
    ----------
    task
        What is searched.
    storage
        Of the task's database.
    join
        Refuse to make one.

    Raises
    ------
    StudyError
        If the study of that name is another one's; with ``join`` also if there is none, saying in what a study of the
        same horizon and family differs.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parts = task.parts
    name = f"{task.prefix}{content_hash(parts)[:16]}"
    if join and name not in (known := optuna.get_all_study_names(storage)):
        others = [other for other in known if other.startswith(task.prefix)]
        if not others:
            raise StudyError(
                f"no study of {task.family} over {task.horizon} is under way",
                where=task.database.shown,
                remedy="start `engine run` first, and the worker once it says that it tunes",
            )
        theirs = optuna.load_study(study_name=others[-1], storage=storage).user_attrs.get(_IDENTITY, {})
        raise _foreign(task, theirs, parts)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["minimize"] * len(task.params.tune.objectives),
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=task.params.tune.startup_trials, n_warmup_steps=0),
    )
    theirs = study.user_attrs.get(_IDENTITY)
    if theirs is None:
        study.set_user_attr(_IDENTITY, parts)
    elif theirs != parts:
        raise _foreign(task, theirs, parts)
    return study


def run_study(task: StudyTask) -> StudyResult:
    """Run, or resume, a study until it has the trials that params ask for, or its time is up.

    Any number of workers may do so at once. A trial whose worker was killed is failed and its place filled again; what
    others are still busy with is waited for. A single worker that was killed draws, when it is started again, what an
    undisturbed one would have drawn.

    Raises
    ------
    ModelError
        If no trial could be fitted.
    StudyError
        If the database does not answer, or the study is another one's.
    """
    with task.database.connected() as storage:
        study = open_study(task, storage)
        work(study, task, wait=True)
        trials = decided(study.get_trials(deepcopy=False), task.wanted)
    return _result(task, list(trials.values()))


def work(study: "optuna.Study", task: StudyTask, *, wait: bool, until: float = float("inf")) -> int:
    """Take trials as long as there are any to take.

    Parameters
    ----------
    study, task
        What :func:`open_study` gave, and for what.
    wait
        Whether to stay until the last trials of others are decided, and fill the places of those who die.
    until
        Reading of the monotonic clock from which on no trial is begun.

    Returns
    -------
    int
        Trials that this worker decided.
    """
    from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

    from pipelines.tune.sampler import SeededByPlace

    sampler = SeededByPlace(task.params.seed, task.params.tune.startup_trials, task.base)
    study.sampler = sampler
    undertaker, folds = Undertaker(study, task.database.grace), splits(task)
    taken = cuts = 0

    def one(trial: "optuna.Trial") -> tuple[float, ...]:
        trial.set_user_attr(WORKER, this_worker())
        if is_surplus(study.get_trials(deepcopy=False), trial.number, task.wanted):
            raise _SurplusError
        return objective(trial, task, folds)

    while time.monotonic() < until:
        try:
            sure = undertaker.bury()
            trials = study.get_trials(deepcopy=False)
            done = decided(trials, task.wanted)
            if len(done) == task.wanted:
                break
            busy = any(trial.state.name == "RUNNING" for trial in trials)
            late = _is_late(task, list(done.values()))
            if sure and not late:
                again = lost(trials, task.wanted)
                for place, trial in again.items():
                    drawn = trial.params if set(trial.params) == set(task.space) else {}
                    study.enqueue_trial(drawn, user_attrs={PLACE: place})
                if again or unmade(trials, task.wanted):
                    study.optimize(one, n_trials=1, catch=(ModelError, _SurplusError))
                    taken += _was_decided(study, sampler.number)
                    cuts = 0
                    continue
            if late and not busy:
                break
            if sure and not wait:
                break
            time.sleep(_LOOK)
        except StorageInternalError as error:
            # A connection that broke within a transaction: what it was about is buried and done again.
            cuts += 1
            if cuts == _CUTS:
                raise StudyError(
                    f"the database of studies failed {cuts} times in a row: {error.__cause__ or error}",
                    where=task.database.shown,
                    remedy="mend it and run again: finished trials are kept",
                ) from error
        except (ValueError, UpdateFinishedTrialError) as error:
            # This worker was silent for so long that others took it for dead, and its place is theirs.
            if isinstance(error, ValueError) and not str(error).startswith("Cannot tell a "):
                raise
    return taken


def _was_decided(study: "optuna.Study", number: int | None) -> bool:
    from pipelines.tune.places import is_decided

    return number is not None and is_decided(study.get_trials(deepcopy=False)[number])


def _is_late(task: StudyTask, trials: Sequence["FrozenTrial"]) -> bool:
    budget = task.params.tune.timeout_seconds
    spent = sum(trial.duration.total_seconds() for trial in trials if trial.duration is not None)
    return bool(0 < budget <= spent)


def _result(task: StudyTask, finished: Sequence["FrozenTrial"]) -> StudyResult:
    complete = [number for number, trial in enumerate(finished) if trial.state.name == "COMPLETE"]
    if not complete:
        raise ModelError(
            f"none of {len(finished)} trials of {task.family} over {task.horizon} could be fitted",
            where=str(finished[-1].user_attrs[REFUSED]),
            rule="a search needs one trial that fits",
            remedy="give a longer history, or narrow tune.search in params.yaml",
        )
    values = np.array([finished[number].values for number in complete], dtype=float)
    front = pareto_front(values)
    best = finished[complete[knee(values, front)]]
    content = task.content
    stopped: Literal["trials", "time"] = "trials" if len(finished) == task.wanted else "time"
    return StudyResult(
        family=task.family,
        horizon=task.horizon,
        study_hash=task.identity,
        best=dict(best.params),
        log_loss=float(best.values[0]),
        trials=[_record(trial, content) for trial in finished],
        front=[complete[number] for number in front],
        stopped_by=stopped,
    )


def _record(trial: "FrozenTrial", content: str) -> dict[str, Any]:
    """A trial as the ledger keeps it: the same thing with the same outcome is the same trial, whoever's code ran it."""
    metrics = trial.user_attrs.get(METRICS, {})
    return {
        "trial_hash": content_hash({"study": content, "params": trial.params, "metrics": metrics}),
        "state": {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name],
        "params": dict(trial.params),
        "metrics": metrics,
        "returns": trial.user_attrs.get(RETURNS, {}),
    }


def _foreign(task: StudyTask, theirs: dict[str, str], ours: dict[str, str]) -> StudyError:
    differs = [part for part in ours if theirs.get(part) != ours[part]]
    shown = "; ".join(f"{part} {str(theirs.get(part))[:12]} there, {ours[part][:12]} here" for part in differs)
    return StudyError(
        f"the study of {task.family} over {task.horizon} belongs to other {' and '.join(differs)}: {shown}",
        where=task.database.shown,
        rule="all trials of a study are about the same data, params and code",
        remedy="bring bars, params.yaml and code to the same state on all machines, or use another database",
    )
