"""Real bars for the exchange on the loopback address, and the server itself."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pandas as pd
import pytest

from tests.conftest import SAMPLE
from tests.exchange_server import ExchangeServer, Market


@pytest.fixture(scope="session")
def half_hours() -> pd.DataFrame:
    """3,000 real half hours, with the holes they have."""
    bars = pd.read_parquet(SAMPLE)
    return bars.set_index("timestamp").sort_index().iloc[:3000].astype("float64")


@pytest.fixture
def serve(half_hours: pd.DataFrame) -> Iterator[Callable[..., ExchangeServer]]:
    """Start an exchange: some minutes into the last of ``count`` half hours, behaving as the keywords say."""
    with ExitStack() as stack:

        def start(count: int = 1000, minutes: float = 10.0, **behaviour: Any) -> ExchangeServer:
            speed = behaviour.pop("speed", 1.0)
            now = half_hours.index[count - 1] + pd.Timedelta(minutes=minutes)
            market = Market(half_hours, now, speed=speed)
            return stack.enter_context(ExchangeServer(market, **behaviour))

        yield start
