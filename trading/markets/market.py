"""Markets that one can draw bars of: which edge is planted, how large, and what an ideal observer earns from it."""

from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import ParamsError
from trading.instrument import YEAR, Instrument
from trading.markets import path
from trading.markets.candles import candles
from trading.markets.path import WARM, draw_path

Array = NDArray[np.float64]
Edge = Literal["none", "linear", "interaction", "memory", "regime"]
EDGES: tuple[Edge, ...] = get_args(Edge)

MEANINGS: dict[Edge, str] = {
    "none": "nothing is planted: the next move is up or down with equal probability, whatever the bars before it",
    "linear": f"momentum: the push is proportional to the last {path.MOMENTUM} bars' return over its volatility",
    "interaction": (
        f"a close above its mean of {path.CHANNEL} bars goes on rising after a bar of more than their mean volume, and "
        "turns after one of less, mirrored below the mean (both means geometric); neither says anything alone"
    ),
    "memory": (
        f"prices go on where the latest move of more than {path.SHOCK:g} standard deviations pointed, however long ago "
        "that was"
    ),
    "regime": (
        f"the last {path.REVERSAL} bars' return goes on or turns, as a hidden regime wills that changes every "
        f"{1 / (1 - path.STAY_SIGN):.0f} bars or so"
    ),
}

# Beyond these, prices run away: their trends keep themselves alive.
LARGEST: dict[Edge, float] = {"none": 0.5, "linear": 0.65, "interaction": 0.75, "memory": 0.65, "regime": 0.65}
SMALLEST = 0.505

# The largest push that is searched, and how long a path the strength is set on.
_STRONGEST, _ROWS = 1.0, 240_000
_START, _YEARS = pd.Timestamp("2000-01-01", tz="UTC"), 25
_PRICE, _VOLUME = 10_000.0, 100.0
_DAY, _HOUR = pd.Timedelta(days=1), pd.Timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Market:
    """What is planted, and how large it is.

    Parameters
    ----------
    edge
        Kind of edge; ``MEANINGS`` says what each is.
    accuracy
        Expected share of bars whose direction an ideal observer of the bars before foretells: from ``SMALLEST`` to
        ``LARGEST`` of the edge; 0.5 for the market without an edge, and only for it. That of one path differs a little
        (:func:`attainable_accuracy`), most where a hidden regime is long in one state.
    timeframe
        Length of a bar: a day, or what divides one into whole bars. The scale of moves grows with its square root.

    Raises
    ------
    ParamsError
        For an unknown edge, an accuracy it cannot have, or another timeframe.
    """

    edge: Edge
    accuracy: float = 0.5
    timeframe: str = "1h"

    def __post_init__(self) -> None:
        if self.edge not in EDGES:
            raise ParamsError(
                f"unknown edge {self.edge!r}", rule=f"one of {', '.join(EDGES)}", remedy="choose one of them"
            )
        low = 0.5 if self.edge == "none" else SMALLEST
        if not low <= self.accuracy <= LARGEST[self.edge]:
            limits = ", ".join(f"{edge} {SMALLEST:g} to {most:g}" for edge, most in LARGEST.items() if edge != "none")
            raise ParamsError(
                f"attainable accuracy {self.accuracy:g} of the edge {self.edge!r}",
                rule=f"{limits}; 0.5 without an edge",
                remedy="choose another accuracy, or another edge",
            )
        bar = self.instrument.bar
        if bar > _DAY or _DAY % bar:
            raise ParamsError(
                f"simulated bars of {self.timeframe}",
                rule="whole bars make a day",
                remedy="choose such a timeframe: 5m, 30m, 1h, 4h, 1d",
            )

    @property
    def instrument(self) -> Instrument:
        """What the bars are said to be of."""
        return Instrument("SIM/USD", self.timeframe)

    @property
    def most_bars(self) -> int:
        """How many bars one can draw: 25 years, so that they lie in the past."""
        return _YEARS * YEAR // self.instrument.bar

    @property
    def strength(self) -> float:
        """Size of the push, in standard deviations of a bar's noise, that gives the accuracy; 0 without an edge.

        Set by a search on one long path of fixed seed, so that it belongs to the market and not to what is drawn.
        """
        return _strength(self.edge, self.accuracy, self.timeframe) if self.edge != "none" else 0.0


@dataclass(frozen=True, eq=False)
class Drawn:
    """Bars of a market, and what an ideal observer of them expects.

    Attributes
    ----------
    market, seed
        What was drawn.
    bars : DataFrame of shape (rows, 5)
        As :mod:`trading.bars` has them; each bar opens where the one before closed.
    answer : DataFrame of shape (rows, 3)
        On the index of the bars. Row t is about the move from the open of t+1 to the open of t+2 given the bars up to
        t, as the label of a horizon of one bar is: ``prob_up``, ``mean`` and ``square``, the mean and mean square of
        its simple return.
    """

    market: Market
    seed: int
    bars: pd.DataFrame
    answer: pd.DataFrame


def draw(market: Market, rows: int, seed: int) -> Drawn:
    """Draw bars.

    The same market, rows and seed give the same bars. Some bars before the first are drawn and dropped, so that the
    start is like any other moment; the ideal observer has seen them.

    Parameters
    ----------
    market
        Which market.
    rows
        Number of bars, from 2 to ``market.most_bars``.
    seed
        Of everything random.

    Raises
    ------
    ParamsError
        If there are fewer or more.
    """
    if not 2 <= rows <= market.most_bars:
        raise ParamsError(
            f"{rows:,} bars of {market.timeframe}",
            rule=f"from 2 to {market.most_bars:,}, which is {_YEARS} years",
            remedy="ask for another number, or for shorter bars",
        )
    moves, scales, log_volume, prob_up, moments, generator = _draw(
        market.edge, market.strength, market.instrument.bar, rows, seed
    )
    index = pd.date_range(_START, periods=rows, freq=market.instrument.bar, name="timestamp")
    bars = candles(moves, 0.8 * scales, log(_VOLUME) + log_volume, index, _PRICE, generator)
    answer = pd.DataFrame({"prob_up": prob_up, "mean": moments[:, 0], "square": moments[:, 1]}, index=index)
    return Drawn(market, seed, bars, answer)


def attainable_accuracy(answer: pd.DataFrame) -> float:
    """Expected accuracy of whoever knows ``prob_up``: the mean of max(p, 1 - p). No forecast of past bars has more."""
    up = answer["prob_up"].to_numpy()
    return float(np.maximum(up, 1 - up).mean())


def expected_accuracy(up: pd.Series, answer: pd.DataFrame) -> float:
    """Expected accuracy of forecasts, given what the ideal observer knows: without the luck of the draw.

    Parameters
    ----------
    up
        Forecast probability of a rise; above one half is a forecast of a rise, one half is half right. Leave out rows
        without a forecast: NaN among them makes the outcome NaN.
    answer
        As :class:`Drawn` has it; the rows of the forecasts are looked up in it.
    """
    side = np.sign(up.to_numpy(dtype=np.float64) - 0.5)
    return float((0.5 + side * (answer.loc[up.index, "prob_up"].to_numpy() - 0.5)).mean())


def attainable_sharpe(answer: pd.DataFrame, bars_per_year: float) -> float:
    """Annual Sharpe ratio before costs of the best strategy over past bars.

    Among all positions w that are functions of the past, E[w r] / sd(w r) is largest for w = E[r | past] / E[r² | past]
    by the inequality of Cauchy and Schwarz. With A the mean of E[r | past]² / E[r² | past] it is sqrt(A / (1 - A)) a
    bar.
    """
    share = float((answer["mean"] ** 2 / answer["square"]).mean())
    return sqrt(share / (1 - share) * bars_per_year)


def _draw(
    edge: Edge, strength: float, bar: pd.Timedelta, rows: int, seed: int
) -> tuple[Array, Array, Array, Array, Array, np.random.Generator]:
    """Moves and what is known of them after the warm-up, and the generator for what comes after."""
    generator = np.random.default_rng(seed)
    n = rows + WARM
    moves, scales, log_volume, prob_up, moments = draw_path(
        EDGES.index(edge),
        strength,
        _season(bar, n + 1) * sqrt(bar / _HOUR),
        generator.standard_normal(n),
        generator.random(n),
        generator.random((n, 2)),
        generator.standard_normal((n, 2)),
    )
    return moves[WARM:], scales[WARM:], log_volume[WARM:], prob_up[WARM:], moments[WARM:], generator


def _season(bar: pd.Timedelta, rows: int) -> Array:
    """Daily season of the scale: busiest in the afternoon (UTC), mean square about 1."""
    first = _START - WARM * bar
    hours = ((first - first.normalize()) / _HOUR + np.arange(rows) * (bar / _HOUR)) % 24
    return 1 + 0.25 * np.cos(2 * np.pi * (hours - 15) / 24)


@lru_cache(maxsize=64)
def _strength(edge: Edge, accuracy: float, timeframe: str) -> float:
    """Push at which the mean of max(p, 1 - p) over one long path is the accuracy; it grows with the push."""
    from scipy.optimize import brentq

    bar = Instrument("SIM/USD", timeframe).bar

    def missing(strength: float) -> float:
        up = _draw(edge, strength, bar, _ROWS, 0)[3]
        return float(np.maximum(up, 1 - up).mean()) - accuracy

    return float(brentq(missing, 0.0, _STRONGEST, xtol=1e-4))
