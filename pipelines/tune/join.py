"""One more worker on the studies of a run that is under way."""

import time
from typing import Any

from pipelines.context import Context
from pipelines.tune.places import decided
from pipelines.tune.search import open_study, work
from pipelines.tune.tasks import searches


def join(context: Context, timeout: float | None) -> dict[str, Any]:
    """Take trials of the run's studies until there is none left to take.

    Parameters
    ----------
    context
        Of the run's workspace, which is only read.
    timeout
        Seconds after which no trial is begun; None is no limit.

    Returns
    -------
    dict
        ``taken``: trials that this worker decided. ``stopped_by``: ``trials`` or ``time``. ``studies``: of each
        ``horizon``, ``family``, and how many trials are ``decided`` of those ``wanted``.

    Raises
    ------
    StudyError
        If the run has no such studies, or they are about other data, params or code.
    """
    until = float("inf") if timeout is None else time.monotonic() + timeout
    tasks = [task for search in searches(context) for task in search.tasks]
    tasks.sort(key=lambda task: -task.wanted)
    studies = [(open_study(task, join=True), task) for task in tasks]
    total, taken = sum(task.wanted for task in tasks), 0
    fresh = True
    # Again, for meanwhile another worker may have died.
    while fresh and time.monotonic() < until:
        before = taken
        for study, task in studies:
            taken += work(study, task, wait=False, until=until)
            context.progress(taken, total, f"{task.family} {task.horizon}")
        fresh = taken > before
    return {
        "taken": taken,
        "stopped_by": "time" if fresh else "trials",
        "studies": [
            {
                "horizon": task.horizon,
                "family": task.family,
                "decided": len(decided(study.get_trials(deepcopy=False), task.wanted)),
                "wanted": task.wanted,
            }
            for study, task in studies
        ],
    }
