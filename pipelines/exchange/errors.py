"""What can go wrong with an exchange, where its reader can mend it.

ExchangeError               an exchange that nobody knows, or that answers what no bar can be made of
├── UnreachableError        no network, no answer in time, or too many requests for longer than we wait
├── RefusedError            it does not serve this address, or wants a key
└── UnsupportedError        it has no such market, timeframe, or kind of data
"""

from trading.errors import EngineError


class ExchangeError(EngineError):
    """An exchange that nobody knows, or that answers what no bar can be made of."""


class UnreachableError(ExchangeError):
    """No network, no answer in time, or too many requests for longer than we wait. Trying again later can help."""


class RefusedError(ExchangeError):
    """It does not serve this address, or wants a key."""


class UnsupportedError(ExchangeError):
    """It has no such market, timeframe, or kind of data."""
