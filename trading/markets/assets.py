"""Other markets beside a simulated one: correlated with it, or bound to its price.

All of them are functions of the main market's bars up to the present one and of noise that is independent of it. Given
the main market's own bars they therefore tell nothing about its next move, and the answer of
:class:`trading.markets.market.Drawn` is exact also for whoever sees them.

References
----------
R. F. Engle and C. W. J. Granger, "Co-integration and error correction: representation, estimation, and testing",
Econometrica 55 (1987).
"""

from math import sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import ParamsError
from trading.markets.candles import candles

Array = NDArray[np.float64]

# Of the spread of a cointegrated asset: bars in which half of it is gone, and how wide its noise is beside the moves.
HALF_LIFE, SPREAD_NOISE = 48, 0.4
MOST = 20
# Bars over which the size of the main market's moves is forgotten.
_SPAN = 48
_VOLUME = 100.0


def correlated(bars: pd.DataFrame, count: int, correlation: float, seed: int) -> list[pd.DataFrame]:
    """Draw assets whose one-bar returns have a correlation with those of the main market.

    A return is ``c x + sqrt(1 - c²) v e``: x is the main market's log return, v the volatility of its returns before
    (exponentially weighted, so that both are stormy together and of the same mean square), e standard normal noise of
    the asset's own.

    Parameters
    ----------
    bars
        Of the main market.
    count
        How many assets, at most ``MOST``.
    correlation
        c, above -1 and below 1.
    seed
        Of the noise. The first assets of more are those of fewer.

    Returns
    -------
    list of DataFrame
        Bars of each on the index of the main market's.

    Raises
    ------
    ParamsError
        If there are too many, or the correlation is none.
    """
    if not -1 < correlation < 1:
        raise ParamsError(
            f"correlation {correlation:g}", rule="above -1 and below 1", remedy="choose another one, such as 0.6"
        )
    moves, volatility = _moves(bars)
    assets = []
    for generator in _generators(count, seed, 0):
        own = volatility * generator.standard_normal(len(moves))
        assets.append(_bars(correlation * moves + sqrt(1 - correlation**2) * own, volatility, bars, generator))
    return assets


def cointegrated(bars: pd.DataFrame, count: int, seed: int) -> list[pd.DataFrame]:
    """Draw assets whose log price strays from that of the main market, and comes back.

    The spread, log price of the asset less that of the main market, is an AR(1) process with a half-life of
    ``HALF_LIFE`` bars. Its noise is ``SPREAD_NOISE`` times as wide as the main market's moves, and independent of
    them: the asset corrects the error, the main market never does.

    Parameters
    ----------
    bars
        Of the main market.
    count
        How many assets, at most ``MOST``.
    seed
        Of the noise. The first assets of more are those of fewer.

    Returns
    -------
    list of DataFrame
        Bars of each on the index of the main market's.

    Raises
    ------
    ParamsError
        If there are too many.
    """
    from scipy.signal import lfilter

    moves, volatility = _moves(bars)
    keep = 0.5 ** (1 / HALF_LIFE)
    assets = []
    for generator in _generators(count, seed, 1):
        noise = SPREAD_NOISE * volatility * generator.standard_normal(len(moves))
        spread = lfilter([1.0], [1.0, -keep], noise)
        assets.append(_bars(moves + np.diff(spread, prepend=0.0), volatility, bars, generator))
    return assets


def _generators(count: int, seed: int, kind: int) -> list[np.random.Generator]:
    """One for each asset, of its own, and none that draws the main market."""
    if not 0 <= count <= MOST:
        raise ParamsError(f"{count} other assets", rule=f"from 0 to {MOST}", remedy="ask for fewer")
    return [np.random.default_rng([seed, kind, at]) for at in range(count)]


def _moves(bars: pd.DataFrame) -> tuple[Array, Array]:
    """Log returns of the bars, and the volatility that those before each of them tell; the first bar tells its own."""
    moves: Array = np.log(bars["close"].to_numpy(np.float64) / bars["open"].to_numpy(np.float64))
    squares = pd.Series(moves**2).ewm(span=_SPAN).mean().to_numpy(np.float64)
    return moves, np.sqrt(np.concatenate([squares[:1], squares[:-1]]))


def _bars(moves: Array, volatility: Array, main: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    log_volume = 0.6 * np.log(0.3 + np.abs(moves) / volatility) + 0.3 * generator.standard_normal(len(moves))
    index, price = pd.DatetimeIndex(main.index), float(main["open"].iloc[0])
    return candles(moves, 0.8 * volatility, np.log(_VOLUME) + log_volume, index, price, generator)
