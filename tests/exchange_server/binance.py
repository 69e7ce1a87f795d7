"""Binance's formats, of spot and of the USD-margined perpetual: what ccxt's ``binance`` asks for."""

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web

from tests.exchange_server.faults import tampered
from tests.exchange_server.market import LENGTHS, Candle
from tests.exchange_server.wire import Wire

SYMBOL = "BTCUSDT"


def routes(wire: Wire) -> list[web.RouteDef]:
    """Handlers by path; the host of the real exchange is the first part."""
    spot, future = "/api.binance.com/api/v3", "/fapi.binance.com/fapi/v1"
    return [
        web.get(f"{spot}/exchangeInfo", lambda request: wire.answer(request, "markets", lambda _: _symbols(False))),
        web.get(f"{future}/exchangeInfo", lambda request: wire.answer(request, "markets", lambda _: _symbols(True))),
        web.get("/dapi.binance.com/dapi/v1/exchangeInfo", lambda _: web.json_response({"symbols": []})),
        web.get(f"{spot}/time", lambda request: wire.answer(request, "time", lambda _: _time(wire))),
        web.get(f"{future}/time", lambda request: wire.answer(request, "time", lambda _: _time(wire))),
        web.get(f"{spot}/klines", lambda request: wire.answer(request, "klines", _klines(wire, request))),
        web.get(f"{future}/klines", lambda request: wire.answer(request, "klines", _klines(wire, request))),
        web.get(f"{future}/fundingRate", lambda request: wire.answer(request, "funding", _funding(wire, request))),
        web.get("/stream.binance.com/ws/{number}", lambda request: _stream(wire, request)),
    ]


def _symbols(contract: bool) -> dict[str, Any]:
    market: dict[str, Any] = {
        "symbol": SYMBOL,
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "isSpotTradingAllowed": not contract,
        "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
        ],
    }
    if contract:
        perpetual = {"contractType": "PERPETUAL", "deliveryDate": 4133404800000, "marginAsset": "USDT", "pair": SYMBOL}
        market |= perpetual
    return {"timezone": "UTC", "symbols": [market]}


def _time(wire: Wire) -> dict[str, int]:
    return {"serverTime": wire.market.millis()}


def _klines(wire: Wire, request: web.Request) -> Any:
    def made(fault: Any) -> Any:
        query = request.query
        interval, limit = query["interval"], min(int(query.get("limit", 500)), wire.most)
        start = int(query.get("startTime", 0))
        found = [candle for candle in wire.market.candles(interval) if candle[0] >= start]
        if wire.windowed:
            found = [candle for candle in found if candle[0] < start + limit * LENGTHS[interval]]
        found = found[:limit] if "startTime" in query else found[-limit:]
        return [_kline(row, LENGTHS[interval]) for row in tampered(found, fault)]

    return made


def _kline(row: Candle, length: int) -> list[Any]:
    stamp, *cells = row
    texts = [None if cell is None else repr(cell) for cell in cells]
    return [int(stamp), *texts, int(stamp) + length - 1, "0", 1, "0", "0", "0"]


def _funding(wire: Wire, request: web.Request) -> Any:
    def made(fault: Any) -> Any:
        start, limit = int(request.query.get("startTime", 0)), int(request.query.get("limit", 100))
        rates = [(stamp, rate) for stamp, rate in wire.market.rates() if stamp >= start][:limit]
        return [
            {"symbol": SYMBOL, "fundingTime": stamp, "fundingRate": repr(float(rate)), "markPrice": "1.0"}
            for stamp, rate in rates
        ]

    return made


async def _stream(wire: Wire, request: web.Request) -> web.StreamResponse:
    """Push the newest candle over and over; when one ends, its end before the next one begins."""
    if wire.refuse_sockets:
        return web.Response(status=503)
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    wire.sockets.append(socket)
    pushing: asyncio.Task[None] | None = None
    try:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            order = json.loads(message.data)
            if order.get("method") == "SUBSCRIBE":
                await socket.send_json({"result": None, "id": order["id"]})
                interval = order["params"][0].split("@kline_")[1]
                pushing = pushing or asyncio.create_task(_push(wire, socket, interval))
    finally:
        if pushing:
            pushing.cancel()
    return socket


async def _push(wire: Wire, socket: web.WebSocketResponse, interval: str) -> None:
    length, before = LENGTHS[interval], None
    while not socket.closed:
        shown = wire.market.candles(interval)[-2:]
        if shown and not wire.silent:
            if before is not None and shown[-1][0] != before and len(shown) > 1:
                await socket.send_json(_event(shown[0], interval, True))
            await socket.send_json(_event(shown[-1], interval, False))
            before = shown[-1][0]
        for stamp, late in list(wire.late.items()):
            if before is not None and stamp < before:
                del wire.late[stamp]
                wire.market.correct(interval, _stamp(stamp), late)
                candle = next(one for one in wire.market.candles(interval) if one[0] == stamp)
                await socket.send_json(_event(candle, interval, True))
        await asyncio.sleep(length / 1000 / wire.market.speed / 12)


def _stamp(milliseconds: int) -> Any:
    import pandas as pd

    return pd.Timestamp(milliseconds, unit="ms", tz="UTC")


def _event(candle: Candle, interval: str, closed: bool) -> dict[str, Any]:
    stamp, start, high, low, close, volume = candle
    kline = {"t": int(stamp), "T": int(stamp) + LENGTHS[interval] - 1, "s": SYMBOL, "i": interval, "x": closed}
    kline |= {"o": repr(start), "h": repr(high), "l": repr(low), "c": repr(close), "v": repr(volume)}
    return {"e": "kline", "E": int(stamp), "s": SYMBOL, "k": kline}
