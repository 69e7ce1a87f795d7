"""Runs whose bars come from an exchange: a server on the loopback address, real fetching, workspaces, DVC and flow."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest

from flows.retrain import RetrainResult, run
from pipelines.artifacts import digest
from pipelines.exchange.errors import ExchangeError, RefusedError, UnreachableError, UnsupportedError
from pipelines.exchange.terms import Terms
from pipelines.exchange.update import update
from pipelines.params import read_run
from pipelines.settings import Settings
from pipelines.store.bar_store import Series
from pipelines.store.errors import StoreError
from pipelines.workspace import locked, prepare, root_or_workspace, sync_source
from tests.conftest import SAMPLE
from tests.exchange_server import ExchangeServer, Market
from tests.exchange_server.faults import Fault
from tests.test_flows.miniature import STAGES, STEPS
from trading.errors import EngineError, ParamsError, WorkspaceError

SERIES = Series("binance", "BTC/USDT", "1h")
RUN: Mapping[str, str] = {"source": "exchange:binance", "symbol": "BTC/USDT", "timeframe": "1h"}
START = pd.Timestamp("2017-10-01", tz="UTC")
HOUR = pd.Timedelta(hours=1)
# The miniature's first stage reads text.
READ = "Path(context.run.source).read_text()"
READ_BARS = "__import__('pandas').read_parquet(context.run.source).to_csv(float_format='%.17g')"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """An exchange ten minutes into its 101st hour."""
    bars = pd.read_parquet(SAMPLE).set_index("timestamp").sort_index().iloc[:400].astype("float64")
    with ExchangeServer(Market(bars, START + 100 * HOUR + pd.Timedelta(minutes=10))) as exchange:
        yield exchange


@pytest.fixture
def settings(home: Path, server: ExchangeServer) -> Settings:
    """Waits so short that a test can bear them."""
    first = home / "mini" / "one.py"
    assert READ in first.read_text()
    first.write_text(first.read_text().replace(READ, READ_BARS))
    root = home / "workspaces" / "BTC-USDT-1h"
    root.mkdir(parents=True)
    for name in ("mini", "evidence.example"):
        (root / name).symlink_to(home / name)
    return Settings(
        home=home,
        state=home,
        workers=1,
        exchange_url=server.url,
        exchange_pause=0.001,
        exchange_attempts=2,
        exchange_overlap=10,
        exchange_rate_limit=False,
    )


@pytest.fixture
def fetched(settings: Settings) -> Settings:
    """After a first ``engine data fetch``."""
    update(Terms.of(settings), settings.store_folder, SERIES, START)
    return settings


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files in a folder, by path."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): digest(path) for path in found}


def bars_used(home: Path) -> pd.DataFrame:
    """The bars that the first stage of the last run read."""
    lines = (home / "workspaces" / "BTC-USDT-1h" / "data" / "one" / "text").read_text().splitlines()[:-1]
    rows = pd.DataFrame([line.split(",") for line in lines[1:]], columns=lines[0].split(","))
    return rows.set_index(pd.to_datetime(rows.pop("timestamp"), utc=True)).astype("float64")


def again(
    settings: Settings, *, told: list[str] | None = None, as_of: pd.Timestamp | None = None, **changes: str
) -> RetrainResult:
    """Run the real flow on the exchange's bars, the miniature's stages and its steps."""
    heard: list[str] = [] if told is None else told
    moment = None if as_of is None else as_of.to_pydatetime()
    identity = read_run(settings.home / "run.yaml").model_copy(update={**RUN, **changes, "as_of": moment})
    return run(settings, identity, on_progress=lambda stage, done, total, note: heard.append(note), steps=STEPS)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_address")
def test_runs_one_after_another(home: Path, fetched: Settings, server: ExchangeServer) -> None:
    told: list[str] = []
    first = again(fetched)
    assert first.workspace == home / "workspaces" / "BTC-USDT-1h"
    assert first.ran == STAGES
    assert str(first.source) == "binance BTC/USDT 1h: no new bar, up to 2017-10-05 04:00 UTC"
    pd.testing.assert_frame_equal(bars_used(home), server.market.frame("1h"), check_freq=False)

    # No new bar: nothing is written, nothing runs, and one page is asked for.
    before, asked = contents(first.workspace / "source"), server.faults.count("klines")
    second = again(fetched)
    assert second.ran == ()
    assert second.news.startswith("binance BTC/USDT 1h: no new bar, up to 2017-10-05 04:00 UTC; no new bar since ")
    assert contents(first.workspace / "source") == before
    assert server.faults.count("klines") == asked + 1

    # Two more hours, and one that was known came out differently.
    seen = START + 100 * HOUR + pd.Timedelta(minutes=30)
    server.market.set_time(server.market.now + 2 * HOUR)
    server.market.correct("1h", START + 95 * HOUR, 5000.0)
    third = again(fetched, told=told)
    assert third.ran == STAGES
    assert str(third.source) == "binance BTC/USDT 1h: 2 new bars, 1 corrected, up to 2017-10-05 06:00 UTC"
    assert any(note.startswith("fetched ") and "bars, to 2017-10-05 06:00" in note for note in told)
    assert bars_used(home).loc[START + 95 * HOUR, "close"] == 5000.0
    assert len(bars_used(home)) == 102

    # The exchange is away: the run goes on with what is stored, and says so.
    server.faults.always["klines"] = Fault("status", 503)
    fourth = again(fetched, told=told)
    assert fourth.ran == ()
    assert "as stored, up to 2017-10-05 06:00 UTC; binance answers HTTP 503; no new bar since " in fourth.news
    assert any("going on with what is stored" in note for note in told)

    # A moment in the past needs nobody, and nothing that was known later, neither bars nor corrections.
    asked = len(server.faults.log)
    past = again(fetched, as_of=seen)
    # What followed from these bars is in DVC's cache.
    assert past.ran == ("one",)
    assert len(server.faults.log) == asked
    assert contents(first.workspace / "source") == before


@pytest.fixture
def earlier(home: Path, settings: Settings) -> None:
    """What a run on a file left in the same workspace."""
    (file := home / "mine.csv").write_text("1\n")
    identity = read_run(home / "run.yaml").model_copy(update={**RUN, "source": str(file)})
    workspace = root_or_workspace(settings, identity)
    prepare(workspace)
    sync_source(workspace, file)


def refused(settings: Settings, kind: type[EngineError], **changes: str) -> EngineError:
    """The error of a run, which may change neither the workspace nor the store."""
    kept = {name: contents(settings.home / name) for name in ("workspaces", "data")}
    with pytest.raises(kind) as caught:
        again(settings, **changes)
    assert {name: contents(settings.home / name) for name in kept} == kept
    return caught.value


@pytest.mark.usefixtures("earlier")
def test_what_was_never_fetched_is_said_with_what_to_do(settings: Settings, server: ExchangeServer) -> None:
    error = refused(settings, ParamsError)
    assert "engine data fetch --exchange binance --symbol BTC/USDT --timeframe 1h --since" in error.remedy
    assert "BTC/USDT" in refused(settings, UnsupportedError, symbol="BTC/XYZ").rule
    assert "1h" in refused(settings, UnsupportedError, timeframe="7m").rule
    assert "did you mean binance" in refused(settings, ExchangeError, source="exchange:binanc").remedy
    assert "as ccxt does" in refused(settings, StoreError, source="exchange:bi nance").remedy
    server.faults.always["markets"] = Fault("status", 503)
    assert "HTTP 503" in refused(settings, UnreachableError).what


@pytest.mark.usefixtures("earlier")
def test_an_exchange_that_refuses_ends_the_run_and_loses_nothing(fetched: Settings, server: ExchangeServer) -> None:
    server.faults.always["klines"] = Fault("status", 451)
    assert "does not serve this address" in refused(fetched, RefusedError).what


@pytest.mark.usefixtures("earlier")
def test_nobody_is_asked_where_the_run_cannot_begin(fetched: Settings, server: ExchangeServer) -> None:
    asked = len(server.faults.log)
    identity = read_run(fetched.home / "run.yaml").model_copy(update=RUN)
    # The lock belongs to an open file: another one of this process has to wait as well.
    with locked(root_or_workspace(fetched, identity)):
        refused(fetched, WorkspaceError)
    (fetched.home / "params.yaml").write_text((fetched.home / "params.yaml").read_text() + "sede: 7\n")
    assert "sede" in refused(fetched, ParamsError).what
    assert len(server.faults.log) == asked
