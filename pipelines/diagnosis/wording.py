"""A diagnosis as people read it."""

import textwrap

from pipelines.diagnosis.fault import Fault, stamp
from pipelines.diagnosis.record import Diagnosis

_WIDTH = 118


def lines_of(
    diagnosis: Diagnosis, fixed: tuple[str, ...] = (), copy: str | None = None, left: tuple[str, ...] = ()
) -> list[str]:
    """A table of the faults with first examples and remedies, then the notes.

    Parameters
    ----------
    diagnosis
        What was found.
    fixed
        Kinds that were mended in a copy.
    copy
        The copy's path; ``None`` where none was asked for.
    left
        Kinds that the copy still has.
    """
    count = len(diagnosis.faults)
    head = f"{diagnosis.file}: {diagnosis.rows:,} rows, "
    lines = [head + ("no faults" if not count else f"{count} kind{'s' if count > 1 else ''} of faults")]
    if count:
        width = max(len(fault.kind) for fault in diagnosis.faults)
        lines += ["", f"  {'fault':<{width}}  {'count':>9}  {'first':<19}  {'last':<19}  --fix"]
        for fault in diagnosis.faults:
            lines.append(
                f"  {fault.kind:<{width}}  {fault.count:>9,}  {_short(fault.first):<19}  {_short(fault.last):<19}  "
                f"{'yes' if fault.safe_fix else 'no'}"
            )
        for fault in diagnosis.faults:
            lines += ["", *_details(fault)]
    if diagnosis.notes:
        lines += ["", "notes"]
        for note in diagnosis.notes:
            lines += _wrapped(note, "  - ", "    ")
    if copy is not None:
        lines += ["", f"mended in {copy}: {', '.join(fixed)}", f"left in it: {', '.join(left) or 'nothing'}"]
    elif any(fault.safe_fix for fault in diagnosis.faults):
        lines += ["", "--fix writes a copy with the faults marked yes mended; the file itself is never changed"]
    return lines


def _details(fault: Fault) -> list[str]:
    lines = [f"  {fault.kind}"]
    for example in fault.examples:
        when = example["timestamp"]
        at = f"row {example['row']}" + (f", {when[:19].replace('T', ' ')}" if when else "")
        lines += _wrapped(f"{at}: {example['found']}", "    ", "      ")
    return lines + _wrapped(f"what to do: {fault.remedy}", "    ", "      ")


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False)


def _short(at: int | None) -> str:
    return "" if at is None else f"{stamp(at):%Y-%m-%d %H:%M:%S}"
