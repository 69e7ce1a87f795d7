"""Each refit knows what was known by then, and finds what is there to be found."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.backtest.features_worth import judged_tasks, run_judged, worth
from pipelines.backtest.judge import judge
from pipelines.backtest.seeds import run_seed, seed_spread, seed_tasks
from pipelines.backtest.strategy import Strategy
from pipelines.backtest.walk_forward import FoldTask, fold_tasks, max_train, run_fold, splitter
from pipelines.dataset import Dataset
from pipelines.params import Params, overlay, parse_params
from pipelines.recipe import family_settings
from trading.errors import ParamsError
from trading.instrument import Instrument

N = 1200


@pytest.fixture(scope="module")
def trees(raw_params: dict[str, Any]) -> Params:
    """Params that vote with the trees only: no TensorFlow in these tests."""
    cheap = {"costs": {"fee_bps": 0.5, "spread_bps": 0.0, "slippage_bps": 0.0}}
    trees = {"models": {**raw_params["models"], "voting": {"random_forest": 1.0, "xgboost": 1.0}}}
    return parse_params(overlay({**raw_params, **trees}, cheap))


@pytest.fixture(scope="module")
def market(sample_bars: pd.DataFrame) -> tuple[pd.DataFrame, Dataset]:
    """Bars, and features of which ``a`` knows the sign of the next return two times in three."""
    bars = sample_bars.iloc[:N]
    rng = np.random.default_rng(0)
    ret = bars["open"].shift(-2) / bars["open"].shift(-1) - 1
    label = (ret > 0).astype(float).where(ret.notna())
    honest = rng.random(N) < 2 / 3
    known = np.where(honest, label.fillna(0), 1 - label.fillna(0))
    X = pd.DataFrame(rng.normal(size=(N, 3)), index=bars.index, columns=["a", "b", "volatility_24"])
    X["a"] = known + rng.normal(size=N) * 0.01
    X["volatility_24"] = 0.01
    t_end = (bars.index + pd.Timedelta(hours=2)).to_series(index=bars.index).where(label.notna())
    return bars, Dataset(X, label, ret, t_end)


def tasks(trees: Params, data: Dataset, instrument: Instrument) -> list[FoldTask]:
    return list(fold_tasks("1h", data, trees, instrument, family_settings(trees, {})))


def test_folds_cover_the_second_half_once(
    trees: Params, market: tuple[pd.DataFrame, Dataset], instrument: Instrument
) -> None:
    _, data = market
    found = tasks(trees, data, instrument)
    assert len(found) == trees.backtest.refits
    assert np.array_equal(np.concatenate([task.test for task in found]), np.arange(N // 2, N))
    for task in found:
        gap = task.data.X.index[task.test[0]] - task.data.t_end.iloc[task.train].max()
        assert gap >= trees.backtest.embargo_bars * instrument.bar


def test_a_planted_edge_is_found_and_its_feature_is_named(
    trees: Params, market: tuple[pd.DataFrame, Dataset], instrument: Instrument
) -> None:
    bars, data = market
    judged = [run_judged(job) for job in judged_tasks(tasks(trees, data, instrument), trees)]
    judgement = judge(Strategy(trees, instrument, "1h"), bars, [fold.result for fold in judged], "recipe", 0.95)
    found, streams = judgement.metrics, judgement.streams
    assert list(streams) == ["vote", "random_forest", "xgboost", "buy_and_hold", "reversal"]
    pd.testing.assert_series_equal(streams["vote"], judgement.curves["net_return"], check_names=False)
    held = judgement.predictions["position"]
    assert found["strategy"]["holding_bars"] == (held != 0).sum() / found["strategy"]["round_trips"]
    own = found["break_even_curve"]["cost_bps"].index(0.0)
    assert found["break_even_curve"]["sharpe"][own] > found["strategy"]["sharpe"]
    assert found["break_even_curve"]["zero_bps"] > found["break_even_curve"]["own_bps"]
    assert found["skill"]["vote"]["accuracy"] == pytest.approx(2 / 3, abs=0.05)
    assert found["skill_low"] > 0
    for test in (found["comparison"]["random"], found["comparison"]["random"]["runs"]):
        assert test["p_value"] == pytest.approx(1 / (test["paths"] + 1))
    carlo = found["monte_carlo"]
    assert 0 < carlo["time_under_water"]["p05"] < carlo["time_under_water"]["p95"] <= len(streams)
    assert 0 <= carlo["probability_of_ruin"] <= carlo["probability_of_loss"] <= 1
    for name in ("sharpe", "total_return", "max_drawdown", "time_under_water"):
        assert 0 < carlo["errors"][name]["p50"] < carlo[name]["p95"] - carlo[name]["p05"]
    assert 0 < carlo["errors"]["probability_of_loss"] < 0.1
    features, by_fold = worth(judged, trees, horizon_bars=1, bar=instrument.bar)
    first, second, *_ = features["importance"]
    assert first["feature"] == "a"
    assert first["low"] > second["high"]
    assert features["stability"]["folds"] == trees.backtest.refits == by_fold["fold"].nunique()
    assert features["selection"]["method"] == "none"
    assert found["comparison"]["random"]["beaten"] > 0.95
    assert [trial["params"]["member"] for trial in found["recipes"]] == ["vote", "random_forest", "xgboost"]


def test_other_seeds_spread_and_the_same_one_does_not(
    trees: Params, market: tuple[pd.DataFrame, Dataset], instrument: Instrument
) -> None:
    bars, data = market
    made, strategy = tasks(trees, data, instrument), Strategy(trees, instrument, "1h")
    others = list(seed_tasks(made, 2))
    assert [task.seed for task in others] == [trees.seed + 1, trees.seed + 2]
    assert all(task.fold == made[-1].fold for task in others)
    assert not list(seed_tasks(made, 0))
    own = run_fold(made[-1])
    found = seed_spread(strategy, bars, own, [run_seed(task) for task in reversed(others)])
    assert found["seeds"] == [7, 8, 9]
    assert found["reason"] is None
    assert (found["first"], found["last"]) == (bars.index[made[-1].test[0]], bars.index[-1])
    for name in ("sharpe", "accuracy"):
        one = found[name]
        assert len(set(one["values"])) > 1
        assert one["lowest"] <= one["mean"] <= one["highest"]
        assert one["deviation"] == pytest.approx(np.std(one["values"], ddof=1))
    # What the seed is to blame for is the seed's alone.
    same = seed_spread(strategy, bars, own, [run_seed(made[-1])])
    assert same["sharpe"]["deviation"] == same["accuracy"]["deviation"] == 0.0
    alone = seed_spread(strategy, bars, own, [])
    assert alone["sharpe"]["values"] == found["sharpe"]["values"][:1]
    assert alone["sharpe"]["deviation"] is None
    assert "backtest.seeds" in alone["reason"]


def test_labels_beyond_the_training_rows_change_nothing(
    trees: Params, market: tuple[pd.DataFrame, Dataset], instrument: Instrument
) -> None:
    _, data = market
    task = tasks(trees, data, instrument)[0]
    scrambled = data.y.copy()
    after = np.arange(int(task.train.max()) + 1, N)
    scrambled.iloc[after] = 1 - scrambled.iloc[after]
    said = [*task.weights, "vote", "unit_edge", "low", "high"]
    other = run_fold(replace(task, data=replace(data, y=scrambled)))
    pd.testing.assert_frame_equal(run_fold(task).predictions[said], other.predictions[said], check_exact=True)


def rolling(trees: Params, **changes: Any) -> Params:
    """Params whose fits look back on 300 bars."""
    backtest = trees.backtest.model_copy(update={"train_window": "300h", **changes})
    return trees.model_copy(update={"backtest": backtest})


def test_a_rolling_refit_learns_from_the_latest_labels_only(
    trees: Params, market: tuple[pd.DataFrame, Dataset], instrument: Instrument
) -> None:
    _, data = market
    params = rolling(trees)
    anchored, found = tasks(trees, data, instrument), tasks(params, data, instrument)
    for all_known, task in zip(anchored, found, strict=True):
        assert np.array_equal(task.test, all_known.test)
        assert np.array_equal(task.train, all_known.train[-300:])
    last = found[-1]
    forgotten = data.X.index[: last.train[0]]
    X, y, ret = data.X.copy(), data.y.copy(), data.ret.copy()
    X.loc[forgotten], y.loc[forgotten], ret.loc[forgotten] = 1e3, 1 - y.loc[forgotten], 0.5
    said = [*last.weights, "vote", "unit_edge", "majority"]
    kept, other = run_fold(last), run_fold(replace(last, data=replace(data, X=X, y=y, ret=ret)))
    pd.testing.assert_frame_equal(kept.predictions[said], other.predictions[said], check_exact=True)
    assert (kept.train_first, kept.train_rows) == (data.X.index[last.train[0]], 300)
    assert kept.purged_rows == last.test[0] - last.train[-1] - 1 == trees.backtest.embargo_bars + 1
    # What is served is fitted on as many.
    assert np.array_equal(data.known_rows(max_train(params, instrument)), np.arange(N - 300, N) - 2)


def test_blocks_are_as_few_as_are_no_longer_than_the_cadence(
    trees: Params, market: tuple[pd.DataFrame, Dataset], instrument: Instrument
) -> None:
    _, data = market
    for refits, blocks in (("10d", 3), ("200h", 3), ("199h", 4), ("100d", 1), (5, 5)):
        found = tasks(rolling(trees, refits=refits), data, instrument)
        assert len(found) == blocks
        assert np.array_equal(np.concatenate([task.test for task in found]), np.arange(N // 2, N))


def test_a_duration_below_one_bar_is_refused(trees: Params, instrument: Instrument) -> None:
    with pytest.raises(ParamsError, match=r"backtest\.refits is 30m, and a bar is 1h"):
        splitter(rolling(trees, refits="30m"), instrument, N)
    with pytest.raises(ParamsError, match=r"backtest\.train_window is 59m"):
        max_train(rolling(trees, train_window="59m"), instrument)


def test_a_strategy_that_never_trades_is_judged_without_numbers_out_of_nothing(
    raw_params: dict[str, Any], trees: Params, market: tuple[pd.DataFrame, Dataset], instrument: Instrument
) -> None:
    bars, data = market
    dear = parse_params(overlay(raw_params, {"costs": {"fee_bps": 5000.0}}))
    dear = dear.model_copy(update={"models": trees.models})
    folds = [run_fold(task) for task in tasks(dear, data, instrument)]
    found = judge(Strategy(dear, instrument, "1h"), bars, folds, "recipe", 0.95).metrics
    assert found["strategy"]["trades"] == 0
    assert np.isnan(found["monte_carlo"]["sharpe"]["p50"])
    assert found["monte_carlo"]["probability_of_ruin"] == 0.0
    assert found["moments"]["sharpe_per_bar"] == 0.0
    assert np.isnan(found["strategy"]["sharpe"])
    assert np.isnan(found["comparison"]["random"]["beaten"])
    assert np.isnan(found["strategy"]["holding_bars"])
    assert found["break_even_curve"]["reason"] == "it never traded"
