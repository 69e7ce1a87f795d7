"""Bitstamp's formats: bars of the window that is asked for, no time of its own, trades over the WebSocket."""

import asyncio
import json
from contextlib import suppress
from itertools import count
from typing import Any

from aiohttp import WSMsgType, web

from tests.exchange_server.faults import tampered
from tests.exchange_server.market import LENGTHS
from tests.exchange_server.wire import Wire


def routes(wire: Wire) -> list[web.RouteDef]:
    """Handlers by path."""
    base = "/www.bitstamp.net/api/v2"
    return [
        web.get(f"{base}/markets/", lambda request: wire.answer(request, "markets", lambda _: _markets())),
        web.get(f"{base}/ohlc/btcusd/", lambda request: wire.answer(request, "klines", _ohlc(wire, request))),
        web.get("/ws.bitstamp.net", lambda request: _stream(wire, request)),
    ]


def _markets() -> list[dict[str, Any]]:
    market = {"name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC", "counter_currency": "USD"}
    market |= {"base_decimals": 8, "counter_decimals": 0, "minimum_order_value": "10", "trading": "Enabled"}
    market |= {"instant_order_counter_decimals": 2, "description": "Bitcoin / U.S. dollar", "market_type": "SPOT"}
    return [market]


def _ohlc(wire: Wire, request: web.Request) -> Any:
    def made(fault: Any) -> Any:
        query = request.query
        name = next(name for name, length in LENGTHS.items() if length == int(query["step"]) * 1000)
        start, end = int(query.get("start", 0)) * 1000, int(query.get("end", 10**10)) * 1000
        rows = [row for row in wire.market.candles(name) if start <= row[0] <= end][: int(query.get("limit", 1000))]
        names = ("open", "high", "low", "close", "volume")
        listed = [
            {
                "timestamp": str(int(row[0]) // 1000),
                **{key: str(cell) for key, cell in zip(names, row[1:], strict=True)},
            }
            for row in tampered(rows, fault)
        ]
        return {"data": {"pair": "BTC/USD", "ohlc": listed}}

    return made


async def _stream(wire: Wire, request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    wire.sockets.append(socket)
    trading: asyncio.Task[None] | None = None
    async for message in socket:
        if message.type is WSMsgType.TEXT and json.loads(message.data)["event"] == "bts:subscribe":
            trading = trading or asyncio.create_task(_trade(wire, socket))
    if trading:
        trading.cancel()
    return socket


async def _trade(wire: Wire, socket: web.WebSocketResponse) -> None:
    channel = "live_trades_btcusd"
    await socket.send_json({"event": "bts:subscription_succeeded", "channel": channel, "data": {}})
    with suppress(ConnectionError):
        for number in count(1):
            price, stamp = wire.market.candles("30m")[-1][4], wire.market.millis()
            trade = {"id": number, "timestamp": str(stamp // 1000), "microtimestamp": str(stamp * 1000)}
            trade |= {"amount": 0.5, "amount_str": "0.5", "price": price, "price_str": str(price), "type": 0}
            await socket.send_json({"event": "trade", "channel": channel, "data": trade})
            await asyncio.sleep(0.01)
