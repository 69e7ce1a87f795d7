"""How often the whole machine promotes: a market goes through all of it, and the tables say what the verdicts say."""

import json
from typing import Any

import pytest

from benchmarks.calibration import __main__ as command
from benchmarks.calibration.machine import verdicts
from benchmarks.calibration.markets import empty_state
from trading.markets.market import Market


def verdict(sharpe: float | None, *failed: str, bound: float = 0.0) -> dict[str, Any]:
    return {
        "promoted": not failed, "failed": list(failed), "values": {"against_champion": bound}, "sharpe": sharpe,
        "attainable": 4.0, "deflated_by": 3, "test_bars": 10_020,
    }  # fmt: skip


def test_tables_count_what_was_promoted_and_what_refused() -> None:
    found = {
        "idle": [[verdict(None, "enough_trades")]],
        "edge": [
            [verdict(4.0), verdict(3.0, bound=-0.25)],
            [verdict(2.0), verdict(1.0, "against_champion", bound=-0.75)],
            [verdict(0.0, "skill", "deflated_sharpe")],
        ],
    }  # fmt: skip
    _, _, idle, edge = command.claims(found).splitlines()
    assert idle == "| idle | 1 | 10,020 | 4.00 | none traded | one | 3.0 | 0 (0.0%) | enough_trades 1 |"
    assert edge == "| edge | 3 | 10,020 | 4.00 | 2.00 | 2.00 | 3.0 | 2 (66.7%) | skill 1, deflated_sharpe 1 |"
    (only,) = command.refreshes(found).splitlines()[2:]
    assert only == "| edge | 2 | -0.50 | -0.75 | 1 (50.0%) | against_champion 1 |"


@pytest.fixture(scope="module")
def strong(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A market that nobody could miss, and a month more of it."""
    state = tmp_path_factory.mktemp("calibration")
    empty = empty_state(state / "empty")
    assert empty_state(empty) == empty
    found = verdicts(Market("linear", 0.6), 1, (6_000, 6_720), empty, cost_bps=1.0, state=state)
    assert [path.name for path in state.iterdir()] == ["empty"]
    return found


def test_a_market_goes_through_all_stages_to_a_champion_and_its_refresh(strong: list[dict[str, Any]]) -> None:
    first, second = strong
    assert (first["question"], first["promoted"], first["failed"]) == ("first", True, [])
    assert (second["question"], "against_champion" in second["values"]) == ("refresh", True)
    assert second["test_bars"] > first["test_bars"] > 1_000
    json.dumps(strong, allow_nan=False)


def test_who_is_told_every_expectation_earns_more(strong: list[dict[str, Any]]) -> None:
    for one in strong:
        assert one["attainable"] > one["sharpe"] > 0
