"""The development files: every dirty one named rightly, every clean one without faults, the others refused."""

from pathlib import Path

import pytest

from pipelines.diagnosis.diagnose import diagnose
from trading.errors import BarError

DIRTY = {
    "dirty_bitstamp_BTC-USD_1h_raw": {"order_descending": 4416, "volume_swapped": 2481},
    "dirty_bitfinex_BTC-USD_1m_2013-04_07": {"gaps": 95_019, "sparse_market": None, "bad_prints": 8},
    "dirty_bitvavo_ADA-EUR_1h_overlapping_exports": {"order_mixed": 1, "duplicates_agreeing": 3414},
    "dirty_freqtrade_ADA-BTC_5m_2018-01": {"gaps": 40},
}
CLEAN = ("sample/*", "bitvavo_*", "bitfinex_*")
OTHERS = {
    "bbo_": "quotes",
    "l2diff_": "updates of an order book",
    "trades_": "trades",
    "funding_": "funding rates",
    "crypto_news": "headlines",
    "fear_greed": "a sentiment index",
    "btc_daily_macro": "one price a row",
}


@pytest.mark.parametrize("name", DIRTY)
def test_dirty_files(name: str, shared: Path) -> None:
    found = diagnose(shared / f"{name}.parquet", max_missing=0.05)
    counts = {fault.kind: fault.count for fault in found.faults}
    assert set(counts) == set(DIRTY[name])
    assert all(counts[kind] == count for kind, count in DIRTY[name].items() if count is not None)


def test_where_the_faults_of_two_files_lie(shared: Path) -> None:
    swapped = diagnose(shared / "dirty_bitstamp_BTC-USD_1h_raw.parquet", max_missing=0.05).faults[1].as_object()
    assert (swapped["first"], swapped["last"]) == ("2020-07-01T00:00:00+00:00", "2020-10-12T08:00:00+00:00")
    prints = diagnose(shared / "dirty_bitfinex_BTC-USD_1m_2013-04_07.parquet", max_missing=0.05).faults[-1].as_object()
    assert prints["kind"] == "bad_prints"
    assert (prints["first"], prints["last"]) == ("2013-04-10T17:36:00+00:00", "2013-07-01T18:01:00+00:00")


def test_clean_files(shared: Path) -> None:
    files = sorted(file for pattern in CLEAN for file in shared.glob(f"{pattern}.parquet"))
    assert len(files) == 12
    for file in files:
        assert diagnose(file, max_missing=0.05).faults == (), file.name


@pytest.mark.parametrize("start", OTHERS)
def test_files_that_hold_no_bars(start: str, shared: Path) -> None:
    files = list(shared.glob(f"{start}*.parquet"))
    assert files
    for file in files:
        with pytest.raises(BarError, match=OTHERS[start]) as refused:
            diagnose(file, max_missing=0.05)
        assert refused.value.remedy
