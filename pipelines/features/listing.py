"""Features as people read about them."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from pipelines.features.catalogue import GROUPS, NEEDS
from pipelines.features.engine import FeatureEngine
from pipelines.sentiment.declared import DECLARED
from trading.errors import ParamsError

# Stands for any instrument that cross_asset may look at.
EXAMPLE = "ETH/USD"
_WIDTH = 110


def described(timeframe: str, group: str | None, used: Sequence[str]) -> list[dict[str, Any]]:
    """What each feature declares, and whether its group is among those used.

    Raises
    ------
    ParamsError
        If there is no such group.
    InstrumentError
        If the timeframe is not one.
    """
    if group is not None and group not in GROUPS:
        raise ParamsError(f"unknown feature group {group!r}", rule=f"one of {', '.join(GROUPS)}", remedy="name one")
    engine = FeatureEngine(
        GROUPS if group is None else [group], timeframe, assets=[EXAMPLE], series=[one.name for one in DECLARED]
    )
    return [
        {
            "name": feature.name,
            "group": feature.group,
            "used": feature.group in used,
            "warmup": feature.warmup,
            "inputs": feature.inputs,
            "formula": feature.formula,
            "source": feature.source,
        }
        for feature in engine.features
    ]


def lines_of(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The same as a text, group by group."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    for group in groups:
        members = [row for row in rows if row["group"] == group]
        needs = f"; needs {NEEDS[group]}" if group in NEEDS else ""
        yield f"{group}: {len(members)} features, {'used' if members[0]['used'] else 'not used'} by params.yaml{needs}"
        for row in members:
            yield f"  {row['name']}   warm-up {row['warmup']} bars, reads {', '.join(row['inputs'])}"
            yield from wrap(row["formula"], _WIDTH, initial_indent="    = ", subsequent_indent="      ")
            yield f"    {row['source']}"
        yield ""
    used = sum(row["used"] for row in rows)
    yield f"{len(rows)} features, {used} of them used; warm-up is in bars, windows too"
