"""A run with something beside its bars: from a folder of files to features and labels, and the audit of all of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.checks import Findings
from pipelines.audit.pipeline import Pipeline
from pipelines.audit.stage import Made, _question_features
from pipelines.context import Context
from pipelines.features import FeatureEngine, cross_asset
from pipelines.features.chosen import chosen_features, feature_engine
from pipelines.inputs import read_bars, read_context, read_datasets, read_features
from pipelines.params import overlay
from pipelines.sentiment.errors import UnreachedError
from tests.workspace import ROOT, make_context, run_stages

STAGES = ("ingest", "validate", "features")
ETHER = ROOT / "data" / "sample" / "bitfinex_ETH-USD_30m.parquet"
# The index of a day is used a day and an hour after the midnight that begins it.
DELAY = pd.Timedelta("25h")


def mood(days: int = 150) -> pd.Series:
    """An index that nobody has published, a value a day."""
    index = pd.date_range("2017-09-20", periods=days, freq="D", tz="UTC", name="date")
    return pd.Series(np.random.default_rng(4).integers(5, 95, days).astype(float), index, name="value")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, raw_params: Mapping[str, Any], source_file: Path) -> Any:
    """Maker of a workspace in which an index and another pair stand beside the bars; stages up to features have run."""

    def made(index: pd.Series | None, pair: Path | None = ETHER, **identity: Any) -> Context:
        context = make_context(tmp_path_factory.mktemp("beside"), raw_params, source_file, **identity)
        if pair is not None:
            context.files.path("data/context/bitfinex_ETH-USD_30m.parquet").symlink_to(pair)
        if index is not None:
            index.to_csv(context.files.path("data/context/fear_greed.csv"))
        run_stages(context, STAGES)
        return context

    return made


@pytest.fixture(scope="session")
def beside(workspace: Callable[..., Context]) -> Context:
    return workspace(mood())


@pytest.fixture(scope="session")
def alone(workspace: Callable[..., Context]) -> Context:
    return workspace(None, None)


def known(context: Context) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(read_bars(context.files).index) + pd.Timedelta("1h")


def test_the_groups_are_on_and_nothing_else_changes(beside: Context, alone: Context) -> None:
    found = beside.files.read_json("data/features/groups.json")
    assert found["on"][-2:] == ["cross_asset", "sentiment"]
    assert list(found["off"]) == ["order_flow"]
    assert found["beside"] == {
        "ETH/USD": {"known": 1.0, "newest": True},
        "fear_greed": {"known": 1.0, "newest": True},
    }
    assert found["notes"] == []
    features, plain = read_features(beside.files), read_features(alone.files)
    assert (len(plain.columns), len(features.columns)) == (203, 203 + 11 + 3)
    pd.testing.assert_frame_equal(features[plain.columns], plain, check_exact=True)
    assert read_context(alone.files) == {}
    assert [one["name"] for one in beside.files.read_json("data/raw/ingest.json")["context"]] == [
        "ETH/USD",
        "fear_greed",
    ]


def test_labels_follow_and_every_row_after_the_warm_up_is_whole(beside: Context) -> None:
    run_stages(beside, ["labels"])
    data = read_datasets(beside.files, ["1h"])["1h"]
    assert len(data.X.columns) == 217
    assert not data.X.isna().any(axis=None)


def test_a_value_stands_in_the_rows_from_its_publication_and_delay_on(beside: Context) -> None:
    column = read_features(beside.files)["fear_greed"]
    published = mood()
    latest = published.index.searchsorted(known(beside) - DELAY, side="right") - 1
    np.testing.assert_array_equal(column, (published.to_numpy()[latest] - 50) / 50)


def test_what_is_published_after_a_close_changes_no_row_before(
    workspace: Callable[..., Context], beside: Context
) -> None:
    day = pd.Timestamp("2018-01-10", tz="UTC")
    other = mood()
    other[day] = 100 - other[day] + 1
    features, changed = (read_features(context.files) for context in (beside, workspace(other)))
    rows = known(beside)
    assert rows[features["fear_greed"] != changed["fear_greed"]].min() == day + DELAY
    pd.testing.assert_frame_equal(features[rows < day + DELAY], changed[rows < day + DELAY], check_exact=True)


def test_the_other_pair_is_known_at_the_close_of_its_bars(beside: Context) -> None:
    halves = pd.read_parquet(ETHER)
    halves = halves.set_index("timestamp") if "timestamp" in halves else halves
    hours = halves["close"].resample("1h").agg(["last", "count"])
    close = hours.loc[hours["count"] == 2, "last"]
    expected = np.log(close).diff().reindex(read_bars(beside.files).index)
    gap = close.index.to_series().diff().reindex(expected.index) != pd.Timedelta("1h")
    column = read_features(beside.files)["eth_usd_return_1"]
    whole = ~gap & column.notna()
    assert whole.sum() > 2800
    np.testing.assert_allclose(column[whole], expected[whole], rtol=0, atol=1e-12)


def test_the_engine_of_a_run_is_built_again_the_same(beside: Context) -> None:
    engine = feature_engine(beside.files, beside.params, beside.run)
    assert engine.spec_hash == beside.files.read_json("data/features/spec.json")["hash"]
    again = engine.batch(read_bars(beside.files), read_context(beside.files))
    pd.testing.assert_frame_equal(again, read_features(beside.files), check_exact=True, check_freq=False)


def test_a_series_that_ends_early_is_said(workspace: Callable[..., Context]) -> None:
    context = workspace(mood(40), None)
    found = context.files.read_json("data/features/groups.json")
    (note,) = found["notes"]
    assert note.startswith("fear_greed is missing in ")
    assert "the newest row among them: published from 2017-09-20" in note
    assert "to 2017-10-29" in note
    assert not found["beside"]["fear_greed"]["newest"]
    assert 0.2 < found["beside"]["fear_greed"]["known"] < 0.3


def test_a_series_of_other_years_stops_the_run(workspace: Callable[..., Context]) -> None:
    with pytest.raises(UnreachedError, match="fear_greed says nothing about any bar") as caught:
        workspace(mood().shift(-1000, freq="D"), None)
    assert "context folder" in caught.value.remedy


def test_nothing_beside_the_bars_is_later_than_the_run_stands(workspace: Callable[..., Context]) -> None:
    moment = pd.Timestamp("2018-01-20T12:30:00", tz="UTC")
    context = workspace(mood(), as_of=moment.isoformat())
    found = read_context(context.files)
    assert found["fear_greed"].index[-1] == pd.Timestamp("2018-01-20", tz="UTC")
    assert found["ETH/USD"].index[-1] == pd.Timestamp("2018-01-20T11:00", tz="UTC")


@pytest.fixture(scope="session")
def made(beside: Context) -> Made:
    """What the audit reads, as far as features are concerned; the first thousand bars of it."""
    files = beside.files
    chosen = chosen_features(files, beside.params, beside.run)
    rows = files.read_frame("data/raw/bars.parquet").set_index("timestamp").iloc[:1000]
    bars = read_bars(files).iloc[:1000]
    context = {name: frame[frame.index <= bars.index[-1]] for name, frame in read_context(files).items()}
    pipeline = Pipeline(beside.params, beside.run.instrument, "1h", chosen)
    return Made(pipeline, rows, context, bars, read_features(files).iloc[:1000], {})


def questioned(beside: Context, made: Made) -> dict[str, int]:
    """Columns of features that the audit found guilty, beside the ones that it plants, and how often."""
    answered = made.pipeline.engine().batch(made.bars, made.beside)
    found = Findings()
    _question_features(beside, replace(made, features=answered), {}, found)
    assert all(check.changed for check in found.checks if check.check.startswith("control"))
    (features,) = [check for check in found.checks if check.check == "features"]
    assert features.compared > 1_000_000
    assert not found.failures
    return dict.fromkeys(features.columns, features.changed)


def test_the_audit_finds_nothing_in_a_right_join(beside: Context, made: Made) -> None:
    assert questioned(beside, made) == {}


def test_the_audit_finds_another_pair_joined_at_the_open_of_its_bars(
    beside: Context, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = cross_asset.published

    def early(bars: pd.DataFrame, bar: pd.Timedelta, symbol: str) -> pd.DataFrame:
        return right(bars, bar * 0, symbol)

    monkeypatch.setattr(cross_asset, "published", early)
    guilty = questioned(beside, made)
    assert "eth_usd_return_1" in guilty
    assert all(column.startswith("eth_usd") for column in guilty)


def test_the_audit_finds_a_value_joined_before_its_delay_is_over(
    beside: Context, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = FeatureEngine.published

    def early(engine: FeatureEngine, context: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        found = right(engine, context)
        return found | {"fear_greed": found["fear_greed"].shift(-2, freq="h")}

    monkeypatch.setattr(FeatureEngine, "published", early)
    assert "fear_greed" in questioned(beside, made)


def test_a_run_may_leave_the_groups_out(
    tmp_path: Path, raw_params: Mapping[str, Any], source_file: Path, alone: Context
) -> None:
    groups = alone.files.read_json("data/features/groups.json")["on"]
    context = make_context(tmp_path, overlay(raw_params, {"features": {"groups": groups}}), source_file)
    context.files.path("data/context/headlines.csv").write_text("nobody reads this")
    run_stages(context, STAGES)
    assert context.files.read_json("data/features/groups.json")["off"] == {}
    assert read_features(context.files).equals(read_features(alone.files))
