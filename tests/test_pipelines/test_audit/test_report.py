"""What a report says to its reader."""

import json

import pandas as pd
import pytest

from pipelines.audit.report import ROWS, Failure, Finding, Report
from pipelines.audit.worlds import Moment

TIME = pd.Timestamp("2019-01-01 05:00", tz="UTC")
MOMENTS = [Moment(TIME.as_unit("ns").value, False, "at random")]


def finding(column: object, ahead: int = 1, **more: object) -> Finding:
    said = {"world": "mirrored", "moment": TIME, "why": "at random", "row": TIME, "known_at": TIME, "rows": 1}
    return Finding(column=column, ahead=ahead, **{**said, "before": 1.0, "after": 2.0, "largest": 1.0, **more})  # type: ignore[arg-type]


def report(*findings: Finding, **more: object) -> Report:
    columns = {found.column: 10 for found in findings if found.column != ROWS} | {"honest": 10}
    return Report(findings, **{"cells": columns, "moments": MOMENTS, "evaluations": 3, **more})  # type: ignore[arg-type]


def test_columns_come_in_the_order_of_the_frame_and_rows_last() -> None:
    cells = {"a": 1, "b": 1, "c": 1}
    made = report(finding(ROWS), finding("c"), finding("a"), finding("c"), cells=cells)
    assert made.columns == ["a", "c", ROWS]
    assert report(finding(ROWS)).columns == [ROWS]


def test_the_farthest_look_is_the_one_that_is_told() -> None:
    made = report(finding("a"), finding("a", 24, row=(TIME, "x"), before=None, after=None, rows=3))
    assert made.first("a").ahead == 24
    text = str(made)
    assert "a sees at least 24 bars too far (caught 2 times)" in text
    assert "3 rows changed" in text
    assert "first 2019-01-01 05:00, x, known at 2019-01-01 05:00\n" in f"{text}\n"


def test_one_is_singular() -> None:
    text = str(report(finding("a"), cells={"a": 1}))
    assert text.startswith("LOOK-AHEAD: 1 column, 1 values, 1 moments")
    assert "1 bar too far (caught 1 time)" in text
    assert "1 row changed" in text
    assert "1 became 2" in text


def test_many_columns_are_summed_up() -> None:
    text = str(report(*(finding(f"c{n}") for n in range(30))))
    assert text.count("too far") == 12
    assert "and 18 more: c12, c13" in text
    assert text.splitlines()[-1].endswith("c23 and 6 more")


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, "clean"),
        ({"unstable": ["noise"]}, "undecided"),
        ({"cells": {"a": 0}}, "undecided"),
        ({"cells": {}}, "undecided"),
    ],
)
def test_what_was_not_compared_is_not_clean(more: dict[str, object], verdict: str) -> None:
    made = report(**more)
    assert made.verdict == verdict
    assert made.clean == (verdict == "clean")
    assert made.columns == []


def test_everything_else_is_told_as_well() -> None:
    failure = Failure("removed", TIME, "where values begin", "ValueError: too few")
    made = report(
        failures=[failure, failure], unstable=["noise"], rounding={"filter": 3e-16}, cells={"honest": 5, "blank": 0}
    )
    text = str(made)
    assert "raised on 2 of the other futures" in text
    assert "removed after 2019-01-01 05:00 (where values begin): ValueError: too few" in text
    assert "moved by rounding only, 3.0e-16 of their size at most: filter" in text
    assert "never compared, for they were blank wherever they were known: blank" in text
    told = json.loads(made.to_json())
    assert told["failures"][0]["moment"] == TIME.isoformat()
    assert (told["unstable"], told["unseen"], told["rounding"]) == (["noise"], ["blank"], {"filter": 3e-16})
    assert told["moments"] == [{"at": TIME.isoformat(), "why": "at random"}]


def test_labels_and_values_of_any_kind_become_json() -> None:
    told = json.loads(report(finding(("BTC/USD", 3), row=(TIME, "x"), before=float("nan"), after=None)).to_json())
    (only,) = told["findings"]
    assert only["column"] == "('BTC/USD', 3)"
    assert (only["before"], only["after"], only["caught"]) == (None, None, 1)
