"""What an exchange has been asked for, and has answered: where to resume, and which emptiness not to believe yet.

Stored bars alone cannot say it: a hole in them may be an hour without trades, a page that a kill prevented, or an
answer that should not have been empty.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.store.durable import locked, write_file

# Runs that must find the same nothing before it is believed.
BELIEVED = 3
_PATIENCE = 30.0

Span = tuple[int, int]


@dataclass(frozen=True)
class Coverage:
    """Spans of time, half-open, in milliseconds since 1970.

    Parameters
    ----------
    covered
        What was answered: disjoint, in order, never touching.
    doubted
        ``(start, end, runs)``: what was answered with nothing though there are later bars, and by how many runs.
    """

    covered: tuple[Span, ...] = ()
    doubted: tuple[tuple[int, int, int], ...] = ()

    @property
    def start(self) -> int | None:
        """Where the covered time begins."""
        return self.covered[0][0] if self.covered else None

    @property
    def end(self) -> int | None:
        """Where the covered time ends."""
        return self.covered[-1][1] if self.covered else None

    def add(self, start: int, end: int) -> "Coverage":
        """With a span that was answered. Nothing within it is doubted any more."""
        if start >= end:
            return self
        touching = [span for span in self.covered if span[0] <= end and start <= span[1]]
        merged = (min([start, *(a for a, _ in touching)]), max([end, *(b for _, b in touching)]))
        covered = sorted([merged, *(span for span in self.covered if span not in touching)])
        doubted = tuple((a, b, runs) for a, b, runs in self.doubted if not (merged[0] <= a and b <= merged[1]))
        return Coverage(tuple(covered), doubted)

    def doubt(self, start: int, end: int) -> "Coverage":
        """With a span that was answered with nothing by one more run; covered once enough runs agree."""
        if start >= end:
            return self
        before = [runs for a, b, runs in self.doubted if a < end and start < b]
        runs = max(before, default=0) + 1
        rest = tuple(one for one in self.doubted if not (one[0] < end and start < one[1]))
        if runs >= BELIEVED:
            return Coverage(self.covered, rest).add(start, end)
        return Coverage(self.covered, tuple(sorted([*rest, (start, end, runs)])))

    def missing(self, start: int, end: int) -> list[Span]:
        """The parts of ``[start, end)`` that nobody has answered, in order."""
        found = []
        for a, b in self.covered:
            if start < a:
                found.append((start, min(a, end)))
            start = max(start, b)
            if start >= end:
                break
        if start < end:
            found.append((start, end))
        return [(a, b) for a, b in found if a < b]


def to_ask(coverage: Coverage, start: int, end: int, overlap: int, page: int) -> list[Span]:
    """What to ask for: what is missing, and the newest covered part again.

    Parameters
    ----------
    coverage
        What was answered before.
    start, end
        What is wanted.
    overlap
        How much of the end of what is covered is asked for again.
    page
        Length of one answer: what is closer together than that costs less when asked for as one.

    Returns
    -------
    list of span
        In order of time.
    """
    spans = coverage.missing(start, end)
    if coverage.end is not None:
        again = (max(start, coverage.end - overlap), min(end, coverage.end))
        spans += [again] if again[0] < again[1] else []
    joined: list[Span] = []
    for a, b in sorted(spans):
        if joined and a - joined[-1][1] <= page:
            joined[-1] = (joined[-1][0], max(b, joined[-1][1]))
        else:
            joined.append((a, b))
    return joined


class CoverageFile:
    """The coverage of one series on disk. Losing it costs requests, never bars.

    Parameters
    ----------
    path
        The JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Coverage | None:
        """What is written; None where nothing is, or nothing that can be read."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            covered = Coverage()
            for start, end in found["covered"]:
                covered = covered.add(int(start), int(end))
            return Coverage(covered.covered, tuple((int(a), int(b), int(runs)) for a, b, runs in found["doubted"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def update(self, change: Callable[[Coverage], Coverage]) -> None:
        """Change what is written, whoever else does so at the same time.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        with locked(self.path.with_suffix(".lock"), _PATIENCE):
            before = self.read()
            after = change(before or Coverage())
            if after != before:
                content = {"covered": after.covered, "doubted": after.doubted}
                write_file(self.path, (json.dumps(content) + "\n").encode())
