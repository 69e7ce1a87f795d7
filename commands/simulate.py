"""``engine simulate``: bars of a market whose best possible forecast is known."""

from pathlib import Path
from typing import Annotated

import typer

from commands.console import load_settings, mendable, print_json, stdout_reserved


@mendable
def simulate(
    edge: Annotated[str, typer.Option(help="What is planted: none, linear, interaction, memory or regime.")] = "linear",
    accuracy: Annotated[
        float | None,
        typer.Option(help="Best share of directions foretold from past bars. Default: 0.6, or 0.5 without an edge."),
    ] = None,
    bars: Annotated[int, typer.Option(help="How many bars.")] = 20_000,
    timeframe: Annotated[str, typer.Option(help="Length of a bar, a day at most.")] = "1h",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    correlated: Annotated[int, typer.Option(help="Other assets whose returns are correlated with these.")] = 0,
    correlation: Annotated[float, typer.Option(help="That correlation, of one-bar returns.")] = 0.6,
    cointegrated: Annotated[int, typer.Option(help="Other assets whose price strays from this one and returns.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the bars, CSV (also .gz), Parquet or Feather; an old one is replaced. "
            "Default: data/simulated/EDGE/SIM-USD_TIMEFRAME.parquet of the state folder."
        ),
    ] = None,
    context_out: Annotated[
        Path | None,
        typer.Option(help="Folder for the other assets alone, for engine run --context. Default: beside the bars."),
    ] = None,
    answer: Annotated[
        Path | None, typer.Option(help="File for what an ideal observer expects after each bar; not for training.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Make bars with an edge of known kind and size, and say what the best forecast and strategy earn on them.

    Bars have volatility clusters, jumps, regimes and a daily season. The best accuracy from past bars and the best
    Sharpe ratio before costs are computed, not fitted; after costs (those of params.yaml) it is bounded from both
    sides. docs/simulated-markets.md says how.
    """
    from pipelines.params import read_params
    from pipelines.simulated_market import Beside, ending, lines_of, write_market
    from trading.markets.market import Market

    settings = load_settings()
    with stdout_reserved():
        params = read_params(settings.home / "params.yaml")
        usual = 0.5 if edge == "none" else 0.6
        market = Market(edge, usual if accuracy is None else accuracy, timeframe)  # type: ignore[arg-type]
        file = out or settings.state / "data" / "simulated" / edge / f"{market.instrument.slug}_{timeframe}.parquet"
        folder = context_out or file.with_name(f"{file.name.removesuffix(ending(file))}.context")
        beside = Beside(correlated, correlation, cointegrated, folder)
        costs = params.costs.costs()
        report = write_market(market, bars, seed, costs, params.validate_.min_bars, file, answer, beside)
    if as_json:
        print_json(report)
        return
    for line in lines_of(report):
        typer.echo(line)
