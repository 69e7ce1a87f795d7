"""Find what sees the future: change what became known later, and see what moves that was known before."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pipelines.audit.answer import Answer, Codes, answer_of
from pipelines.audit.comparison import Difference, Tally, compare
from pipelines.audit.known import NEVER, Declaration, Timing
from pipelines.audit.moments import Question, choose
from pipelines.audit.report import ROWS, Failure, Finding, Report
from pipelines.audit.worlds import WORLDS, History, Moment, World
from trading.bars import infer_timeframe
from trading.errors import EngineError
from trading.instrument import duration

Step = Callable[..., pd.DataFrame | pd.Series]

# Sums are grouped otherwise when there are more of them, so that the last digits of a matrix product depend on the
# number of rows. A leak is larger by orders of magnitude.
ROUNDING = 1e-11


def find_lookahead(
    step: Step,
    bars: pd.DataFrame,
    *,
    timeframe: str | None = None,
    context: Mapping[str, pd.DataFrame] | None = None,
    delay: Mapping[str, pd.Timedelta] | None = None,
    known_at: Declaration | Mapping[str, Declaration] | None = None,
    t_end: str | pd.Series | Mapping[str, str | pd.Series] | None = None,
    history: int | None = None,
    cuts: int = 12,
    moments: Sequence[pd.Timestamp | Moment] | None = None,
    worlds: Sequence[World] = WORLDS,
    expected: pd.DataFrame | None = None,
    tolerance: float = ROUNDING,
    seed: int = 0,
) -> Report:
    """Name the columns of a step's output that depend on what became known after their rows.

    The step is run on the bars as they are, and again on bars whose future after some moment is another one: mirrored,
    shuffled, or removed. Whatever was known by the moment must stay. Nothing is assumed about the step but that equal
    bars give equal answers, which is checked first.

    Parameters
    ----------
    step
        From bars, or bars and ``context``, to a DataFrame or Series whose rows have a time: a DatetimeIndex, a level
        of one, or a column ``timestamp``. It builds everything anew: what it remembers from an earlier call, such as
        a fitted scaler, hides a leak from every audit. It gets copies, which it may change.
    bars
        Bars in time order, see :mod:`trading.bars`; more columns may follow.
    timeframe
        Length of a bar; None infers it.
    context
        Whatever else the step reads, handed to it as the second argument: bars of other symbols, with an index
        ``timestamp``, or series on an index ``published_at``. Their future changes too.
    delay
        By name of a series, how long after its publication a value may be used.
    known_at, t_end
        When the rows are known; see :class:`pipelines.audit.known.Timing`. By default a frame with a column ``t_end``
        is one of labels, one with ``decided_at`` one of fills, one with ``known_at`` says it itself, and every other
        row is known at the close of its bar.
    history
        Bars after which the step's answer has begun: its warm-up. Where given, most moments are looked at in a window
        of that many bars before them and some more around them, which saves most of the time on long histories.
    cuts
        Moments taken at random, besides the 40 or so that are special (half of them if fewer than 8 are asked for); as
        many as there are rows, or more, takes all.
    moments
        Look at these instead, with all worlds after each.
    worlds
        Futures to try, of ``mirrored``, ``shuffled`` and ``removed``.
    expected
        What the step is known to have answered on these bars, as a backtest has stored it; it is compared with, and the
        step does not run on them again.
    tolerance
        Largest move that is taken for rounding, as a share of the median size of the column's values. 0 compares to
        the last bit. Columns that moved less are reported, not judged.
    seed
        Of everything drawn. The same seed looks at the same moments and finds the same.

    Returns
    -------
    Report
        Whose ``columns`` are the guilty ones.

    Raises
    ------
    EngineError
        If the bars or the answer have no time, or a declaration names what is not there.
    Exception
        What the step raises on the bars as they are. Where it raises on another future only, the report says so.

    Examples
    --------
    >>> bars = pd.DataFrame(
    ...     {"open": 9.0, "high": 12.0, "low": 8.0, "close": np.linspace(9, 11, 60), "volume": 1.0},
    ...     index=pd.date_range("2024-01-01", periods=60, freq="h", tz="UTC", name="timestamp"),
    ... )
    >>> def step(bars):
    ...     return pd.DataFrame({"past": bars["close"].diff(), "next": bars["close"].diff(-1)})
    >>> find_lookahead(step, bars).columns
    ['next']
    """
    past = _history(bars, timeframe, context, delay)
    if unknown := [world for world in worlds if world not in WORLDS]:
        raise EngineError(f"no such future: {', '.join(unknown)}", rule=f"some of {', '.join(WORLDS)}")
    audit = _Audit(step, Timing(past.bar, known_at, t_end), tolerance)
    rng = np.random.default_rng([seed, 1])
    if expected is None:
        true = audit.answer(past)
        audit.mark_unstable(true, audit.answer(past))
    else:
        true = answer_of(expected, past, audit.timing, audit.codes)
    if moments is None:
        questions = choose(past, [known for _, known in true.groups], _starts(true), cuts, rng)
    else:
        questions = [Question(moment, WORLDS, whole=True) for at in moments for moment in _asked(at, true)]
    for part, asked in _parts(past, questions, history):
        given, base = audit.begun(part, past, true)
        for question in asked:
            for world in (world for world in question.worlds if world in worlds):
                audit.ask(base, given, question.moment, world, seed)
    return audit.report([question.moment for question in questions])


@dataclass
class _Audit:
    """The step, and what was found about it so far."""

    step: Step
    timing: Timing
    tolerance: float
    codes: Codes = field(default_factory=Codes)
    tally: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    unstable: set[Any] = field(default_factory=set)
    rounding: dict[Any, float] = field(default_factory=dict)
    sizes: dict[Any, float] = field(default_factory=dict)
    declarations: set[Any] = field(default_factory=set)
    evaluations: int = 0

    def answer(self, history: History) -> Answer:
        """Run the step."""
        self.evaluations += 1
        bars = history.bars.copy()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Other futures are strange on purpose.
            warnings.simplefilter("ignore")
            if history.context is None:
                returned = self.step(bars)
            else:
                returned = self.step(bars, {name: frame.copy() for name, frame in history.context.items()})
        answer = answer_of(returned, history, self.timing, self.codes)
        self.declarations |= answer.declarations
        for column in answer.columns:
            self.tally.add(column, 0)
        return answer

    def begun(self, part: History, past: History, true: Answer) -> tuple[History, Answer]:
        """A part of the bars with its answer; all of them with theirs where the step cannot do with less."""
        if part is not past:
            try:
                return part, self.answer(part)
            except Exception:
                return past, true
        return past, true

    def mark_unstable(self, one: Answer, two: Answer) -> None:
        """Columns that differ between two runs on the same bars."""
        always = Moment(np.iinfo(np.int64).max, opened=True)
        self.unstable = {d.column for d in compare(one, two, always, self.timing.bar, Tally())}
        if None in self.unstable:
            self.unstable |= set(one.columns) | set(two.columns)

    def ask(self, true: Answer, history: History, moment: Moment, world: World, seed: int) -> None:
        """Compare with another future after a moment."""
        future = history.other(moment, world, seed)
        try:
            other = self.answer(future)
        except Exception as error:
            text = str(error).partition("\n")[0]
            self.failures.append(Failure(world, moment.time, moment.why, f"{type(error).__name__}: {text}"))
            return
        for difference in compare(true, other, moment, self.timing.bar, self.tally):
            if difference.column in self.unstable or self._is_rounding(difference, true):
                continue
            self.findings.append(_finding(difference, history, moment, world))

    def report(self, moments: Sequence[Moment]) -> Report:
        """Everything found, without what only follows from it."""
        found = {finding.column for finding in self.findings}
        # Dropping rows in which a guilty column is blank takes rows with it, and an understated end moves with the
        # label. They are guilty only where nothing else explains them.
        if found - {ROWS}:
            found.discard(ROWS)
        if found - self.declarations:
            found -= self.declarations
        return Report(
            findings=[finding for finding in self.findings if finding.column in found],
            cells=self.tally.cells,
            moments=sorted(moments, key=lambda moment: moment.at),
            evaluations=self.evaluations,
            failures=self.failures,
            unstable=[column for column in self.tally.cells if column in self.unstable],
            rounding=self.rounding,
        )

    def _is_rounding(self, difference: Difference, true: Answer) -> bool:
        if difference.largest is None or not self.tolerance or difference.column not in true.columns:
            return False
        if difference.column not in self.sizes:
            values = np.abs(true.values[:, true.columns.get_loc(difference.column)])
            moving = values[np.isfinite(values) & (values > 0)]
            self.sizes[difference.column] = float(np.median(moving)) if len(moving) else 0.0
        size = self.sizes[difference.column]
        share = difference.largest / size if size else np.inf
        if share > self.tolerance:
            return False
        self.rounding[difference.column] = max(share, self.rounding.get(difference.column, 0.0))
        return True


def _finding(difference: Difference, history: History, moment: Moment, world: World) -> Finding:
    known = pd.Timestamp(difference.known_at, unit="ns", tz="UTC")
    return Finding(
        column=ROWS if difference.column is None else difference.column,
        world=world,
        moment=moment.time,
        why=moment.why,
        row=difference.row,
        known_at=known,
        # What changed is later than the moment: the bars that closed in between, and one more at least.
        ahead=int(((history.closes > difference.known_at) & (history.closes <= moment.at)).sum()) + 1,
        rows=difference.rows,
        before=difference.before,
        after=difference.after,
        largest=difference.largest,
    )


def _history(
    bars: pd.DataFrame,
    timeframe: str | None,
    context: Mapping[str, pd.DataFrame] | None,
    delay: Mapping[str, pd.Timedelta] | None,
) -> History:
    if not isinstance(bars.index, pd.DatetimeIndex) or not bars.index[bars.index.notna()].is_monotonic_increasing:
        raise EngineError(
            "bars without stamps in order",
            where=f"an index of type {type(bars.index).__name__}",
            rule="a DatetimeIndex of openings, in time order",
            remedy="set the column of stamps as the index, and sort by it",
        )
    if missing := [name for name in ("open", "high", "low", "close") if name not in bars]:
        raise EngineError(f"bars without {', '.join(missing)}", rule="open, high, low, close", remedy="add them")
    return History(bars, duration(timeframe) if timeframe else infer_timeframe(bars.index), context, dict(delay or {}))


def _starts(answer: Answer) -> list[int]:
    """Positions of the rows at which the columns have their first value, and of the very first row."""
    present = ~np.isnan(answer.values)
    begun = present.any(axis=0)
    return sorted({0, *map(int, present[:, begun].argmax(axis=0))}) if len(answer.rows) else []


def _parts(
    past: History, questions: Sequence[Question], history: int | None
) -> Iterator[tuple[History, list[Question]]]:
    """Questions with the bars they need: all of them, or a window around neighbouring moments."""
    whole = [question for question in questions if history is None or question.whole]
    yield past, whole
    margin = max(64, (history or 0) // 4)
    asked: list[Question] = []
    first = last = 0
    for question in (question for question in questions if not (history is None or question.whole)):
        place = int(np.searchsorted(past.closes, question.moment.at, side="right"))
        if asked and place > last - margin // 2:
            yield past.part(first, last), asked
            asked = []
        if not asked:
            first, last = max(0, place - (history or 0) - margin), place + margin
        asked.append(question)
    if asked:
        yield past.part(first, last), asked


def _asked(at: pd.Timestamp | Moment, answer: Answer) -> list[Moment]:
    """A moment as it was asked for; a time stands for both kinds of moment of which the answer has rows."""
    if isinstance(at, Moment):
        return [at]
    stamp = at.tz_localize("UTC") if at.tz is None else at
    kinds = {bool(flag) for _, known in answer.groups for flag in np.unique(known.opened[known.times < NEVER])}
    return [Moment(stamp.as_unit("ns").value, opened, "asked for") for opened in sorted(kinds)]
