"""An exchange on the loopback address, for tests: real formats, real bars, and any misbehaviour that is asked for.

It speaks as much of three exchanges as ccxt asks of them for public data:

========  =================================================================================================
binance   REST ``/api/v3/exchangeInfo time klines``, ``/fapi/v1/exchangeInfo time klines fundingRate``,
          ``/dapi/v1/exchangeInfo``; WebSocket ``/ws/<n>`` with ``SUBSCRIBE`` to ``<symbol>@kline_<interval>``
kraken    REST ``/0/public/AssetPairs Assets Time OHLC``: its newest 720 bars, whatever ``since`` says
bitstamp  REST ``/api/v2/markets/ ohlc/<pair>/``: bars of a window, and no time but the header's; WebSocket with
          ``bts:subscribe`` to ``live_trades_<pair>``
========  =================================================================================================
"""

from tests.exchange_server.faults import Faults
from tests.exchange_server.market import Market
from tests.exchange_server.server import ExchangeServer

__all__ = ["ExchangeServer", "Faults", "Market"]
