"""What other instruments did, beside this one: their bars are known at their closes, like one's own.

Their closes enter as logarithms, as of the row's close. Where the other market has no bar its last close stands, and
its return is zero until the next one; a close older than six bars is missing, and so is the return after it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    balance,
    change,
    column,
    correlation,
    deviation,
    from_mean,
    lag,
    path_deviation,
    ratio,
    slope_on,
    total,
    where,
)
from pipelines.features.series import RETURN
from pipelines.sentiment.declared import ExternalSeries
from trading.instrument import Instrument

PATIENCE = 6
"""Bars after which the other market's last close says nothing any more."""


def series(symbol: str, bar: pd.Timedelta) -> ExternalSeries:
    """The other instrument's closes as a series that is published at the close of each bar."""
    return ExternalSeries(
        name=symbol,
        columns=(_stem(symbol),),
        delay=pd.Timedelta(0),
        max_age=PATIENCE * bar,
        neutral=(0.0,),
        formula=("log close",),
        source="bars of the other instrument",
    )


def published(bars: pd.DataFrame, bar: pd.Timedelta, symbol: str) -> pd.DataFrame:
    """Bars of the other instrument as a frame on the moments at which they became known."""
    stamps = pd.DatetimeIndex(bars.index) + bar
    return pd.DataFrame({_stem(symbol): np.log(bars["close"].to_numpy(dtype=np.float64))}, index=stamps)


def features(symbols: Sequence[str], bar: pd.Timedelta) -> tuple[Feature, ...]:
    """The features of each of the other instruments."""
    return tuple(feature for symbol in symbols for feature in _of(symbol, bar))


def _stem(symbol: str) -> str:
    return Instrument(symbol, "1h").slug.lower().replace("-", "_")


def _return(symbol: str, bar: pd.Timedelta) -> Expression:
    present = 1 - column(series(symbol, bar).missing)
    close = column(_stem(symbol))
    return where(present * lag(present), change(close), close * 0)


def _of(symbol: str, bar: pd.Timedelta) -> tuple[Feature, ...]:
    other, stem = _return(symbol, bar), _stem(symbol)

    def declare(name: str, expression: Expression, source: str) -> Feature:
        return Feature("cross_asset", f"{stem}_{name}", expression, source)

    apart = RETURN - other
    return (
        *(declare(f"return_{n}", total(other, n), f"log return of {symbol}") for n in (1, 6, 24)),
        declare("correlation_72", correlation(RETURN, other, 72), "Pearson correlation"),
        declare("beta_72", slope_on(RETURN, other, 72), "Sharpe 1964, by regression"),
        declare("lead_72", correlation(RETURN, lag(other), 72), "Lo and MacKinlay 1990: does the other lead?"),
        *(declare(f"strength_{n}", total(apart, n), f"return over that of {symbol}") for n in (24, 168)),
        declare(
            "spread_score_168",
            ratio(from_mean(apart, 168), path_deviation(apart, 168)),
            "Gatev et al. 2006: distance of the two paths",
        ),
        declare("calmness_72", balance(deviation(other, 72), deviation(RETURN, 72)), "volatility of both, bounded"),
        declare("missing", column(series(symbol, bar).missing), f"1 where {symbol} has no bar for {PATIENCE} bars"),
    )
