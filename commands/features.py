"""``engine features``: what is known about a bar at its close."""

from typing import Annotated

import typer

from commands.console import load_settings, mendable, print_json

app = typer.Typer(help="What is known about a bar at its close.", no_args_is_help=True)


@app.command("list")
@mendable
def list_features(
    group: Annotated[str | None, typer.Option(help="Only the features of this group.")] = None,
    timeframe: Annotated[str, typer.Option(help="Length of a bar.")] = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Name, group, warm-up, inputs, formula and source of every feature, those that params.yaml leaves out included.

    In formulas o h l c are the logarithms of the prices, r is the change of c, v the volume, m the money that changed
    hands, tr the true range, p the mean of h l c, w where in its range a bar closed; x[-1] is x one bar ago. ETH/USD
    stands for any other instrument.
    """
    from pipelines.features.listing import described, lines_of
    from pipelines.params import read_params

    settings = load_settings()
    used = read_params(settings.home / "params.yaml").features.groups
    rows = described(timeframe, group, used)
    if as_json:
        print_json({"timeframe": timeframe, "features": rows})
        return
    for line in lines_of(rows):
        typer.echo(line)
