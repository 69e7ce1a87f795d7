"""Pictures of how far a result can be trusted: over time, over costs, over capital, and over choices."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dashboard.figures import dates, legend, margins
from dashboard.svg import INKS, both_widths
from dashboard.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE, _NARROW = (7.0, 4.0), 4.2


def rolling_sharpe(name: str, ratios: pd.DataFrame) -> str:
    """The ratio of the last 90 days with its interval.

    Parameters
    ----------
    name
        Unique on the page.
    ratios
        Result of :func:`dashboard.history.rolling_sharpe`, with rows.
    """

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        _band(axes, ratios.index, "the last 90 days", ratios["sharpe"], ratios["low"], ratios["high"])
        axes.set_xlim(ratios.index[0], ratios.index[-1])
        axes.set_ylabel("Sharpe ratio a year")
        dates(axes, narrow)
        legend(axes, narrow)
        margins(figure, narrow)

    return both_widths(name, draw, (13.4, 3.6), _NARROW)


def break_even(name: str, curve: Mapping[str, Any]) -> str:
    """The ratio with its interval against the cost a side; the cost paid and the cost that leaves nothing.

    Parameters
    ----------
    name
        Unique on the page.
    curve
        ``break_even_curve`` of the evidence.
    """

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        costs = np.asarray(curve["cost_bps"], dtype=float)
        _band(axes, costs, "at this cost", *_columns(curve))
        axes.axvline(
            curve["own_bps"], color=INKS["rival"], linewidth=2, label=f"paid: {number(curve['own_bps'], 1)} bps"
        )
        if curve["zero_bps"] is not None and curve["zero_bps"] <= costs[-1]:
            axes.plot(
                curve["zero_bps"], 0, "o", color=INKS["accent"], label=f"zero: {number(curve['zero_bps'], 1)} bps"
            )
        axes.set_xlim(costs[0], costs[-1])
        axes.set_xlabel("cost a side, basis points")
        axes.set_ylabel("Sharpe ratio a year")
        legend(axes, narrow)
        # Four lines of legend where it is narrow.
        margins(figure, narrow, top=1.1 if narrow else 0.4)

    return both_widths(name, draw, _SIZE, _NARROW)


def capacity(name: str, curve: Mapping[str, Any]) -> str:
    """The ratio with its interval against the capital that trades, and the ratio without impact.

    Parameters
    ----------
    name
        Unique on the page.
    curve
        ``stress.capacity`` of the evidence.
    """

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        capital = np.asarray(curve["capital"], dtype=float)
        axes.set_xscale("log")
        _band(axes, capital, "with this capital", *_columns(curve))
        if curve["free_sharpe"] is not None:
            axes.axhline(curve["free_sharpe"], color=INKS["rival"], linewidth=1.4, label="without impact")
        axes.minorticks_off()
        axes.set_xticks(capital, [_short(value) for value in capital])
        if len(capital) > 1:
            axes.set_xlim(capital[0], capital[-1])
        axes.set_xlabel("capital, quote currency")
        axes.set_ylabel("Sharpe ratio a year")
        legend(axes, narrow)
        margins(figure, narrow, right=0.35)

    return both_widths(name, draw, (13.4, 3.8), _NARROW)


def overfitting(name: str, logits: Mapping[str, Sequence[float]]) -> str:
    """Where the best in one half of the days stood in the other: left of zero, below the median.

    Parameters
    ----------
    name
        Unique on the page.
    logits
        ``value`` (logit of the relative rank) and ``count`` of splits.
    """
    value, count = (np.asarray(logits[key], dtype=float) for key in ("value", "count"))
    width = 0.7 * float(np.diff(np.sort(value)).min()) if len(value) > 1 else 0.5

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        for part, colour, text in (
            (value < 0, "rival", "below the median of all"),
            (value >= 0, "accent", "at the median or above"),
        ):
            axes.bar(value[part], count[part] / count.sum() * 100, width=width, color=INKS[colour], label=text)
        axes.axvline(0.0, color=INKS["muted"], linewidth=0.8, linestyle=(0, (2, 3)))
        axes.yaxis.set_major_formatter(lambda share, _: f"{number(share, 0)}%")
        axes.set_ylabel("of all splits")
        axes.set_xlabel("rank out of sample, as a logit")
        legend(axes, narrow)
        margins(figure, narrow)

    return both_widths(name, draw, _SIZE, _NARROW)


def spreads(name: str, rows: Sequence[tuple[str, Mapping[str, float]]], own: float | None) -> str:
    """Sharpe ratios that were drawn: of each kind the mean, and what nine in ten draws are between.

    Parameters
    ----------
    name
        Unique on the page.
    rows
        Words for each kind, and its ``mean``, ``p05`` and ``p95``.
    own
        Ratio of the backtest.
    """

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        for at, (words, sharpe) in enumerate(reversed(rows)):
            axes.plot([sharpe["p05"], sharpe["p95"]], [at, at], color=INKS["accent-wash"], linewidth=8)
            axes.plot(sharpe["mean"], at, "o", color=INKS["accent"])
            axes.text(0.0, at + 0.3, words, transform=axes.get_yaxis_transform(), color=INKS["muted"], fontsize=11.5)
        if own is not None:
            axes.axvline(own, color=INKS["rival"], linewidth=1.4, label=f"the backtest: {number(own)}")
            legend(axes, narrow)
        axes.axvline(0.0, color=INKS["muted"], linewidth=0.8, linestyle=(0, (2, 3)))
        axes.set_yticks([])
        axes.set_ylim(-0.5, len(rows) - 0.2)
        axes.set_xlabel("Sharpe ratio a year")
        margins(figure, narrow, left=0.2)

    return both_widths(name, draw, (13.4, 3.8), _NARROW)


def overlaid(name: str, curves: pd.DataFrame) -> str:
    """Two equities over the same bars.

    Parameters
    ----------
    name
        Unique on the page.
    curves
        Index ``timestamp``; two columns, each named as it is to be called.
    """
    step = max(len(curves) // 400, 1)
    shown = curves.iloc[np.unique([*range(0, len(curves), step), len(curves) - 1])]

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        for column, colour in zip(shown, ("accent", "rival"), strict=True):
            axes.plot(shown.index, shown[column], color=INKS[colour], label=str(column))
        axes.axhline(1.0, color=INKS["muted"], linewidth=0.8, linestyle=(0, (2, 3)))
        axes.set_xlim(shown.index[0], shown.index[-1])
        axes.set_ylabel("value of 1 invested")
        dates(axes, narrow)
        legend(axes, narrow)
        margins(figure, narrow)

    return both_widths(name, draw, (13.4, 4.6), _NARROW)


def _columns(curve: Mapping[str, Any]) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Ratio and both ends; what could not be measured leaves a hole."""
    middle, low, high = (pd.Series(curve[key], dtype=float) for key in ("sharpe", "sharpe_low", "sharpe_high"))
    return middle, low, high


def _band(axes: "Axes", at: Any, text: str, middle: pd.Series, low: pd.Series, high: pd.Series) -> None:
    axes.fill_between(at, low, high, color=INKS["accent-mist"], linewidth=0, label="its interval")
    axes.plot(at, middle, color=INKS["accent"], linewidth=1.8, label=text)
    axes.axhline(0.0, color=INKS["muted"], linewidth=0.8, linestyle=(0, (2, 3)))


def _short(value: float) -> str:
    for size, unit in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
