import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dashboard import evidence_figures, figures
from dashboard.report import REPORT, write_report
from pipelines.context import Context
from trading.errors import StageError, WorkspaceError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pictures: they have tests of their own, and take seconds."""
    for name in ("performance", "fan", "calibration", "importance"):
        monkeypatch.setattr(figures, name, lambda *_, **__: "<svg></svg>")
    for name in ("rolling_sharpe", "break_even", "capacity", "overfitting", "spreads"):
        monkeypatch.setattr(evidence_figures, name, lambda *_, **__: "<svg></svg>")


class _Balance(HTMLParser):
    """Open and closing tags must match; collects the ids."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for key, value in attrs if key == "id" and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _text(html: str) -> str:
    """What a reader sees, with spaces folded."""
    html = re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_whole_report(fill: Callable[..., Context], evidence: dict[str, Any]) -> None:
    del evidence["horizons"]["1h"], evidence["horizons"]["24h"]
    context = fill()
    path = write_report(context, {})
    html = path.read_text(encoding="utf-8")
    assert path == context.files.path(REPORT)
    assert (context.settings.state / "reports" / "BTC-USD-1h.html").read_text(encoding="utf-8") == html
    page = _Balance()
    page.feed(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for link in re.findall(r'<a href="#(\w+)"', html):
        assert link in page.ids
    # Self-contained: nothing is fetched, nothing is run.
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", html)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert html.count('<svg class="whisker"') == 2
    assert "model card" not in html
    assert html.count('<div class="wide">') == html.count('<div class="narrow">') == 9
    assert len(html) < 2_000_000


@pytest.mark.usefixtures("quick")
def test_it_says_what_the_evidence_says(fill: Callable[..., Context], evidence: dict[str, Any]) -> None:
    text = _text(write_report(fill(), {}).read_text(encoding="utf-8"))
    assert "No proven edge after costs: not promoted." in text
    assert "BTC/USD, 1h bars" in text
    for said in (
        "55.0% [53.9, 56.0]",
        "54.3%: bet against the last bar",
        "vote of all models 55.0% [53.9, 56.0] 54.3% +0.7 [−0.4, 1.8] 0.2479 0.6888 0.565",
        "random forest 54.9%",
        "0.80 [−1.02, 2.61]",
        "less sure than that of the whole, 0.80 [−1.02, 2.61] . test period",
        "2018-10-01 to 2018-12-30 8,600 26 2,175",
        "break-even 8.3 bps a side",
        "✗ fail −0.004 0 Best no-skill baseline: “bet against the last bar”.",
        "✓ pass 3.1e−07 1.0e−05",
        "control: a feature that sees the next bar 3 320,632 ✓ 41",
        "control: a fill that knows its bar&#39;s close 0 0 nothing to leak",
        evidence["environment"]["lock_sha256"],
        evidence["data"]["sha256"],
        # The gate's number beside what it was deflated by, then the run's own.
        "best of 9 independent trials, which is what 22 tried in all amount to 87.0% deflated Sharpe ratio",
        "trials counted 22 in the whole ledger, 11 of them in this run independent ones 8.4, by the correlation",
        "87.0%: the same, against the luckiest of 9 independent trials; against the 6 of this run alone, 88.0%",
        "How to read this",
    ):
        assert said in text, said
    # Sections go from the shortest horizon to the longest.
    assert text.index("next bar;") < text.index("next 4 bars;") < text.index("next 24 bars;")


@pytest.mark.usefixtures("quick")
def test_it_says_what_features_were_worth_and_how_sure_that_is(
    fill: Callable[..., Context], evidence: dict[str, Any]
) -> None:
    text = _text(write_report(fill(), {}).read_text(encoding="utf-8"))
    for said in (
        "rsi_14 return_24 , macd_12_26 2 [1, 6] 4.46 [2.96, 6.26] 4 of 4 0.080 ↑ rise 4.01",
        "Features whose rank correlation reaches 0.7 stand and fall together",
        "Over 4 refits the order agrees with a rank correlation of 0.31, and the first 10 of them by 0.42",
        "The first 12 of 15 groups.",
    ):
        assert said in text, said
    assert "chose its features" not in text
    assert "3 [1, 7]" in text
    one = evidence["horizons"]["1h"]
    columns = [{"feature": "body", "share": 1.0}, {"feature": "cci_20", "share": 0.5}]
    one["selection"] = {"method": "clusters", "fits": 12, "columns": columns, "set_stability": 0.61}
    one["importance"] = []
    text = _text(write_report(fill(), {}).read_text(encoding="utf-8"))
    assert text.count("What each group of features was worth") == 2
    evidence["horizons"]["4h"]["selection"] = one["selection"]
    text = _text(write_report(fill(), {}).read_text(encoding="utf-8"))
    assert "Each of 12 fits chose its features among its own training bars: the best one of each group" in text
    assert "The refits' choices agree by 0.61 (noise: 0, always the same: 1). Always chosen: body." in text


@pytest.mark.usefixtures("quick")
def test_a_version_that_passed_is_not_called_unproven(fill: Callable[..., Context]) -> None:
    text = _text(write_report(fill(passing=("1h", "4h", "24h")), {}).read_text(encoding="utf-8"))
    assert "Passed the gate after costs, at every horizon." in text
    assert "unproven . They are for trading on paper" not in text


@pytest.mark.usefixtures("quick")
def test_before_the_gate_it_says_so(fill: Callable[..., Context]) -> None:
    text = _text(write_report(fill(judged=False), {}).read_text(encoding="utf-8"))
    assert "Not judged yet." in text
    assert "What the gate said" not in text
    assert "best of 6 independent trials, which is what 11 tried in this run amount to 88.0% deflated" in text


def _emptied(value: object) -> object:
    """The same shape, every measured number missing."""
    match value:
        case dict():
            kept = {"horizon_bars", "fold", "count", "predicted", "observed", "mean", "std"}
            return {key: item if key in kept else _emptied(item) for key, item in value.items()}
        case list():
            return [_emptied(item) for item in value]
        case bool() | str():
            return value
        case _:
            return None


@pytest.mark.usefixtures("quick")
def test_it_says_how_far_the_result_can_be_trusted(fill: Callable[..., Context], evidence: dict[str, Any]) -> None:
    evidence["horizons"] = {"4h": evidence["horizons"]["4h"]}
    one = evidence["horizons"]["4h"]
    one["strategy"] |= {"impact_cost": 0.0, "funding": 0.1, "borrow": 0.0}
    one["combinatorial"] = {"groups": 6, "test_groups": 2, "splits": 15, "paths": [{}] * 5, "below_zero": 0.2}
    one["combinatorial"] |= {"correlation": 0.8, "sharpe": {"mean": 1.1, "p05": -0.2, "p50": 1.0, "p95": 1.9}}
    text = _text(write_report(fill(), {}).read_text(encoding="utf-8"))
    for said in (
        "fees 0.1900 52% spread and slippage 0.0780 21% impact on the price 0.0000 0% funding 0.1000 27%",
        "reached at 17.4 basis points a side",
        "hash war 2018-11 22.3% 9.0% −7.1% 28.7% 15.8% not in time 92% 50% 8%",
        "gap down 24.3% 10.3% −3.8% 28.9% 29.0% 108 75% 50% 17%",
        "Left out: correlation to one (needs several assets).",
        "Half of the ratio without impact, 3.01, is left at 19,529",
        "10,000 1.87 [0.01, 3.74] +139.1% 34.1% 10,178",
        "in 26.7% of 12,870 splits",
        "No probability: 3 configurations traded over the same days; 4 are needed.",
        "which is “buy and hold”: 0.012",
        "doing nothing +3.0 0.010 [0.009, 0.010] 0.011 [0.010, 0.011]",
        "above 0, no skill 4.27 years",
        "never, for the luckiest of 6 independent trials of this run: the Sharpe ratio is not above what luck",
        "Sharpe ratio 1.10 1.17 0.25 0.80 1.50",
        "Sharpe ratio 2.20 [0.35, 4.02] 1.10 −0.20 1.00 1.90",
        "20% of the paths stand below 0",
        "without a direction, nothing can be earned: returns before costs are 1.2 standard errors above zero",
        "in markets without a direction 32 −0.76 ± 0.32 [−3.65, 1.92] −10.4% 51.8% 69% 3%",
        "filled later, dearer, or not at once 200 1.57 ± 0.08 [0.28, 3.12] +130.5% 34.2% ± 0.5% 5% 2%",
        "its trades in another order 200 – – +330.5% 28.7% ± 1.6% 0% 0%",
    ):
        assert said in text


@pytest.mark.usefixtures("quick")
def test_it_says_why_no_market_was_simulated(fill: Callable[..., Context], evidence: dict[str, Any]) -> None:
    for one in evidence["horizons"].values():
        one["simulated"]["markets"] = {"draws": 0, "z": None, "reason": "simulated bars have no trades"}
    text = _text(write_report(fill(), {}).read_text(encoding="utf-8"))
    assert text.count("No markets were simulated: simulated bars have no trades.") == 3
    assert "in markets without a direction" not in text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("even", "said"),
    [(8.3, "That leaves 1.3."), (3.0, "It loses money to its costs."), (-94.9, "It loses money even without costs.")],
)
def test_what_costs_take_is_said_as_it_is(
    fill: Callable[..., Context], evidence: dict[str, Any], even: float, said: str
) -> None:
    evidence["horizons"] = {"4h": evidence["horizons"]["4h"]}
    context = fill()
    evidence["horizons"]["4h"]["strategy"] |= {"break_even_bps": even, "exposure": 0.0007}
    context.files.write_json("data/evidence/evidence.json", evidence)
    text = _text(write_report(context, {}).read_text(encoding="utf-8"))
    assert said in text
    assert "in the market 0.1% of the time" in text


@pytest.mark.usefixtures("quick")
def test_a_strategy_that_never_traded(fill: Callable[..., Context], evidence: dict[str, Any]) -> None:
    evidence["horizons"] = {"4h": evidence["horizons"]["4h"]}
    context = fill()
    one = evidence["horizons"]["4h"]
    one["strategy"] = dict.fromkeys(one["strategy"]) | {"exposure": 0.0, "total_return": 0.0, "trades": 0.0}
    one["stress"]["exposure"] = 0.0
    one["superior_ability"]["against"]["flat"] |= {"vote": None, "any": None, "daily_difference": 0.0}
    context.files.write_json("data/evidence/evidence.json", evidence)
    curves = context.files.read_frame("data/backtest/4h/curves.parquet")
    context.files.write_frame("data/backtest/4h/curves.parquet", curves.assign(equity=1.0, net_return=0.0))
    text = _text(write_report(context, {}).read_text(encoding="utf-8"))
    for said in (
        "doing nothing 0.0 – – – –",
        "What a crash would have cost Nothing: the test never held a position.",
        "No rolling Sharpe ratio: nothing was traded.",
        "It never fell below an earlier value.",
        "the strategy – – 0.0% – 0",
        "(return for its risk, a year) – nothing was traded",
        "not yet known then were purged. test period",
        "Nothing was traded: below, the ratio that is missing counts as 0.",
    ):
        assert said in text, said


@pytest.mark.usefixtures("quick")
def test_missing_values_are_dashes_never_zeros(fill: Callable[..., Context], evidence: dict[str, Any]) -> None:
    context = fill()
    empty = {**evidence, "horizons": _emptied(evidence["horizons"]), "measured": {}}
    context.files.write_json("data/evidence/evidence.json", empty)
    context.files.path("data/gate/verdict.json").unlink()
    html = write_report(context, {}).read_text(encoding="utf-8")
    text = _text(html)
    assert "the strategy – – – – –" in text
    assert "vote of all models – – – – – – – –" in text
    assert "one forecast takes – ms" in text
    for wrong in ("None", "nan", "Undefined"):
        assert not re.search(rf"\b{wrong}\b", text)
    assert '<div class="meter"' not in html


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("audit", "said"),
    [
        ({"clean": False, "control_caught": True, "checks": [{"changed": 2}]}, "✗ look-ahead found"),
        ({"clean": False, "control_caught": True, "checks": [{"changed": 0}]}, "✗ not everything was compared"),
        ({"clean": True, "control_caught": False, "checks": []}, "✗ the control was not caught"),
    ],
)
def test_a_failed_audit_is_not_glossed_over(
    fill: Callable[..., Context], evidence: dict[str, Any], audit: dict[str, Any], said: str
) -> None:
    context = fill()
    context.files.write_json("data/evidence/evidence.json", {**evidence, "audit": audit})
    assert said in _text(write_report(context, {}).read_text(encoding="utf-8"))


@pytest.mark.usefixtures("quick")
def test_words_from_outside_are_escaped(fill: Callable[..., Context], evidence: dict[str, Any]) -> None:
    context = fill()
    evidence["environment"]["commit"] = "<b onclick=x>"
    context.files.write_json("data/evidence/evidence.json", evidence)
    assert "&lt;b onclick=x&gt;" in write_report(context, {}).read_text(encoding="utf-8")


def test_without_evidence_it_says_what_to_do(context: Context) -> None:
    with pytest.raises(StageError, match=r"evidence\.json is missing"):
        write_report(context, {})


@pytest.mark.usefixtures("quick")
def test_a_folder_that_cannot_be_written(fill: Callable[..., Context]) -> None:
    context = fill()
    Path(context.settings.state).mkdir(parents=True)
    (context.settings.state / "reports").write_text("a file where a folder should be")
    with pytest.raises(WorkspaceError, match="cannot write the report"):
        write_report(context, {})
