"""``engine tune``: one more worker on the studies of a run."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved
from commands.finished import latest

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.settings import Settings


@mendable
def tune(
    symbol: Annotated[str | None, typer.Option(help="Whose run. Default: that of run.yaml.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Length of a bar. Default: that of run.yaml.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Begin no trial after so many seconds. Default: no limit.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Help a run that is tuning: take trials of its studies until none is left to take.

    Start as many as there are processors to spare. On other machines ENGINE_OPTUNA_STORAGE must name the same
    PostgreSQL database, and the workspace must hold the same data, params and code; the run itself books the trials.
    """
    from pipelines.runner import open_context
    from pipelines.tune.join import join

    settings = load_settings()
    with stdout_reserved():
        root = _workspace(settings, symbol, timeframe)
        context = open_context(root, settings, progress=_say)
        found = join(context, timeout)
    instrument = context.run.instrument
    if as_json:
        print_json({"symbol": instrument.symbol, "timeframe": instrument.timeframe, **found})
        return
    typer.echo(f"{found['taken']} trials taken for {instrument.symbol} {instrument.timeframe}")
    for one in found["studies"]:
        typer.echo(f"{one['horizon']:>5}  {one['family']:<14} {one['decided']} of {one['wanted']} trials are there")


def _workspace(settings: "Settings", symbol: str | None, timeframe: str | None) -> "Path":
    """The workspace of an instrument whose labels were made last.

    Raises
    ------
    StageError
        If there is none.
    """
    from pipelines.workspace import own_root
    from trading.errors import StageError

    instrument, root = latest(settings, symbol, timeframe, "labels")
    if root is None:
        raise StageError(
            f"no run of {instrument.symbol} {instrument.timeframe} has come as far as tuning",
            where=str(own_root(settings, instrument)),
            rule="a worker joins the studies of a run",
            remedy=f"start `engine run --symbol {instrument.symbol} --timeframe {instrument.timeframe}` first",
        )
    return root


def _say(done: int, total: int, note: str) -> None:
    typer.echo(f"tune  {done}/{total}  {note}", err=True)
