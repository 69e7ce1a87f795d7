"""``engine compare`` on a registry whose versions hold what it reads."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import engine
from dashboard.comparison import difference_said
from pipelines.gate.comparison import Version, compare
from pipelines.metrics import sharpe
from pipelines.monte_carlo.bootstrap import paired_difference
from pipelines.settings import Settings
from pipelines.tracking import Tracker
from tests.test_dashboard.conftest import EVIDENCE
from tests.workspace import with_registry
from trading.errors import ParamsError
from trading.instrument import Instrument

YEAR = 8760.0
INDEX = pd.date_range("2018-10-01", periods=3000, freq="h", tz="UTC", name="timestamp")


def _stream(seed: int, mean: float, index: pd.DatetimeIndex = INDEX) -> pd.Series:
    return pd.Series(np.random.default_rng(seed).normal(mean, 0.003, len(index)), index=index, name="net_return")


def _evidence(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(EVIDENCE.read_text())
    content["horizons"]["4h"]["strategy"] |= changes
    return content


def _version(stream: pd.Series, number: str = "1", **changes: Any) -> Version:
    trials = {"counted": 20 + int(number), "effective": 8.4, "deflated_by": 9}
    verdict = {"verdict": "refused", "question": "first", "summary": "refused: no edge"}
    verdict |= {"trials": trials, "deflated_sharpe": 0.7}
    return Version(number, (), _evidence(**changes), verdict, {"seed": int(number), "x": {"y": 1}}, stream)


def test_the_difference_is_that_of_the_gate() -> None:
    a, b = _version(_stream(1, 3e-4)), _version(_stream(2, 0.0, INDEX[500:]), "2", sharpe=1.0)
    found = compare(a, b, "4h", YEAR)
    common, first, second = found["common"], a.stream.iloc[500:], b.stream
    assert (common["bars"], common["first"], common["reason"]) == (2500, INDEX[500], None)
    assert common["difference"] == pytest.approx(sharpe(first, YEAR) - sharpe(second, YEAR))
    drawn = paired_difference(first, second, 2000, 18.9, 7, YEAR)
    assert [common["low"], common["high"]] == pytest.approx(list(np.quantile(drawn, [0.025, 0.975])))
    assert common["above"] == pytest.approx(np.mean(drawn > 0))
    ratio = next(one for one in found["metrics"] if one["metric"] == "strategy.sharpe")
    assert ratio == {
        "metric": "strategy.sharpe",
        "a": 2.2,
        "b": 1.0,
        "difference": pytest.approx(1.2),
        "interval": {"a": [0.35, 4.02], "b": [0.35, 4.02]},
    }
    # The ledger's numbers are the verdict's, not those of the run alone.
    tried = {one["metric"]: (one["a"], one["b"]) for one in found["metrics"] if one["metric"].startswith("verdict")}
    assert tried == {
        "verdict.deflated_sharpe": (0.7, 0.7),
        "verdict.trials.deflated_by": (9, 9),
        "verdict.trials.counted": (21, 22),
    }
    assert found["params"] == [{"param": "seed", "a": 1, "b": 2}]


def test_a_version_is_no_better_than_itself_and_the_other_way_round_is_the_negative() -> None:
    a, b = _version(_stream(1, 3e-4)), _version(_stream(2, 0.0))
    one, other, same = (compare(x, y, "4h", YEAR)["common"] for x, y in ((a, b), (b, a), (a, a)))
    assert one["difference"] == pytest.approx(-other["difference"])
    assert (one["low"], one["high"]) == pytest.approx((-other["high"], -other["low"]))
    assert (same["difference"], same["low"], same["high"], same["above"]) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (_stream(2, 0.0, INDEX[-200:]), "200 common bars; 378 are needed to resample them"),
        (_stream(2, 0.0) * 0.0, "one of them never moved"),
    ],
)
def test_without_an_interval_it_says_why(stream: pd.Series, reason: str) -> None:
    common = compare(_version(_stream(1, 0.0)), _version(stream), "4h", YEAR)["common"]
    assert (common["low"], common["high"], common["above"], common["reason"]) == (None, None, None, reason)


def test_a_version_that_never_moved_is_said_to_be_beyond_comparison() -> None:
    found = compare(_version(_stream(1, 0.0)), _version(_stream(2, 0.0) * 0.0, "2"), "4h", YEAR)
    said = difference_said(found)
    assert said.startswith("Over 3,000 common bars, 2018-10-01 00:00 UTC to")
    assert said.endswith("the Sharpe ratios of versions 1 and 2 can't be compared: one of them never moved.")


def test_no_common_bars() -> None:
    later = _stream(2, 0.0, INDEX + pd.Timedelta(days=400))
    with pytest.raises(ParamsError, match="not tested on a common bar") as error:
        compare(_version(_stream(1, 0.0)), _version(later, "2"), "4h", YEAR)
    assert "version 1: 2018-10-01" in str(error.value.where)
    assert error.value.rule
    assert error.value.remedy


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions of the 4h model: the third was tested later than the others."""
    root = with_registry(tmp_path_factory.mktemp("registry"))
    tracker = Tracker(Settings(state=root, mlflow_tracking_uri=""), Instrument("BTC/USD", "1h"))
    streams = (_stream(1, 3e-4), _stream(2, 0.0), _stream(3, 0.0, INDEX + pd.Timedelta(days=400)))
    for number, stream in enumerate(streams, start=1):
        folder = root / f"made{number}"
        bundle = folder / "artifacts" / "bundle"
        bundle.mkdir(parents=True)
        (folder / "MLmodel").write_text("")
        (bundle / "bundle.json").write_text(json.dumps({"params": {"labels": {"cost": number}}, "seed": 7}))
        stream.to_frame().to_parquet(bundle / "walk_forward.parquet")
        verdict = {"verdict": "refused", "question": "first", "summary": f"refused: <number {number}>"}
        verdict |= {"trials": {"counted": 22, "effective": 8.4, "deflated_by": 9}, "deflated_sharpe": 0.7}
        made = tracker.register(
            "4h",
            folder,
            bundle_hash=f"b{number}",
            evidence_hash="e",
            tags={},
            params={},
            metrics={},
            epochs={},
            documents={
                "evidence.json": copy.deepcopy(_evidence(sharpe=float(number))),
                "verdict.json": {"horizons": {"4h": verdict}},
            },
            attachments=[],
        )
        assert made.version == str(number)
    tracker.move_alias("4h", "candidate", "2")
    return root


@pytest.fixture
def cli(state: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("ENGINE_STATE", str(state))
    monkeypatch.delenv("ENGINE_MLFLOW_TRACKING_URI", raising=False)
    return lambda *given: CliRunner().invoke(engine.app, ["compare", *given], catch_exceptions=False)


def test_side_by_side(cli: Callable[..., Any], tmp_path: Path) -> None:
    page = tmp_path / "both.html"
    result = cli("1", "candidate", "--horizon", "4h", "--html", str(page))
    assert result.exit_code == 0, result.stderr
    folded = re.sub(r" +", " ", result.stdout)
    for said in (
        "BTC-USD-1h-4h: version 1 and version 2",
        "Over 3,000 common bars, 2018-10-01 00:00 UTC to",
        "A difference is",
        "aliases – candidate",
        "Sharpe ratio after costs 1.00 [0.35, 4.02] 2.00 [0.35, 4.02] −1.00",
        "direction right 54.7% [53.1, 56.3] 54.7% [53.1, 56.3] 0.0",
        "the best rule without skill 52.8% 52.8% 0.0",
        "direction right over that rule, points +1.9 [0.1, 3.7] +1.9 [0.1, 3.7] 0.0",
        "deflated Sharpe, over the whole ledger 70.0% 70.0% 0.0",
        "independent trials deflated by 9 9 0",
        "params.labels.cost 1 2",
        "version 2: Refused: <number 2>.",
    ):
        assert said in folded
    html = page.read_text(encoding="utf-8")
    assert "Refused: &lt;number 2&gt;." in html
    assert html.count('<div class="wide">') == html.count('<div class="narrow">') == 1
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", html)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)


def test_for_a_program(cli: Callable[..., Any]) -> None:
    found = json.loads(cli("1", "1", "--horizon", "4h", "--json").stdout)
    assert found["model"] == "BTC-USD-1h-4h"
    assert found["common"]["difference"] == 0
    assert (found["params"], found["html"]) == ([], None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("1", "9", "--horizon", "4h"), "no version '9' of BTC-USD-1h-4h"),
        (("1", "champion", "--horizon", "4h"), "registered: 1, 2, 3, candidate"),
        (("1", "2", "--horizon", "8h"), "registered: none yet"),
        (("1", "3", "--horizon", "4h"), "not tested on a common bar"),
        (("1", "2", "--horizon", "4h", "--html", "/nowhere/at/all.html"), "cannot write the page"),
    ],
)
def test_what_can_be_mended(cli: Callable[..., Any], given: tuple[str, ...], said: str) -> None:
    result = cli(*given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
