"""What the server does wrong, and when: a plan for each kind of request, carried out in order."""

import random
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["status", "slow", "drop", "cut", "cut_short", "html", "empty", "twice", "shuffled", "bad_rows"]


@dataclass(frozen=True)
class Fault:
    """One misdeed.

    Parameters
    ----------
    kind
        ``status``: that HTTP status instead of an answer. ``slow``: an answer that takes ``seconds``. ``drop``: the
        connection closed without one. ``cut``: half of the body, honestly counted; ``cut_short``: half of what the
        header counts. ``html``: a page for people. ``empty``: no rows. ``twice``: every row twice, the second right.
        ``shuffled``: rows in any order. ``bad_rows``: rows beside the good ones that are no bars.
    """

    kind: Kind
    status: int = 500
    retry_after: str | None = None
    body: str = "{}"
    seconds: float = 0.0


@dataclass
class Faults:
    """Plans by endpoint, such as ``klines``, and a log of what was asked."""

    plans: dict[str, deque[Fault | None]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, Fault] = field(default_factory=dict)
    log: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def plan(self, endpoint: str, *faults: Fault | None) -> None:
        """Do these with the next requests, in order; None is an honest answer."""
        self.plans[endpoint].extend(faults)

    def next(self, endpoint: str, query: dict[str, str]) -> Fault | None:
        """What to do with this request."""
        self.log.append((endpoint, query))
        if endpoint in self.always:
            return self.always[endpoint]
        return self.plans[endpoint].popleft() if self.plans[endpoint] else None

    def count(self, endpoint: str) -> int:
        """Requests so far."""
        return sum(name == endpoint for name, _ in self.log)


def tampered(rows: list[list[float]], fault: Fault | None) -> list[list[float]]:
    """Rows as a faulty exchange sends them."""
    match fault.kind if fault else None:
        case "empty":
            return []
        case "twice":
            wrong = [[row[0], *(cell * 2 for cell in row[1:])] for row in rows]
            return [row for pair in zip(wrong, rows, strict=True) for row in pair]
        case "shuffled":
            return random.Random(7).sample(rows, len(rows))
        case "bad_rows":
            first = rows[0]
            return [[first[0] + 1, *first[1:]], *rows, [first[0], None, *first[2:]]]  # type: ignore[list-item]
    return rows
