"""How far a run is, on stderr: a bar with what is being done and how long is left; plain lines where no terminal is."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

# Seconds on two cores with the sample, until a run of one's own has been timed.
DEFAULTS: Mapping[str, float] = {
    "ingest": 3,
    "validate": 12,
    "features": 4,
    "labels": 3,
    "tune": 45,
    "train": 15,
    "backtest": 70,
    "audit": 20,
    "stress": 6,
    "monte_carlo": 12,
    "evidence": 5,
    "gate": 8,
    "report": 5,
    "register": 12,
    "serve_check": 12,
}
_STEPS = frozenset({"gate", "report", "register", "serve_check"})
_NEW_STAGE = 5.0
_LINE_EVERY = 10.0


class OnProgress(Protocol):
    """Told after each finished piece of a stage's work."""

    def __call__(self, stage: str, done: int, total: int, note: str, /) -> None:
        """Say that ``done`` of ``total`` pieces of ``stage`` are finished, and what is being done."""


class Durations:
    """Seconds that each stage took the last time it really ran, per instrument and profile.

    Parameters
    ----------
    path
        JSON file under the state folder; it may be missing or torn, for it only serves a guess.
    key
        What the durations belong to, such as ``BTC-USD-1h quick``.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self.known = self._read()
        self.expected: dict[str, float] = {**DEFAULTS, **self.known.get(key, {})}

    def _read(self) -> dict[str, dict[str, float]]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {
            key: {stage: float(seconds) for stage, seconds in stages.items() if isinstance(seconds, int | float)}
            for key, stages in content.items()
            if isinstance(stages, dict)
        }

    def remember(self, spent: Mapping[str, float]) -> None:
        """Keep the durations of the stages that ran."""
        from pipelines.artifacts import Artifacts

        own = {**self.known.get(self.key, {}), **{stage: round(seconds, 2) for stage, seconds in spent.items()}}
        Artifacts(self.path.parent).write_json(self.path.name, {**self.known, self.key: own})


class Tally:
    """Which stage is running, how far the whole run is, and how long is left.

    Parameters
    ----------
    expected
        Seconds that each stage is expected to take, in the order of the run.
    clock
        Seconds that never go back.
    """

    def __init__(self, expected: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self.expected, self.clock = dict(expected), clock
        self.begun = self.stage_begun = clock()
        self.stage = ""
        self.furthest, self.ahead = -1, False
        self.share = 0.0
        self.spent: dict[str, float] = {}

    def tell(self, stage: str, done: int, total: int) -> bool:
        """Take note of progress; true if a stage begins."""
        now = self.clock()
        begins = stage != self.stage
        if begins:
            self.close(now)
            self.stage, self.stage_begun, self.share = stage, now, 0.0
            self.expected.setdefault(stage, _NEW_STAGE)
            self.ahead = list(self.expected).index(stage) > self.furthest
            self.furthest = max(self.furthest, list(self.expected).index(stage))
        if total > 0:
            self.share = min(max(done / total, 0.0), 1.0)
        return begins

    def close(self, now: float | None = None) -> None:
        """End the running stage."""
        if self.stage:
            spent = (self.clock() if now is None else now) - self.stage_begun
            self.spent[self.stage] = self.spent.get(self.stage, 0.0) + spent

    @property
    def fraction(self) -> float:
        """Share of the expected work that lies behind; stages before the running one count as done, skipped or not."""
        # Sums in another order may differ by rounding, and nobody wants to read -0%.
        return max(1.0 - self._work_left() / (sum(self.expected.values()) or 1.0), 0.0)

    @property
    def left(self) -> float:
        """Seconds that are probably left: for the running stage its own pace, once it has one."""
        spent = self.clock() - self.stage_begun
        own = self._own()
        if self.share > 0.2:
            own = spent * (1 - self.share) / self.share
        elif self.share == 0.0:
            own = max(own - spent, 0.0)
        return self._after() + own

    def _after(self) -> float:
        return sum(list(self.expected.values())[self.furthest + 1 :])

    def _own(self) -> float:
        """Expected of the running stage; one that comes a second time has been counted."""
        return self.expected.get(self.stage, 0.0) * (1 - self.share) if self.ahead else 0.0

    def _work_left(self) -> float:
        return self._after() + self._own()


def clock_text(seconds: float) -> str:
    """Minutes and seconds, as ``2:05``."""
    whole = max(int(seconds + 0.5), 0)
    return f"{whole // 60}:{whole % 60:02d}"


@contextmanager
def progress(durations: Durations, *, terminal: bool | None = None) -> Iterator[tuple[OnProgress, Tally]]:
    """Show progress on stderr while the block runs.

    Parameters
    ----------
    durations
        What each stage is expected to take.
    terminal
        Whether to draw a bar; by default, if stderr is a terminal.

    Yields
    ------
    tuple
        What the run calls with its progress, and the tally that it feeds.
    """
    tally = Tally(durations.expected)
    if not (sys.stderr.isatty() if terminal is None else terminal):
        yield _lines(tally), tally
        tally.close()
        return
    with _bar(tally) as bar:
        task = bar.add_task("starting", total=1.0)

        def tell(stage: str, done: int, total: int, note: str) -> None:
            tally.tell(stage, done, total)
            text = f"[bold]{stage}[/bold]  {_clean(note)}"
            bar.update(task, completed=tally.fraction, description=text)

        yield tell, tally
        tally.close()
        bar.update(task, completed=1.0, description="done")


def _bar(tally: Tally) -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column
    from rich.text import Text

    class Left(ProgressColumn):
        """Counts down between two notes of the run."""

        def render(self, task: object) -> Text:
            return Text(f"about {clock_text(tally.left)} left", style="dim")

    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        Left(),
        TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )


def _lines(tally: Tally) -> OnProgress:
    """A line when a stage begins, and then every ten seconds: readable in a log."""
    last = [float("-inf")]

    def tell(stage: str, done: int, total: int, note: str) -> None:
        begins, now = tally.tell(stage, done, total), tally.clock()
        if begins or now - last[0] >= _LINE_EVERY:
            last[0] = now
            print(
                f"[{clock_text(now - tally.begun)}] {stage}: {note or 'started'}"
                f" ({tally.fraction:.0%}, about {clock_text(tally.left)} left)",
                file=sys.stderr,
                flush=True,
            )

    return tell


def _clean(note: str) -> str:
    """A note is words, not markup."""
    return note.replace("[", "\\[")


def timed(spent: Mapping[str, float], ran: Sequence[str]) -> dict[str, float]:
    """Durations worth remembering: a stage that DVC skipped, or a step without anything new, says nothing."""
    names = {*ran, *_STEPS} if ran else set()
    return {stage: seconds for stage, seconds in spent.items() if stage in names}
