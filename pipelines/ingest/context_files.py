"""Files of a context folder: their names say what is in them."""

import re
from pathlib import Path

from pipelines.ingest.reader import SUFFIXES
from pipelines.sentiment.declared import DECLARED
from pipelines.sentiment.errors import SeriesError
from trading.errors import InstrumentError, ParamsError
from trading.instrument import Instrument

SERIES = tuple(one.name for one in DECLARED)
_ENDINGS = tuple(sorted((*SUFFIXES, ".json", ".jsonl"), key=len, reverse=True))
_TIMEFRAME = re.compile(r"_[1-9]\d*[mhdw]$")
_KNOWN = f"{', '.join(SERIES)}, or an instrument's slug as in BTC-USD, kraken_BTC-USD or kraken_BTC-USD_30m"


def symbol_of(name: str) -> str | None:
    """Unified symbol of the bars in a file named ``[venue_]BTC-USD[_30m].parquet``; None where the name has none.

    The slug is in capitals, so that ``fear-greed.csv`` is no market of FEAR in GREED.
    """
    stem = _TIMEFRAME.sub("", _stem(name))
    venue, _, rest = stem.partition("_")
    slug = rest if rest and "-" not in venue else stem
    if "-" not in slug or slug != slug.upper():
        return None
    try:
        return Instrument.parse(slug, "1h").symbol
    except InstrumentError:
        return None


def context_files(folder: Path) -> dict[str, Path]:
    """Files of a folder by what is in them: unified symbols in order, then the names of external series in order.

    Hidden files and a ``README`` say nothing; whatever else is there has to be understood.

    Raises
    ------
    ParamsError
        If there is no such folder.
    SeriesError
        If a name says nothing, or two files say that they hold the same.
    """
    if not folder.is_dir():
        raise ParamsError(
            f"{folder.name} is {'no folder' if folder.exists() else 'not there'}",
            where=str(folder),
            rule="the context of a run is a folder of files; it may be empty",
            remedy="make it, or name another one with --context, or under context in run.yaml",
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "README")):
            continue
        name = _stem(path.name) if _stem(path.name) in SERIES else symbol_of(path.name)
        if name is None or not path.is_file():
            raise SeriesError(
                f"{path.name} is not understood",
                where=str(path),
                rule=f"files named {_KNOWN}, that end in {', '.join(_ENDINGS)}",
                remedy="give it one of these names, or move it elsewhere; docs/sentiment.md describes the series",
            )
        if name in found:
            raise SeriesError(
                f"{found[name].name} and {path.name} both hold {name}",
                where=str(folder),
                rule="one file for each instrument and series",
                remedy="keep one of them",
            )
        found[name] = path
    return {name: found[name] for name in sorted(found, key=lambda name: (name in SERIES, name))}


def _stem(name: str) -> str:
    """Name without its ending; nothing where the ending is not one that is read."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), None)
    return "" if ending is None else name[: -len(ending)]
