"""``engine stress``: what crashes would have cost the last run's positions, and how much capital they carry."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from commands.console import load_settings, mendable, print_json
from commands.finished import finished_workspace


@mendable
def stress(
    symbol: Annotated[str | None, typer.Option(help="Such as BTC/USD or BTC-USD. Default: that of run.yaml.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Length of a bar. Default: that of run.yaml.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Show what each scenario of stress.yaml did to the positions of the last run, and how much capital they carry.

    Losses are shares of the equity before: at the worst moment and over all, beyond what those hours would have cost
    anyway, to the worst price inside a bar, within a day; then the bars until it was made good, and the share of
    moments at which a limit would have fired.
    """
    from pipelines.artifacts import Artifacts
    from pipelines.params import read_params

    workspace = finished_workspace(load_settings(), symbol, timeframe)
    files, instrument = Artifacts(workspace.root), workspace.run.instrument
    horizons = read_params(workspace.root / "params.yaml").labels.horizons
    found = {horizon: files.read_json(f"data/stress/{horizon}/stress.json") for horizon in horizons}
    if as_json:
        print_json({"symbol": instrument.symbol, "timeframe": instrument.timeframe, "horizons": found})
        return
    typer.echo(f"Stress of {instrument.symbol} {instrument.timeframe}, in {workspace.root}")
    for horizon, table in found.items():
        for line in lines_of(horizon, table):
            typer.echo(line)


def lines_of(horizon: str, table: Mapping[str, Any]) -> Iterator[str]:
    """A horizon's table, a line for each scenario."""
    from dashboard.wording import number, percent

    capacity = table["capacity"]
    carries = capacity["reason"] or f"half of it is left at {number(capacity['half_capital'], 0)}"
    yield ""
    yield f"{horizon}: a position on {percent(table['exposure'], 0)} of bars, {table['moments']} moments"
    yield f"  Sharpe ratio without impact {number(capacity['free_sharpe'])}; {carries}"
    yield f"  {'':26}{'loss':>8}{'median':>8}{'added':>8}{'drawdown':>10}{'a day':>8}{'recovery':>10}  limits fired"
    for row in table["scenarios"]:
        fired = ", ".join(f"{name} {percent(share, 0)}" for name, share in row["limits"].items() if share)
        losses = "".join(f"{percent(row[name]):>8}" for name in ("loss", "loss_median", "added_loss"))
        losses += f"{percent(row['drawdown']):>10}"
        yield (
            f"  {row['name']:26}{losses}{percent(row['daily_loss']):>8}{number(row['recovery_bars'], 0):>10}  {fired}"
        ).rstrip()
    for one in table["skipped"]:
        yield f"  {one['name']:26}left out: {one['reason']}"
