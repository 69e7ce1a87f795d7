"""The ``engine`` command: thin. Every verb finds out what is meant, calls what does it, and says what came of it.

Only typer is imported up here, so that ``engine --help`` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from commands import audit, card, compare, data, features, promotion, simulate, stress, tune
from commands.console import load_settings, mendable, print_json, stdout_reserved

app = typer.Typer(
    name="engine",
    help="Bars in, signals out: trains models, tests them honestly, and serves what they say.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Bars = Annotated[Path | None, typer.Option(help="CSV (also .gz), Parquet or Feather file, or a folder of them.")]
Exchange = Annotated[
    str | None, typer.Option(help="Stored bars of this exchange, such as kraken, not a file; fetches new ones first.")
]
Beside = Annotated[
    Path | None, typer.Option(help="Folder of other pairs, Fear & Greed, funding, headlines. Default: as in run.yaml.")
]
Symbol = Annotated[str | None, typer.Option(help="Such as BTC/USD or BTC-USD. Default: that of run.yaml.")]
Timeframe = Annotated[str | None, typer.Option(help="Length of a bar, such as 1h. Default: that of run.yaml.")]
Profile = Annotated[str, typer.Option(help="How much is computed: quick, or a profile such as full, or full+nested.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]


@app.command()
@mendable
def run(
    bars: Bars = None,
    exchange: Exchange = None,
    context: Beside = None,
    symbol: Symbol = None,
    timeframe: Timeframe = None,
    as_of: Annotated[
        str | None, typer.Option(help="Use nothing known later than this ISO time (UTC). Default: the newest bar.")
    ] = None,
    profile: Profile = "quick",
    nested: Annotated[
        bool, typer.Option("--nested", help="Tune before each test block anew, on its own past: slower.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Validate bars, train and test models on them, judge and register the result, and say what it signals now."""
    from flows.progress import Durations, progress, timed
    from flows.request import identity

    settings = load_settings()
    profile = f"{profile}+nested" if nested else profile
    meant = identity(settings, bars, symbol, timeframe, as_of, exchange, context)
    durations = Durations(settings.state / "state" / "durations.json", f"{meant.instrument.name} {profile}")
    with stdout_reserved(), progress(durations) as (tell, tally):
        from flows.retrain import run as retrain

        result = retrain(
            settings, meant, source=Path(meant.source) if bars else None, profile=profile, on_progress=tell
        )
    durations.remember(timed(tally.spent, result.ran))
    if as_json:
        from flows.summary import as_object

        print_json(as_object(result, meant))
        return
    from flows.summary import lines_of

    for line in lines_of(result, settings):
        typer.echo(line)


@app.command()
@mendable
def validate(
    file: Annotated[Path, typer.Argument(help="File or folder of bars.")],
    timeframe: Annotated[str | None, typer.Option(help="Judge the bars at this length. Default: the file's.")] = None,
    as_json: Json = False,
) -> None:
    """Say whether a file of bars can be used, and what is wrong with it; writes nothing."""
    from flows.summary import validation_lines
    from pipelines.params import read_params
    from pipelines.validate.check import check_file

    settings = load_settings()
    with stdout_reserved():
        report = check_file(file, read_params(settings.home / "params.yaml"), timeframe)
    if as_json:
        print_json(report)
        return
    for line in validation_lines(report):
        typer.echo(line)


@app.command()
@mendable
def predict(
    symbol: Symbol = None,
    bars: Annotated[Path | None, typer.Option(help="Closed bars that follow the ones trained on.")] = None,
    timeframe: Timeframe = None,
    as_json: Json = False,
) -> None:
    """Ask the registered models for a signal, without a server."""
    from flows.request import read_closed_bars
    from flows.summary import signal_lines
    from pipelines.params import read_params, read_run
    from serving.run import predict_once

    settings = load_settings()
    base = read_run(settings.home / "run.yaml")
    with stdout_reserved():
        newer = None
        if bars is not None:
            params = read_params(settings.home / "params.yaml")
            newer = read_closed_bars(bars, timeframe or base.timeframe, params)
        signals = [
            one.model_dump(mode="json")
            for one in predict_once(settings, symbol or base.symbol, newer, timeframe=timeframe)
        ]
    if as_json:
        print_json({"signals": signals})
        return
    for line in signal_lines(signals):
        typer.echo(line)


@app.command()
@mendable
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: ENGINE_HOST, or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: ENGINE_PORT, or 3000.")] = None,
) -> None:
    """Serve signals over HTTP until Ctrl-C: POST /predict."""
    from serving.run import serve as serve_signals

    settings = load_settings()
    chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    serve_signals(settings.model_copy(update=chosen))


@app.command()
@mendable
def schedule(
    cron: Annotated[str, typer.Option(help="When to look for new bars, in UTC.")] = "5 * * * *",
    bars: Bars = None,
    exchange: Exchange = None,
    context: Beside = None,
    symbol: Symbol = None,
    timeframe: Timeframe = None,
    profile: Profile = "quick",
) -> None:
    """Retrain whenever new bars are there, until Ctrl-C."""
    from flows.request import identity
    from flows.schedule import serve_schedule

    settings = load_settings()
    meant = identity(settings, bars, symbol, timeframe, None, exchange, context)
    serve_schedule(settings, meant, source=Path(meant.source) if bars else None, cron=cron, profile=profile)


@app.command()
@mendable
def report(
    symbol: Symbol = None,
    timeframe: Timeframe = None,
    show: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Show it in the browser. Default: if this is a terminal.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the report of the last run."""
    from flows.request import last_report

    path = last_report(load_settings(), symbol, timeframe)
    if as_json:
        print_json({"report": path})
    else:
        typer.echo(str(path))
        if show or (show is None and sys.stdout.isatty()):
            typer.launch(path.as_uri())


@app.command()
@mendable
def ui(
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    prefect_port: Annotated[int, typer.Option(min=1, max=65535)] = 4200,
) -> None:
    """Open MLflow (what was tried, what is live) and Prefect (what ran) on this machine, until Ctrl-C."""
    from flows.ui import serve_ui

    typer.echo("starting; the first time takes half a minute", err=True)
    serve_ui(load_settings(), mlflow_port, prefect_port, typer.echo)


app.command()(simulate.simulate)
app.command()(audit.audit)
app.command()(stress.stress)
app.command()(tune.tune)
app.command()(card.card)
app.command()(compare.compare)
app.command()(promotion.promote)
app.command()(promotion.rollback)
app.command()(promotion.history)
app.add_typer(data.app, name="data")
app.add_typer(features.app, name="features")


def main() -> None:
    """Entry of the console script."""
    app()


if __name__ == "__main__":
    main()
