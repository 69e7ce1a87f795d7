"""What one rule of the gate said."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Content of ``evidence.json``. What could not be measured is None, and None never passes.
Evidence = Mapping[str, Any]


@dataclass(frozen=True)
class Ruling:
    """What one rule said.

    Parameters
    ----------
    rule
        Its name.
    passed
        Whether the evidence meets it.
    value, threshold
        What was measured, and what it was held against; None where nothing could be measured.
    reason
        One sentence with both.
    refusal
        The reason in a few words, for the summary of a refusal; empty when passed.
    """

    rule: str
    passed: bool
    value: float | None
    threshold: float
    reason: str
    refusal: str = ""


def number(value: float | None) -> float | None:
    """A finite number, or None."""
    return None if value is None or not math.isfinite(value) else float(value)


def shown(value: float | None, form: str) -> str:
    """A number in words."""
    return "unknown" if value is None else format(value, form)
