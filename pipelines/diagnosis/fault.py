"""What can be wrong with a file of bars, and how a finding is put down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

Kind = Literal[
    "order_descending",
    "order_mixed",
    "duplicates_agreeing",
    "duplicates_conflicting",
    "gaps",
    "sparse_market",
    "zero_volume",
    "stale_run",
    "bad_prints",
    "ohlc_violation",
    "high_low_swapped",
    "volume_swapped",
    "volume_unit_change",
    "scale_change",
    "close_stamped",
    "clock_shift",
    "local_time",
    "dst_jump",
    "mixed_offsets",
    "epoch_unit",
    "wrong_timeframe",
    "jitter",
    "unfinished_last_bar",
    "text_numbers",
    "decimal_comma",
    "nan_rows",
    "infinite",
    "non_positive_price",
    "extra_column_return",
    "long_format",
]
KINDS: tuple[str, ...] = get_args(Kind)

# Stamps are counted in microseconds since 1970; this one stands for "no time".
NAT = np.iinfo(np.int64).min
# A finding shows this many rows.
EXAMPLES = 3


@dataclass(frozen=True)
class Fault:
    """One kind of fault in one file.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    count
        Affected rows; for gaps the missing bars, for jumps of the clock the jumps.
    first, last
        Earliest and latest stamp affected (µs since 1970, UTC); ``None`` where no stamp can be read.
    examples
        Up to :data:`EXAMPLES` objects with ``row`` (position in the file, from 0), ``timestamp`` and ``found``.
    remedy
        What to do, in a sentence.
    safe_fix
        Whether ``--fix`` mends it: only where the file itself says what is right and nothing is invented.
    """

    kind: Kind
    count: int
    first: int | None
    last: int | None
    examples: tuple[Mapping[str, Any], ...]
    remedy: str
    safe_fix: bool = False

    def as_object(self) -> dict[str, Any]:
        """The fault as it stands in the JSON."""
        return {
            "kind": self.kind,
            "count": self.count,
            "first": _iso(self.first),
            "last": _iso(self.last),
            "examples": [dict(example) for example in self.examples],
            "remedy": self.remedy,
            "safe_fix": self.safe_fix,
        }


@dataclass(frozen=True)
class Finding:
    """What one look at the file yielded: faults that stop a run, and remarks that do not."""

    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


def found_rows(
    kind: Kind,
    number: Ints,
    at: Ints,
    say: Callable[[int], str],
    remedy: str,
    *,
    where: Mask | Ints,
    count: int | None = None,
    safe_fix: bool = False,
) -> Fault:
    """A fault of some rows.

    Parameters
    ----------
    kind
        What it is.
    number, at
        Row in the file and stamp (:data:`NAT` where it has none) of all rows that were looked at.
    say
        What was found at a position of ``number``, for the examples.
    remedy
        What to do.
    where
        Mask or positions of the affected rows; at least one.
    count
        Where something else than rows is counted.
    safe_fix
        See :class:`Fault`.
    """
    places = np.flatnonzero(where) if where.dtype == np.bool_ else np.asarray(where)
    stamps = at[places]
    stamps = stamps[stamps != NAT]
    shown = tuple(
        {"row": int(number[place]), "timestamp": _iso(int(at[place])), "found": say(int(place))}
        for place in places[:EXAMPLES]
    )
    return Fault(
        kind,
        len(places) if count is None else count,
        int(stamps.min()) if len(stamps) else None,
        int(stamps.max()) if len(stamps) else None,
        shown,
        remedy,
        safe_fix,
    )


def stamp(at: int) -> pd.Timestamp:
    """A stamp as a time in UTC."""
    return pd.Timestamp(at, unit="us", tz="UTC")


def spoken(microseconds: int) -> str:
    """A length of time as people say it: ``1h``, ``-45m``, ``20h30m``, ``3.2s``."""
    sign, rest = ("-" if microseconds < 0 else ""), abs(microseconds)
    parts = []
    for unit, length in (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000)):
        whole, rest = divmod(rest, length)
        parts += [f"{whole}{unit}"] if whole else []
    if rest:
        parts.append(f"{rest / 1e6:g}s")
    return sign + ("".join(parts) or "0s")


def number_text(value: float) -> str:
    """A price or volume with the digits that matter."""
    return f"{value:.8g}"


def _iso(at: int | None) -> str | None:
    return None if at is None or at == NAT else stamp(at).isoformat()
