"""Every path is whole, no fit knows its test, an edge shows on all paths, and noise earns what it costs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.backtest.combinatorial import path_sharpes, run_split, split_tasks
from pipelines.backtest.strategy import Strategy
from pipelines.dataset import Dataset
from pipelines.params import Params, overlay, parse_params
from pipelines.recipe import family_settings, recipe_hash
from trading.errors import ParamsError
from trading.instrument import Instrument

N = 1200


@pytest.fixture(scope="module")
def raw(raw_params: dict[str, Any]) -> dict[str, Any]:
    """A small forest votes alone, on four groups of which two are tested: six fits, three paths."""
    cheap = {
        "costs": {"fee_bps": 0.5, "spread_bps": 0.0, "slippage_bps": 0.0},
        "models": {"random_forest": {"crosses": 0, "n_estimators": 10}},
        "backtest": {"embargo_bars": 5, "combinatorial": {"groups": 4, "test_groups": 2}},
    }
    found = overlay(raw_params, cheap)
    return found | {"models": found["models"] | {"voting": {"random_forest": 1.0}}}


@pytest.fixture(scope="module")
def params(raw: dict[str, Any]) -> Params:
    return parse_params(raw)


def market(seed: int, honest: float) -> tuple[pd.DataFrame, Dataset]:
    """A random walk, and a feature ``a`` that names the sign of the next return with a chance of ``honest``."""
    rng = np.random.default_rng(seed)
    index = pd.date_range("2024-01-01", periods=N, freq="h", tz="UTC", name="timestamp")
    close = 100 * np.exp(np.cumsum(rng.normal(size=N) * 0.01))
    opened = np.concatenate([[100.0], close[:-1]])
    prices = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close}
    bars = pd.DataFrame(prices | {"volume": 1.0}, index=index)
    ret = bars["open"].shift(-2) / bars["open"].shift(-1) - 1
    label = (ret > 0).astype(float).where(ret.notna())
    said = np.where(rng.random(N) < honest, label.fillna(0), 1 - label.fillna(0))
    X = pd.DataFrame({"a": said + rng.normal(size=N) * 0.01, "b": rng.normal(size=N), "volatility_24": 0.01}, index)
    t_end = (index + pd.Timedelta(hours=2)).to_series(index=index).where(label.notna())
    return bars, Dataset(X, label, ret, t_end)


def evaluated(params: Params, instrument: Instrument, seed: int, honest: float) -> dict[str, Any]:
    bars, data = market(seed, honest)
    tasks = split_tasks("1h", data, params, instrument, family_settings(params, {}))
    said = [run_split(task) for task in tasks]
    found = path_sharpes(Strategy(params, instrument, "1h"), bars, data.y.iloc[N // 2 :], said)
    assert found is not None
    return found


def test_no_fit_knows_its_test_and_each_row_is_said_once_a_path(params: Params, instrument: Instrument) -> None:
    _, data = market(0, 0.5)
    times = np.zeros(N, dtype=int)
    found = list(split_tasks("1h", data, params, instrument, family_settings(params, {})))
    assert len(found) == 6
    margin = 5 * instrument.bar
    for task in found:
        said = run_split(task)
        assert said.index.equals(data.X.index[task.test])
        assert said.notna().all(axis=None)
        times[task.test] += 1
        opened, ended = data.X.index[task.train].to_numpy(), data.t_end.iloc[task.train].to_numpy()
        for row in task.test[::10]:
            start = data.X.index[row]
            assert np.all((ended + margin <= start) | (opened >= start + 2 * instrument.bar + margin))
        # A fit knows what came after its test as well, unless its test is the end.
        assert (task.train.max() > task.test.max()) == (task.test.max() < N - 1)
    assert np.array_equal(times, np.repeat([0, 3], N // 2))


def test_an_edge_shows_on_every_path(params: Params, instrument: Instrument) -> None:
    found = evaluated(params, instrument, 1, 0.75)
    sharpes = [path["sharpe"] for path in found["paths"]]
    assert (found["groups"], found["test_groups"], found["splits"], len(sharpes)) == (4, 2, 6, 3)
    assert min(sharpes) > 10
    assert all(path["accuracy"] == pytest.approx(0.75, abs=0.05) for path in found["paths"])
    assert found["below_zero"] == 0
    assert found["sharpe"]["mean"] == pytest.approx(np.mean(sharpes))
    assert found["sharpe"]["p50"] == pytest.approx(np.median(sharpes))
    assert list(found["sharpe"]) == ["mean", "p05", "p25", "p50", "p75", "p95"]
    # Paths share fits, and the fits share most of their rows.
    assert found["correlation"] > 0.5


def test_noise_centres_on_zero_before_costs_and_on_its_costs_after(raw: dict[str, Any], instrument: Instrument) -> None:
    always = overlay(raw, {"positions": {"round_trips": 0.0}})
    free, dear = (parse_params(overlay(always, {"costs": {"fee_bps": fee}})) for fee in (0.0, 10.0))
    before = [evaluated(free, instrument, seed, 0.5) for seed in range(8)]
    means = np.array([found["sharpe"]["mean"] for found in before])
    assert abs(means.mean()) < 3 * means.std(ddof=1) / np.sqrt(len(means))
    after = evaluated(dear, instrument, 0, 0.5)
    assert after["below_zero"] == 1
    for cheap, path in zip(before[0]["paths"], after["paths"], strict=True):
        # Each fill changes the side and pays for twice the equity.
        paid = np.log1p(cheap["total_return"]) - np.log1p(path["total_return"])
        assert paid == pytest.approx(2 * 10e-4 * path["trades"], rel=0.1)


def test_paths_without_a_trade_have_no_sharpe(raw: dict[str, Any], instrument: Instrument) -> None:
    found = evaluated(parse_params(overlay(raw, {"costs": {"fee_bps": 5000.0}})), instrument, 0, 0.5)
    assert [path["trades"] for path in found["paths"]] == [0, 0, 0]
    assert np.isnan([*found["sharpe"].values(), found["below_zero"], found["correlation"]]).all()


def test_without_groups_nothing_is_fitted(raw: dict[str, Any], instrument: Instrument) -> None:
    off = parse_params(overlay(raw, {"backtest": {"combinatorial": {"groups": 0}}}))
    bars, data = market(0, 0.5)
    assert list(split_tasks("1h", data, off, instrument, family_settings(off, {}))) == []
    assert path_sharpes(Strategy(off, instrument, "1h"), bars, data.y, []) is None


def test_a_test_leaves_a_group_and_is_no_part_of_the_recipe(raw: dict[str, Any], params: Params) -> None:
    with pytest.raises(ParamsError, match="test_groups 4 must be below groups 4"):
        parse_params(overlay(raw, {"backtest": {"combinatorial": {"test_groups": 4}}}))
    other = parse_params(overlay(raw, {"backtest": {"combinatorial": {"groups": 9}}}))
    assert recipe_hash(other, "1h", "features") == recipe_hash(params, "1h", "features")
