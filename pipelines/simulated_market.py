"""Bars of a simulated market as files that the pipeline reads, with what can be earned on them."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.store.export import export
from trading.costs import Costs
from trading.errors import ParamsError, TooFewBarsError, WorkspaceError
from trading.instrument import Instrument
from trading.markets.assets import cointegrated, correlated
from trading.markets.bound import sharpe_bound
from trading.markets.market import MEANINGS, Market, attainable_accuracy, attainable_sharpe, draw

_ENDINGS = (".csv.gz", ".csv", ".parquet", ".feather")
_ASSET = re.compile(r"CO[RI]\d+-USD_\d+[mhd]\.(csv|csv\.gz|parquet|feather)")


@dataclass(frozen=True, slots=True)
class Beside:
    """Other assets to draw, and the folder for them and no others: a context folder of ``engine run``."""

    correlated: int
    correlation: float
    cointegrated: int
    folder: Path


def ending(file: Path) -> str:
    """Ending of a file of bars.

    Raises
    ------
    ParamsError
        If it is none that bars are written with.
    """
    found = next((one for one in _ENDINGS if file.name.lower().endswith(one)), None)
    if found is None or os.path.isdir(file):  # noqa: PTH112 - says no to a name that is too long
        raise ParamsError(
            f"bars cannot be written to {file.name}",
            where=str(file),
            rule=f"a file whose name ends in {', '.join(_ENDINGS)}",
            remedy="name such a file",
        )
    return found


def write_market(
    market: Market, rows: int, seed: int, costs: Costs, min_bars: int, out: Path, answer: Path | None, beside: Beside
) -> dict[str, Any]:
    """Draw a market, write it, and say what is planted in it and what that is worth.

    Parameters
    ----------
    market, rows, seed
        What to draw.
    costs
        A side, for the Sharpe ratio after costs.
    min_bars
        Fewer cannot be trained on, and are refused.
    out
        File for the bars. An old one is replaced.
    answer
        File for what an ideal observer expects after each bar, if wanted.
    beside
        Other assets. The folder is made in any case: a run on these bars should read it and no other.

    Returns
    -------
    dict
        What :func:`lines_of` words.

    Raises
    ------
    ParamsError
        If a name or a number cannot be used, or the folder holds something else.
    TooFewBarsError
        If there are fewer bars than a run needs.
    StoreError, WorkspaceError
        If something cannot be written.
    """
    if rows < min_bars:
        raise TooFewBarsError(
            f"{rows:,} simulated bars",
            rule=f"{min_bars:,} or more: validate.min_bars of params.yaml",
            remedy="ask for more with --bars",
        )
    form = ending(out)
    if answer is not None and ending(answer) and answer.resolve() == out.resolve():
        raise ParamsError(
            "the answer would replace the bars", where=str(out), rule="two files", remedy="name another with --answer"
        )
    drawn = draw(market, rows, seed)
    others = _others(drawn.bars, beside, seed)
    files = {name: beside.folder / f"{_slug(name)}_{market.timeframe}{form}" for name in others}
    stale = _assets_before(beside.folder)
    for folder in (out.parent, beside.folder, *([answer.parent] if answer else [])):
        _make(folder)
    export(iter([drawn.bars]), out)
    for file in stale:
        file.unlink()
    for name, (_, bars) in others.items():
        export(iter([bars]), files[name])
    if answer is not None:
        export(iter([drawn.answer]), answer)
    bound = sharpe_bound(market, costs, seed)
    next_ = ["engine", "run", "--bars", str(out), "--symbol", market.instrument.symbol]
    next_ += ["--timeframe", market.timeframe, "--context", str(beside.folder)]
    return {
        "market": {**asdict(market), "strength": market.strength, "planted": MEANINGS[market.edge]},
        "seed": seed,
        "bars": {"file": out, "rows": rows, "first": drawn.bars.index[0], "last": drawn.bars.index[-1]},
        "answer": answer,
        "context": {
            "folder": beside.folder,
            "assets": [{"symbol": name, "kind": kind, "file": files[name]} for name, (kind, _) in others.items()],
        },
        "attainable_accuracy": {"market": market.accuracy, "path": attainable_accuracy(drawn.answer)},
        "sharpe_before_costs": {
            "market": bound.upper,
            "error": bound.upper_error,
            "path": attainable_sharpe(drawn.answer, market.instrument.bars_per_year),
        },
        "sharpe_after_costs": {
            "cost_bps": costs.per_side * 1e4,
            "lower": bound.lower,
            "lower_error": bound.lower_error,
            "upper": bound.upper,
            "upper_error": bound.upper_error,
            "policy": str(bound.policy) if bound.policy else None,
            "paths": bound.paths,
            "rows": bound.rows,
        },
        "next": shlex.join(next_),
    }


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """What :func:`write_market` did, in words."""
    market, bars, before, after = (
        report[name] for name in ("market", "bars", "sharpe_before_costs", "sharpe_after_costs")
    )
    accuracy, assets = report["attainable_accuracy"], report["context"]["assets"]
    said = [
        f"{bars['rows']:,} bars of {market['timeframe']} from {bars['first']:%Y-%m-%d} to {bars['last']:%Y-%m-%d} "
        f"in {bars['file']}",
        f"planted: {market['edge']}. {market['planted'].capitalize()}.",
        f"best accuracy from past bars: {accuracy['market']:.2%} of the market, {accuracy['path']:.2%} of this path; "
        "no forecast is expected to have more",
        f"best Sharpe ratio a year, before costs: {before['market']:.2f} ± {before['error']:.2f} of the market, "
        f"{before['path']:.2f} of this path",
        f"best Sharpe ratio a year, after {after['cost_bps']:g} bps a side: between {after['lower']:.2f} ± "
        f"{after['lower_error']:.2f} and {after['upper']:.2f} ± {after['upper_error']:.2f}",
        f"  below: {after['policy'] or 'stay out'}",
        f"  above: what is best before costs; ± is the standard error over {after['paths']} paths of "
        f"{after['rows']:,} bars",
    ]
    said += [f"beside it: {one['symbol']}, {one['kind']}, in {one['file']}" for one in assets]
    if report["answer"]:
        said.append(f"what an ideal observer expects after each bar: {report['answer']}")
    return [*said, "next:", f"  engine data check {shlex.quote(str(bars['file']))}", f"  {report['next']}"]


def _others(bars: pd.DataFrame, beside: Beside, seed: int) -> dict[str, tuple[str, pd.DataFrame]]:
    """By symbol: what kind of asset it is, and its bars."""
    tied = correlated(bars, beside.correlated, beside.correlation, seed)
    bound = cointegrated(bars, beside.cointegrated, seed)
    return {
        **{f"COR{at}/USD": ("correlated", one) for at, one in enumerate(tied, 1)},
        **{f"COI{at}/USD": ("cointegrated", one) for at, one in enumerate(bound, 1)},
    }


def _slug(symbol: str) -> str:
    return Instrument(symbol, "1h").slug


def _assets_before(folder: Path) -> list[Path]:
    """Assets of an earlier draw: beside these bars they would become features. Whatever else is there stays."""
    there = os.path.lexists(folder)
    if there and not folder.is_dir():
        raise ParamsError(f"{folder.name} is no folder", where=str(folder), remedy="name a folder with --context-out")
    found = sorted(folder.iterdir()) if there else []
    strange = [path for path in found if not (_ASSET.fullmatch(path.name) and path.is_file())]
    if strange:
        raise ParamsError(
            f"{folder.name} holds {strange[0].name}",
            where=str(folder),
            rule="the folder holds the other assets of simulated bars, and nothing else",
            remedy="empty it, or name another folder with --context-out",
        )
    return found


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"cannot make {folder.name}: {error.strerror}", where=str(folder), remedy="name a folder you may write to"
        ) from error
