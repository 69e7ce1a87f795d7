"""Tables of many slow, independent cells: each is measured once, kept, and found again by what it was made from."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.artifacts import content_hash, digest, json_text
from pipelines.provenance import code_digest
from pipelines.workers import process_map

Cell = Mapping[str, Any]
HOME = Path(__file__).resolve().parents[1]


def measured(
    measure: Callable[[dict[str, Any]], dict[str, Any]], cells: Sequence[Cell], results: Path, workers: int
) -> list[dict[str, Any]]:
    """What each cell gave, in their order; those that an earlier run measured with the same code are read.

    Parameters
    ----------
    measure
        From a cell to plain values; defined in a module, so that a worker finds it.
    cells
        Plain values.
    results
        Folder that keeps a file a cell. A kill loses the cells that were being measured, and no other.
    workers
        Processes of one thread each.
    """
    code = content_hash([code_digest(HOME), digest(HOME / "requirements.lock"), *map(digest, _scripts(measure))])
    files = [results / f"{content_hash({'code': code, 'cell': cell})[:24]}.json" for cell in cells]
    results.mkdir(parents=True, exist_ok=True)
    missing = [place for place, file in enumerate(files) if not file.exists()]
    _tell(f"{len(cells) - len(missing)} of {len(cells)} cells are there already, in {results}")
    start = time.monotonic()
    with process_map(workers) as mapped:
        # Numbered by the pool's order of submission; each is written as soon as it is its turn.
        for done, (place, found) in enumerate(
            zip(missing, mapped(measure, [dict(cells[place]) for place in missing]), strict=True), start=1
        ):
            temporary = files[place].with_suffix(".tmp")
            temporary.write_text(json_text(found), encoding="utf-8")
            temporary.replace(files[place])
            left = (time.monotonic() - start) / done * (len(missing) - done) / 60
            _tell(f"{done} of {len(missing)} measured, about {left:.0f} min left: {_shown(cells[place])}")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def inserted(page: Path, name: str, table: str) -> None:
    """Put a table between its markers in a page, in one step.

    Raises
    ------
    SystemExit
        If the page has no such markers.
    """
    begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise SystemExit(f"{page} has no place for {name}: write the lines {begin.strip()!r} and {end!r} where it goes")
    before, rest = text.split(begin, 1)
    temporary = page.with_suffix(".tmp")
    temporary.write_text(before + begin + "\n" + table + "\n\n" + end + rest.split(end, 1)[1], encoding="utf-8")
    temporary.replace(page)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _scripts(measure: Callable[..., object]) -> list[Path]:
    """The files beside the one that measures, and this one; what is told of the cells is not what they are."""
    beside = Path(str(sys.modules[measure.__module__].__file__)).parent
    return [Path(__file__), *sorted(path for path in beside.glob("*.py") if path.name != "__main__.py")]


def _shown(cell: Cell) -> str:
    return ", ".join(f"{key} {value}" for key, value in cell.items() if not isinstance(value, dict | list))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
