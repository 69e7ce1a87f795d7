"""Stress: the walk-forward's positions through every scenario of the catalogue, and with more and more capital."""

from pipelines.context import Context
from pipelines.inputs import read_bars
from pipelines.stress.account import Account
from pipelines.stress.capacity import capacity_curve
from pipelines.stress.replay import stress_test
from pipelines.stress.scenario import CATALOGUE, read_catalogue


def run(context: Context) -> None:
    """Read bars, positions and the catalogue; write a horizon's table and the paths of the worst moments."""
    params, instrument, files = context.params, context.run.instrument, context.files
    scenarios = read_catalogue(files.path(CATALOGUE))
    bars = read_bars(files)
    account = Account.of(params, instrument)
    for number, horizon in enumerate(params.labels.horizons):
        context.progress(number, len(params.labels.horizons), f"{len(scenarios)} scenarios over {horizon}")
        decided = files.read_frame(f"data/backtest/{horizon}/predictions.parquet")["position"]
        positions = decided.to_frame(instrument.symbol)
        market = {instrument.symbol: bars.loc[positions.index[0] : positions.index[-1]]}
        table, paths = stress_test(scenarios, market, positions, account, params.stress, instrument.bar)
        capacity = capacity_curve(market, positions, account, params.stress.capacity, params.backtest.confidence)
        files.write_json(f"data/stress/{horizon}/stress.json", table | {"capacity": capacity})
        files.write_frame(f"data/stress/{horizon}/paths.parquet", paths)
    context.progress(len(params.labels.horizons), len(params.labels.horizons), "every scenario replayed")
