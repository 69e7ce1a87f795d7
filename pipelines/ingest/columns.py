"""Which column of an exchange's export is which."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from trading.errors import BarError

REQUIRED = ["timestamp", "open", "high", "low", "close", "volume"]

# In order of preference: where a file has several of a row's names, the leftmost is taken. Names are compared in lower
# case with everything but letters and digits turned into one underscore.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "timestamp": (
        *(
            "open_time",
            "opentime",
            "open_timestamp",
            "start_time",
            "time_period_start",
            "bar_time",
            "candle_begin_time",
        ),
        *("timestamp", "unix", "unix_timestamp", "unix_time", "unixtime", "epoch", "mts", "ts"),
        *("datetime", "date_time", "time", "date", "start", "t"),
    ),
    "open": ("open", "open_price", "price_open", "first", "o"),
    "high": ("high", "high_price", "price_high", "max", "h"),
    "low": ("low", "low_price", "price_low", "min", "l"),
    "close": ("close", "close_price", "price_close", "last", "close_last", "c"),
    "volume": (
        *("base_volume", "volume_base", "base_asset_volume", "base_vol"),
        *("volume", "vol", "volume_traded", "volumefrom", "volume_from", "v"),
    ),
    "quote_volume": (
        *("quote_volume", "volume_quote", "quote_asset_volume", "quote_vol", "quoteassetvolume", "quotevolume"),
        *("volumeto", "volume_to", "turnover"),
    ),
    # In base units: what exports call the quote asset's is never taken.
    "taker_buy_volume": (
        *("taker_buy_base_asset_volume", "taker_buy_base_volume", "taker_buy_base_vol", "taker_buy_base"),
        *("takerbuybaseassetvolume", "takerbuybasevolume", "taker_base_vol", "taker_base_volume"),
        *("taker_buy_volume", "taker_buy_vol", "takerbuyvolume"),
    ),
    "trades": (
        *("number_of_trades", "numberoftrades", "num_trades", "n_trades", "no_of_trades"),
        *("trades", "trade_count", "trades_count", "tradecount", "transactions", "count"),
    ),
}
# A unit or zone at the end of a time's name says nothing that the stamps themselves do not.
_TIME_UNIT = re.compile(r"_(?:m?s|us|ns|sec|seconds|millis|milliseconds|utc|gmt)$")
_VOLUME_IN = re.compile(r"vol(?:ume)?_([a-z0-9]+)")
# Money, and the words exports use for it: a volume in one of these is in quote units.
_MONEY = frozenset(
    {"usd", "usdt", "usdc", "busd", "tusd", "fdusd", "dai", "eur", "gbp", "jpy", "krw", "try", "aud", "cad", "chf"}
    | {"brl", "inr", "rub", "currency", "quote"}
)

_BINANCE = (
    *("timestamp", "open", "high", "low", "close", "volume", "", "quote_volume"),
    *("trades", "taker_buy_volume"),
)
# Exports without a header, by their number of columns. Six columns are what ccxt, Bitfinex and Coinbase return, each in
# its own order; the prices themselves tell which.
_POSITIONAL: Mapping[int, Sequence[Sequence[str]]] = {
    6: (
        ("timestamp", "open", "high", "low", "close", "volume"),
        ("timestamp", "open", "close", "high", "low", "volume"),
        ("timestamp", "low", "high", "open", "close", "volume"),
    ),
    7: (("timestamp", "open", "high", "low", "close", "volume", "trades"),),
    8: (("timestamp", "open", "high", "low", "close", "", "volume", "trades"),),
    11: ((*_BINANCE, ""),),
    12: ((*_BINANCE, "", ""),),
}


def key(name: object) -> str:
    """A column's name as it is compared: ``Volume_(BTC)`` and ``volume btc`` both become ``volume_btc``."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).strip("_")


def known(name: object) -> bool:
    """Whether a cell could be a header: the name of a column that is read."""
    found = key(name)
    plain = _TIME_UNIT.sub("", found) in _NAMES["timestamp"]
    return plain or any(found in names for names in _NAMES.values()) or _VOLUME_IN.fullmatch(found) is not None


def positional(names: Sequence[object]) -> bool:
    """Whether the names are just positions, as a list of lists gets them when it becomes a frame."""
    return [str(name) for name in names] == [str(position) for position in range(len(names))]


def match_columns(names: Sequence[str], where: str) -> dict[str, str]:
    """Canonical column to the file's own name for it.

    Parameters
    ----------
    names
        Columns of the file.
    where
        File, for the message.

    Returns
    -------
    dict
        Keys are :data:`REQUIRED`, and those of ``quote_volume``, ``taker_buy_volume`` and ``trades`` that the file has.

    Raises
    ------
    BarError
        If a column is missing, or two columns have the same claim.
    """
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(key(name), []).append(name)
    times: dict[str, list[str]] = {}
    for name in names:
        times.setdefault(_TIME_UNIT.sub("", key(name)), []).append(name)
    found: dict[str, str] = {}
    for canonical, synonyms in _NAMES.items():
        claims = next((by_key[name] for name in synonyms if name in by_key), [])
        if not claims and canonical == "timestamp":
            claims = next((times[name] for name in synonyms if name in times), [])
        if len(claims) > 1:
            raise BarError(
                f"columns {' and '.join(map(repr, claims))} both claim to be the {canonical}",
                where=where,
                rule="one column for each part of a bar",
                remedy="delete or rename one of them",
            )
        if claims:
            found[canonical] = claims[0]
    found |= _volumes_by_currency(by_key, found)
    if missing := [name for name in REQUIRED if name not in found]:
        raise BarError(
            f"no column for {', '.join(missing)} (the file has: {', '.join(map(str, names)) or 'none'})",
            where=where,
            rule="a time, open, high, low and close prices, and the volume in base units",
            remedy="name the columns timestamp, open, high, low, close, volume",
        )
    return found


def _volumes_by_currency(by_key: Mapping[str, Sequence[str]], found: Mapping[str, str]) -> dict[str, str]:
    """Base and quote volume from columns such as ``Volume BTC`` and ``Volume USD``, where plainer names are absent."""
    by_currency = {
        currency[1]: own[0]
        for name, own in by_key.items()
        if own[0] not in found.values() and (currency := _VOLUME_IN.fullmatch(name))
    }
    coins = [currency for currency in by_currency if currency not in _MONEY]
    volumes: dict[str, str] = {}
    if "volume" not in found:
        # Both in coins (ETH and BTC) or both in money: exports name the base first. Money alone is no base volume.
        base = coins[0] if coins else next(iter(by_currency)) if len(by_currency) > 1 else None
        if base is not None:
            volumes["volume"] = by_currency.pop(base)
    if "quote_volume" not in found:
        money = [currency for currency in by_currency if currency in _MONEY or volumes]
        if money:
            volumes["quote_volume"] = by_currency[money[0]]
    return volumes


def match_positions(table: pd.DataFrame, where: str) -> dict[str, int]:
    """Canonical column to position, for a table without a header.

    Raises
    ------
    BarError
        If no exchange exports that many columns, or no known order puts every price between low and high.
    """
    width = table.shape[1]
    if width not in _POSITIONAL:
        raise BarError(
            f"a file of {width} columns without a header",
            where=where,
            rule=f"without a header, {', '.join(map(str, _POSITIONAL))} columns in the order an exchange returns them",
            remedy="add a first line such as timestamp,open,high,low,close,volume",
        )
    orders = [{name: at for at, name in enumerate(order) if name} for order in _POSITIONAL[width]]
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    shares = [_in_range(values, order) for order in orders]
    best = int(np.argmax(shares))
    if shares[best] <= 0.5:
        raise BarError(
            "cannot tell which column is which",
            where=where,
            rule="low <= open, close <= high in most rows, in one of the orders exchanges use",
            remedy="add a first line such as timestamp,open,high,low,close,volume",
        )
    return orders[best]


def _in_range(values: np.ndarray, order: Mapping[str, int]) -> float:
    low, high = values[:, order["low"]], values[:, order["high"]]
    body = values[:, [order["open"], order["close"]]]
    return float(((low <= body.min(axis=1)) & (body.max(axis=1) <= high)).mean())
