import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from dashboard import evidence_figures, figures

INDEX = pd.date_range("2019-01-01", periods=5000, freq="h", tz="UTC", name="timestamp")


# The last could not be measured.
RATIOS = {"sharpe": [2.0, 0.5, None], "sharpe_low": [1.0, -0.5, None], "sharpe_high": [3.0, 1.5, None]}


def _ratios() -> pd.DataFrame:
    return pd.DataFrame({"sharpe": 1.0, "low": 0.0, "high": 2.0}, index=INDEX[::125])


def _curves() -> pd.DataFrame:
    random = np.random.default_rng(3)
    steps = random.normal(0, 0.004, (len(INDEX), 2))
    return pd.DataFrame(np.exp(steps.cumsum(axis=0)), index=INDEX, columns=["equity", "buy_and_hold"])


def _drawings() -> dict[str, str]:
    fan = pd.DataFrame(
        {name: np.linspace(1, 1 + i / 10, 50) for i, name in enumerate(["p05", "p25", "p50", "p75", "p95"])}
    )
    bins = [
        {
            "predicted": 0.4 + i / 20,
            "observed": 0.42 + i / 20,
            "observed_low": 0.4 + i / 20,
            "observed_high": 0.45 + i / 20,
            "count": 100 * i,
        }
        for i in range(5)
    ]
    features = [
        {
            "feature": f"feature_{i}",
            "features": [f"feature_{i}", *["twin"] * (i % 2)],
            "mean": 0.01 / (i + 1),
            "low": 0.008 / (i + 1),
            "high": 0.015 / (i + 1),
        }
        for i in range(20)
    ]
    return {
        "performance": figures.performance("a", _curves()),
        "fan": figures.fan("b", fan, 24.0),
        "calibration": figures.calibration("c", bins),
        "importance": figures.importance("d", features),
        "rolling": evidence_figures.rolling_sharpe("e", _ratios()),
        "break_even": evidence_figures.break_even(
            "f", {"cost_bps": [0, 5, 9], "own_bps": 7.0, "zero_bps": 6.0} | RATIOS
        ),
        "capacity": evidence_figures.capacity("g", {"capital": [1e3, 1e6, 1e9], "free_sharpe": 3.0} | RATIOS),
        "overfitting": evidence_figures.overfitting("h", {"value": [-1.1, 0.0, 1.1], "count": [10, 5, 5]}),
        "spreads": evidence_figures.spreads("j", [("filled late", {"mean": 1.0, "p05": -1.0, "p95": 2.5})], 1.5),
        "overlaid": evidence_figures.overlaid("i", _curves()),
    }


@pytest.fixture(scope="module")
def drawings() -> dict[str, str]:
    return _drawings()


def test_equal_data_give_equal_bytes(drawings: dict[str, str]) -> None:
    assert _drawings() == drawings


def test_every_picture_is_drawn_wide_and_narrow_and_is_well_formed(drawings: dict[str, str]) -> None:
    for picture in drawings.values():
        root = ET.fromstring(f"<div>{picture}</div>")
        assert [child.attrib["class"] for child in root] == ["wide", "narrow"]


def test_pictures_carry_no_colour_size_date_or_address_of_their_own(drawings: dict[str, str]) -> None:
    for picture in drawings.values():
        assert not re.search(r"#[0-9a-f]{6}\b(?!\w)", re.sub(r'(url\(|href=")#\w+', "", picture))
        assert not re.search(r'<svg[^>]* (width|height)="[^"]*pt"', picture)
        assert "metadata" not in picture
        assert "<!--" not in picture
        fetched = re.sub(r'xmlns(:\w+)?="[^"]*"', "", picture)
        assert "http" not in fetched
        assert {"var(--accent)", "var(--muted)"} <= set(re.findall(r"var\(--[\w-]+\)", picture))


def test_ids_are_referred_to_and_unique_over_all_pictures(drawings: dict[str, str]) -> None:
    page = "".join(drawings.values())
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', page)) == set(ids)


def test_thinning_keeps_ends_and_the_worst_loss() -> None:
    curves = _curves()
    drawdown = curves / curves.cummax() - 1
    thin = figures._thin_lows(drawdown)
    assert len(thin) <= 400
    assert thin.min().equals(drawdown.min())
    ends = figures._thin(curves)
    assert len(ends) <= 400
    assert ends.index[[0, -1]].equals(curves.index[[0, -1]])
    assert figures._thin(curves.head(10)).equals(curves.head(10))
    assert figures._thin_lows(drawdown.head(10)).equals(drawdown.head(10))


def test_only_the_most_important_features_are_shown_the_first_on_top(drawings: dict[str, str]) -> None:
    wide = drawings["importance"].split('<div class="narrow">')[0]
    named = re.findall(r">(feature_\d+(?: \+\d+)?)<", wide)
    assert named == [f"feature_{i}{' +1' * (i % 2)}" for i in range(11, -1, -1)]


def test_empty_bins_are_left_out() -> None:
    bins = [
        {"predicted": 0.5, "observed": 0.5, "observed_low": 0.2, "observed_high": 0.8, "count": 10},
        {"predicted": None, "observed": None, "observed_low": None, "observed_high": None, "count": 0},
        {"predicted": 0.6, "observed": 1.0, "observed_low": 0.4, "observed_high": 1.0, "count": 3},
    ]
    assert "nan" not in figures.calibration("e", bins).lower()


def test_a_whisker_is_placed_on_the_common_scale() -> None:
    drawn = figures.whisker(0.5, 0.25, 0.75, mark=0.0, span=(0.0, 1.0))
    root = ET.fromstring(drawn)
    parts = {child.attrib["class"]: child.attrib for child in root}
    assert parts["dot"]["cx"] == "50.0%"
    assert (parts["range"]["x1"], parts["range"]["x2"]) == ("26.0%", "74.0%")
    assert parts["mark"]["x1"] == "2.0%"
    assert "0.500 [0.250, 0.750] against 0.000" in root.attrib["aria-label"]


def test_a_whisker_without_values_is_only_a_rail() -> None:
    root = ET.fromstring(figures.whisker(None, None, None, mark=None, span=(1.0, 1.0)))
    assert [child.attrib["class"] for child in root] == ["rail"]
    assert "–" in root.attrib["aria-label"]
    assert [c.attrib["class"] for c in ET.fromstring(figures.whisker(1.0, None, 2.0, mark=1.0, span=(1.0, 1.0)))] == [
        "rail",
        "mark",
        "dot",
    ]


def test_they_say_what_was_measured(drawings: dict[str, str]) -> None:
    assert "paid: 7.0 bps" in drawings["break_even"]
    assert "zero: 6.0 bps" in drawings["break_even"]
    for capital in ("1k", "1m", "1bn"):
        assert f">{capital}<" in drawings["capacity"]
    # Ten of twenty splits chose what fell below the median.
    assert ">50%<" in drawings["overfitting"]
