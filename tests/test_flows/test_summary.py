import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.retrain import RetrainResult
from flows.summary import LINES, WIDTH, as_object, lines_of, shorten, signal_lines, summary, validation_lines
from pipelines.exchange.fetch import Fetched
from pipelines.exchange.update import Refreshed, Updated
from pipelines.params import RunIdentity
from pipelines.settings import Settings
from pipelines.store.bar_store import Series

EVIDENCE = Path(__file__).resolve().parent.parent / "data" / "evidence.json"


@pytest.fixture
def evidence() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(EVIDENCE.read_text())
    return content


def _verdict(evidence: dict[str, Any], word: str = "refused") -> dict[str, Any]:
    trials = {"counted": 44, "effective": 19.5, "deflated_by": 20}
    one = {"verdict": word, "question": "first", "trials": trials, "deflated_sharpe": 0.123, "rules": []}
    return {"horizons": {name: dict(one) for name in evidence["horizons"]}}


def _signals(word: str = "unproven") -> list[dict[str, Any]]:
    return [
        {
            "symbol": "BTC/USD",
            "timeframe": "1h",
            "horizon": horizon,
            "known_at": "2019-10-01T00:00:00Z",
            "prob_up": 0.53,
            "interval_low": -0.012,
            "interval_high": 0.013,
            "position": position,
            "model_name": f"BTC-USD-1h-{horizon}",
            "model_version": "3",
            "evidence": word,
        }
        for horizon, position in (("1h", 0.0), ("4h", 1.0), ("24h", -1.0))
    ]


def test_a_signal_of_a_horizon_that_was_left_out_says_so(evidence: dict[str, Any]) -> None:
    del evidence["horizons"]["24h"]
    (line,) = [
        line for line in summary(evidence, _verdict(evidence), _signals(), "report.html") if line.startswith("Signal")
    ]
    assert "24h" in line
    assert line.count("earlier run") == 1
    assert line.index("earlier run") > line.index("24h")


def test_it_fits_a_screen_and_says_what_matters(evidence: dict[str, Any]) -> None:
    lines = summary(evidence, _verdict(evidence), _signals(), "data/report/report.html", news="no new bar")
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    text = "\n".join(lines)
    for said in (
        "BTC/USD 1h   17,489 bars, 2017-10-01 to 2019-09-30, 55 features",
        "in 4 refits, 7.0 bps a side; nothing saw the future",
        "random forest, XGBoost, LSTM, and their vote",
        "No proven edge after costs: not promoted.",
        "1h flat (up 53%)   4h long (up 53%)   24h short (up 53%)",
        "2019-10-01 00:00 UTC; unproven: for trading on paper only",
        "data/report/report.html",
        "no new bar",
        "make ui",
        "make serve",
        "localhost:3000/predict",
        '{"symbol": "BTC-USD"}',
    ):
        assert said in text, said
    row = next(line for line in lines if line.startswith("1h "))
    for cell in ("55.0 [53.9, 56.0]", "54.3 reversal", "0.80 [−1.02, 2.61]", "0.61", "0.12 (44)", "refused"):
        assert cell in row
    assert [line.split()[0] for line in lines if line[:3].strip() in ("1h", "4h", "24h")] == ["1h", "4h", "24h"]


def test_it_says_what_an_exchange_gave(evidence: dict[str, Any], tmp_path: Path) -> None:
    evidence["horizons"] = {f"{n}h": {**evidence["horizons"]["1h"], "horizon_bars": n} for n in range(1, 13)}
    series = Series("kraken", "BTC/USD", "1h")
    last, nothing = pd.Timestamp("2019-09-30 23:00", tz="UTC"), pd.Timestamp("2019-09-01", tz="UTC")
    bars = Fetched(series, nothing, last, added=3, corrected=1, requests=4, notes=["the first oddity", "another"])
    source = Refreshed(series, last, Updated(bars, None))
    done = RetrainResult(tmp_path, True, (), evidence, _verdict(evidence), {}, tmp_path / "r", (*_signals(),), source)
    lines = lines_of(done, Settings())
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    said = "Source    kraken BTC/USD 1h: 3 new bars, 1 corrected, up to 2019-10-01 00:00 UTC"
    assert lines[lines.index(said) + 1] == "          the first oddity"
    run = RunIdentity(symbol="BTC/USD", timeframe="1h", source="exchange:kraken", context="data/context", as_of=None)
    assert as_object(done, run)["source"] == "exchange:kraken"
    assert as_object(done, run)["fetched"] == {
        "last": last,
        "added": 3,
        "corrected": 1,
        "requests": 4,
        "away": "",
        "notes": ["the first oddity", "another"],
    }
    away = replace(done, source=Refreshed(series, last, away="kraken answers HTTP 503"))
    assert done.news.startswith(f"{source}; no new bar since ")
    assert away.news.startswith(
        "kraken BTC/USD 1h: as stored, up to 2019-10-01 00:00 UTC; kraken answers HTTP 503; no new bar since "
    )
    assert as_object(away, run)["fetched"]["away"] == "kraken answers HTTP 503"
    assert as_object(replace(done, source=None), run)["fetched"] is None
    assert "Source" not in "\n".join(lines_of(replace(done, source=None), Settings()))


def test_it_is_no_longer_with_many_horizons(evidence: dict[str, Any]) -> None:
    one = evidence["horizons"]["1h"]
    evidence["horizons"] = {f"{n}h": {**one, "horizon_bars": n} for n in range(1, 13)}
    lines = summary(evidence, _verdict(evidence), _signals() * 4, "r.html", news="x")
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert "… and 7 more in the report" in lines


def test_what_is_off_and_what_is_odd_takes_two_lines_at_most(evidence: dict[str, Any]) -> None:
    lines = summary(evidence, None, [], "r.html")
    at = next(number for number, line in enumerate(lines) if line.startswith("Features"))
    assert lines[at : at + 2] == [
        "Features  off: order_flow (bars without taker_buy_volume, trades), cross_asset (no other instrument",
        "          in data/context), sentiment (no series in data/context)",
    ]
    evidence["features"]["notes"] = ["fear_greed is missing in 37% of the rows: published from 2018 to 2019"] * 2
    lines = summary(evidence, None, [], "r.html")
    assert lines[at].startswith("Features  fear_greed is missing in 37% of the rows; fear_greed")
    assert lines[at + 1].endswith(" …")
    assert lines[at + 2] == ""
    evidence["features"].update(off={}, notes=[])
    assert "Features" not in "\n".join(summary(evidence, None, [], "r.html"))


def test_before_the_gate_and_without_signals(evidence: dict[str, Any]) -> None:
    text = "\n".join(summary(evidence, None, [], "r.html"))
    assert "Not judged yet." in text
    assert "not judged" in text
    assert "0.41 (11)" in text
    assert "Signal" not in text


def test_a_failed_audit_is_loud(evidence: dict[str, Any]) -> None:
    evidence["audit"]["clean"] = False
    assert "THE AUDIT IS NOT CLEAN" in "\n".join(summary(evidence, None, [], "r.html"))
    evidence["audit"]["control_caught"] = False
    assert "MISSED ITS CONTROL" in "\n".join(summary(evidence, None, [], "r.html"))


def test_missing_numbers_are_dashes(evidence: dict[str, Any]) -> None:
    one = evidence["horizons"]["1h"]
    one["strategy"].update(sharpe=None, sharpe_low=None, sharpe_high=None)
    one["deflated_sharpe"] = None
    one["best_baseline"] = "unheard_of"
    one["baselines"]["unheard_of"] = {"accuracy": None}
    row = next(line for line in summary(evidence, None, [], "r.html") if line.startswith("1h "))
    assert "– –" in row
    assert "– unheard of" in row
    assert "– (11)" in row


def test_proven_signals_are_not_called_unproven(evidence: dict[str, Any]) -> None:
    lines = summary(evidence, _verdict(evidence, "passed"), _signals("proven"), "r.html")
    assert "unproven" not in "\n".join(lines)
    assert "unproven" not in "\n".join(signal_lines(_signals("proven")))
    overridden = "\n".join(signal_lines(_signals("overridden")))
    assert "over the gate's head" in overridden
    assert "unproven" not in overridden


def test_signals_as_a_table() -> None:
    lines = signal_lines(_signals())
    assert max(map(len, lines)) <= WIDTH
    assert "known at 2019-10-01 00:00 UTC" in lines[0]
    assert "long" in lines[4]
    assert "−1.2% to +1.3%" in lines[4]
    assert "BTC-USD-1h-4h v3" in lines[4]
    assert "not with money" in lines[-1]


def test_what_a_file_is() -> None:
    report = {
        "source": "mine.csv",
        "rows": 4100,
        "timeframe": "1h",
        "source_timeframe": "30m",
        "first": "2018-01-01 00:00:00+00:00",
        "last": "2018-06-20 00:00:00+00:00",
        "missing_bars": 3,
        "missing_fraction": 0.0007,
        "gaps_total": 2,
        "incomplete_bars_dropped": 1,
        "rows_quarantined": 2,
        "quarantined_by_rule": {"high_below_low": 2},
        "duplicates_collapsed": 0,
        "columns": {"timestamp": "Open time", "open": "open"},
        "notes": ["no header"],
    }
    text = "\n".join(validation_lines(report))
    for said in (
        "mine.csv can be used",
        "4,100 of 1h (the file's own: 30m), 2018-01-01 00:00 UTC to 2018-06-20 00:00 UTC",
        "3 (0.07%) in 2 gaps",
        "quarantined  2: 2 high_below_low",
        "timestamp from 'Open time'",
        "note         no header",
    ):
        assert said in text, said
    assert "columns" not in "\n".join(validation_lines({**report, "columns": {"open": "open"}}))


def test_paths_are_shown_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shorten(tmp_path / "a" / "b.html") == "a/b.html"
    assert shorten(Path("/elsewhere/b.html")) == "/elsewhere/b.html"
