"""A fair game gives nothing away before costs, and whoever sees ahead in it is found."""

import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.bundle import Member, write_bundle
from pipelines.backtest.strategy import Strategy
from pipelines.features.chosen import Chosen, choose
from pipelines.features.engine import FeatureEngine
from pipelines.monte_carlo.null_market import NullMarket, draw_markets, gross_z, null_result, obstacle, packed
from pipelines.monte_carlo.price_paths import PriceModel, VolumeModel, simulate_bars
from pipelines.monte_carlo.stopping import Effort
from pipelines.monte_carlo.switching_garch import SwitchingGarch
from pipelines.params import Params
from pipelines.train.context_tail import context_tail
from tests.bundles import spec
from tests.test_pipelines.test_monte_carlo.markets import hourly
from trading.costs import Costs
from trading.errors import ModelError
from trading.instrument import Instrument

INSTRUMENT = Instrument("BTC/USD", "1h")
WILD = SwitchingGarch(1e-3, 0.05, 0.1, 0.85, (0.6, 1.5), (0.98, 0.96), 0.05, 3.0)
MODEL = PriceModel(replace(WILD, level=0.01), 1.2, VolumeModel(5.0, 0.0, 0.0, 0.0, 0.1))
COSTS = Costs(fee_bps=5.0, spread_bps=2.0, slippage_bps=1.0)
GROUPS = ("momentum", "volatility")


@dataclass(frozen=True)
class Foreseen(Chosen):
    """Features that know the next bar: what a shift in the wrong direction does."""

    def engine(self) -> FeatureEngine:
        engine = super().engine()
        batch = engine.batch
        engine.batch = lambda bars, context=None: batch(bars, context).shift(-1).ffill()  # type: ignore[method-assign]
        return engine


def graph(names: list[str], slope: float) -> onnx.ModelProto:
    """A sigmoid of the last bar's return."""
    weights = np.zeros((len(names), 1), dtype=np.float32)
    weights[names.index("return_1")] = slope
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", ["input", "weights"], ["score"]),
                helper.make_node("Sigmoid", ["score"], ["prob_up"]),
            ],
            "momentum",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", len(names)])],
            [helper.make_tensor_value_info("prob_up", TensorProto.FLOAT, ["N", 1])],
            [numpy_helper.from_array(weights, "weights")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def market(params: Params, folder: Path) -> NullMarket:
    """Two horizons, each with a bundle: one follows the last bar, the other bets against it."""
    chosen = choose(GROUPS, "1h", [], [], [])
    engine = chosen.engine()
    bars = hourly(900, 0)
    for horizon, slope in (("1h", 200.0), ("4h", -200.0)):
        write_bundle(
            folder / horizon,
            members=[Member("xgboost", graph(engine.names, slope), 1, 1.0)],
            spec=spec(params, INSTRUMENT, horizon, bars, features=engine.batch(bars), engine=engine),
            history=bars,
            context=context_tail(engine, bars, {}),
        )
    strategies = tuple(Strategy(params, INSTRUMENT, horizon) for horizon in ("1h", "4h"))
    bundles = {horizon: packed(folder / horizon) for horizon in ("1h", "4h")}
    return NullMarket(MODEL, bars.index[0], 100.0, 500, chosen, strategies, bundles, 3)


def drawn(market: NullMarket, most: int = 12) -> dict[str, Any]:
    return draw_markets(market, Effort(0.0, 6, most), map)


def test_in_a_fair_game_whoever_is_long_earns_nothing_and_without_it_something() -> None:
    index = pd.date_range("2020", periods=40_000, freq="h", tz="UTC", name="timestamp")
    z = []
    for fair, model in ((True, WILD), (False, replace(WILD, mean=0.0))):
        paths = [
            simulate_bars(replace(MODEL, recursion=model), index, 1.0, seed=1, path=n, fair=fair) for n in range(5)
        ]
        returns = np.concatenate([bars["close"] / bars["open"] - 1.0 for bars in paths])
        z.append(returns.sum() / np.sqrt(returns @ returns))
    assert abs(z[0]) < 3.0
    assert z[1] > 5.0  # half the variance, which compounding makes of log returns with a mean of zero


def test_a_sound_strategy_earns_nothing_before_costs_and_loses_them_after(market: NullMarket) -> None:
    for draws in drawn(market).values():
        found = null_result(draws, 0.5, COSTS.per_side)
        assert abs(found["z"]) < 3.5
        assert found["annual_cost"]["mean"] > 1.0
        lost = found["gross_annual_return"]["mean"] - found["annual_return"]["mean"]
        assert lost == pytest.approx(found["annual_cost"]["mean"], rel=0.05)
        assert found["sharpe"]["mean"] < found["gross_sharpe"]["mean"]
        assert 0.0 < found["exposure"]["mean"] <= 1.0


def test_a_planted_leak_is_found_whichever_way_it_is_used(market: NullMarket) -> None:
    seeing = replace(market, chosen=Foreseen(**vars(market.chosen)))
    found = {horizon: null_result(draws, 0.5, COSTS.per_side) for horizon, draws in drawn(seeing, 6).items()}
    assert found["1h"]["z"] > 10.0
    assert found["1h"]["gross_sharpe"]["mean"] > 20.0
    assert found["4h"]["z"] < -10.0


def test_paths_are_the_same_however_they_are_handed_out(market: NullMarket) -> None:
    at_once = draw_markets(market, Effort(0.0, 6, 6), map)
    # As to other processes, which is by pickle.
    bit_by_bit = draw_markets(
        market, Effort(0.0, 1, 6), lambda run, pieces: map(run, pickle.loads(pickle.dumps(pieces)))
    )
    for horizon in at_once:
        pd.testing.assert_frame_equal(at_once[horizon].statistics, bit_by_bit[horizon].statistics)
    assert at_once["1h"].statistics["sharpe"].nunique() == 6


def test_it_stops_once_every_horizon_is_known_well_enough(market: NullMarket) -> None:
    draws = draw_markets(market, Effort(1e9, 3, 12), map)
    assert {(len(one.statistics), one.stopped_by) for one in draws.values()} == {(3, "tolerance")}


def test_what_features_read_beside_the_bars_is_missing(market: NullMarket, params: Params, tmp_path: Path) -> None:
    beside = replace(market.chosen, groups=(*GROUPS, "cross_asset"), assets=("ETH/USD",))
    engine = beside.engine()
    bars = hourly(900, 0)
    features = engine.batch(bars, {"ETH/USD": bars.iloc[:0]})
    write_bundle(
        tmp_path / "1h",
        members=[Member("xgboost", graph(engine.names, 200.0), 1, 1.0)],
        spec=spec(params, INSTRUMENT, "1h", bars, features=features, engine=engine),
        history=bars,
        context=context_tail(engine, bars, {"ETH/USD": bars}),
    )
    other = replace(market, chosen=beside, bundles={"1h": packed(tmp_path / "1h")}, strategies=market.strategies[:1])
    pd.testing.assert_frame_equal(drawn(other, 2)["1h"].statistics, drawn(market, 2)["1h"].statistics)


def test_without_a_bundle_there_is_nothing_to_trade(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        packed(tmp_path / "1h")


def test_no_bars_are_simulated_for_features_of_the_order_flow() -> None:
    assert obstacle(FeatureEngine(GROUPS, "1h")) is None
    assert obstacle(FeatureEngine([*GROUPS, "order_flow"], "1h")) == (
        "simulated bars have no taker_buy_volume, trades, which features read"
    )


def test_whoever_holds_nothing_earns_nothing() -> None:
    assert gross_z(pd.DataFrame({"gross_total": [0.0], "gross_squares": [0.0]})) == 0.0
