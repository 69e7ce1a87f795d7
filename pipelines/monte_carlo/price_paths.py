"""Histories that a market like this one could have had: a model fitted to bars, and whole bars drawn from it.

Moves come from :mod:`pipelines.monte_carlo.switching_garch`. A bar's range is that of a Brownian path to its close, as
wide as ranges of the fitted bars are; its volume goes with volatility and with the size of the move, and lingers. None
of it knows a direction: whatever a strategy earns on such bars beyond their drift is luck.
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.monte_carlo.fit_switching_garch import Fitted, fit_switching_garch
from pipelines.monte_carlo.switching_garch import CAP, SwitchingGarch, long_run, simulated
from trading.errors import BarError
from trading.markets.candles import candles

Array = NDArray[np.float64]

# Bars that are drawn and dropped, so that the first is like any other moment.
WARM = 1_000
# A move of no size would have a logarithm of minus infinity.
_LEAST_MOVE = 0.3


@dataclass(frozen=True, slots=True)
class VolumeModel:
    """Regression of log volume, with a first-order autoregression of what it leaves.

    Parameters
    ----------
    constant, on_scale, on_move
        Weights of one, of the logarithm of the expected size of the move, and of that of its size over that.
    memory, spread
        Of the remainder: its autocorrelation, and the standard deviation of what is new in it.
    """

    constant: float
    on_scale: float
    on_move: float
    memory: float
    spread: float


@dataclass(frozen=True, slots=True)
class PriceModel:
    """A market's bars as far as they are modelled.

    Parameters
    ----------
    recursion
        Of the moves from close to close. Its ``mean`` is the drift.
    range_factor
        Standard deviation of the path within a bar over that of the bar's move.
    volume
        Of the bars.
    """

    recursion: SwitchingGarch
    range_factor: float
    volume: VolumeModel


def fit_price_model(bars: pd.DataFrame, regimes: int) -> PriceModel:
    """Fit a model to bars.

    A move over a gap counts as a bar's.

    Parameters
    ----------
    bars
        As :mod:`trading.bars` has them, a thousand at least.
    regimes
        Of volatility: 1 to 3.

    Raises
    ------
    BarError
        If prices are not finite and above zero, or most bars don't move.
    TooFewBarsError, ModelError
        As :func:`pipelines.monte_carlo.fit_switching_garch.fit_switching_garch` raises them.
    """
    prices = bars[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
    if not (np.isfinite(prices) & (prices > 0.0)).all():
        raise BarError(
            "a price is not finite and above zero", rule="bars have prices", remedy="fit to bars that were validated"
        )
    returns = np.diff(np.log(prices[:, 3]))
    fitted = fit_switching_garch(returns, regimes)
    ranges = np.log(prices[1:, 1] / prices[1:, 2])
    volume = bars["volume"].to_numpy(dtype=np.float64)[1:]
    return PriceModel(
        recursion=fitted.recursion,
        range_factor=_range_factor(returns, fitted.scales, float(ranges.mean())),
        volume=_volume_model(volume, returns, fitted),
    )


def simulate_bars(
    model: PriceModel, index: pd.DatetimeIndex, price: float, *, seed: int, path: int, fair: bool = False
) -> pd.DataFrame:
    """Draw bars of the model.

    Parameters
    ----------
    model
        From :func:`fit_price_model`.
    index
        Opens of the bars, such as those of the bars that the model was fitted to; a gap in it counts as no time.
    price
        Open of the first bar.
    seed, path
        Path number i is told by seed and i.
    fair
        Whether the price is a fair game: a bar's expected simple return is zero, whatever came before. The model's mean
        is left out then, and in its place comes what compounding asks for: where log returns had a mean of zero, prices
        would rise by half their variance, and whoever is long would earn that.

    Returns
    -------
    DataFrame
        As :mod:`trading.bars` has them; each bar opens where the one before closed.
    """
    generator, n = np.random.default_rng([seed, path]), len(index) + WARM
    recursion = model.recursion
    start = long_run(np.array(recursion.stay))
    normal = generator.standard_normal(n)
    centred, scales = simulated(normal, generator.random((n, 2)), *recursion.arrays(), start, CAP)
    volume, noise = model.volume, generator.standard_normal(n)
    rest = _lingering(noise * volume.spread, volume.memory)
    log_volume = volume.constant + _explained(centred, scales) @ np.array([volume.on_scale, volume.on_move]) + rest
    # Given a bar's width, jump or not, its move is normal: the exponential is expected to be 1 with this mean.
    drift = -((centred / normal)[WARM:] ** 2) / 2.0 if fair else recursion.mean
    moves = drift + centred[WARM:]
    return candles(
        moves, model.range_factor * scales[WARM:], log_volume[WARM:], index.rename("timestamp"), price, generator
    )


def _range_factor(returns: Array, scales: Array, mean_range: float) -> float:
    """Factor at which ranges around these moves are expected to be as wide on average.

    The highest and the lowest point of a Brownian bridge that ends at x are each (sqrt(x² + 2 s² E) ± x) / 2 away, with
    E exponential; so a range is expected to be |x| + s sqrt(pi / 2) erfcx(|x| / (s sqrt(2))).
    """
    from scipy.optimize import brentq
    from scipy.special import erfcx

    size = np.abs(returns)

    def missing(factor: float) -> float:
        inside = factor * scales
        return float((size + inside * sqrt(pi / 2.0) * erfcx(size / (inside * sqrt(2.0)))).mean()) - mean_range

    low, high = 1e-3, 10.0
    if missing(low) >= 0.0:  # bars hardly wider than their moves
        return low
    return float(brentq(missing, low, high)) if missing(high) > 0.0 else high


def _volume_model(volume: Array, returns: Array, fitted: Fitted) -> VolumeModel:
    traded = volume > 0.0
    if not (np.isfinite(volume) & (volume >= 0.0)).all() or not traded.any():
        raise BarError(
            "a volume is negative or not finite, or there is none",
            rule="bars have volumes",
            remedy="fit to bars that were validated",
        )
    # A bar without a trade had less volume than any with one.
    target = np.log(np.maximum(volume, volume[traded].min()))
    explained = _explained(returns - fitted.recursion.mean, fitted.scales)
    design = np.column_stack([np.ones(len(target)), explained])
    weights = np.linalg.lstsq(design, target, rcond=None)[0]
    constant, on_scale, on_move = (float(weight) for weight in weights)
    rest = target - design @ weights
    power = float(rest @ rest)
    memory = min(max(float(rest[1:] @ rest[:-1]) / power, 0.0), 0.999) if power > 0.0 else 0.0
    return VolumeModel(constant, on_scale, on_move, memory, float(rest.std()) * sqrt(1.0 - memory**2))


def _explained(centred: Array, scales: Array) -> Array:
    """What volume goes with, shape (n, 2)."""
    return np.column_stack([np.log(scales), np.log(_LEAST_MOVE + np.abs(centred) / scales)])


def _lingering(news: Array, memory: float) -> Array:
    """First-order autoregression."""
    from scipy.signal import lfilter

    lingering: Array = lfilter([1.0], [1.0, -memory], news)
    return lingering
