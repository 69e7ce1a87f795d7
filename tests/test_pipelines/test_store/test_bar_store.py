"""Bars come back as they were recorded, now and as of any moment."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.store.bar_store import BarStore, Series
from pipelines.store.errors import DamagedStoreError, SchemaVersionError, StoreError, UnknownSeriesError
from pipelines.store.log import read_log
from pipelines.store.observations import Appended
from tests.test_pipelines.test_store.killed import RECORDED, SERIES, START, make_bars
from tests.workspace import ROOT
from trading.bars import COLUMNS
from trading.errors import BarError, InstrumentError

DAY = pd.Timedelta(days=1)
BAR = pd.Timedelta(minutes=30)


def at(bar: int) -> pd.Timestamp:
    return START + bar * BAR


def test_what_is_appended_is_read(store: BarStore, bars: pd.DataFrame) -> None:
    hourly = Series("bitfinex", "BTC/USD", "1h")
    moment = bars.index[-1] + pd.Timedelta(hours=1)
    assert store.append(hourly, bars, moment) == Appended(added=len(bars))
    found = store.read(hourly)
    pd.testing.assert_frame_equal(found, bars.set_axis(bars.index.as_unit("us")), check_freq=False)
    assert (found.index.name, str(found.index.tz)) == ("timestamp", "UTC")
    assert store.last(hourly) == bars.index[-1]
    assert store.series() == [hourly]


def test_an_append_again_changes_not_one_byte(store: BarStore) -> None:
    store.append(SERIES, make_bars(200), RECORDED)
    folder = store.root / SERIES.folder
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}
    assert store.append(SERIES, make_bars(200), RECORDED) == Appended(unchanged=200)
    # What is known already is not recorded a second time, whenever it comes.
    assert store.append(SERIES, make_bars(50, 20), RECORDED + DAY) == Appended(unchanged=50)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")} == before
    assert store.append(SERIES, make_bars(0), RECORDED) == Appended()


def test_a_corrected_bar_keeps_its_older_observation(store: BarStore) -> None:
    first, later = make_bars(100), make_bars(2, 40, moved=0.5)
    store.append(SERIES, first, RECORDED)
    assert store.append(SERIES, later, RECORDED + DAY) == Appended(corrected=2)
    now = store.read(SERIES)
    assert now.loc[later.index].equals(later)
    assert now.drop(later.index).equals(first.drop(later.index))
    assert store.read(SERIES, as_of=RECORDED + DAY - pd.Timedelta(1, "us")).equals(first)
    assert store.read(SERIES, as_of=RECORDED + DAY).equals(now)
    assert store.read(SERIES, as_of=RECORDED - DAY).empty
    found = store.corrections(SERIES)
    assert found.index.tolist() == [at(40), at(40), at(41), at(41)]
    assert found["recorded_at"].tolist() == [RECORDED, RECORDED + DAY] * 2
    assert found["current"].tolist() == [False, True] * 2
    assert found["close"].tolist() == [70.0, 70.5, 71.0, 71.5]


def test_a_bar_that_is_corrected_back_is_known_each_time(store: BarStore) -> None:
    for days, moved in enumerate([0.0, 0.5, 0.0]):
        store.append(SERIES, make_bars(1, 7, moved=moved), RECORDED + days * DAY)
    assert [store.read(SERIES, as_of=RECORDED + days * DAY)["open"].item() for days in range(3)] == [7.0, 7.5, 7.0]
    assert len(store.corrections(SERIES)) == 3


def test_what_comes_late_takes_its_place_in_the_past(store: BarStore) -> None:
    store.append(SERIES, make_bars(3, moved=0.5), RECORDED + DAY)
    assert store.append(SERIES, make_bars(3), RECORDED) == Appended(corrected=3)
    assert store.read(SERIES)["open"].tolist() == [0.5, 1.5, 2.5]
    assert store.read(SERIES, as_of=RECORDED)["open"].tolist() == [0.0, 1.0, 2.0]


def test_two_answers_of_one_moment_are_both_kept_and_the_second_is_current(store: BarStore) -> None:
    for moved in (0.0, 0.5, 0.25):
        store.append(SERIES, make_bars(2, moved=moved), RECORDED)
    assert store.read(SERIES)["open"].tolist() == [0.25, 1.25]
    for moved in (0.0, 0.5, 0.25):
        assert store.append(SERIES, make_bars(2, moved=moved), RECORDED) == Appended(unchanged=2)
    assert len(store.corrections(SERIES)) == 6


def test_optional_columns_may_come_later_and_go_again(store: BarStore) -> None:
    store.append(SERIES, make_bars(4), RECORDED)
    assert list(store.read(SERIES)) == COLUMNS
    richer = make_bars(3, 2).assign(trades=[5.0, 6.0, np.nan])
    assert store.append(SERIES, richer, RECORDED + DAY) == Appended(added=1, corrected=2)
    # A source that does not say how many trades there were does not deny them.
    assert store.append(SERIES, make_bars(5), RECORDED + 2 * DAY) == Appended(unchanged=5)
    found = store.read(SERIES)
    assert list(found) == [*COLUMNS, "trades"]
    np.testing.assert_array_equal(found["trades"], [np.nan, np.nan, 5.0, 6.0, np.nan])
    # Neither does a correction that is silent about them.
    store.append(SERIES, make_bars(1, 2, moved=0.5), RECORDED + 3 * DAY)
    assert store.read(SERIES, at(2), at(3)).iloc[0].tolist() == [2.5, 12.5, 22.5, 32.5, 42.5, 5.0]
    assert store.read(SERIES, at(0), at(1))["trades"].isna().all()
    assert store.read(SERIES, as_of=RECORDED)["trades"].isna().all()


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (at(10), at(20)), (None, at(96)), (at(96), None), (at(5), at(5)), (at(-50), at(1))]
)
def test_a_stretch_is_half_open(store: BarStore, start: pd.Timestamp | None, end: pd.Timestamp | None) -> None:
    bars = make_bars(150)
    store.append(SERIES, bars, RECORDED)
    wanted = bars[(bars.index >= (start or at(0))) & (bars.index < (end or at(999)))]
    pd.testing.assert_frame_equal(store.read(SERIES, start, end), wanted, check_freq=False)
    chunks = list(store.chunks(SERIES, start, end))
    assert sum(map(len, chunks)) == len(wanted)
    if chunks:
        pd.testing.assert_frame_equal(pd.concat(chunks), wanted, check_freq=False)
        assert all(len(set(chunk.index.strftime("%Y-%m"))) == 1 for chunk in chunks)


def test_times_of_any_zone_and_unit_are_understood(store: BarStore) -> None:
    bars = make_bars(100)
    paris = RECORDED.tz_convert("Europe/Paris").as_unit("ns")
    store.append(SERIES, bars.set_axis(bars.index.as_unit("ns")), paris)
    assert len(store.read(SERIES, at(10).tz_convert("Asia/Tokyo"), at(20))) == 10
    assert store.read(SERIES, as_of=RECORDED).equals(bars)
    with pytest.raises(StoreError, match="start 2024-01-30 05:00:00 has no time zone"):
        store.read(SERIES, at(10).tz_localize(None))


def test_gaps_are_named_and_not_filled(store: BarStore) -> None:
    bars = make_bars(200)
    store.append(SERIES, bars.drop(bars.index[[20, 90, 91, 92, 93, 94, 95, 96, 97, 150]]), RECORDED)
    found = store.gaps(SERIES)
    assert found["start"].tolist() == [at(20), at(90), at(150)]
    assert found["end"].tolist() == [at(21), at(98), at(151)]
    assert found["missing"].tolist() == [1, 8, 1]
    store.append(SERIES, bars.iloc[85:95], RECORDED)
    assert store.gaps(SERIES)["missing"].tolist() == [1, 3, 1]
    store.append(SERIES, bars, RECORDED)
    assert store.gaps(SERIES).empty


def test_bar_by_bar_the_files_stay_few(store: BarStore) -> None:
    bars = make_bars(44)
    for low in range(44):
        store.append(SERIES, bars.iloc[low : low + 1], RECORDED)
    entries = store.log(SERIES).entries
    # The digits of 44 as a binary number.
    assert sorted(entry.rows for entry in entries) == [4, 8, 32]
    on_disk = {path.relative_to(store.root / SERIES.folder).as_posix() for path in store.root.rglob("*.parquet")}
    assert on_disk == {entry.file for entry in entries}
    assert store.read(SERIES).equals(bars)


def test_any_duckdb_session_can_ask_for_the_series(store: BarStore) -> None:
    store.append(SERIES, make_bars(150), RECORDED)
    store.append(SERIES, make_bars(1, 3, moved=0.5), RECORDED + DAY)
    with duckdb.connect() as connection:
        asked = f"SELECT count(*), sum(open) FROM ({store.sql(SERIES)})"
        assert connection.execute(asked).fetchone() == (150, sum(range(150)) + 0.5)
        then = f"SELECT sum(open) FROM ({store.sql(SERIES, as_of=RECORDED)})"
        assert connection.execute(then).fetchone() == (sum(range(150)),)
        before = f"SELECT * FROM ({store.sql(SERIES, as_of=RECORDED - DAY)})"
        assert connection.execute(before).fetchall() == []


def test_a_symbol_is_told_from_its_derivative_and_the_period_from_the_timeframe(store: BarStore) -> None:
    swap, daily = Series.parse("binance", "btc-usdt_usdt", "30m"), Series("kraken", "BTC/USDT", "1d")
    assert swap.symbol == "BTC/USDT:USDT"
    store.append(SERIES, make_bars(3), RECORDED)
    store.append(swap, make_bars(2), RECORDED)
    store.append(daily, make_bars(1), RECORDED)
    assert [len(store.read(one)) for one in (SERIES, swap, daily)] == [3, 2, 1]
    (store.root / "bars" / "venue=kraken" / "symbol=my notes" / "timeframe=1d").mkdir(parents=True)
    (store.root / daily.folder).with_name("timeframe=1d.dvc").write_text("outs: []")
    assert store.series() == [SERIES, swap, daily]
    assert [entry.period for entry in store.log(daily).entries] == ["period=2024"]
    assert [entry.period for entry in store.log(swap).entries] == ["period=2024-01"]
    assert str(daily) == "kraken BTC/USDT 1d"


@pytest.mark.parametrize(
    ("venue", "symbol", "timeframe", "kind"),
    [
        ("Binance!", "BTC/USDT", "1m", StoreError),
        ("../up", "BTC/USDT", "1m", StoreError),
        ("binance", "../BTC", "1m", InstrumentError),
        ("binance", "BTC/USDT", "1H", InstrumentError),
    ],
)
def test_a_series_that_nobody_trades_is_refused(venue: str, symbol: str, timeframe: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Series(venue, symbol, timeframe)


def broken(**changes: Any) -> pd.DataFrame:
    return make_bars(5).assign(**changes)


@pytest.mark.parametrize(
    ("bars", "fault"),
    [
        (make_bars(5).reset_index(), "not a DatetimeIndex in UTC"),
        (make_bars(5).tz_localize(None), "not a DatetimeIndex in UTC"),
        (make_bars(5).tz_convert("Europe/Paris"), "not a DatetimeIndex in UTC"),
        (make_bars(5).iloc[::-1], "do not increase strictly"),
        (make_bars(5).iloc[[0, 1, 1]], "do not increase strictly"),
        (make_bars(5).drop(columns="low"), "missing: low"),
        (broken(vwap=1.0), "no bar has: vwap"),
        (broken(close=np.nan), r"5 without a finite price or volume, first at 2024-01-30 00:00"),
        (broken(volume=[1, 2, np.inf, 4, 5]), r"1 without a finite price or volume, first at 2024-01-30 01:00"),
        (broken(trades=[1, 2, np.inf, 4, 5]), r"1 with an infinite value, first at 2024-01-30 01:00"),
        (make_bars(5).shift(freq="1min"), r"5 off the grid of 30m, first at 2024-01-30 00:01"),
        (make_bars(5).shift(freq="1000D"), r"5 not closed yet at 2024-06-01"),
    ],
)
def test_a_frame_that_is_no_bars_is_refused(store: BarStore, bars: pd.DataFrame, fault: str) -> None:
    with pytest.raises(BarError, match=fault):
        store.append(SERIES, bars, RECORDED)
    assert not store.root.exists()


def test_the_last_bar_may_have_closed_at_that_very_moment(store: BarStore) -> None:
    store.append(SERIES, make_bars(2), at(2))
    with pytest.raises(BarError, match="1 not closed yet"):
        store.append(SERIES, make_bars(3), at(3) - pd.Timedelta(1, "us"))
    with pytest.raises(StoreError, match=r"recorded_at .* has no time zone"):
        store.append(SERIES, make_bars(2), RECORDED.tz_localize(None))


def test_a_series_that_is_not_there_says_what_is(store: BarStore) -> None:
    assert store.last(SERIES) is None
    assert store.series() == []
    with pytest.raises(UnknownSeriesError, match="the store holds nothing"):
        store.read(SERIES)
    store.append(SERIES, make_bars(2), RECORDED)
    with pytest.raises(UnknownSeriesError, match="the store holds binance BTC/USDT 30m"):
        store.gaps(Series("binance", "ETH/USDT", "30m"))


def test_a_folder_that_cannot_be_written_is_named(store: BarStore) -> None:
    store.root.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="ENGINE_STORE"):
        store.append(SERIES, make_bars(2), RECORDED)


def test_a_full_disk_leaves_what_was_there(store: BarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(SERIES, make_bars(2), RECORDED)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(StoreError, match="No space left on device"):
            store.append(SERIES, make_bars(5), RECORDED)
    assert len(store.read(SERIES)) == 2
    assert not list(store.root.rglob(".*.tmp"))


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_file_that_is_not_whole_is_never_read(store: BarStore, harm: str) -> None:
    store.append(SERIES, make_bars(200), RECORDED)
    path = store.table(SERIES).folder / store.log(SERIES).entries[0].file
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(content[:-100])
    else:
        path.unlink()
    for ask in (store.read, store.gaps, lambda one: store.append(one, make_bars(200), RECORDED)):
        with pytest.raises(DamagedStoreError, match="engine data repair"):
            ask(SERIES)
    # What lies in other files can still be read.
    assert len(store.read(SERIES, start=pd.Timestamp("2024-02-01", tz="UTC"))) == 104


@pytest.mark.parametrize("harm", ["torn", "digit", "key", "list"])
def test_a_log_that_was_changed_is_not_believed(store: BarStore, harm: str) -> None:
    store.append(SERIES, make_bars(20), RECORDED)
    path = store.root / SERIES.folder / "log.json"
    text = path.read_text()
    path.write_text(
        {"torn": text[:-40], "digit": text.replace('"rows": 20', '"rows": 21'), "key": "{}", "list": "[]"}[harm]
    )
    with pytest.raises(DamagedStoreError, match="engine data repair"):
        store.read(SERIES)


def test_a_lost_log_is_not_taken_for_an_empty_series(store: BarStore) -> None:
    store.append(SERIES, make_bars(20), RECORDED)
    (store.root / SERIES.folder / "log.json").unlink()
    # The files would otherwise be taken for what a kill left, and be removed.
    with pytest.raises(DamagedStoreError, match="files but no log"):
        store.append(SERIES, make_bars(30), RECORDED)
    assert len(list(store.root.rglob("*.parquet"))) == 1


def test_a_store_of_another_version_is_refused(store: BarStore) -> None:
    store.append(SERIES, make_bars(20), RECORDED)
    path = store.root / SERIES.folder / "log.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(SchemaVersionError, match="the store has schema 2, this engine reads 1"):
        store.append(SERIES, make_bars(20), RECORDED)


def test_a_folder_in_the_wrong_place_is_refused(store: BarStore) -> None:
    store.append(SERIES, make_bars(20), RECORDED)
    other = Series("binance", "ETH/USDT", "30m")
    (store.root / other.folder.parent).mkdir()
    (store.root / SERIES.folder).rename(store.root / other.folder)
    with pytest.raises(StoreError, match="holds bars binance BTC/USDT 30m, not bars binance ETH/USDT 30m"):
        store.read(other)


def test_the_log_reads_as_a_person_would_write_it(store: BarStore) -> None:
    store.append(SERIES, make_bars(100), RECORDED)
    text = (store.root / SERIES.folder / "log.json").read_text()
    assert '"about": {"kind": "bars", "venue": "binance", "symbol": "BTC/USDT", "timeframe": "30m"}' in text
    assert '"first": "2024-01-30T00:00:00+00:00"' in text
    assert len(text.splitlines()) == 4
    log = read_log(store.root / SERIES.folder)
    assert log is not None
    assert log.commit == 1


class Oracle:
    """The same rules, one bar at a time: for each bar its value by the moment at which it was said."""

    def __init__(self) -> None:
        self.said: dict[int, dict[pd.Timestamp, float]] = {}

    def append(self, bars: list[int], values: list[float], moment: pd.Timestamp) -> Appended:
        added = unchanged = corrected = 0
        for bar, value in zip(bars, values, strict=True):
            known = self.said.setdefault(bar, {})
            before = [known[when] for when in sorted(known) if when <= moment]
            added += not known
            when = moment
            same = bool(before) and before[-1] == value
            while not same and when in known:
                same = known[when] == value
                when += pd.Timedelta(1, "us")
            unchanged += same
            corrected += bool(known) and not same
            if not same:
                known[when] = value
        return Appended(added, unchanged, corrected)

    def read(self, as_of: pd.Timestamp) -> dict[pd.Timestamp, float]:
        found = {}
        for bar in sorted(self.said):
            seen = [self.said[bar][when] for when in sorted(self.said[bar]) if when <= as_of]
            if seen:
                found[at(bar)] = seen[-1]
        return found


batch = st.tuples(
    st.dictionaries(st.integers(60, 130), st.sampled_from([0.0, 0.25, 0.5]), min_size=1, max_size=12),
    st.integers(0, 3),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(batch, min_size=1, max_size=6))
def test_it_is_a_dictionary_of_observations(tmp_path_factory: pytest.TempPathFactory, batches: list[Any]) -> None:
    store, oracle = BarStore(tmp_path_factory.mktemp("model")), Oracle()
    for chosen, day in batches:
        bars = sorted(chosen)
        values = [chosen[bar] for bar in bars]
        frame = pd.DataFrame(dict.fromkeys(COLUMNS, values), index=pd.DatetimeIndex([at(bar) for bar in bars]))
        moment = RECORDED + day * DAY
        assert store.append(SERIES, frame, moment) == oracle.append(bars, values, moment)
    for day in range(4):
        moment = RECORDED + day * DAY + pd.Timedelta(3, "us")
        assert store.read(SERIES, as_of=moment)["close"].to_dict() == oracle.read(moment)
    several = {at(bar): known for bar, known in oracle.said.items() if len(known) > 1}
    found = store.corrections(SERIES)
    assert len(found) == sum(map(len, several.values()))
    assert set(found.index) == several.keys()
    held = store.table(SERIES).observations(list(store.log(SERIES).entries))
    assert len(held) == sum(map(len, oracle.said.values()))


COUNT = """
import sys
from pathlib import Path
import duckdb, pyarrow.parquet
import pandas as pd
from pipelines.store.bar_store import BarStore
from tests.test_pipelines.test_store.killed import SERIES
def read_bytes():
    return int(next(line for line in open("/proc/self/io") if line.startswith("rchar")).split()[1])
store = BarStore(Path(sys.argv[1]))
store.read(SERIES, pd.Timestamp("2024-02-01", tz="UTC"), pd.Timestamp("2024-02-02", tz="UTC"))
before = read_bytes()
store.read(SERIES, pd.Timestamp("2024-06-01", tz="UTC"), pd.Timestamp("2024-07-01", tz="UTC"))
print(read_bytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel counts what a process reads")
def test_a_month_is_read_without_the_rest(store: BarStore) -> None:
    bars = make_bars(48 * 330)
    rng = np.random.default_rng(0)
    noisy = bars + rng.normal(size=bars.shape)
    moment = pd.Timestamp("2025-06-01", tz="UTC")
    store.append(SERIES, noisy, moment)
    store.append(Series("binance", "ETH/USDT", "30m"), noisy, moment)
    entries = store.log(SERIES).entries
    (june,) = [entry for entry in entries if entry.period == "period=2024-06"]
    log = (store.root / SERIES.folder / "log.json").stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(store.root)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # Its file is read to be verified, and by DuckDB, which looks at its footer first; the log is read. Nothing else is.
    assert june.size < int(done.stdout) <= 2 * june.size + 2 * log + 40_000
    assert int(done.stdout) < sum(entry.size for entry in entries) / 3
