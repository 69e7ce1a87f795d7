"""The tables of skill: what is measured is kept, and what they say follows from it."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks._cells import inserted, measured
from benchmarks.skill import known, null
from benchmarks.skill.forecasts import dataset, params_of
from models.factory import FAMILIES
from trading.markets.market import Market, draw

ASKED: list[int] = []


def squared(cell: dict[str, Any]) -> dict[str, Any]:
    ASKED.append(cell["n"])
    if cell["n"] == 13:
        raise KeyboardInterrupt
    return {"value": cell["n"] ** 2}


def test_a_cell_is_measured_once_and_an_interruption_loses_one(tmp_path: Path) -> None:
    ASKED.clear()
    cells = [{"n": n} for n in (2, 3, 13, 4)]
    with pytest.raises(KeyboardInterrupt):
        measured(squared, cells, tmp_path, 1)
    del cells[2]
    assert [one["value"] for one in measured(squared, cells, tmp_path, 1)] == [4, 9, 16]
    assert ASKED == [2, 3, 13, 4]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_table_is_put_between_its_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: generated -->\nold\n<!-- a: end -->\nafter\n")
    inserted(page, "a", "new")
    inserted(page, "a", "newer")
    assert page.read_text() == "before\n<!-- a: generated -->\n\nnewer\n\n<!-- a: end -->\nafter\n"
    with pytest.raises(SystemExit, match="no place for b"):
        inserted(page, "b", "new")


def found(best: float, stack: float) -> dict[str, Any]:
    earned = dict.fromkeys(FAMILIES, 0.1) | {"xgboost": best, "soft": 0.2, "stack": stack, "majority": 0.0}
    return {
        "attainable": 0.6, "rows": 10, "columns": 203, "earned": earned, "earned_realised": earned, "seconds": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("best", "stack", "said"), [(0.8, 0.75, ["reached", "reached"]), (0.7, 0.6, ["MISSED", "MISSED"])]
)
def test_verdicts_are_those_of_the_figures(best: float, stack: float, said: list[str]) -> None:
    _, (line,) = known.table([{"edge": "interaction"}], [found(best, stack)])
    assert line.startswith(f"interaction: best single family xgboost earns {best:.2f}")
    assert [word.rstrip(");") for word in line.split() if "reached" in word or "MISSED" in word] == said


def test_claims_are_counted() -> None:
    runs = [{"accuracy": 0.49 + n / 500, "samples": 9, "claimed": n == 3, "over_baseline": 0.0} for n in range(11)]
    _, (mean, claims) = null.table(runs)
    assert "+0.00 standard errors" in mean
    assert claims.startswith("1 claims of skill in 11 runs")


def test_a_planted_market_becomes_a_dataset_of_the_default_features() -> None:
    market = Market("memory", 0.6)
    bars = draw(market, 1200, 1).bars
    data = dataset(bars, market.instrument, "1h", params_of("quick"))
    assert data.X.shape[1] >= 60
    assert data.y.iloc[:-2].notna().all()
    assert (data.t_end.iloc[:-2] - data.X.index[:-2]).nunique() == 1
