"""Which exchanges, symbols and timeframes there are, and what to say of one that there is not."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.exchange.errors import ExchangeError, UnsupportedError
from trading.errors import InstrumentError
from trading.instrument import duration

_NEAR = 8
_ALIKE = 5


def exchange_id(name: str) -> str:
    """The name by which ccxt knows an exchange.

    Raises
    ------
    ExchangeError
        If it knows none of this name; names that are alike are suggested.
    """
    import ccxt

    wanted = name.strip().lower()
    if wanted in ccxt.exchanges:
        return wanted
    begins = [one for one in ccxt.exchanges if wanted and one.startswith(wanted)]
    alike = list(dict.fromkeys([*begins, *difflib.get_close_matches(wanted, ccxt.exchanges, n=3, cutoff=0.6)]))
    raise ExchangeError(
        f"unknown exchange {name!r}",
        rule=f"one of the {len(ccxt.exchanges)} exchanges that ccxt {ccxt.__version__} knows",
        remedy=f"did you mean {' or '.join(alike[:_ALIKE])}?"
        if alike
        else f"choose one of: {', '.join(ccxt.exchanges)}",
    )


def exchange_class(name: str) -> Any:
    """The class of an exchange: with live data where ccxt has it, else without."""
    import ccxt.async_support
    import ccxt.pro

    return getattr(ccxt.pro, name, None) or getattr(ccxt.async_support, name)


def market_of(name: str, markets: Mapping[str, Mapping[str, Any]], symbol: str) -> Mapping[str, Any]:
    """The market of a unified symbol.

    Raises
    ------
    UnsupportedError
        If the exchange has none; what it has of the same base or quote is listed.
    """
    if symbol in markets:
        return markets[symbol]
    base = symbol.split("/")[0]
    near = [one for one in markets if one.split("/")[0] == base]
    near = sorted(near, key=lambda one: (-_likeness(one, symbol), one)) or difflib.get_close_matches(
        symbol, list(markets), n=_NEAR, cutoff=0.5
    )
    more = f" and {len(near) - _NEAR} more" if len(near) > _NEAR else ""
    raise UnsupportedError(
        f"{name} has no market {symbol}",
        rule=f"of {base} it has {', '.join(near[:_NEAR])}{more}" if near else f"it has {len(markets)} markets",
        remedy="choose one of its markets; perpetuals end with their settlement currency, as in BTC/USDT:USDT",
    )


def timeframe_of(name: str, timeframes: Iterable[str] | None, timeframe: str) -> str:
    """The timeframe, if the exchange has bars of that length.

    Raises
    ------
    UnsupportedError
        If it has none, or others only; those are listed.
    """
    there = [one for one in timeframes or () if _spelt(one)]
    if timeframe in there:
        return timeframe
    raise UnsupportedError(
        f"{name} has no bars of {timeframe}",
        rule=f"it has {', '.join(there)}" if there else "it has no bars of any length",
        remedy="choose one of these; `engine run --bars` makes longer bars of a file of shorter ones"
        if there
        else "choose another exchange",
    )


def _spelt(timeframe: str) -> bool:
    """Whether the engine has a word for this length: months and seconds it has not."""
    try:
        duration(timeframe)
    except InstrumentError:
        return False
    return True


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
