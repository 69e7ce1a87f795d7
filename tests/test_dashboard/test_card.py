"""A card says what the files say, says what they lack, and is valid Markdown and HTML."""

import re
from collections.abc import Callable
from copy import deepcopy
from html import unescape
from typing import Any

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from dashboard import figures
from dashboard.card import Card, card
from dashboard.card_pages import CARDS, command_of, to_html, to_markdown, write_cards
from dashboard.card_section import Section
from dashboard.report import write_report
from pipelines.context import Context
from pipelines.params import Params, RunIdentity
from pipelines.tracking_store import first_sections
from tests import bundles
from trading.errors import StageError, WorkspaceError

COMMAND = 'make run ARGS="--symbol BTC/USD"'


@pytest.fixture
def spec(params: Params, instrument: Any, bars: pd.DataFrame) -> dict[str, Any]:
    """What a trained bundle says about itself."""
    features = pd.DataFrame(0.0, index=bars.index, columns=["return_1", "rsi_14", "volatility_24"])
    said = bundles.spec(params, instrument, "4h", bars, features=features)
    return said | {
        "dirty": False,
        "members": [{"name": "xgboost", "weight": 2 / 3, "window": 1}, {"name": "lstm", "weight": 1 / 3, "window": 4}],
        "settings": {"xgboost": {**said["params"]["models"]["xgboost"], "max_depth": 9}},
        "selection": {"method": "clusters", "columns": {"xgboost": ["return_1"], "lstm": ["return_1", "rsi_14"]}},
    }


@pytest.fixture
def verdict(evidence: dict[str, Any], fill: Callable[..., Context]) -> dict[str, Any]:
    """The gate's refusal of the spec's horizon."""
    found: dict[str, Any] = fill().files.read_json("data/gate/verdict.json")["horizons"]["4h"]
    return found


def tables(markdown: str) -> dict[str, list[list[str]]]:
    """Cells of the table under each heading, as a reader of Markdown shows them."""
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    found = {}
    for title, body in re.findall(r"<h2>(.*?)</h2>(.*?)(?=<h2>|\Z)", html, flags=re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", body, flags=re.DOTALL)
        found[title] = [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]
    return found


def shown(html: str) -> str:
    """What a reader of the page sees."""
    html = re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


def test_it_says_what_the_files_say(
    spec: dict[str, Any], evidence: dict[str, Any], verdict: dict[str, Any], params: Params
) -> None:
    text = to_markdown(card(spec, evidence, verdict, command=COMMAND))
    found = tables(text)
    assert list(found) == [
        *("Skill", "Money after costs", "Gate", "Limits", "Reproduction", "Calibration"),
        *("Data", "Importance", "Features", "Parameters"),
    ]
    assert found["Skill"][:2] == [
        ["model", "accuracy", "over the best rule, points", "log loss", "Brier", "AUC"],
        ["vote of all models", "54.7% [53.1, 56.3]", "+1.9 [0.1, 3.7]", "0.6882", "0.2476", "0.562"],
    ]
    assert found["Skill"][2][:3] == ["random forest", "54.4% [52.8, 56.0]", "+1.6 –"]
    assert ["bet against the last bar", "52.8%", "–", "–", "–", "–"] in found["Skill"]
    assert ["constant 50%", "–", "–", "0.6931", "0.2500", "–"] in found["Skill"]
    money = dict(row[:2] for row in found["Money after costs"])
    assert money["Sharpe ratio a year"] == "2.20 [0.35, 4.02]"
    # The gate's number beside what it was deflated by.
    deflated = "deflated Sharpe: not the luck of the best of"
    assert money[f"{deflated} 9 independent trials (22 counted in the ledger)"] == "87.0%"
    unjudged = dict(
        row[:2] for row in tables(to_markdown(card(spec, evidence, None, command=COMMAND)))["Money after costs"]
    )
    assert unjudged[f"{deflated} 6 independent trials (11 counted in this run)"] == "88.0%"
    assert found["Gate"][0] == ["rule", "result", "reason"]
    assert [row[1] for row in found["Gate"][1:]] == ["pass" if r["passed"] else "FAIL" for r in verdict["rules"]]
    (refused,) = [row for row in found["Gate"] if row[0] == "better than the best rule without skill"]
    assert refused[1] == "FAIL"
    assert refused[2].startswith("Best no-skill")
    assert found["Calibration"][1][:2] == ["said", "30.0%"]
    assert found["Importance"][1] == ["return_1 and 1 more", "6.20 [5.00, 7.64]", "↓ fall"]
    assert dict(row for row in found["Data"])["SHA-256 of the validated bars"] == "data"
    assert dict(found["Features"])["columns that each member is given"] == "XGBoost 1, LSTM 2"
    assert dict(found["Features"])["chosen by"].startswith("the best one of each group")
    assert found["Parameters"][1][:3] == ["XGBoost", "0.667", "1"]
    assert found["Parameters"][1][4] == "max_depth 9"
    assert dict(found["Reproduction"])["seed"] == str(params.seed)
    assert text.endswith("\n")
    assert f"```\ngit checkout deadbeef\n{COMMAND}\n```" in text


def test_the_short_form_still_says_skill_limits_and_how_to_reproduce(
    spec: dict[str, Any], evidence: dict[str, Any], verdict: dict[str, Any]
) -> None:
    text = to_markdown(card(spec, evidence, verdict, command=COMMAND))
    short = first_sections(text)
    assert len(short) <= 5000
    assert {"Skill", "Gate", "Limits", "Calibration", "Reproduction"} <= set(tables(short))


def test_limits_are_in_plain_words(spec: dict[str, Any], evidence: dict[str, Any], verdict: dict[str, Any]) -> None:
    def limits(spec: dict[str, Any], verdict: dict[str, Any] | None) -> str:
        said = card(spec, evidence, verdict, command=COMMAND)
        return " ".join(next(section for section in said.sections if section.key == "limits").items)

    text = limits(spec, verdict)
    assert "7.0 bps a side whatever the size (fee 5.0, spread 2.0, slippage 1.0)" in text
    assert "gaps of at most 5 missing bars" in text
    assert "no figure here is its own" in text
    for doubt in ("cannot be made again", "not shown", "worth less than a constant", "has not judged"):
        assert doubt not in text, doubt
    one = evidence["horizons"]["4h"]
    one["skill_low"], one["strategy"]["sharpe_low"] = -0.001, None
    one["skill"]["vote"]["log_loss"] = 0.6931
    text = limits({**spec, "dirty": True}, None)
    for doubt in (
        "accuracy is not shown to be better",
        "a profit after costs is not shown",
        "worth less than a constant 50%",
        "cannot be made again exactly",
        "The gate has not judged it",
    ):
        assert doubt in text, doubt


def test_a_version_that_passed_does_not_call_itself_unproven(
    spec: dict[str, Any], evidence: dict[str, Any], verdict: dict[str, Any]
) -> None:
    refused = card(spec, evidence, verdict, command=COMMAND)
    assert (refused.tone, refused.headline[:8]) == ("neutral", "Unproven")
    passed = card(spec, evidence, {**verdict, "verdict": "passed", "summary": "passed: all"}, command=COMMAND)
    assert (passed.tone, passed.headline) == ("good", "Passed: all.")
    unjudged = card(spec, evidence, None, command=COMMAND)
    assert unjudged.headline.endswith("The gate has not judged this model.")


def test_what_is_missing_is_said_to_be_missing(spec: dict[str, Any], evidence: dict[str, Any]) -> None:
    bare = {"horizons": {"4h": {}}}
    for key in ("settings", "selection", "dirty"):
        del spec[key]
    spec |= {"commit": None, "lock_sha256": None}
    text = to_markdown(card(spec, bare, None, command=COMMAND))
    found = tables(text)
    assert text.count("Not measured in this run.") == 4
    assert all(found[title] == [] for title in ("Skill", "Money after costs", "Calibration", "Importance"))
    assert dict(found["Reproduction"])["commit"] == "–"
    assert dict(found["Reproduction"])["SHA-256 of the parameters"] == "–"
    assert "git checkout" not in text
    assert "0.0%" not in text
    assert dict(found["Features"])["columns that each member is given"] == "–"
    assert found["Parameters"][1][3:] == ["–", "–"]


def test_scores_that_a_run_has_besides_are_shown(spec: dict[str, Any], evidence: dict[str, Any]) -> None:
    one = evidence["horizons"]["4h"]
    one["skill"]["vote"] |= {
        "balanced_accuracy": 0.52,
        "balanced_accuracy_low": 0.51,
        "balanced_accuracy_high": 0.53,
        "information_coefficient": 0.031,
    }
    one["brier"] = {"reliability": 0.0004, "resolution": 0.0021}
    one["skill"]["lstm"] |= {"skill_low": -0.01, "skill_high": 0.02}
    text = to_markdown(card(spec, evidence, None, command=COMMAND))
    head, vote, *others = tables(text)["Skill"]
    assert dict(zip(head, vote, strict=True))["balanced accuracy"] == "52.0% [51.0, 53.0]"
    assert dict(zip(head, vote, strict=True))["information coefficient"] == "0.031"
    assert all(len(row) == len(head) for row in others)
    assert next(row for row in others if row[0] == "LSTM")[2] == "+1.0 [−1.0, 2.0]"
    assert "Brier score 0.2476 (reliability 0.0004, resolution 0.0021)" in text


NASTY = "a|b <b onclick=x>_c_ *d* `e` [f](g) \\ &amp;\nh"


def test_nothing_in_a_value_is_taken_for_markup() -> None:
    said = Card(NASTY, NASTY, "neutral", NASTY, (Section("k", "T", (NASTY,), ("x", "y"), ((NASTY, "1"),), (NASTY,)),))
    markdown = to_markdown(said)
    folded = NASTY.replace("\n", " ")
    assert tables(markdown)["T"][1] == [folded, "1"]
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    expected = "h1 h2 p strong table thead tbody tr th td ul li"
    assert set(re.findall(r"<(\w+)", html)) == set(expected.split())
    page = to_html(said, {})
    assert "<b onclick" not in page
    assert shown(page).count(folded) == 7


def test_pages_beside_the_report(
    fill: Callable[..., Context], spec: dict[str, Any], evidence: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("performance", "fan"):
        monkeypatch.setattr(figures, name, lambda *_, **__: "<svg></svg>")
    context = fill()
    for horizon in evidence["horizons"]:
        context.files.write_json(f"data/train/{horizon}/bundle.json", {**spec, "horizon": horizon})
    context.files.write_text(f"{CARDS}/BTC-USD-1h-8h.html", "of a horizon that is no longer forecast")
    evidence["horizons"]["24h"] |= {"calibration": [], "importance": []}
    context.files.write_json("data/evidence/evidence.json", evidence)
    pages = write_cards(context)
    folder = context.files.path(CARDS)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"BTC-USD-1h-{horizon}.{ending}" for horizon in evidence["horizons"] for ending in ("html", "md")
    )
    html = pages["4h"].read_text(encoding="utf-8")
    # Self-contained: nothing is fetched, nothing is run.
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", html)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert html.count('<div class="wide">') == html.count('<div class="narrow">') == 2
    assert '<div class="wide">' not in pages["24h"].read_text(encoding="utf-8")
    for link in re.findall(r'<a href="#(\w+)"', html):
        assert f'id="{link}"' in html
    assert "prefers-color-scheme: dark" in html
    assert "vote of all models 54.7% [53.1, 56.3]" in shown(html)
    assert "--as-of 2019-10-01T00:00:00+00:00 --bars FILE" in shown(html)
    # The report, and its copy under the state folder, find the cards where they link to.
    report = write_report(context, pages)
    for place in (report.parent, context.settings.state / "reports"):
        for link in re.findall(r'<a href="(cards/[^"]+)"', report.read_text(encoding="utf-8")):
            assert (place / link).exists()
    assert write_cards(context) == pages
    assert pages["4h"].read_text(encoding="utf-8") == html


def test_cards_need_bundles_and_a_folder(fill: Callable[..., Context], spec: dict[str, Any]) -> None:
    context = fill(judged=False)
    with pytest.raises(StageError, match=r"bundle\.json"):
        write_cards(context)
    for horizon in ("1h", "4h", "24h"):
        context.files.write_json(f"data/train/{horizon}/bundle.json", {**spec, "horizon": horizon})
    context.settings.state.mkdir(exist_ok=True)
    (context.settings.state / "reports").write_text("a file where a folder should be")
    with pytest.raises(WorkspaceError, match="cannot write the model cards"):
        write_cards(context)


def test_the_command_names_source_and_profile(context: Context, params: Params, raw_params: dict[str, Any]) -> None:
    from pipelines.params import parse_params

    def command(params: Params, source: str) -> str:
        return command_of(context.run.model_copy(update={"source": source}), params, "2019-10-01", {})

    assert isinstance(context.run, RunIdentity)
    assert command_of(context.run, params, "2019-10-01", ["ETH/USD"]).endswith('--bars FILE --context FOLDER"')
    base = 'make run ARGS="--symbol BTC/USD --timeframe 1h --as-of 2019-10-01'
    assert command(params, "data/sample/x.parquet") == f'{base}"'
    assert command(params, "source/x.csv") == f'{base} --bars FILE"'
    assert command(params, "exchange:kraken") == f'{base} --exchange kraken"'
    for profile in ("full", "nested", "full+nested"):
        applied = parse_params(deepcopy(raw_params), profile=profile)
        assert command(applied, "data/sample/x.parquet") == f'{base} --profile {profile}"'
