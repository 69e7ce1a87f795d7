"""Funding rates of a perpetual: what longs pay shorts at each settlement, as a fraction of the notional."""

import pandas as pd

from pipelines.sentiment.cells import first_of, moments, numbers, published, within
from pipelines.sentiment.errors import SeriesError

_RATES = ("fundingrate", "funding_rate", "rate", "value")
_WHOSE = ("symbol", "venue", "exchange", "coin")
_UNIT = 0.001
_MOST = 5.0
# Caps of exchanges are a few percent a settlement. Ten times more is a rate in percent.
_CAP = 0.1


def rows(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Observations of a table.

    Parameters
    ----------
    table
        ccxt's unified records (``symbol``, ``timestamp`` in ms, ``fundingRate``; the stamp is that of the settlement,
        when the rate is known), or ``published_at`` with a rate.
    where
        File, for the message.

    Returns
    -------
    DataFrame
        ``published_at`` (UTC) and ``value``.

    Raises
    ------
    SeriesError
        If a column is missing, several markets are mixed, or rates are not fractions.
    """
    rate = first_of(table, _RATES)
    if rate is None:
        raise SeriesError(
            "no column for the funding rate",
            where=f"{where}, columns {', '.join(map(str, table.columns))}",
            rule=f"one of {', '.join(_RATES)}",
            remedy="name it funding_rate",
        )
    for name in _WHOSE:
        if name in table and table[name].nunique() > 1:
            some = ", ".join(map(str, table[name].unique()[:3]))
            raise SeriesError(
                f"rates of several markets: {some}",
                where=f"{where}, column {name}",
                rule="one market in one series",
                remedy="keep the rows of the market that is traded",
            )
    unified = rate == "fundingrate" and "timestamp" in table
    stamps = moments(table["timestamp"], f"{where}, column timestamp") if unified else published(table, where)
    found = numbers(table[rate], f"{where}, column {rate}")
    within(found, -_CAP, _CAP, "funding rate", f"{where}, column {rate}", "divide rates in percent by 100")
    return pd.DataFrame({"published_at": stamps, "value": found})


def prepare(values: pd.Series) -> pd.Series:
    """Rates in tenths of a percent a settlement, cut off at five."""
    return (values / _UNIT).clip(-_MOST, _MOST)
