"""Retraining on a cron: each firing is a run as ``engine run`` makes it, and none starts while one is at work."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, State
from prefect.deployments.runner import EntrypointType
from prefect.schedules import Cron
from prefect.states import Failed

from flows.api import prefect_api
from flows.processes import end_recorded
from flows.retrain import run
from flows.stages import settings_variables
from pipelines.exchange.fetch import unfetched
from pipelines.ingest.context_files import context_files
from pipelines.params import RunIdentity
from pipelines.settings import Settings, quiet_environment
from pipelines.store.bar_store import BarStore
from pipelines.workspace import locked, require_source, root_or_workspace
from trading.errors import EngineError, ParamsError


@flow(name="scheduled-retrain", flow_run_name="{symbol} {timeframe}")
def scheduled_retrain(
    symbol: str, timeframe: str, source: str, context: str, profile: str = "quick", as_of: datetime | None = None
) -> str | State[Any]:
    """Bring one instrument up to date; does nothing but say so when no new bar is there.

    Parameters
    ----------
    symbol, timeframe
        The instrument.
    source
        File or folder of bars, absolute or below the engine's home; read anew each time. Or an exchange, as
        ``exchange:kraken``: its new bars are fetched each time.
    context
        Folder of what stands beside them, absolute or below the engine's home; read anew each time.
    profile, as_of
        As for ``engine run``.

    Returns
    -------
    str or State
        What the run did; a failed state with what to do, where its user can mend it: a bug keeps its traceback.
    """
    identity = RunIdentity(symbol=symbol, timeframe=timeframe, source=source, context=context, as_of=as_of)
    try:
        news = run(Settings(), identity, profile=profile).news
    except EngineError as error:
        return Failed(message=f"{type(error).__name__}: {error}")
    get_run_logger().info("%s", news)
    return news


def serve_schedule(
    settings: Settings, identity: RunIdentity, *, cron: str, source: Path | None = None, profile: str = "quick"
) -> None:
    """Serve :func:`scheduled_retrain` until Ctrl-C.

    Parameters
    ----------
    settings
        Without a Prefect server of the user's, one with a scheduler runs as long as this does.
    identity, source, profile
        As for :func:`flows.retrain.run`.
    cron
        Five fields, in UTC. A firing that finds the previous run still at work is cancelled.

    Raises
    ------
    ParamsError
        If ``cron`` is not a cron expression.
    WorkspaceError
        If the instrument is being scheduled already.
    """
    quiet_environment()
    if source is not None:
        identity = identity.model_copy(update={"source": str(source.expanduser().resolve())})
    when = _schedule(cron)
    workspace = root_or_workspace(settings, identity, profile)
    if workspace.series is None:
        require_source(workspace.source)
    elif BarStore(workspace.settings.store_folder).last(workspace.series) is None:
        # Not an error: it may be fetched while the schedule waits.
        print(f"no run can begin yet: {unfetched(workspace.series)}", file=sys.stderr)
    context_files(workspace.context)
    name = workspace.run.instrument.name
    with locked(workspace, "schedule"):
        server = workspace.settings.state / "state" / "running" / f"{workspace.key}-schedule.json"
        end_recorded(server)
        # The runs are processes of their own; they find this code and these settings as this one did.
        os.environ |= settings_variables(workspace.settings)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(workspace.settings.home), os.environ.get("PYTHONPATH")))
        )
        with prefect_api(workspace.settings, server, scheduler=True):
            print(f"{name}: looking for new bars at {cron!r} (UTC); Ctrl-C ends it", file=sys.stderr)
            scheduled_retrain.serve(
                name=name,
                schedules=[when],
                parameters={
                    "symbol": identity.symbol,
                    "timeframe": identity.timeframe,
                    "source": identity.source,
                    "context": identity.context,
                    "profile": profile,
                },
                global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
                tags=[name, profile],
                entrypoint_type=EntrypointType.MODULE_PATH,
                print_starting_message=False,
            )


def _schedule(cron: str) -> Cron:
    try:
        return Cron(cron, timezone="UTC")
    except ValueError as error:
        raise ParamsError(
            f"{cron!r} is not a cron expression",
            where="--cron",
            rule="five fields: minute, hour, day of month, month, day of week",
            remedy="write it as '5 * * * *' for five minutes past every hour",
        ) from error
