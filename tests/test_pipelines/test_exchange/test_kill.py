"""A fetch that is killed ten times, anywhere, ends as one that was left in peace."""

import multiprocessing
import random
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipelines.store.bar_store import BarStore
from tests.exchange_server import ExchangeServer
from tests.test_pipelines.test_exchange.driver import BINANCE, fetch_in_child, fetched

KILLS = 10
COUNT = 1200
PAGE = 40
START = "2017-10-01T00:00:00Z"
PRELOAD = ["ccxt.pro", "pandas", "tests.test_pipelines.test_exchange.driver"]


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Processes that start at once: what they import is imported already, in a server without threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def test_killed_ten_times_it_ends_equal_to_one_undisturbed(
    serve: Callable[..., ExchangeServer], tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    server = serve(COUNT, most=PAGE)
    chance = random.Random()
    pages = -(-COUNT // PAGE)
    fetched(server.url, tmp_path / "undisturbed", since=pd.Timestamp(START))
    server.faults.log.clear()
    killed = 0
    for _ in range(KILLS):
        child = processes.Process(target=fetch_in_child, args=(server.url, tmp_path / "killed", START))
        before = server.faults.count("klines")
        child.start()
        wanted = before + chance.randint(1, 3)
        deadline = time.monotonic() + 30
        while server.faults.count("klines") < wanted and child.is_alive() and time.monotonic() < deadline:
            time.sleep(0.001)
        # Anywhere between two pages: while one is asked for, stored, or noted.
        time.sleep(chance.uniform(0, 0.06))
        child.kill()
        child.join()
        killed += child.exitcode == -9
    assert killed >= KILLS - 2
    requests = server.faults.count("klines")
    fetched(server.url, tmp_path / "killed")
    undisturbed, disturbed = (BarStore(tmp_path / name) for name in ("undisturbed", "killed"))
    pd.testing.assert_frame_equal(disturbed.read(BINANCE), undisturbed.read(BINANCE), check_exact=True)
    pd.testing.assert_frame_equal(
        disturbed.read(BINANCE), server.market.frame("30m"), check_freq=False, check_exact=True
    )
    assert disturbed.corrections(BINANCE).empty
    # It went on where it was: a kill costs the page that was under way and the overlap, not the history.
    assert server.faults.count("klines") <= pages + 3 * KILLS
    assert requests < server.faults.count("klines")
