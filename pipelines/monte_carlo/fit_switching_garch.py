"""Maximum likelihood for a switching GARCH with jumps, within bounds that keep it a model of volatility.

Without bounds the likelihood has no maximum: a regime that is calm enough makes a few equal prices infinitely likely.
The level is not searched but set to what the variance of the returns asks for (variance targeting, R. F. Engle and
J. Mezrich, Risk 9, 1996), which the likelihood hardly knows where volatility is as persistent as that of markets. That
storms of the recursion and of the regimes meet more often than by chance, and that a root is below its argument's on
average, are neglected there: volatility is off by a few percent.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.monte_carlo.switching_garch import CAP, SwitchingGarch, filtered, long_run
from trading.errors import BarError, ModelError, TooFewBarsError

Array = NDArray[np.float64]

MOST_REGIMES = 3
# Fewer returns tell no regime from luck; and a price that hardly moves has no volatility to model.
FEWEST_RETURNS = 1_000
_MOST_STILL = 0.5

# Lowest, highest: alpha + beta, alpha's share of it, ratio of neighbouring regimes' multipliers, bars that a regime
# lasts, jumps' share and scale. All but the first two are searched as logarithms. The persistence, a half-life of 173
# bars at most, is below what real bars ask for: slow changes of level pass for persistence near one (C. G. Lamoureux
# and W. D. Lastrapes, Journal of Business & Economic Statistics 8, 1990), and with that a history of some thousand bars
# hangs on where its volatility happened to drift.
_PERSISTENCE, _NEWS = (0.5, 0.996), (0.001, 0.9)
_RATIO, _LASTS = (1.2, 8.0), (10.0, 5_000.0)
_SHARE, _SCALE = (1e-4, 0.2), (1.5, 20.0)
# Bars that regimes last where the search starts: the likelihood has more than one hill.
_STARTS = (40.0, 300.0)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recursion and how it was found.

    Parameters
    ----------
    recursion
        Parameters of largest likelihood.
    log_likelihood
        Of the returns, in nats.
    scales
        Standard deviation of each return given those before it, jumps left out.
    """

    recursion: SwitchingGarch
    log_likelihood: float
    scales: Array


def fit_switching_garch(returns: Array, regimes: int) -> Fitted:
    """Fit a recursion to log returns.

    Parameters
    ----------
    returns
        Log returns in time order, finite; at least :data:`FEWEST_RETURNS`.
    regimes
        Of volatility, from 1 to :data:`MOST_REGIMES`.

    Raises
    ------
    TooFewBarsError
        If there are fewer returns.
    BarError
        If more than half of the returns are zero, or one is not finite.
    ModelError
        If there are fewer or more regimes, or no search ends at a maximum.
    """
    if not 1 <= regimes <= MOST_REGIMES:
        raise ModelError(
            f"{regimes} regimes of volatility", rule=f"from 1 to {MOST_REGIMES}", remedy="ask for two or three"
        )
    if len(returns) < FEWEST_RETURNS:
        raise TooFewBarsError(
            f"{len(returns):,} returns to fit volatility to",
            rule=f"at least {FEWEST_RETURNS:,}",
            remedy="give more bars, or shorter ones",
        )
    if not np.isfinite(returns).all() or np.mean(returns == 0.0) > _MOST_STILL:
        raise BarError(
            f"{np.mean(returns == 0.0):.0%} of the returns are zero, {(~np.isfinite(returns)).sum()} are not finite",
            rule="most bars move, and all by a finite amount",
            remedy="fit to longer bars, or to a market that trades",
        )
    from scipy.optimize import minimize

    mean = float(returns.mean())
    centred = returns - mean
    deviation = float(centred.std())
    low, high = _bounds(regimes)

    def recursion(place: Array) -> SwitchingGarch:
        return _recursion(low + (high - low) / (1.0 + np.exp(-place)), regimes, mean, deviation)

    def loss(place: Array) -> float:
        one = recursion(place)
        likelihood, _ = filtered(centred, *one.arrays(), long_run(np.array(one.stay)), CAP)
        return -float(likelihood) / len(centred)

    best = None
    for lasts in _STARTS[: 1 if regimes == 1 else None]:
        begun = _start(regimes, lasts)
        share = (begun - low) / (high - low)
        found = minimize(
            loss,
            np.log(share / (1.0 - share)),
            method="L-BFGS-B",
            bounds=[(-12.0, 12.0)] * len(low),
            options={"ftol": 1e-8},
        )
        if found.success and (best is None or found.fun < best.fun):
            best = found
    if best is None:
        raise ModelError(
            f"no maximum of the likelihood of {len(returns):,} returns with {regimes} regimes",
            rule="a search ends at a maximum",
            remedy="fit fewer regimes, or other bars",
        )
    chosen = recursion(best.x)
    likelihood, scales = filtered(centred, *chosen.arrays(), long_run(np.array(chosen.stay)), CAP)
    return Fitted(chosen, float(likelihood), scales)


def _bounds(regimes: int) -> tuple[Array, Array]:
    rows = [
        _PERSISTENCE,
        _NEWS,
        *[np.log(_RATIO)] * (regimes - 1),
        *[np.log(_LASTS)] * (regimes if regimes > 1 else 0),
        np.log(_SHARE),
        np.log(_SCALE),
    ]
    low, high = np.array(rows, dtype=np.float64).T
    return low, high


def _start(regimes: int, lasts: float) -> Array:
    return np.array(
        [
            0.97,
            0.1,
            *[np.log(2.0)] * (regimes - 1),
            *[np.log(lasts)] * (regimes if regimes > 1 else 0),
            np.log(0.03),
            np.log(4.0),
        ]
    )


def _recursion(values: Array, regimes: int, mean: float, deviation: float) -> SwitchingGarch:
    """Parameters at a point within the bounds."""
    persistence, news = float(values[0]), float(values[1])
    ratios = np.exp(np.append(0.0, np.cumsum(values[2 : 1 + regimes])))
    stay = 1.0 - np.exp(-values[1 + regimes : -2]) if regimes > 1 else np.ones(1)
    multipliers = ratios / np.sqrt(long_run(stay) @ ratios**2)
    share, scale = float(np.exp(values[-2])), float(np.exp(values[-1]))
    return SwitchingGarch(
        mean=mean,
        level=deviation / math.sqrt(1.0 + share * (scale**2 - 1.0)),
        alpha=persistence * news,
        beta=persistence * (1.0 - news),
        multipliers=tuple(multipliers.tolist()),
        stay=tuple(stay.tolist()),
        jump_share=share,
        jump_scale=scale,
    )
