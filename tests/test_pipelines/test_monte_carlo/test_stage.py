"""The stage trades what was trained in simulated markets, or says why it cannot."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.context import Context
from pipelines.features.chosen import choose
from pipelines.monte_carlo.stage import run
from pipelines.params import overlay
from tests.bundles import fake_run
from tests.test_pipelines.test_monte_carlo.markets import hourly
from tests.workspace import make_context

OWN = {"features": {"groups": ["momentum", "volatility"]}, "labels": {"horizons": ["1h", "4h"]}}


def workspace(folder: Path, raw_params: dict[str, Any], bars: pd.DataFrame, own: dict[str, Any] = OWN) -> Context:
    """A workspace after its backtest, in which 4h never traded."""
    context = make_context(folder, overlay(raw_params, own), folder / "none.parquet")
    files = context.files
    files.write_frame("data/validated/bars.parquet", bars)
    files.write_json("data/raw/ingest.json", {"context": []})
    engine = choose(context.params.features.groups, "1h", list(bars.columns), [], []).engine()
    fake_run(folder, context.params, context.run.instrument, bars, engine.batch(bars), engine=engine, seed=5)
    (folder / "workspace" / "data" / "train").rename(files.path("data/train"))
    rng = np.random.default_rng(0)
    for horizon, position in (("1h", np.sign(rng.normal(size=len(bars)))), ("4h", np.zeros(len(bars)))):
        said = pd.DataFrame({"vote": 0.5 + position / 4, "unit_edge": 0.01, "position": position}, index=bars.index)
        files.write_frame(f"data/backtest/{horizon}/predictions.parquet", said.iloc[600:])
    return context


def test_each_horizon_is_traded_in_the_same_markets(tmp_path: Path, raw_params: dict[str, Any]) -> None:
    context = workspace(tmp_path, raw_params, hourly(1_400, 0))
    said: list[str] = []
    run(Context(**{**vars(context), "progress": lambda done, total, note: said.append(note)}))
    for horizon, trades in (("1h", True), ("4h", False)):
        found = context.files.read_json(f"data/monte_carlo/{horizon}.json")
        markets = found["markets"]
        assert (markets["draws"], markets["stopped_by"], markets["reason"]) == (3, "most", None)
        assert abs(markets["z"]) < 4.0
        assert (found["trades"]["permuted"] is not None) == trades
        assert found["execution"]["draws"] == found["returns"]["draws"] == 6
    assert said[0] == "fitting a market of 2 regimes to 1400 bars"
    assert said[-1] == "decisions over 4h replayed"


def test_without_order_flow_in_simulated_bars_it_says_so_and_replays_the_rest(
    tmp_path: Path, raw_params: dict[str, Any]
) -> None:
    bars = hourly(1_400, 0)
    bars = bars.assign(taker_buy_volume=bars["volume"] / 2, trades=10.0)
    groups = {"features": {"groups": ["momentum", "volatility", "order_flow"]}}
    context = workspace(tmp_path, raw_params, bars, OWN | groups)
    run(context)
    found = context.files.read_json("data/monte_carlo/1h.json")
    assert found["markets"] == {
        "draws": 0,
        "z": None,
        "reason": "simulated bars have no taker_buy_volume, trades, which features read",
    }
    assert found["execution"]["draws"] == 6


def test_where_no_model_fits_it_says_so_and_replays_the_rest(tmp_path: Path, raw_params: dict[str, Any]) -> None:
    bars = hourly(1_400, 0)
    context = workspace(tmp_path, raw_params, bars)
    context.files.write_frame("data/validated/bars.parquet", bars.iloc[500:])
    run(context)
    for horizon in ("1h", "4h"):
        found = context.files.read_json(f"data/monte_carlo/{horizon}.json")
        assert found["markets"]["z"] is None
        assert found["markets"]["reason"].startswith("no model of the market: 899 ")
        assert found["execution"]["draws"] == 6
