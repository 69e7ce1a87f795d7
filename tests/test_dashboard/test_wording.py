import math

import pytest

from dashboard import wording
from dashboard.wording import MISSING


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (None, 2, MISSING),
        (math.nan, 2, MISSING),
        (math.inf, 2, MISSING),
        (0.0, 2, "0.00"),
        (-0.001, 2, "0.00"),
        (-1.5, 1, "−1.5"),
        (1234567, 0, "1,234,567"),
        (-1234.5, 1, "−1,234.5"),
    ],
)
def test_numbers_have_a_real_minus_and_no_made_up_zero(value: float | None, digits: int, expected: str) -> None:
    assert wording.number(value, digits) == expected


def test_signs() -> None:
    assert wording.signed(0.5) == "+0.50"
    assert wording.signed(-0.5) == "−0.50"
    assert wording.signed(0.001) == "0.00"
    assert wording.points(0.0071) == "+0.7"
    assert wording.signed_percent(-0.125) == "−12.5%"
    assert wording.percent(0.5) == "50.0%"
    for say in (wording.signed, wording.points, wording.percent, wording.signed_percent, wording.scientific):
        assert say(None) == MISSING


def test_an_interval_needs_both_ends() -> None:
    assert wording.interval(-1.0, 2.0) == "[−1.00, 2.00]"
    assert wording.interval(0.539, 0.561, 1, 100) == "[53.9, 56.1]"
    assert wording.interval(None, 2.0) == MISSING
    assert wording.interval(1.0, math.nan) == MISSING


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, MISSING),
        (True, "yes"),
        (False, "no"),
        (640, "640"),
        (0.41, "0.41"),
        (-0.004, "−0.004"),
        (3.1e-7, "3.1e−07"),
        (5000.0, "5,000"),
        (0.0, "0"),
        (math.nan, MISSING),
        ("reversal", "reversal"),
    ],
)
def test_whatever_a_rule_measured_can_be_said(value: object, expected: str) -> None:
    assert wording.plain(value) == expected


def test_moments_and_positions() -> None:
    assert wording.day("2019-10-01T00:00:00+00:00") == "2019-10-01"
    assert wording.minute("2019-10-01T07:30:00+00:00") == "2019-10-01 07:30 UTC"
    assert wording.day(None) == wording.minute(None) == wording.position(None) == MISSING
    assert [wording.position(x) for x in (1.0, 0.0, -1.0, 0.25, -0.5)] == [
        "long",
        "flat",
        "short",
        "long 0.25",
        "short 0.50",
    ]


def test_which_way_a_feature_pushes() -> None:
    assert [wording.push(x) for x in (0.9, -0.9, 0.1, None, math.nan)] == [
        "↑ rise",
        "↓ fall",
        "mixed",
        MISSING,
        MISSING,
    ]


def test_sentences() -> None:
    assert wording.sentence("refused: no skill over 'reversal'") == "Refused: no skill over “bet against the last bar”."
    assert wording.sentence("Done!") == "Done!"
    assert wording.sentence("") == ""
    assert wording.label("unheard_of") == "unheard of"


def test_horizons_are_ordered_by_length_not_by_spelling() -> None:
    horizons = {"24h": {"horizon_bars": 24}, "1h": {"horizon_bars": 1}, "4h": {"horizon_bars": 4}}
    assert [name for name, _ in wording.by_length(horizons)] == ["1h", "4h", "24h"]


def test_scenarios_have_dates_and_signs() -> None:
    names = ("covid_2020_03_12", "hash_war_2018_11", "volume_div_20", "spread_x20", "gap_down")
    said = ["covid 2020-03-12", "hash war 2018-11", "volume ÷ 20", "spread × 20", "gap down"]
    assert [wording.scenario(name) for name in names] == said


def _verdict(question: str = "first", **horizons: list[str] | None) -> dict[str, object]:
    """Each horizon with the rules it failed; None passed."""
    return {
        "horizons": {
            name.removeprefix("h"): {
                "verdict": "refused" if failed else "passed",
                "question": question,
                "rules": [{"rule": rule, "passed": False} for rule in failed or []],
            }
            for name, failed in horizons.items()
        }
    }


def test_headlines() -> None:
    assert wording.headline(None) == ("Not judged yet", "neutral")
    assert wording.headline({"horizons": {}}) == ("Not judged yet", "neutral")
    assert wording.headline(_verdict(h1h=["skill"])) == ("No proven edge after costs: not promoted", "neutral")
    assert wording.headline(_verdict(h1h=None, h4h=None))[1] == "good"
    text, tone = wording.headline(_verdict(h24h=None, h1h=["skill"], h4h=None))
    assert tone == "mixed"
    assert text == "4h, 24h passed the gate after costs; 1h not promoted"
    assert wording.headline(_verdict(h1h=["skill", "audit_clean"])) == ("Failed its own checks: not promoted", "bad")
    assert "refresh" in wording.headline(_verdict("refresh", h1h=["against_champion"]))[0]
