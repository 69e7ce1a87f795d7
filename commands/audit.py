"""``engine audit``: whether anything sees the future."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved
from commands.finished import finished_workspace

if TYPE_CHECKING:
    from pipelines.workspace import Workspace


@mendable
def audit(
    step: Annotated[
        str | None,
        typer.Argument(
            help="A function of your own from bars to columns, as module:function, to audit instead of the pipeline.",
            show_default=False,
        ),
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Whose run. Default: that of run.yaml.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Length of a bar. Default: that of run.yaml.")] = None,
    bars: Annotated[
        Path | None, typer.Option(help="Bars to audit your function on. Default: those of the last run.")
    ] = None,
    cuts: Annotated[
        int, typer.Option(min=0, help="Random moments to audit your function at, besides the special ones.")
    ] = 12,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Change what became known later, and see whether anything changes that was known before.

    Without a function: the whole pipeline of the last run, from raw bars to features, labels, fits, forecasts,
    positions and fills, as every run does it. Writes nothing.

    Exit code 0: nothing saw the future. 1: something did. 2: it could not be said.
    """
    code = _own(step, symbol, timeframe, bars, cuts, as_json) if step else _pipeline(symbol, timeframe, as_json)
    raise typer.Exit(code)


def _pipeline(symbol: str | None, timeframe: str | None, as_json: bool) -> int:
    from pipelines.audit.listing import exit_code, lines_of
    from pipelines.audit.stage import audit as audited
    from pipelines.runner import open_context, worker_map
    from pipelines.workspace import locked

    settings = load_settings()
    with stdout_reserved():
        workspace = finished_workspace(settings, symbol, timeframe)
        with locked(workspace), worker_map(settings) as mapped:
            _require_current(workspace)
            found = audited(open_context(workspace.root, settings, map=mapped, progress=_say))
    instrument = workspace.run.instrument
    if as_json:
        print_json({"symbol": instrument.symbol, "timeframe": instrument.timeframe, **found})
        return exit_code(found)
    typer.echo(f"Look-ahead audit of {instrument.symbol} {instrument.timeframe}, in {workspace.root}\n")
    for line in lines_of(found):
        typer.echo(line)
    return exit_code(found)


def _own(name: str, symbol: str | None, timeframe: str | None, path: Path | None, cuts: int, as_json: bool) -> int:
    from pipelines.artifacts import Artifacts
    from pipelines.audit.foreign import audit_step, bars_from, step_named
    from pipelines.inputs import read_bars
    from pipelines.params import read_params

    settings = load_settings()
    with stdout_reserved():
        step = step_named(name, Path.cwd())
        if path is None:
            workspace = finished_workspace(settings, symbol, timeframe)
            frame, length = read_bars(Artifacts(workspace.root)), workspace.run.timeframe
        else:
            frame, length, left_out = bars_from(path, timeframe, read_params(settings.home / "params.yaml").validate_)
            if left_out:
                typer.echo(f"{left_out} row(s) left out, see `engine validate {path}`", err=True)
        report = audit_step(name, step, frame, timeframe=length, cuts=cuts)
    if as_json:
        print_json({"step": name, **report.as_object()})
    else:
        typer.echo(f"{name} on {len(frame):,} bars of {length}\n{report}")
    return {"clean": 0, "guilty": 1, "undecided": 2}[report.verdict]


def _require_current(workspace: "Workspace") -> None:
    """What is stored must have been made by this code and these params: another version's answers are no leak."""
    from flows.stages import stage_names, stale_stages
    from trading.errors import StageError

    names = stage_names(workspace.root)
    changed = stale_stages(workspace.root, workspace.settings)
    if stale := [name for name in names[: names.index("audit")] if name in changed and name != "train"]:
        raise StageError(
            f"{', '.join(stale)} would come out differently now: code, params or data have changed since the last run",
            where=str(workspace.root),
            rule="what is audited was made by the code and params that are audited",
            remedy="run `engine run` again",
        )


def _say(done: int, total: int, note: str) -> None:
    typer.echo(f"audit  {done}/{total}  {note}", err=True)
