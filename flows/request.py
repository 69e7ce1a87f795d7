"""From what was typed to which run it is."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from pipelines.exchange.catalogue import exchange_id
from pipelines.exchange.source import source_of
from pipelines.ingest.context_files import symbol_of
from pipelines.params import Params, RunIdentity, read_run
from pipelines.settings import Settings
from trading.errors import BarError, InstrumentError, ParamsError, StageError
from trading.instrument import Instrument

SAMPLE = "data/sample"


def identity(
    settings: Settings,
    bars: Path | None,
    symbol: str | None,
    timeframe: str | None,
    as_of: str | None,
    exchange: str | None = None,
    context: Path | None = None,
) -> RunIdentity:
    """Which run is meant; what was not typed is taken from ``run.yaml``, or from the sample of that symbol.

    Parameters
    ----------
    settings
        Where ``run.yaml`` and the sample are.
    bars
        A file or folder of the user's.
    symbol, timeframe, as_of
        As typed. ``as_of`` is ISO 8601, in UTC where it names no offset.
    exchange
        Name of the exchange whose stored bars are meant, instead of a file.
    context
        A folder of the user's, of what stands beside the bars.

    Raises
    ------
    InstrumentError
        If bars are given without a symbol, or a symbol without bars that the sample does not have.
    BarError
        If ``bars`` do not exist.
    ExchangeError
        If nobody knows the exchange.
    ParamsError
        If ``as_of`` is no time, or both a file and an exchange are given.
    """
    base = read_run(settings.home / "run.yaml")
    beside = base.context if context is None else str(context.expanduser().resolve())
    moment = base.as_of if as_of is None else parse_moment(as_of)
    if exchange is not None:
        if bars is not None:
            raise ParamsError(
                "both --bars and --exchange are given",
                rule="a run has one source",
                remedy="leave one of them out",
            )
        instrument = Instrument.parse(symbol or base.symbol, timeframe or base.timeframe)
        return RunIdentity(
            symbol=instrument.symbol,
            timeframe=instrument.timeframe,
            source=source_of(exchange_id(exchange)),
            context=beside,
            as_of=moment,
        )
    if bars is not None:
        return _own(bars, symbol, timeframe or base.timeframe, beside, moment)
    if symbol is None:
        instrument = Instrument(base.instrument.symbol, timeframe or base.timeframe)
        source = base.source
    else:
        instrument = Instrument.parse(symbol, timeframe or base.timeframe)
        source = base.source if instrument.symbol == base.instrument.symbol else _sample(settings, instrument)
    return RunIdentity(
        symbol=instrument.symbol, timeframe=instrument.timeframe, source=source, context=beside, as_of=moment
    )


def _own(bars: Path, symbol: str | None, timeframe: str, context: str, moment: datetime | None) -> RunIdentity:
    if symbol is None:
        raise InstrumentError(
            "--bars is given without --symbol",
            where=str(bars),
            rule="a file does not say what it is a price of, and nothing is guessed",
            remedy="add --symbol, such as --symbol BTC/USD",
        )
    if not bars.exists():
        raise BarError("no such file or folder", where=str(bars), remedy="check the path that follows --bars")
    instrument = Instrument.parse(symbol, timeframe)
    return RunIdentity(
        symbol=instrument.symbol,
        timeframe=instrument.timeframe,
        source=str(bars.resolve()),
        context=context,
        as_of=moment,
    )


def parse_moment(text: str) -> datetime:
    """A moment in UTC from ISO 8601.

    Raises
    ------
    ParamsError
        If it is none.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ParamsError(
            f"{text!r} is not a time",
            where="--as-of",
            rule="ISO 8601, in UTC where it names no offset",
            remedy="write it as 2019-09-01 or 2019-09-01T12:00:00+00:00",
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def sample_files(settings: Settings) -> dict[str, Path]:
    """Files of the sample by unified symbol; they are named ``<exchange>_<slug>_<timeframe>.parquet``."""
    paths = sorted((settings.home / SAMPLE).glob("*.parquet"))
    return {symbol: path for path in paths if (symbol := symbol_of(path.name)) is not None}


def _sample(settings: Settings, instrument: Instrument) -> str:
    files = sample_files(settings)
    if instrument.symbol not in files:
        raise InstrumentError(
            f"no bars of {instrument.symbol}",
            where=str(settings.home / SAMPLE),
            rule=f"the sample has {', '.join(files) or 'nothing'}",
            remedy=f"choose one of these, or bring your own: --bars FILE --symbol {instrument.symbol}",
        )
    return files[instrument.symbol].relative_to(settings.home).as_posix()


def last_report(settings: Settings, symbol: str | None, timeframe: str | None) -> Path:
    """The report that the last run of an instrument left under the state folder.

    Raises
    ------
    StageError
        If there was no run.
    """
    base = read_run(settings.home / "run.yaml")
    instrument = Instrument.parse(symbol or base.symbol, timeframe or base.timeframe)
    folder = settings.state / "reports"
    path = folder / f"{instrument.name}.html"
    if not path.exists():
        there = ", ".join(sorted(found.stem for found in folder.glob("*.html"))) or "none yet"
        raise StageError(
            f"no report of {instrument.symbol} {instrument.timeframe}",
            where=str(path),
            rule=f"reports there are: {there}",
            remedy=f"make one with `engine run --symbol {instrument.symbol} --timeframe {instrument.timeframe}`",
        )
    return path


def read_closed_bars(path: Path, timeframe: str, params: Params) -> pd.DataFrame:
    """Bars of a user's file at a timeframe, for a forecast; every row must be sound.

    Raises
    ------
    BarError
        If the file cannot be read or a row breaks a rule of the bar contract.
    """
    from pipelines.ingest.arrange import arrange, ensure_reachable
    from pipelines.ingest.reader import read_bars
    from pipelines.validate.screen import screen

    rows, _ = read_bars(path)
    arranged = arrange(rows, None, str(path))
    ensure_reachable(arranged.timeframe, timeframe, str(path))
    found = screen(arranged.rows, arranged.timeframe, timeframe, params.validate_)
    if len(found.quarantine):
        broken = ", ".join(f"{rule} ({count})" for rule, count in found.report["quarantined_by_rule"].items())
        raise BarError(
            f"{len(found.quarantine)} rows are not sound: {broken}",
            where=str(path),
            rule="a forecast is made from sound bars only",
            remedy="mend these rows; `engine validate` describes them",
        )
    return found.bars
