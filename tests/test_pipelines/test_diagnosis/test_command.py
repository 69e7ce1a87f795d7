"""``engine data check`` as a user meets it."""

import json
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from commands.data_check import check
from pipelines.diagnosis.fault import KINDS


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    assembled = typer.Typer(pretty_exceptions_enable=False)
    assembled.command("check")(check)
    return assembled


@pytest.fixture
def backwards(half_hours: pd.DataFrame, tmp_path: Path) -> Path:
    file = tmp_path / "bars.csv"
    half_hours.iloc[:900].iloc[::-1].to_csv(file, index=False)
    return file


def ask(app: typer.Typer, *words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_json_is_exactly_what_programs_were_promised(app: typer.Typer, backwards: Path) -> None:
    answer = ask(app, backwards, "--json")
    assert answer.exit_code == 1
    said = json.loads(answer.stdout)
    assert set(said) == {"file", "rows", "faults", "notes"}
    assert (said["file"], said["rows"]) == (str(backwards), 900)
    (fault,) = said["faults"]
    assert set(fault) == {"kind", "count", "first", "last", "examples", "remedy", "safe_fix"}
    assert fault["kind"] in KINDS
    assert (fault["count"], fault["safe_fix"]) == (900, True)
    assert (fault["first"], fault["last"]) == ("2017-10-01T00:00:00+00:00", "2017-10-19T17:30:00+00:00")
    assert set(fault["examples"][0]) == {"row", "timestamp", "found"}
    assert all(isinstance(note, str) for note in said["notes"])


def test_a_clean_file_ends_with_0(app: typer.Typer, half_hours: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "bars.parquet"
    half_hours.iloc[:900].to_parquet(file)
    answer = ask(app, file)
    assert answer.exit_code == 0
    assert "900 rows, no faults" in answer.stdout
    assert json.loads(ask(app, file, "--json").stdout)["faults"] == []


def test_the_table_names_counts_examples_and_remedies(app: typer.Typer, backwards: Path) -> None:
    answer = ask(app, backwards)
    assert answer.exit_code == 1
    assert "900 rows, 1 kind of faults" in answer.stdout
    assert "what to do: sort by time" in answer.stdout
    assert "row 0, 2017-10-19 17:30:00" in answer.stdout
    assert "--fix writes a copy" in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) <= 120


def test_fix_says_what_it_mended_and_what_is_left(app: typer.Typer, backwards: Path) -> None:
    before = backwards.read_bytes()
    answer = ask(app, backwards, "--fix")
    copy = backwards.with_name("bars.fixed.csv")
    assert answer.exit_code == 1
    assert f"mended in {copy}: order_descending" in answer.stdout
    assert "left in it: nothing" in answer.stdout
    assert backwards.read_bytes() == before
    assert ask(app, copy).exit_code == 0
    elsewhere = backwards.with_name("elsewhere.csv")
    notes = json.loads(ask(app, backwards, "--fix", "--output", elsewhere, "--json").stdout)["notes"]
    assert f"mended in {elsewhere}: order_descending" in notes
    assert elsewhere.read_bytes() == copy.read_bytes()


def test_fix_without_anything_safe_writes_nothing(app: typer.Typer, half_hours: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    half_hours.iloc[:900].drop(index=range(300, 360)).to_csv(file, index=False)
    answer = ask(app, file, "--fix")
    assert answer.exit_code == 1
    assert "no copy was written" in answer.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars.csv"]


def test_a_second_source_and_a_timeframe(app: typer.Typer, half_hours: pd.DataFrame, tmp_path: Path) -> None:
    bars = half_hours.iloc[:3000]
    other, file = tmp_path / "other.parquet", tmp_path / "bars.parquet"
    bars.to_parquet(other)
    bars.assign(timestamp=bars["timestamp"] + pd.Timedelta("3h")).to_parquet(file)
    found = json.loads(ask(app, file, "--against", other, "--timeframe", "1h", "--json").stdout)["faults"]
    assert {fault["kind"] for fault in found} >= {"clock_shift", "wrong_timeframe"}


@pytest.mark.parametrize("words", [["--json"], []])
def test_what_cannot_be_read_ends_with_2(app: typer.Typer, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "trades.csv").write_text("time,price,size,side,id,x\n1,2,3,buy,5,6\n")
    for file in (tmp_path / "trades.csv", tmp_path / "none.csv", tmp_path):
        answer = ask(app, file, *words)
        assert answer.exit_code == 2
        assert "what to do" in answer.stderr
        if words:
            assert json.loads(answer.stdout)["error"]["type"] == "BarError"


def test_output_belongs_to_fix(app: typer.Typer, backwards: Path) -> None:
    assert ask(app, backwards, "--output", "x.csv").exit_code == 2
    assert ask(app, backwards, "--fix", "--output", backwards).exit_code == 2
    assert ask(app, backwards, "--timeframe", "7 moons").exit_code == 2
