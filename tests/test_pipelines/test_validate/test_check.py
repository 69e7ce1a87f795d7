from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.params import Params, parse_params
from pipelines.validate import check_file
from trading.errors import BarError, TooFewBarsError

ROOT = Path(__file__).resolve().parents[3]
# Real files of development machines; they are not part of the project.
SHARED = ROOT.parent / "shared" / "data"


def test_the_sample_at_its_own_and_at_a_longer_timeframe(params: Params) -> None:
    path = ROOT / "data" / "sample" / "bitfinex_BTC-USD_30m.parquet"
    own, hourly = check_file(path, params), check_file(path, params, "1h")
    # 35,019 rows with 22 missing are what the provenance in data/sample/README.md states.
    assert (own["timeframe"], own["rows"], own["missing_bars"]) == ("30m", 35019, 22)
    assert (hourly["source_timeframe"], hourly["timeframe"]) == ("30m", "1h")
    assert hourly["rows_quarantined"] == hourly["duplicates_collapsed"] == 0
    # The trailing hour is unfinished; every other incomplete hour is among the missing.
    assert hourly["rows"] + hourly["missing_bars"] == 2 * 365 * 24
    assert hourly["incomplete_bars_dropped"] <= hourly["missing_bars"] + 1
    assert hourly["columns"]["volume"] == "volume"


@pytest.mark.parametrize("pair", ["BTC", "ETH", "LTC", "XRP", "EOS"])
def test_real_crashes_are_not_taken_for_bad_prints(pair: str, params: Params) -> None:
    report = check_file(ROOT / "data" / "sample" / f"bitfinex_{pair}-USD_30m.parquet", params, "1h")
    assert report["rows_quarantined"] == 0


def test_bad_files_stop_as_in_a_run(params: Params, bars: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    bars.iloc[:50].to_csv(path)
    with pytest.raises(TooFewBarsError, match="50 complete 1h bars"):
        check_file(path, params)
    with pytest.raises(BarError, match="30m bars were asked for"):
        check_file(path, params, "30m")
    bars.assign(close="soon").to_csv(path)
    with pytest.raises(BarError, match="price_not_a_number: 1500"):
        check_file(path, params)
    assert [found.name for found in tmp_path.iterdir()] == ["bars.csv"]


@pytest.mark.skipif(not SHARED.exists(), reason="the development data is not on this machine")
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("bitvavo_BTC-EUR_1h", {"rows": 43790, "missing_bars": 36, "rows_quarantined": 0}),
        ("bitvavo_ADA-EUR_1h", {"rows": 24776, "missing_bars": 25, "rows_quarantined": 0}),
        ("bitfinex_BTC-USD_5m_2019", {"rows": 104849, "missing_bars": 271, "rows_quarantined": 0}),
        ("dirty_freqtrade_ADA-BTC_5m_2018-01", {"rows": 5720, "missing_bars": 40, "rows_quarantined": 0}),
        ("dirty_bitvavo_ADA-EUR_1h_overlapping_exports", {"rows": 6555, "duplicates_collapsed": 3414}),
    ],
)
def test_real_files_are_judged_as_their_manifest_says(name: str, facts: dict[str, Any], params: Params) -> None:
    report = check_file(SHARED / f"{name}.parquet", params)
    assert {key: report[key] for key in facts} == facts


@pytest.mark.skipif(not SHARED.exists(), reason="the development data is not on this machine")
def test_real_faults_are_found(params: Params, raw_params: dict[str, Any]) -> None:
    with pytest.raises(BarError, match="volumes_disagree: 2481\n"):
        check_file(SHARED / "dirty_bitstamp_BTC-USD_1h_raw.parquet", params)
    bad_prints = SHARED / "dirty_bitfinex_BTC-USD_1m_2013-04_07.parquet"
    with pytest.raises(BarError, match=r"9502\d of 141113 1m bars are missing"):
        check_file(bad_prints, params)
    patient = raw_params | {"validate": raw_params["validate"] | {"max_missing_fraction": 0.9}}
    assert check_file(bad_prints, parse_params(patient))["quarantined_by_rule"] == {"jump_nobody_believes": 8}
