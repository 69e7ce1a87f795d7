"""The audit of the real pipeline as lines to read."""

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = ("", "checked", "values", "moments", "from", "to", "verdict")


def exit_code(verdict: Mapping[str, Any]) -> int:
    """0: clean. 1: something saw the future. 2: it cannot be said.

    Parameters
    ----------
    verdict
        See :func:`pipelines.audit.checks.verdict`.
    """
    if any(check["changed"] for check in verdict["checks"]):
        return 1
    return 0 if verdict["clean"] and verdict["control_caught"] else 2


def lines_of(verdict: Mapping[str, Any]) -> list[str]:
    """A line for each thing that was questioned, and what it comes to."""
    checks = [_row(check, _checked(check)) for check in verdict["checks"]]
    controls = [_row(control, _caught(control)) for control in verdict["controls"]]
    lines = _aligned([_HEAD, *checks, *controls])
    if failures := verdict["failures"]:
        one = failures[0]
        lines += [
            "",
            f"On {len(failures)} of the other futures something raised, which proves nothing either way; the first:",
            f"  {one['error']} ({one['world']} after {_minute(one['moment'])}, {one['why']})",
        ]
    return [*lines, "", _conclusion(verdict)]


def _conclusion(verdict: Mapping[str, Any]) -> str:
    changed = [check["check"] for check in verdict["checks"] if check["changed"]]
    compared = sum(check["compared"] for check in verdict["checks"])
    if changed:
        return f"LOOK-AHEAD in {', '.join(changed)}: changing what became known later has changed what was known."
    if not verdict["control_caught"]:
        return "NOT DECIDED: a leak that was planted as a control was not caught."
    if not verdict["clean"]:
        blank = [check["check"] for check in verdict["checks"] if not check["compared"]]
        return f"NOT DECIDED: nothing could be compared of {', '.join(blank)}."
    return f"Nothing saw the future: {compared:,} values stayed the same to the last bit, and all controls were caught."


def _row(check: Mapping[str, Any], said: str) -> tuple[str, ...]:
    mark = "✗" if said[0] != "✓" else "✓"
    span = (_minute(check.get("first_cut")), _minute(check.get("last_cut")))
    return (mark, check["check"], f"{check['compared']:,}", str(check["cuts"]), *span, said[2:])


def _checked(check: Mapping[str, Any]) -> str:
    if check["changed"]:
        more = len(check["columns"]) - 1
        others = f" and {more} more column{'s'[: more != 1]}" if more > 0 else ""
        how = "known beforehand" if check["check"].startswith("outcomes") else "changed"
        return f"✗ {check['changed']:,} {how}, first {check['first_changed']}{others}"
    if not check["compared"]:
        return "– nothing to compare" if check["check"].startswith(("fills", "execution")) else "✗ nothing compared"
    return "✓ unknown beforehand" if check["check"].startswith("outcomes") else "✓ unchanged"


def _caught(control: Mapping[str, Any]) -> str:
    return "✓ caught" if control["changed"] else "✗ MISSED"


def _minute(text: str | None) -> str:
    return text[:16].replace("T", " ") if text else ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = {2, 3}
    return [
        "  ".join(
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
