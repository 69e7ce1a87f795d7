"""Series that are no bars: by time of publication, with the guarantees of the bars."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.store.bar_store import BarStore
from pipelines.store.errors import StoreError, UnknownSeriesError
from pipelines.store.external_store import ExternalStore
from pipelines.store.observations import Appended
from pipelines.store.repair import repair
from tests.test_pipelines.test_store.killed import RECORDED

NAME = "sentiment/fear-greed"
DAY = pd.Timedelta(days=1)


def values(count: int, first: int = 0, **changes: Any) -> pd.DataFrame:
    index = pd.date_range("2023-12-30", periods=count + first, freq="1D", tz="UTC", name="published_at")[first:]
    frame = pd.DataFrame({"index": np.arange(first, first + count, dtype=float)}, index=index.as_unit("us"))
    return frame.assign(**changes)


@pytest.fixture
def external(store: BarStore) -> ExternalStore:
    return ExternalStore(store.root)


def test_values_come_back_now_and_as_of_any_moment(external: ExternalStore) -> None:
    assert external.append(NAME, values(5), RECORDED) == Appended(added=5)
    assert external.append(NAME, values(7), RECORDED) == Appended(added=2, unchanged=5)
    pd.testing.assert_frame_equal(external.read(NAME), values(7), check_freq=False)
    external.append(NAME, values(1, 3, index=50.0), RECORDED + DAY)
    assert external.read(NAME)["index"].tolist() == [0, 1, 2, 50, 4, 5, 6]
    assert external.read(NAME, as_of=RECORDED).equals(values(7))
    assert external.read(NAME, values(4).index[-1], values(6).index[-1])["index"].tolist() == [50, 4]
    assert external.last(NAME) == values(7).index[-1]
    assert [entry.period for entry in external.log(NAME).entries[:2]] == ["period=2023", "period=2024"]


def test_nan_is_nothing_known(external: ExternalStore) -> None:
    external.append(NAME, values(3, index=[1.0, np.nan, 3.0]), RECORDED)
    assert external.read(NAME)["index"].isna().tolist() == [False, True, False]
    assert external.append(NAME, values(3, index=[np.nan, 2.0, 3.0]), RECORDED + DAY) == Appended(
        unchanged=2, corrected=1
    )
    assert external.read(NAME)["index"].tolist() == [1.0, 2.0, 3.0]


def test_several_series_lie_side_by_side_with_the_bars(external: ExternalStore) -> None:
    assert external.names() == []
    assert external.last(NAME) is None
    external.append(NAME, values(2), RECORDED)
    external.append("funding/binance/BTC-USDT_USDT", values(3, funding_rate=1e-4), RECORDED)
    assert external.names() == ["funding/binance/BTC-USDT_USDT", NAME]
    assert BarStore(external.root).series() == []
    assert list(external.read("funding/binance/BTC-USDT_USDT")) == ["index", "funding_rate"]
    assert repair(external.table(NAME)).clean
    with pytest.raises(UnknownSeriesError, match="the store holds funding/binance/BTC-USDT_USDT, sentiment/fear-greed"):
        external.read("sentiment/other")
    (external.table(NAME).folder / "log.json").unlink()
    assert NAME in external.names()
    assert repair(external.table(NAME)).rebuilt


@pytest.mark.parametrize("name", ["", "/up", "../up", "a//b", "a b", "a/", "period=2024"])
def test_a_name_that_is_no_path_of_words_is_refused(external: ExternalStore, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of a series"):
        external.append(name, values(2), RECORDED)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (values(2).tz_localize(None), "not a DatetimeIndex in UTC"),
        (values(2).iloc[::-1], "do not increase strictly"),
        (values(2)[[]], "needs columns"),
        (pd.concat([values(2), values(2)], axis=1), "a different name for each"),
        (values(2, recorded_at=1.0), "a column recorded_at of its own"),
        (values(2, label="up"), "no numbers in label"),
        (values(2, index=np.inf), "infinite"),
    ],
)
def test_a_frame_that_is_no_series_is_refused(external: ExternalStore, frame: pd.DataFrame, fault: str) -> None:
    with pytest.raises(StoreError, match=fault):
        external.append(NAME, frame, RECORDED)
    assert not external.root.exists()
