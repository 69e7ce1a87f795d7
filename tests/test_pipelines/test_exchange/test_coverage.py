import threading
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.exchange.coverage import BELIEVED, Coverage, CoverageFile, to_ask

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


def hours(spans: object) -> set[int]:
    """Every hour of some spans: what they mean, without a thought."""
    return {hour for start, end in spans for hour in range(start, end)}  # type: ignore[attr-defined]


def covering(spans: list[tuple[int, int]]) -> Coverage:
    coverage = Coverage()
    for start, end in spans:
        coverage = coverage.add(start, end)
    return coverage


@settings(deadline=None, max_examples=60)
@given(SPANS, st.integers(0, 60), st.integers(0, 60))
def test_spans_are_the_set_of_their_hours(spans: list[tuple[int, int]], start: int, end: int) -> None:
    coverage = covering(spans)
    assert hours(coverage.covered) == hours(spans)
    assert hours(coverage.missing(start, end)) == set(range(start, end)) - hours(spans)
    # Disjoint, in order, and never touching: equal hours are equal spans.
    assert all(one[1] < other[0] for one, other in pairwise(coverage.covered))
    assert coverage.start == min(hours(spans), default=None)


@settings(deadline=None, max_examples=60)
@given(SPANS, st.integers(0, 60), st.integers(0, 60), st.integers(0, 10), st.integers(0, 5))
def test_what_is_asked_for_is_what_is_missing_and_the_overlap(
    spans: list[tuple[int, int]], start: int, end: int, overlap: int, page: int
) -> None:
    coverage = covering(spans)
    asked = to_ask(coverage, start, end, overlap, page)
    wanted = set(range(start, end))
    again = set() if coverage.end is None else set(range(coverage.end - overlap, coverage.end)) & wanted
    assert hours(asked) >= (wanted - hours(spans)) | again
    assert hours(asked) <= wanted
    # Nearer together than a page is not worth another request.
    assert all(other[0] - one[1] > page for one, other in pairwise(asked))


def test_nothing_is_believed_to_be_empty_before_several_runs_agree() -> None:
    coverage = Coverage().add(0, 10).add(20, 30)
    for _ in range(BELIEVED - 1):
        coverage = coverage.doubt(10, 20)
        assert coverage.missing(0, 30) == [(10, 20)]
    coverage = coverage.doubt(12, 18)
    assert coverage.missing(0, 30) == [(10, 12), (18, 20)]
    assert coverage.doubted == ()


def test_bars_in_a_doubted_window_end_the_doubt() -> None:
    coverage = Coverage().doubt(10, 20).add(5, 25)
    assert (coverage.doubted, coverage.covered) == ((), ((5, 25),))
    assert Coverage().doubt(3, 3) == Coverage()


def test_the_file_keeps_what_it_was_told(tmp_path: Path) -> None:
    file = CoverageFile(tmp_path / "deep" / "one.json")
    assert file.read() is None
    file.update(lambda old: old.add(0, 5).doubt(7, 9))
    file.update(lambda old: old.add(5, 6))
    assert CoverageFile(file.path).read() == Coverage(((0, 6),), ((7, 9, 1),))
    written = file.path.stat().st_mtime_ns
    file.update(lambda old: old.add(1, 2))
    assert file.path.stat().st_mtime_ns == written


def test_a_damaged_file_costs_requests_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    for content in ("", "[]", '{"covered": [[1]]}', '{"covered": 3, "doubted": []}'):
        path.write_text(content)
        assert CoverageFile(path).read() is None
    CoverageFile(path).update(lambda old: old.add(0, 1))
    assert CoverageFile(path).read() == Coverage(((0, 1),))


def test_two_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    file = CoverageFile(tmp_path / "one.json")

    def note(first: int) -> None:
        for start in range(first, 80, 4):
            file.update(lambda old, start=start: old.add(start, start + 2))  # type: ignore[misc]

    threads = [threading.Thread(target=note, args=(first,)) for first in (0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read() == Coverage(((0, 80),))
