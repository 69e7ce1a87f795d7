"""Who works on a trial, and which trials nobody works on any more."""

import contextlib
import functools
import os
import socket
import time
import uuid
import warnings
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import optuna

WORKER = "worker"
# Seconds by which the start of a process may seem to move when the clock is set.
_CLOCK = 5.0


@functools.cache
def _machine() -> str:
    return f"{socket.gethostname()} {uuid.getnode():x}"


def this_worker() -> str:
    """Machine, process and its start: a number that the system gives to another process names another worker."""
    return f"{_machine()} {os.getpid()} {psutil.Process().create_time():.2f}"


def is_gone(worker: str) -> bool:
    """Whether a worker of this machine has ended; of another machine's one cannot know."""
    machine, number, start = worker.rsplit(" ", 2)
    if machine != _machine():
        return False
    try:
        return abs(psutil.Process(int(number)).create_time() - float(start)) > _CLOCK
    except psutil.NoSuchProcess:
        return True


def is_mine(worker: str) -> bool:
    """Whether a worker is this process."""
    return worker.rsplit(" ", 2)[:2] == [_machine(), str(os.getpid())]


class Undertaker:
    """Fails the trials of a study that nobody works on any more, and leaves the others alone.

    A worker of this machine is looked up. One of another machine shows that it lives by Optuna's heartbeat. A trial
    that has neither was just made, or its worker was killed in that moment: it is watched for the grace period, and
    until then nothing else is drawn, for what is drawn depends on it.
    """

    def __init__(self, study: "optuna.Study", grace: float) -> None:
        self.study = study
        self.grace = grace
        self._first_seen: dict[int, float] = {}

    def bury(self) -> bool:
        """Fail what is dead, between two trials of this worker; False while a trial is not known to be either."""
        from optuna.exceptions import ExperimentalWarning
        from optuna.storages import fail_stale_trials
        from optuna.trial import TrialState

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            fail_stale_trials(self.study)
        sure = True
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            worker = trial.user_attrs.get(WORKER)
            if worker is None:
                waited = time.monotonic() - self._first_seen.setdefault(trial.number, time.monotonic())
                if waited < self.grace:
                    sure = False
                    continue
            elif not is_gone(worker) and not is_mine(worker):
                continue
            self._fail(trial.number)
        return sure

    def _fail(self, number: int) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        # Its worker, or another undertaker, may be quicker.
        with contextlib.suppress(UpdateFinishedTrialError):
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
