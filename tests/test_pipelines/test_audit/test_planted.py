"""Every planted leak is found and named, and nobody else is."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from pipelines.audit.lookahead import find_lookahead
from pipelines.audit.report import Report
from tests.test_pipelines.test_audit import leaks


@pytest.fixture(scope="module")
def side_by_side(busy: pd.DataFrame) -> Report:
    """All columns in one frame: each leak has to be told from all honest columns and from all other leaks."""
    return find_lookahead(leaks.columns_of({**leaks.COLUMNS, **leaks.HONEST}), busy)


@pytest.mark.parametrize("name", leaks.COLUMNS)
def test_a_planted_leak_is_found(side_by_side: Report, name: str) -> None:
    assert name in side_by_side.columns


@pytest.mark.parametrize("name", leaks.HONEST)
def test_an_honest_neighbour_is_not_named(side_by_side: Report, name: str) -> None:
    assert name not in side_by_side.columns
    assert name not in side_by_side.unstable


def test_blank_columns_and_rounding_are_reported_and_not_judged(side_by_side: Report) -> None:
    assert side_by_side.unseen == ["always_blank"]
    assert "causal_filter_by_fourier" in (side_by_side.rounding or {})
    assert not side_by_side.failures
    assert side_by_side.verdict == "guilty"


@pytest.mark.parametrize("name", leaks.STEPS)
def test_a_planted_leak_of_a_whole_step_is_found_and_nobody_else_named(busy: pd.DataFrame, name: str) -> None:
    planted = leaks.STEPS[name]
    report = find_lookahead(planted.step, busy, cuts=0, **declared(planted.options, busy))
    assert set(report.columns) == set(planted.guilty), report
    assert not report.clean


def declared(options: Mapping[str, Any], bars: pd.DataFrame) -> dict[str, Any]:
    """Options of a planted step on these bars."""
    made = dict(options)
    if made.pop("context", False):
        made["context"] = {name: series(bars) for name, series in leaks.CONTEXT.items()}
    if isinstance(made.get("t_end"), pd.Series):
        made["t_end"] = pd.Series(bars.index, index=bars.index).shift(-4)
    return made


def test_at_least_thirty_leaks_were_planted() -> None:
    assert len(leaks.COLUMNS) + len(leaks.STEPS) >= 100
