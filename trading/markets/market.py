"""Markets that one can draw bars of: which edge is planted, how large, and what an ideal observer earns from it."""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading.errors import ParamsError
from trading.instrument import Instrument
from trading.markets import path
from trading.markets.path import WARM, draw_path

Array = NDArray[np.float64]
Edge = Literal["none", "linear", "interaction", "memory", "regime"]
EDGES: tuple[Edge, ...] = get_args(Edge)

MEANINGS: dict[Edge, str] = {
    "none": "nothing is planted: the next move is up or down with equal probability, whatever the bars before it",
    "linear": f"momentum: the push is proportional to the last {path.MOMENTUM} bars' return over its volatility",
    "interaction": (
        f"a close above its mean of {path.CHANNEL} bars goes on rising in a bar of more than mean volume, and turns in "
        "one of less; neither says anything alone"
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

# Pushes that are searched through, and how long a path the strength is set on.
_WEAKEST, _STRONGEST, _ROWS = 0.0, 3.0, 60_000
_START = pd.Timestamp("2020-01-01", tz="UTC")
_PRICE, _VOLUME = 10_000.0, 100.0


@dataclass(frozen=True, slots=True)
class Market:
    """What is planted, and how large it is.

    Parameters
    ----------
    edge
        Kind of edge; ``MEANINGS`` says what each is.
    accuracy
        Share of bars whose direction an ideal observer of the bars before it foretells, above 0.5 and below 0.8; 0.5
        for the market without an edge, and only for it.
    timeframe
        Length of a bar, a day at most.

    Raises
    ------
    ParamsError
        For an unknown edge, or an accuracy it cannot have.
    """

    edge: Edge
    accuracy: float = 0.5
    timeframe: str = "1h"

    def __post_init__(self) -> None:
        if self.edge not in EDGES:
            raise ParamsError(
                f"unknown edge {self.edge!r}", rule=f"one of {', '.join(EDGES)}", remedy="choose one of them"
            )
        low, high = (0.5, 0.5) if self.edge == "none" else (0.505, 0.75)
        if not low <= self.accuracy <= high:
            raise ParamsError(
                f"attainable accuracy {self.accuracy:g} of the edge {self.edge!r}",
                rule="0.5 without an edge, from 0.505 to 0.75 with one",
                remedy="choose another accuracy, such as 0.6, or another edge",
            )
        if not pd.Timedelta(minutes=1) <= self.instrument.bar <= pd.Timedelta(days=1):
            raise ParamsError(
                f"simulated bars of {self.timeframe}", rule="from 1m to 1d", remedy="choose such a timeframe"
            )

    @property
    def instrument(self) -> Instrument:
        """What the bars are said to be of."""
        return Instrument("SIM/USD", self.timeframe)

    @property
    def strength(self) -> float:
        """Size of the push, in standard deviations of a bar's noise, that gives the accuracy; 0 without an edge.

        Set by bisection on one long path of fixed seed, so that it belongs to the market and not to what is drawn.
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
        Number of bars, at least 2.
    seed
        Of everything random.

    Raises
    ------
    ParamsError
        If there are fewer rows than 2.
    """
    if rows < 2:
        raise ParamsError(f"{rows} bars", rule="two or more", remedy="ask for more")
    moves, scales, log_volume, prob_up, moments, generator = _draw(
        market.edge, market.strength, market.instrument.bar, rows, seed
    )
    index = pd.date_range(_START, periods=rows, freq=market.instrument.bar, name="timestamp")
    close = _PRICE * np.exp(np.cumsum(moves))
    open_ = np.concatenate([[_PRICE], close[:-1]])
    high, low = _extremes(moves, scales, generator)
    bars = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_ * np.exp(high), np.maximum(open_, close)),
            "low": np.minimum(open_ * np.exp(low), np.minimum(open_, close)),
            "close": close,
            "volume": _VOLUME * np.exp(log_volume),
        },
        index=index,
    )
    answer = pd.DataFrame({"prob_up": prob_up, "mean": moments[:, 0], "square": moments[:, 1]}, index=index)
    return Drawn(market, seed, bars, answer)


def attainable_accuracy(answer: pd.DataFrame) -> float:
    """Expected accuracy of whoever knows ``prob_up``: the mean of max(p, 1 - p). No forecast from past bars has more."""
    up = answer["prob_up"].to_numpy()
    return float(np.maximum(up, 1 - up).mean())


def expected_accuracy(up: pd.Series, answer: pd.DataFrame) -> float:
    """Expected accuracy of forecasts, given what the ideal observer knows: without the luck of the draw.

    Parameters
    ----------
    up
        Forecast probability of a rise; above one half is a forecast of a rise, one half is half right.
    answer
        As :class:`Drawn` has it, on the same index.
    """
    side = np.sign(up.to_numpy(dtype=np.float64) - 0.5)
    return float((0.5 + side * (answer["prob_up"].to_numpy() - 0.5)).mean())


def attainable_sharpe(answer: pd.DataFrame, bars_per_year: float) -> float:
    """Annual Sharpe ratio before costs of the best strategy over past bars.

    Among all positions w that are functions of the past, E[w r] / sd(w r) is largest for w = E[r | past] / E[r² | past],
    by Cauchy and Schwarz; with A the mean of E[r | past]² / E[r² | past] it is sqrt(A / (1 - A)) a bar.
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
        _season(bar, n + 1) * sqrt(bar / pd.Timedelta(hours=1)),
        generator.standard_normal(n),
        generator.random(n),
        generator.random((n, 2)),
        generator.standard_normal((n, 2)),
    )
    return moves[WARM:], scales[WARM:], log_volume[WARM:], prob_up[WARM:], moments[WARM:], generator


def _season(bar: pd.Timedelta, rows: int) -> Array:
    """Daily season of the scale: busiest in the afternoon (UTC), mean square about 1."""
    first = _START - WARM * bar
    hours = ((first - first.normalize()) / pd.Timedelta(hours=1) + np.arange(rows) * (bar / pd.Timedelta(hours=1))) % 24
    return 1 + 0.25 * np.cos(2 * np.pi * (hours - 15) / 24)


def _extremes(moves: Array, scales: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Highest and lowest log price of a bar relative to its open: those of a Brownian bridge to its close."""
    reach = -2 * (0.8 * scales) ** 2 * np.log(generator.random((2, len(moves))))
    wide = np.sqrt(moves**2 + reach)
    return (moves + wide[0]) / 2, (moves - wide[1]) / 2


@lru_cache(maxsize=64)
def _strength(edge: Edge, accuracy: float, timeframe: str) -> float:
    low, high = _WEAKEST, _STRONGEST
    bar = Instrument("SIM/USD", timeframe).bar
    for _ in range(24):
        middle = (low + high) / 2
        up = _draw(edge, middle, bar, _ROWS, 0)[3]
        if np.maximum(up, 1 - up).mean() < accuracy:
            low = middle
        else:
            high = middle
    return (low + high) / 2
