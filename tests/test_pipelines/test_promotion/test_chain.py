"""Whatever is done to a log but adding to it is found, and the line is named."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.promotion.chain import BEGINNING, Entry, append, heal, read, verified
from pipelines.promotion.errors import ChainError, PromotionError

CONTENTS = st.lists(
    st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=8) | st.integers(), max_size=3),
    min_size=1,
    max_size=6,
)


def write(path: Path, contents: list[dict[str, object]]) -> list[Entry]:
    entries: list[Entry] = []
    for content in contents:
        entries.append(append(path, entries, content))
    return entries


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "state" / "log.jsonl"


def test_what_was_added_is_read_and_every_line_holds_the_hash_before_it(log: Path) -> None:
    assert read(log) == []
    entries = write(log, [{"to": "1"}, {"to": "2", "why": "new\nline"}, {"to": "3"}])
    assert read(log) == entries
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert [line["previous"] for line in lines] == [BEGINNING, lines[0]["hash"], lines[1]["hash"]]
    assert lines[1]["content"]["why"] == "new\nline"


@given(st.data(), CONTENTS)
def test_any_change_is_found_at_its_line(data: st.DataObject, contents: list[dict[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        entries = write(log, contents)
        content = log.read_bytes()
        # The end of the last line is left alone: without it that is no line yet.
        at = data.draw(st.integers(0, len(content) - 2))
        changed = bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))])
        log.write_bytes(content[:at] + changed + content[at + 1 :])
        found, fault = verified(log)
        line = content[:at].count(b"\n") + 1
        assert found == entries[: line - 1]
        assert fault is not None
        assert fault.where == f"{log}, line {line}"


@given(st.data(), CONTENTS.filter(lambda contents: len(contents) > 1))
def test_lines_that_are_removed_put_in_or_moved_are_found(
    data: st.DataObject, contents: list[dict[str, object]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        entries = write(log, contents)
        lines = log.read_bytes().splitlines(keepends=True)
        at = data.draw(st.integers(0, len(lines) - 2))
        match data.draw(st.sampled_from(["remove", "repeat", "swap"])):
            case "remove":
                said, changed, first = f"line {at + 1} was removed", lines[:at] + lines[at + 1 :], at
            case "repeat":
                said, changed, first = (
                    f"line {at + 2} was put in",
                    [*lines[: at + 1], lines[at], *lines[at + 1 :]],
                    at + 1,
                )
            case _:
                swapped = [lines[at + 1], lines[at]]
                said, changed, first = f"line {at + 1} was removed", [*lines[:at], *swapped, *lines[at + 2 :]], at
        log.write_bytes(b"".join(changed))
        found, fault = verified(log)
        assert found == entries[:first]
        assert fault is not None
        assert said in fault.what
        with pytest.raises(ChainError, match=said):
            read(log)


@given(CONTENTS, st.data())
def test_a_torn_last_line_is_cut_off_and_the_log_goes_on(
    contents: list[dict[str, object]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        entries = write(log, contents)
        content = log.read_bytes()
        at = data.draw(st.integers(0, len(content)))
        log.write_bytes(content[:at])
        whole = entries[: content[:at].count(b"\n")]
        assert read(log) == whole, "what has no end is no line"
        heal(log)
        assert read(log) == whole
        append(log, whole, {"after": "the kill"})
        assert [entry.content for entry in read(log)] == [*(one.content for one in whole), {"after": "the kill"}]


def test_a_line_written_anew_with_a_hash_of_its_own_does_not_fit_the_next_one(log: Path) -> None:
    first, second, third = write(log, [{"to": "1"}, {"to": "2"}, {"to": "3"}])
    forged = Entry(2, second.previous, {"to": "7"})
    log.write_text("\n".join([first.text, forged.text, third.text, ""]))
    with pytest.raises(ChainError, match="line 3 does not follow what stands before it"):
        read(log)


@pytest.mark.parametrize("line", ["", "7", "[]", "null", "{}", '{"line":1,"previous":"","content":[1]}', "\udcff"])
def test_what_is_no_entry_at_all_is_a_changed_line(log: Path, line: str) -> None:
    write(log, [{"to": "1"}])
    with log.open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(ChainError, match="line 2 was changed"):
        read(log)


def test_a_log_that_cannot_be_written_or_read_says_so(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, [{"to": "1"}])
    with pytest.raises(PromotionError, match="cannot write the log"):
        append(log / "below", [], {"to": "2"})
    with pytest.raises(PromotionError, match="cannot read the log"):
        read(log.parent)
    with log.open("ab") as file:
        file.write(b"torn")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "truncate", full)
    with pytest.raises(PromotionError, match="No space left"):
        heal(log)
