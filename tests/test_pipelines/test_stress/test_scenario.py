"""The catalogue is read strictly, and what it says is sourced."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.settings import ROOT
from pipelines.stress.scenario import CATALOGUE, read_catalogue
from trading.errors import ParamsError

ENTRY: dict[str, Any] = {"name": "mine", "kind": "made_up", "description": "A.", "source": "B.", "hours": 24}


def write(folder: Path, content: Any) -> Path:
    path = folder / CATALOGUE
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_committed_catalogue_holds_what_it_promises() -> None:
    found = {one.name: one for one in read_catalogue(ROOT / CATALOGUE)}
    windows = [name for name, one in found.items() if one.kind == "historical"]
    assert [name[-10:].strip("_") for name in windows] == [
        "ar_2018_11", "2020_03_12", "2021_05_19", "ra_2022_05", "tx_2022_11", "2025_10_10",
    ]  # fmt: skip
    for name in windows:
        assert found[name].path
        assert "BTC/USD from" in found[name].source
        assert "Approximate" in found[name].source
    # The lowest point of each, as published: within two percent of the price.
    depths = [min(anchor.move for anchor in found[name].path) for name in windows]
    assert depths == pytest.approx([-0.44, -0.51, -0.30, -0.26, -0.24, -0.14], abs=0.02)
    assert found["volatility_x3"].volatility == 3.0
    assert found["spread_x20"].spread == 20.0
    assert found["volume_div_20"].volume == pytest.approx(1 / 20)
    assert found["funding_spike"].funding > 0
    assert found["correlation_to_one"].correlated
    assert found["exchange_outage"].volume == found["frozen_feed"].volume == 0.0
    assert found["gap_down"].path[0].hours == found["gap_up"].path[0].hours == 0.0
    assert found["flash_crash"].path[-1].move == 0.0


def test_what_an_entry_does_not_mention_stays_as_it_was(tmp_path: Path) -> None:
    (one,) = read_catalogue(write(tmp_path, {"scenarios": [ENTRY]}))
    assert (one.path, one.volatility, one.spread, one.volume, one.funding, one.correlated) == ([], 1, 1, 1, 0, False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"spraed": 2.0}, "spraed: unknown key"),
        ({"source": ""}, "source: "),
        ({"kind": "real"}, "kind: "),
        ({"name": "Two words"}, "name: "),
        ({"hours": 0}, "hours: "),
        ({"hours": float("inf")}, "hours: "),
        ({"volume": -1.0}, "volume: "),
        ({"spread": float("nan")}, "spread: "),
        ({"funding": "much"}, "funding: "),
        ({"path": [{"hours": 1, "move": -1.0}]}, "path.0.move: "),
        ({"path": [{"hours": 1, "move": -0.1, "till": 2}]}, "path.0.till: unknown key"),
        ({"path": [{"hours": 2, "move": -0.1}, {"hours": 2, "move": 0.0}]}, "hours .* must grow"),
        ({"path": [{"hours": 25, "move": -0.1}]}, "hour 25, lies beyond the 24 hours"),
    ],
)
def test_a_bad_entry_is_refused_by_its_number_and_name(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ParamsError, match=named) as caught:
        read_catalogue(write(tmp_path, {"scenarios": [ENTRY | {"name": "first"}, ENTRY | change]}))
    assert f"entry 2 ({change.get('name', 'mine')})" in caught.value.where
    assert "docs/stress-tests.md" in caught.value.remedy


def test_a_missing_key_and_a_name_used_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="name: ") as caught:
        read_catalogue(write(tmp_path, {"scenarios": [{key: ENTRY[key] for key in ENTRY if key != "name"}]}))
    assert "without a name" in caught.value.where
    with pytest.raises(ParamsError, match="a second scenario mine"):
        read_catalogue(write(tmp_path, {"scenarios": [ENTRY, ENTRY]}))


@pytest.mark.parametrize(
    "content", [{"scenario": []}, {"scenarios": [], "more": 1}, {"scenarios": 7}, {"scenarios": [7]}]
)
def test_another_shape_of_file_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ParamsError) as caught:
        read_catalogue(write(tmp_path, content))
    assert "one key, scenarios" in caught.value.rule


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="is missing"):
        read_catalogue(tmp_path / CATALOGUE)
