"""The catalogue of scenarios: what ``stress.yaml`` may say."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.strict import NonNegative, Positive, Strict, conforming, read_mapping
from trading.errors import ParamsError

CATALOGUE = "stress.yaml"
_PAGE = "docs/stress-tests.md says what an entry may hold"

Text = Annotated[str, Field(min_length=1)]
FINITE = Field(allow_inf_nan=False)


class Anchor(Strict):
    """A point of a scenario's path.

    Parameters
    ----------
    hours
        Since the opening of the scenario's first bar.
    move
        Cumulative simple return from the close before it. At hour 0 it is a gap.
    """

    hours: Annotated[NonNegative, FINITE]
    move: Annotated[float, Field(gt=-1, allow_inf_nan=False)]


class Scenario(Strict):
    """What a market does for some hours. An effect that is not mentioned leaves the bars as they are.

    Parameters
    ----------
    name
        Unique in the catalogue: lower-case letters, digits and underscores.
    kind
        Whether it is sized by something that happened.
    description, source
        What it is, and where its figures come from.
    hours
        How long it lasts, from the opening of its first bar. Prices stay where it leaves them.
    path
        Points that the price goes through, in order; between two of them it wiggles as the bars did.
    volatility
        Factor of the bars' own moves: of those around the path where there is one.
    spread, volume
        Factors of the spread that is paid and of the volume that is there.
    funding
        Rate that longs pay to shorts at 00:00, 08:00 and 16:00 UTC, on top of the bars' own.
    correlated
        Whether all assets move together, each by its own volatility.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    kind: Literal["historical", "made_up"]
    description: Text
    source: Text
    hours: Annotated[Positive, FINITE]
    path: list[Anchor] = Field(default_factory=list)
    volatility: Annotated[NonNegative, FINITE] = 1.0
    spread: Annotated[NonNegative, FINITE] = 1.0
    volume: Annotated[NonNegative, FINITE] = 1.0
    funding: Annotated[float, FINITE] = 0.0
    correlated: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        hours = [anchor.hours for anchor in self.path]
        if any(later <= earlier for earlier, later in pairwise(hours)):
            raise ValueError(f"path: hours {hours} must grow from point to point")
        if hours and hours[-1] > self.hours:
            raise ValueError(f"path: its last point, hour {hours[-1]:g}, lies beyond the {self.hours:g} hours")
        return self


def read_catalogue(path: Path) -> list[Scenario]:
    """Scenarios of a file, in its order.

    Raises
    ------
    ParamsError
        If the file is missing or is no YAML, or holds another key than ``scenarios``; if an entry has an unknown key,
        lacks one, has a value out of range, or the name of an earlier one.
    """
    raw = read_mapping(path)
    entries: Any = raw.get("scenarios")
    if set(raw) != {"scenarios"} or not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ParamsError(
            f"keys {sorted(map(str, raw))}",
            where=str(path),
            rule="one key, scenarios, with a list of entries, each a mapping",
            remedy=_PAGE,
        )
    found: dict[str, Scenario] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{path}, entry {number} ({entry.get('name', 'without a name')})"
        scenario = conforming(Scenario, entry, where, f"mend the keys named above; {_PAGE}")
        if scenario.name in found:
            raise ParamsError(
                f"a second scenario {scenario.name}",
                where=where,
                rule="names are unique",
                remedy="give it another name",
            )
        found[scenario.name] = scenario
    return list(found.values())
