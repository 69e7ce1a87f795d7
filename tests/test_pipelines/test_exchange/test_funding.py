from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.exchange.connection import Connection
from pipelines.exchange.errors import UnreachableError
from pipelines.exchange.funding import Funded, fetch_funding, has_funding, series_name, to_rates
from pipelines.store.external_store import ExternalStore
from tests.exchange_server import ExchangeServer
from tests.exchange_server.faults import Fault
from tests.test_pipelines.test_exchange.driver import BINANCE, PERPETUAL, talk

Serve = Callable[..., ExchangeServer]
START = pd.Timestamp("2017-10-01", tz="UTC")
NAME = "funding/binance/BTC-USDT_USDT"


def funded(
    server: ExchangeServer, root: Path, since: pd.Timestamp = START, until: pd.Timestamp | None = None
) -> Funded:
    return talk(
        server.url,
        PERPETUAL,
        lambda connection: fetch_funding(connection, ExternalStore(root), PERPETUAL, since, until),
    )


def equal(server: ExchangeServer, root: Path) -> None:
    stored = ExternalStore(root).read(NAME)
    rates = server.market.rates()
    assert stored.index.as_unit("ms").asi8.tolist() == [stamp for stamp, _ in rates]
    np.testing.assert_array_equal(stored["funding_rate"], [rate for _, rate in rates])


def test_rates_are_stored_by_the_time_they_became_public(serve: Serve, tmp_path: Path) -> None:
    server = serve(2500)
    done = funded(server, tmp_path)
    equal(server, tmp_path)
    assert done.name == series_name(PERPETUAL) == NAME
    assert done.added == len(server.market.rates()) > 100
    assert ExternalStore(tmp_path).read(NAME).index.name == "published_at"


def test_an_update_asks_for_the_last_month_and_what_is_new(serve: Serve, tmp_path: Path) -> None:
    server = serve(2500)
    funded(server, tmp_path, until=START + pd.Timedelta(days=45))
    server.faults.log.clear()
    done = funded(server, tmp_path)
    equal(server, tmp_path)
    assert done.unchanged == 90
    first = int(next(query["startTime"] for endpoint, query in server.faults.log if endpoint == "funding"))
    assert first == int((START + pd.Timedelta(days=15)).value // 1_000_000) + 3


def test_earlier_rates_are_fetched_when_they_are_asked_for(serve: Serve, tmp_path: Path) -> None:
    server = serve(1000)
    funded(server, tmp_path, since=START + pd.Timedelta(days=9))
    funded(server, tmp_path)
    equal(server, tmp_path)


def test_what_came_before_a_failure_is_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(2900)
    server.faults.plan("funding", None, *[Fault("status", 503)] * 4)
    with pytest.raises(UnreachableError):
        funded(server, tmp_path)
    assert len(ExternalStore(tmp_path).read(NAME)) == 100
    assert funded(server, tmp_path).unchanged == 90
    equal(server, tmp_path)


@pytest.mark.parametrize(("market", "expected"), [({"swap": True}, True), ({"swap": False}, False), ({}, False)])
def test_only_perpetuals_are_funded(serve: Serve, market: dict[str, Any], expected: bool) -> None:
    async def look(connection: Connection) -> bool:
        return has_funding(connection, market)

    assert talk(serve(10).url, BINANCE, look) is expected


def test_records_without_a_rate_are_left_out_and_the_rest_put_in_order() -> None:
    answer = [
        {"timestamp": 3000, "fundingRate": 0.3},
        {"timestamp": 1000, "fundingRate": 0.1},
        {"timestamp": None, "fundingRate": 0.1},
        {"timestamp": 2000, "fundingRate": None},
        {"timestamp": 2500, "fundingRate": float("nan")},
        {"timestamp": 9000, "fundingRate": 0.9},
    ]
    rates = to_rates(answer, 0, 9000)
    assert rates["funding_rate"].tolist() == [0.1, 0.3]
    assert to_rates([], 0, 9).empty
