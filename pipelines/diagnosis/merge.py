"""Findings of several looks put together: one fault of each kind, in the order of the list of kinds."""

from collections.abc import Iterable

from pipelines.diagnosis.fault import EXAMPLES, KINDS, Fault, Finding

# Longer than this, what to do is not said twice.
_LONGEST_REMEDY = 600


def merge(findings: Iterable[Finding], *, same_rows: bool) -> Finding:
    """One fault of each kind, and the notes without repetition.

    Parameters
    ----------
    findings
        What the looks yielded.
    same_rows
        Whether they looked at the same rows: two looks that name one kind then mean the same rows, and the larger
        count stands; rows of different series add up.
    """
    by_kind: dict[str, Fault] = {}
    notes: dict[str, None] = {}
    for finding in findings:
        notes |= dict.fromkeys(finding.notes)
        for fault in finding.faults:
            known = by_kind.get(fault.kind)
            by_kind[fault.kind] = fault if known is None else _both(known, fault, same_rows)
    return Finding(tuple(by_kind[kind] for kind in KINDS if kind in by_kind), tuple(notes))


def _both(one: Fault, other: Fault, same_rows: bool) -> Fault:
    firsts = [at for at in (one.first, other.first) if at is not None]
    lasts = [at for at in (one.last, other.last) if at is not None]
    remedy = one.remedy if one.remedy == other.remedy else f"{one.remedy}; {other.remedy}"
    return Fault(
        one.kind,
        max(one.count, other.count) if same_rows else one.count + other.count,
        min(firsts, default=None),
        max(lasts, default=None),
        tuple({example["row"]: example for example in (*other.examples, *one.examples)}.values())[:EXAMPLES],
        remedy if len(remedy) <= _LONGEST_REMEDY else one.remedy,
        one.safe_fix and other.safe_fix,
    )


def labelled(finding: Finding, label: str) -> Finding:
    """The finding of one of several series, with its name before whatever is said."""
    if not label:
        return finding
    faults = tuple(
        Fault(
            fault.kind,
            fault.count,
            fault.first,
            fault.last,
            tuple({**example, "found": f"{label}: {example['found']}"} for example in fault.examples),
            fault.remedy,
            fault.safe_fix,
        )
        for fault in finding.faults
    )
    return Finding(faults, tuple(f"{label}: {note}" for note in finding.notes))
