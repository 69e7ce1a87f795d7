"""The whole strategy in markets that have no direction: a null for everything between bars and money.

Prices are a fair game (:func:`pipelines.monte_carlo.price_paths.simulate_bars`): whatever the bars before say, the next
one's expected return is zero. Features, graphs, positions and simulator are those of the run. So before costs nothing
can be earned but by luck, and after costs the costs are lost. A strategy that earns there saw what it could not know;
one that loses more than its costs saw it too, and bets against it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from models.bundle import Bundle, load_bundle
from models.return_scale import ReturnScale
from pipelines.backtest.strategy import Strategy
from pipelines.context import Map
from pipelines.dataset import VOLATILITY
from pipelines.features.chosen import Chosen
from pipelines.features.context import nothing
from pipelines.features.engine import FeatureEngine
from pipelines.monte_carlo.distribution import distribution
from pipelines.monte_carlo.estimate import Estimate, mean
from pipelines.monte_carlo.path_statistics import path_statistics
from pipelines.monte_carlo.price_paths import PriceModel, simulate_bars
from pipelines.monte_carlo.stopping import Draws, Effort, draw_until
from trading.bars import COLUMNS
from trading.costs import Costs

_FREE = Costs(fee_bps=0.0, spread_bps=0.0, slippage_bps=0.0)
_MORE = ("annual_return", "annual_cost", "exposure", "gross_sharpe", "gross_annual_return")
# Paths that a worker opens the bundles for.
_PIECE = 4


@dataclass(frozen=True)
class NullMarket:
    """A market to draw from, and what is traded on it; travels to other processes.

    Attributes
    ----------
    model
        Of the bars.
    first, price
        Opening of the first bar, and its price.
    bars
        That are traded, after the features' warm-up.
    chosen
        Features. What they read beside the bars is missing in a market that is not there, as it is online while
        nothing was published: neutral, and marked.
    strategies
        One for each horizon.
    bundles
        Files of each horizon's bundle, by name: a worker may be on a machine that has no such folder.
    seed
        Path number i is told by it and i.
    """

    model: PriceModel
    first: pd.Timestamp
    price: float
    bars: int
    chosen: Chosen
    strategies: tuple[Strategy, ...]
    bundles: Mapping[str, Mapping[str, bytes]]
    seed: int


@dataclass(frozen=True)
class Piece:
    """Some paths of a market: work for one process."""

    market: NullMarket
    first: int
    count: int


def obstacle(engine: FeatureEngine) -> str | None:
    """Why features cannot be computed on simulated bars, or None."""
    lacking = [name for name in engine.columns if name not in COLUMNS]
    return f"simulated bars have no {', '.join(lacking)}, which features read" if lacking else None


def packed(folder: Path) -> dict[str, bytes]:
    """Files of a bundle, by name; raises as :func:`models.bundle.load_bundle`, before anything is drawn."""
    load_bundle(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def draw_markets(market: NullMarket, effort: Effort, workers: Map) -> dict[str, Draws]:
    """Trade every horizon on as many paths as it takes to know the mean gross Sharpe ratio of each well enough.

    Returns
    -------
    dict
        For each horizon draws with the columns of :func:`trade_path`, index ``path``; all of the same paths.
    """
    horizons = [strategy.horizon for strategy in market.strategies]

    def draw(first: int, count: int) -> pd.DataFrame:
        pieces = [
            Piece(market, start, min(_PIECE, first + count - start)) for start in range(first, first + count, _PIECE)
        ]
        drawn: list[pd.DataFrame] = list(workers(trade_paths, pieces))
        return pd.concat(drawn)

    def worst(statistics: pd.DataFrame) -> Estimate:
        return max((mean(statistics[one, "gross_sharpe"]) for one in horizons), key=lambda found: found.error)

    drawn = draw_until(draw, worst, effort)
    by_horizon = {one: pd.DataFrame(drawn.statistics.xs(one, axis=1, level=0)) for one in horizons}
    return {one: Draws(found, mean(found["gross_sharpe"]), drawn.stopped_by) for one, found in by_horizon.items()}


def trade_paths(piece: Piece) -> pd.DataFrame:
    """Statistics of some paths: one row a path, columns by horizon and name."""
    market = piece.market
    engine = market.chosen.engine()
    bundles = {one.horizon: _unpacked(market.bundles[one.horizon]) for one in market.strategies}
    numbers = range(piece.first, piece.first + piece.count)
    rows = [
        {
            (horizon, name): value
            for horizon, statistics in _traded(market, engine, bundles, number)
            for name, value in statistics.items()
        }
        for number in numbers
    ]
    return pd.DataFrame(rows, index=pd.Index(numbers, name="path"), columns=pd.MultiIndex.from_tuples(rows[0]))


def trade_path(strategy: Strategy, bundle: Bundle, bars: pd.DataFrame, features: pd.DataFrame) -> dict[str, float]:
    """Trade a bundle's forecasts on one path, at the run's costs and at none.

    Parameters
    ----------
    strategy
        How forecasts are traded.
    bundle
        Whose graphs are asked.
    bars
        Of the path.
    features
        Of those bars that are past the warm-up.

    Returns
    -------
    dict
        Net: what :func:`path_statistics` says, ``exposure``, ``turnover_per_year`` and ``annual_return``, which is the
        mean return of a bar times the bars of a year. Gross: ``gross_sharpe``, ``gross_annual_return``,
        and the sums ``gross_total`` and ``gross_squares`` of the bars' returns and of their squares.
    """
    per_year = strategy.instrument.bars_per_year
    probability = bundle.predict(features)
    scale = ReturnScale(bundle.spec["return_scale"]["mean_abs"])
    certain = pd.Series(1.0, index=features.index)
    edge = scale.edge(certain, features[VOLATILITY], strategy.instrument.bars_in(strategy.horizon))
    positions = strategy.positions(probability, edge)
    net, gross = (strategy.simulate(bars, positions, costs) for costs in (None, _FREE))
    returns = gross.returns.to_numpy()
    return {
        **path_statistics(net.returns, per_year),
        "annual_return": float(net.returns.mean()) * per_year,
        "exposure": net.metrics["exposure"],
        "turnover_per_year": net.metrics["turnover_per_year"],
        "gross_sharpe": gross.metrics["sharpe"],
        "gross_annual_return": float(returns.mean()) * per_year,
        "gross_total": float(returns.sum()),
        "gross_squares": float(returns @ returns),
    }


def gross_z(statistics: pd.DataFrame) -> float:
    """How many standard errors the mean gross return of all bars of all paths is above zero.

    The sum of the returns over the root of the sum of their squares. In a fair game returns are differences of a
    martingale, so that the ratio is close to normal for many bars; where their sign is a coin's, it exceeds z with a
    probability of exp(-z²/2) at most, however few bars there are and however wild (V. H. de la Peña, Annals of
    Probability 27, 1999); and as often it is below -z. Zero where nothing was ever held.
    """
    squares = float(statistics["gross_squares"].sum())
    return float(statistics["gross_total"].sum()) / math.sqrt(squares) if squares > 0.0 else 0.0


def null_result(draws: Draws, ruin: float, per_side: float) -> dict[str, Any]:
    """What a horizon did in the markets.

    Parameters
    ----------
    draws
        From :func:`draw_markets`.
    ruin
        The part of its first equity at which a path is ruined.
    per_side
        Costs of a fill as a fraction of its notional.

    Returns
    -------
    dict
        What :func:`pipelines.monte_carlo.distribution.distribution` says, of net returns where the name does not say
        gross; ``annual_cost``, what the turnover costs a year; and ``z``, see :func:`gross_z`.
    """
    costs = draws.statistics.assign(annual_cost=draws.statistics["turnover_per_year"] * per_side)
    described = Draws(costs, draws.estimate, draws.stopped_by)
    return distribution(described, ruin, _MORE) | {"z": gross_z(draws.statistics)}


def _traded(
    market: NullMarket, engine: FeatureEngine, bundles: Mapping[str, Bundle], number: int
) -> Iterator[tuple[str, dict[str, float]]]:
    index = pd.date_range(market.first, periods=engine.warmup + market.bars, freq=engine.bar, name="timestamp")
    bars = simulate_bars(market.model, index, market.price, seed=market.seed, path=number, fair=True)
    # Of everything that features read beside the bars, nothing.
    silence = {one.name: bars.iloc[:0] if one.name in market.chosen.assets else nothing(one) for one in engine.series}
    features = engine.batch(bars, silence).iloc[engine.warmup :]
    for strategy in market.strategies:
        yield strategy.horizon, trade_path(strategy, bundles[strategy.horizon], bars, features)


def _unpacked(files: Mapping[str, bytes]) -> Bundle:
    """The bundle; it reads nothing of its folder but what it has loaded."""
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return load_bundle(Path(folder))
