"""Files as programs and people write them: read, and judged by what is wrong and not by how they look."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.diagnosis.diagnose import diagnose
from pipelines.diagnosis.record import Diagnosis
from trading.errors import BarError

NOW = pd.Timestamp("2030-01-01", tz="UTC")


@pytest.fixture(scope="module")
def hours(half_hours: pd.DataFrame) -> pd.DataFrame:
    rule = half_hours.iloc[8000:10_400].set_index("timestamp").resample("1h")
    bars = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}).dropna()
    return bars.reset_index().iloc[1:-1].reset_index(drop=True)


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Diagnosis]:
    def write_and_diagnose(content: str | bytes | pd.DataFrame, name: str = "bars.csv", **options: object) -> Diagnosis:
        file = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_parquet(file) if file.suffix == ".parquet" else content.to_csv(file, index=False)
        elif isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content, encoding="utf-8")
        return diagnose(file, max_missing=0.05, **options)  # type: ignore[arg-type]

    return write_and_diagnose


def counts(found: Diagnosis) -> dict[str, int]:
    return {fault.kind: fault.count for fault in found.faults}


def epochs(bars: pd.DataFrame, per: int) -> pd.Series:
    return bars["timestamp"].astype("datetime64[us, UTC]").astype("int64") // per


def test_exports_of_exchanges_are_clean(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    opened = epochs(hours, 1000)
    klines = pd.DataFrame(
        {
            **{"open_time": opened, "open": hours["open"], "high": hours["high"], "low": hours["low"]},
            **{"close": hours["close"], "volume": hours["volume"], "close_time": opened + 3_599_999},
            **{"quote_volume": hours["volume"] * hours["close"], "count": 5, "taker_buy_volume": hours["volume"] / 2},
            **{"taker_buy_quote_volume": hours["volume"] / 2 * hours["close"], "ignore": 0},
        }
    )
    assert counts(look(klines)) == {}
    headless = look(klines.to_csv(index=False, header=False))
    assert counts(headless) == {}
    assert "no header" in headless.notes[0]
    terminal = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\n" + "\n".join(
        f"{at:%Y.%m.%d}\t{at:%H:%M:%S}\t{o}\t{h}\t{low}\t{c}\t5\t{v}"
        for at, o, h, low, c, v in hours.itertuples(index=False)
    )
    assert counts(look(terminal)) == {}
    assert counts(look(hours.set_index("timestamp"), "i.parquet")) == {}
    text = hours.assign(timestamp=hours["timestamp"].astype(str)).set_index("timestamp")
    assert counts(look(text, "t.parquet")) == {}
    assert counts(look(gzip.compress(hours.to_csv(index=False).encode()), "bars.csv.gz")) == {}
    assert counts(look(hours.astype(dict.fromkeys(["open", "high", "low", "close"], "float32")), "f.parquet")) == {}


def test_decimal_commas_in_every_setting(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    assert counts(look(hours.to_csv(index=False, sep=";", decimal=","))) == {"decimal_comma": len(hours)}
    assert counts(look(hours.to_csv(index=False, sep="\t", decimal=","))) == {"decimal_comma": len(hours)}
    assert counts(look(hours.to_csv(index=False, decimal=","))) == {"decimal_comma": len(hours)}  # quoted
    torn = "timestamp,open,high,low,close,volume\n" + "\n".join(
        f"{at:%Y-%m-%d %H:%M:%S}," + ",".join(f"{value:.2f}".replace(".", ",") for value in row)
        for at, *row in hours.itertuples(index=False)
    )
    assert counts(look(torn)) == {"decimal_comma": len(hours)}
    some = look(torn + "\n2019-01-01 00:00:00,1,2,3\n")
    assert counts(some)["decimal_comma"] == len(hours)
    assert any("left out" in note for note in some.notes)


def test_damaged_lines_do_not_end_the_look(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    text = hours.to_csv(index=False)
    long = look(text + "2018-12-01 00:00:00,1,2,3,4,5,6,7,8\n")
    assert counts(long) == {}
    assert long.notes[0] == f"1 line(s) with too many cells left out: {len(hours) + 2}"
    assert counts(look(text[:-40])) == {"nan_rows": 1}
    assert counts(look(hours.iloc[:900].to_csv(index=False) + hours.iloc[900:].to_csv(index=False))) == {
        "text_numbers": 1,
        "nan_rows": 1,
    }
    assert counts(look(text.replace(str(hours["close"][200]), "ERR", 1))) == {"text_numbers": 1}


def test_times_by_the_name_of_their_column(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    late = hours.assign(timestamp=hours["timestamp"] + pd.Timedelta("1h"))
    assert counts(look(late.rename(columns={"timestamp": "close_time"}))) == {"close_stamped": len(hours)}
    assert counts(look(hours.rename(columns={"timestamp": "local_time"}))) == {"local_time": len(hours)}
    both = late.assign(close_time=late["timestamp"])
    assert counts(look(both)) == {"close_stamped": len(hours)}


def test_a_second_clock_in_the_file(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    local = hours["timestamp"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    found = look(hours.assign(unix=epochs(hours, 10**6), timestamp=local))
    assert counts(found) == {"local_time": len(hours)}
    assert found.faults[0].safe_fix
    harmless = look(hours.assign(timestamp=epochs(hours, 1000), datetime=local))
    assert counts(harmless) == {}
    assert any("the time of another zone" in note for note in harmless.notes)


def test_lengths_that_are_claimed(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    assert counts(look(hours, "BTC-USD_1h.csv")) == {}
    assert counts(look(hours, "BTC_USD-Hourly.csv")) == {}
    assert counts(look(hours, "BTC_last_3M.csv")) == {}
    assert counts(look(hours, "BTCUSDT-5m-2019.csv")) == {"wrong_timeframe": len(hours)}
    assert counts(look(hours, timeframe="30m")) == {"wrong_timeframe": len(hours)}
    assert counts(look(hours.assign(interval="1d"))) == {"wrong_timeframe": len(hours)}
    assert counts(look(hours, timeframe="1h")) == {}
    ticks = hours.assign(
        timestamp=hours["timestamp"]
        + pd.to_timedelta(np.random.default_rng(0).pareto(1, len(hours)).cumsum(), unit="h")
    )
    assert counts(look(ticks)) == {"wrong_timeframe": len(hours)}


def test_the_end_of_a_file(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    last = hours["timestamp"].iloc[-1]
    assert counts(look(hours, now=last + pd.Timedelta("40min"))) == {"unfinished_last_bar": 1}
    assert counts(look(hours, now=last + pd.Timedelta("60min"))) == {}
    future = look(hours, now=last - pd.Timedelta("30D"))
    assert counts(future) == {}
    assert any("lies in the future" in note for note in future.notes)
    export = pd.concat([hours, hours.iloc[[-1]].assign(timestamp=last + pd.Timedelta("37min13s"))])
    assert counts(look(export)) == {"unfinished_last_bar": 1}
    flags = hours.assign(confirm=[1] * (len(hours) - 1) + [0])
    assert counts(look(flags)) == {"unfinished_last_bar": 1}
    assert counts(look(hours.assign(confirm=1))) == {}
    assert counts(look(hours.assign(closed="perhaps"))) == {}


def test_stamps_off_the_grid(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    def at(by: str, where: slice = slice(None)) -> pd.DataFrame:
        stamps = hours["timestamp"].copy()
        stamps.iloc[where] = stamps.iloc[where] + pd.Timedelta(by)
        return hours.assign(timestamp=stamps)

    assert counts(look(at("7min"))) == {"clock_shift": len(hours)}
    assert counts(look(at("30min"))) == {"local_time": len(hours)}
    assert counts(look(at("7min", slice(300, 600)))) == {"clock_shift": 300}
    assert counts(look(at("59min59s", slice(0, 500)))) == {"close_stamped": 500}
    assert counts(look(at("2s", slice(100, 101)))) == {"jitter": 1}
    days = hours.set_index("timestamp").resample("1D")
    daily = days.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}).reset_index()
    abroad = daily.assign(timestamp=daily["timestamp"] + pd.Timedelta("16h")).iloc[1:-1]
    assert counts(look(abroad)) == {"local_time": len(abroad)}


def test_long_bars_in_local_time_shift_with_the_seasons(
    half_hours: pd.DataFrame, look: Callable[..., Diagnosis]
) -> None:
    rule = half_hours.set_index("timestamp").resample("4h")
    bars = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}).dropna()
    local = bars.iloc[:-1].reset_index()
    local["timestamp"] = local["timestamp"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    found = look(local)
    assert counts(found)["dst_jump"] == 4
    assert "local_time" in counts(found)


def test_columns_under_wrong_names_are_suspected(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    found = look(hours.rename(columns={"high": "low", "low": "close", "close": "high"}))
    violation = next(fault for fault in found.faults if fault.kind == "ohlc_violation")
    assert "seem to hold open, close, high, low" in violation.remedy


def test_what_is_missing_altogether(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    assert counts(look(hours.drop(columns="volume").assign(x=1))) == {"nan_rows": len(hours)}
    assert counts(look(hours.assign(volume=hours["volume"].where(hours.index != 50, -1.0)))) == {"ohlc_violation": 1}
    tidy = look(hours.melt("timestamp").assign(a=1, b=2, c=3))
    assert counts(tidy) == {"long_format": 5 * len(hours)}
    assert tidy.mending is None


def test_venues_in_one_file(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    other = hours.assign(exchange="b", close=hours["close"] * 1.0001)
    other["high"] = other[["high", "close"]].max(axis=1)
    assert counts(look(pd.concat([hours.assign(exchange="a"), other]))) == {"long_format": 2 * len(hours)}
    moved = hours.assign(exchange=["a"] * 600 + ["b"] * (len(hours) - 600))
    assert counts(look(moved)) == {}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"timestamp,open,high,low,close,volume\n", "no rows"),
        (b"\x00\x01\x02" * 100, "binary"),
        (b"PAR1" + b"\x07" * 200, "damaged"),
        ("time,price,size,side,id,x\n1,2,3,buy,5,6\n", "trades"),
        ("a,b,c,d,e,f\nu,v,w,x,y,z\n", "no column"),
        ("timestamp,open,high,low,close,volume\nnever,1,1,1,1,1\n", "is a time"),
        ("timestamp,open,high,low,close,volume\n2020-01-01,a,b,c,d,1\n", "are numbers"),
        ("timestamp,open,Open,high,low,close,volume\n2020-01-01,1,1,1,1,1,1\n", "both claim"),
    ],
)
def test_what_cannot_be_read_at_all(content: str | bytes, what: str, look: Callable[..., Diagnosis]) -> None:
    with pytest.raises(BarError, match=what) as refused:
        look(content)
    assert refused.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BarError, match="not there"):
        diagnose(tmp_path / "none.csv", max_missing=0.05)
    with pytest.raises(BarError, match="folder"):
        diagnose(tmp_path, max_missing=0.05)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 20])
def test_short_files(rows: int, hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    assert counts(look(hours.iloc[:rows])) == {}


def test_random_damage_never_ends_in_a_traceback(hours: pd.DataFrame, look: Callable[..., Diagnosis]) -> None:
    rng = np.random.default_rng(12)
    text = hours.iloc[:150].to_csv(index=False)
    signs = list('0123456789.,;-+:"\n \t#eNaT%$')
    read = 0
    for _ in range(60):
        letters = list(text)
        for place in rng.integers(0, len(letters), rng.integers(1, 40)):
            letters[place] = str(rng.choice(signs))
        if rng.random() < 0.3:
            letters = letters[: int(rng.integers(1, len(letters)))]
        try:
            found = look("".join(letters))
        except BarError:
            continue
        read += 1
        assert set(found.as_object()) == {"file", "rows", "faults", "notes"}
    assert read > 30
