import json
from pathlib import Path

import pytest

from flows.progress import DEFAULTS, Durations, Tally, clock_text, progress, timed


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_run_that_begins_is_not_below_nothing(clock: Clock) -> None:
    """Added up in another order, these durations come to a hair more."""
    tally = Tally({"ingest": 6.24, "tune": 34.05, "train": 30.79, "backtest": 10.95, "gate": 20.32}, clock)
    tally.tell("ingest", 0, 0)
    assert f"{tally.fraction:.0%}" == "0%"


def test_work_is_weighed_by_what_it_took_last_time(clock: Clock) -> None:
    tally = Tally({"ingest": 10.0, "tune": 30.0, "gate": 60.0}, clock)
    assert tally.fraction == 0.0
    assert tally.tell("ingest", 0, 0)
    assert not tally.tell("ingest", 1, 2)
    assert tally.fraction == pytest.approx(0.05)
    tally.tell("tune", 0, 4)
    assert tally.fraction == pytest.approx(0.10)
    assert tally.left == pytest.approx(90.0)
    clock.now += 10
    assert tally.left == pytest.approx(80.0)
    clock.now += 10
    tally.tell("tune", 2, 4)
    # Half of it took 20 seconds, so the other half takes as long, whatever it took last time.
    assert tally.left == pytest.approx(60.0 + 20.0)
    tally.tell("gate", 1, 1)
    tally.close()
    assert tally.fraction == pytest.approx(1.0)
    assert tally.left == 0.0
    assert tally.spent == {"ingest": 0.0, "tune": 20.0, "gate": 0.0}


def test_a_stage_that_comes_again_does_not_turn_the_bar_back(clock: Clock) -> None:
    tally = Tally({"report": 10.0, "register": 10.0, "serve_check": 10.0}, clock)
    seen = []
    for stage in ("report", "register", "report", "serve_check"):
        tally.tell(stage, 0, 1)
        clock.now += 2
        tally.tell(stage, 1, 1)
        seen.append(tally.fraction)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    tally.close()
    assert tally.spent["report"] == 4.0


def test_an_unknown_stage_is_given_some_weight(clock: Clock) -> None:
    tally = Tally({"ingest": 5.0}, clock)
    tally.tell("new", 0, 1)
    assert 0.0 < tally.fraction < 1.0
    assert Tally({}, clock).fraction == 1.0


def test_shares_outside_the_possible_are_bounded(clock: Clock) -> None:
    tally = Tally({"a": 1.0}, clock)
    tally.tell("a", 5, 2)
    assert tally.fraction == 1.0


def test_clock_text() -> None:
    assert [clock_text(x) for x in (-3, 0.4, 59.6, 125)] == ["0:00", "0:00", "1:00", "2:05"]


def test_durations_are_kept_for_each_instrument_and_profile(tmp_path: Path) -> None:
    path = tmp_path / "state" / "durations.json"
    Durations(path, "a quick").remember({"tune": 12.3456})
    Durations(path, "b full").remember({"tune": 99.0})
    Durations(path, "a quick").remember({"audit": 7.0})
    known = Durations(path, "a quick").expected
    assert (known["tune"], known["audit"], known["gate"]) == (12.35, 7.0, DEFAULTS["gate"])
    assert list(known) == list(DEFAULTS)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a quick": 3}', '{"a quick": {"tune": "x"}}'])
def test_a_torn_file_of_durations_only_costs_the_guess(tmp_path: Path, content: str) -> None:
    path = tmp_path / "durations.json"
    path.write_text(content)
    durations = Durations(path, "a quick")
    assert durations.expected == dict(DEFAULTS)
    durations.remember({"tune": 1.0})
    assert json.loads(path.read_text())["a quick"] == {"tune": 1.0}


def test_only_what_ran_is_remembered() -> None:
    spent = {"tune": 40.0, "train": 0.1, "gate": 3.0}
    assert timed(spent, ("tune",)) == {"tune": 40.0, "gate": 3.0}
    assert timed(spent, ()) == {}


def test_without_a_terminal_there_are_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Durations(tmp_path / "d.json", "k"), terminal=False) as (tell, tally):
        tell("ingest", 0, 0, "")
        tell("ingest", 1, 2, "too soon for a line of its own")
        tell("tune", 1, 8, "4h xgboost")
        tally.clock = lambda: tally.begun + 60.0
        tell("tune", 2, 8, "4h random forest")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[0:00] ingest: started (0%, about ")
    assert "tune: 4h xgboost" in lines[1]
    assert lines[2].startswith("[1:00] tune: 4h random forest")


def test_on_a_terminal_there_is_a_bar_and_it_goes_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Durations(tmp_path / "d.json", "k"), terminal=True) as (tell, tally):
        tell("backtest", 1, 12, "[not] markup")
        assert 0 < tally.fraction < 1
    out, _ = capsys.readouterr()
    assert out == ""
    assert "backtest" in tally.spent


def test_a_run_that_fails_is_not_held_back_by_its_bar(tmp_path: Path) -> None:
    shown = progress(Durations(tmp_path / "d.json", "k"), terminal=True)
    with pytest.raises(KeyboardInterrupt), shown:
        raise KeyboardInterrupt
