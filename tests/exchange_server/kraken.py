"""Kraken's REST format: its newest 720 bars, and times in whole seconds."""

from typing import Any

from aiohttp import web

from tests.exchange_server.faults import tampered
from tests.exchange_server.wire import Wire

NAMES = {1: "1m", 30: "30m", 60: "1h", 1440: "1d"}
PAIR = "XXBTZUSD"


def routes(wire: Wire) -> list[web.RouteDef]:
    """Handlers by path."""
    base = "/api.kraken.com/0/public"
    return [
        web.get(f"{base}/AssetPairs", lambda request: wire.answer(request, "markets", lambda _: _pairs())),
        web.get(f"{base}/Assets", lambda request: wire.answer(request, "assets", lambda _: _assets())),
        web.get(f"{base}/Time", lambda request: wire.answer(request, "time", lambda _: _time(wire))),
        web.get(f"{base}/OHLC", lambda request: wire.answer(request, "klines", _ohlc(wire, request))),
    ]


def _result(content: Any) -> dict[str, Any]:
    return {"error": [], "result": content}


def _pairs() -> dict[str, Any]:
    pair = {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 1}
    pair |= {"lot_decimals": 8, "status": "online", "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]]}
    euro = {**pair, "altname": "XBTEUR", "wsname": "XBT/EUR", "quote": "ZEUR"}
    return _result({PAIR: pair, "XXBTZEUR": euro})


def _assets() -> dict[str, Any]:
    names = {"XXBT": "XBT", "ZUSD": "USD", "ZEUR": "EUR"}
    return _result(
        {
            key: {"aclass": "currency", "altname": name, "decimals": 10, "display_decimals": 5, "status": "enabled"}
            for key, name in names.items()
        }
    )


def _time(wire: Wire) -> dict[str, Any]:
    return _result({"unixtime": wire.market.millis() // 1000, "rfc1123": ""})


def _ohlc(wire: Wire, request: web.Request) -> Any:
    def made(fault: Any) -> Any:
        since = int(request.query.get("since", 0))
        newest = wire.market.candles(NAMES[int(request.query["interval"])])[-720:]
        rows = tampered([candle for candle in newest if candle[0] > since * 1000], fault)
        listed = [[int(row[0]) // 1000, *map(str, row[1:5]), str(row[4]), str(row[5]), 1] for row in rows]
        return _result({PAIR: listed, "last": listed[-1][0] if listed else 0})

    return made
