"""``engine card``: the model cards of registered versions."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved

if TYPE_CHECKING:
    from pipelines.settings import Settings


@mendable
def card(
    symbol: Annotated[str | None, typer.Option(help="Such as BTC/USD or BTC-USD. Default: that of run.yaml.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Length of a bar. Default: that of run.yaml.")] = None,
    horizon: Annotated[str | None, typer.Option(help="Only the model of this horizon, such as 4h.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Only this version. Default: all, newest first.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """List the registered versions, what the gate said about each, and where its model card is."""
    settings = load_settings()
    with stdout_reserved():
        found = cards_of(settings, symbol, timeframe, horizon, version)
    if as_json:
        print_json({"versions": found})
        return
    for one in found:
        alias = f" ({', '.join(one['aliases'])})" if one["aliases"] else ""
        typer.echo(f"{one['name']} version {one['version']}{alias}, as of {one['as_of']}: {one['verdict']}")
        typer.echo(f"  {one['card'] or 'registered without a card'}")


def cards_of(
    settings: "Settings", symbol: str | None, timeframe: str | None, horizon: str | None, version: int | None
) -> list[dict[str, Any]]:
    """Versions with their aliases, verdict and card; arguments as those of the verb.

    Raises
    ------
    StageError
        If no registered version is meant.
    """
    from pipelines.params import read_run
    from pipelines.tracking import CANDIDATE, CHAMPION, Tracker, registered_horizons
    from trading.errors import StageError
    from trading.instrument import Instrument

    base = read_run(settings.home / "run.yaml")
    instrument = Instrument.parse(symbol or base.symbol, timeframe or base.timeframe)
    tracker = Tracker(settings, instrument)
    known = [name for owner, name in registered_horizons(settings) if owner == instrument]
    meant = [
        (name, {alias: tracker.version(name, alias) for alias in (CHAMPION, CANDIDATE)}, one)
        for name in known
        if horizon in (None, name)
        for one in tracker.versions(name)
        if version is None or one.version == str(version)
    ]
    if not meant:
        raise StageError(
            f"no such version of a model of {instrument.symbol} {instrument.timeframe}",
            where=settings.tracking_uri,
            rule=f"horizons with versions: {', '.join(known) or 'none yet'}",
            remedy="leave --horizon and --version out to see all; make one with `engine run"
            f" --symbol {instrument.symbol} --timeframe {instrument.timeframe}`",
        )
    return [
        {
            "name": one.name,
            "horizon": name,
            "version": one.version,
            "aliases": [alias for alias, at in live.items() if at and at.version == one.version],
            "as_of": one.tags["as_of"],
            "verdict": one.tags["verdict"],
            "card": tracker.attachment(one, f"cards/{one.name}.html"),
        }
        for name, live, one in meant
    ]
