"""Prefect's Dask runner: it owns the workers that the stages of a run hand their tasks to."""

from typing import Any

from pipelines.cluster import LOCAL, local_cluster, reaching
from pipelines.settings import Settings


def runner_options(settings: Settings) -> dict[str, Any]:
    """Options of a flow: Prefect's Dask runner where settings ask for Dask, else nothing.

    Stages are subprocesses, not tasks on a worker: it is the tasks of a stage that travel.

    Raises
    ------
    WorkerError
        If Dask is not installed.
    """
    if not settings.dask:
        return {}
    with reaching(settings.dask):
        from prefect_dask import DaskTaskRunner
    if settings.dask == LOCAL:
        return {"task_runner": DaskTaskRunner(cluster_kwargs=local_cluster(settings.workers))}
    return {"task_runner": DaskTaskRunner(address=settings.dask)}


def on_cluster(settings: Settings) -> Settings:
    """Inside a flow that has :func:`runner_options`: settings of its stages, with the address of its scheduler.

    Raises
    ------
    WorkerError
        If no scheduler answers.
    """
    if not settings.dask:
        return settings
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    assert context is not None
    with reaching(settings.dask):
        # The runner starts its cluster, or connects to it, when its client is first asked for.
        return settings.model_copy(update={"dask": context.task_runner.client.scheduler.address})
