"""The server: an event loop in a thread of its own, for as long as a ``with`` lasts."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.exchange_server import binance, bitstamp, kraken
from tests.exchange_server.faults import Faults
from tests.exchange_server.market import Market
from tests.exchange_server.wire import Wire


class ExchangeServer:
    """An exchange at ``url``, to be named by ``ENGINE_EXCHANGE_URL``."""

    def __init__(self, market: Market, **behaviour: object) -> None:
        self.market = market
        self.wire = Wire(market, **behaviour)  # type: ignore[arg-type]
        self.faults: Faults = self.wire.faults
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def drop_sockets(self) -> None:
        """Cut every WebSocket, without a word."""

        async def cut() -> None:
            for socket in self.wire.sockets:
                if (transport := socket._req.transport if socket._req else None) is not None:
                    transport.abort()
            self.wire.sockets.clear()

        asyncio.run_coroutine_threadsafe(cut(), self._loop).result(5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        for exchange in (binance, kraken, bitstamp):
            app.add_routes(exchange.routes(self.wire))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()
