"""Monte Carlo: the whole strategy in markets without a direction, and its decisions replayed otherwise."""

from typing import Any

import numpy as np

from pipelines.backtest.strategy import Strategy
from pipelines.context import Context
from pipelines.features.chosen import chosen_features
from pipelines.inputs import read_bars
from pipelines.monte_carlo.null_market import NullMarket, draw_markets, null_result, obstacle, packed
from pipelines.monte_carlo.price_paths import fit_price_model
from pipelines.monte_carlo.replays import Replay, replays
from pipelines.monte_carlo.stopping import Effort
from trading.errors import BarError, ModelError, TooFewBarsError


def run(context: Context) -> None:
    """Read bars, bundles and the walk-forward's predictions; write what was simulated for each horizon.

    The market is fitted to all bars, as the bundles are: what is asked is what they would do in a market like today's.
    That they have seen these bars helps them nothing, for a simulated move owes none of them its direction.
    """
    params, instrument, files = context.params, context.run.instrument, context.files
    horizons = params.labels.horizons
    bars = read_bars(files)
    strategies = [Strategy(params, instrument, horizon) for horizon in horizons]
    jobs = []
    for strategy in strategies:
        predictions = files.read_frame(f"data/backtest/{strategy.horizon}/predictions.parquet")
        window = bars.loc[predictions.index[0] : predictions.index[-1]]
        seed = np.random.default_rng([params.seed, instrument.bars_in(strategy.horizon)]).integers(2**31)
        jobs.append(Replay(strategy, window, predictions[["vote", "unit_edge", "position"]], int(seed)))
    # Handed out at once: other processes have something to do while this one fits a market.
    replayed = context.map(replays, jobs)
    markets = _markets(context, strategies)
    for number, (horizon, found) in enumerate(zip(horizons, replayed, strict=True), start=1):
        files.write_json(f"data/monte_carlo/{horizon}.json", {"markets": markets[horizon]} | found)
        context.progress(number, len(horizons), f"decisions over {horizon} replayed")


def _markets(context: Context, strategies: list[Strategy]) -> dict[str, dict[str, Any]]:
    """What every horizon did in simulated markets, or why there are none."""
    params, bars = context.params, read_bars(context.files)
    settings = params.monte_carlo
    chosen = chosen_features(context.files, params, context.run)
    reason = obstacle(chosen.engine())
    if reason is None:
        context.progress(0, len(strategies), f"fitting a market of {settings.regimes} regimes to {len(bars)} bars")
        try:
            model = fit_price_model(bars, settings.regimes)
        except (BarError, ModelError, TooFewBarsError) as error:
            reason = f"no model of the market: {error.what}"
    if reason is not None:
        return {strategy.horizon: {"draws": 0, "z": None, "reason": reason} for strategy in strategies}
    market = NullMarket(
        model=model,
        first=bars.index[0],
        price=float(bars["open"].iloc[0]),
        bars=settings.bars,
        chosen=chosen,
        strategies=tuple(strategies),
        bundles={one.horizon: packed(context.files.path(f"data/train/{one.horizon}")) for one in strategies},
        seed=params.seed,
    )
    context.progress(0, len(strategies), f"up to {settings.markets.most} simulated markets")
    drawn = draw_markets(market, Effort(**settings.markets.model_dump()), context.map)
    return {
        horizon: null_result(draws, params.backtest.monte_carlo.ruin, params.costs.costs().per_side) | {"reason": None}
        for horizon, draws in drawn.items()
    }
