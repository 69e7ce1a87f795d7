"""The report's pictures; see :mod:`dashboard.svg` for how they become part of the page."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dashboard.svg import INKS, both_widths
from dashboard.wording import interval, number, percent, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 400


def performance(name: str, curves: pd.DataFrame) -> str:
    """Equity and drawdown of the strategy against buy and hold.

    Parameters
    ----------
    name
        Unique name of the picture; it salts the ids inside.
    curves
        Index ``timestamp`` (UTC); columns ``equity`` and ``buy_and_hold``, both marked at closes and starting at 1.
    """
    lines = curves[["equity", "buy_and_hold"]]
    drawdown = lines / lines.cummax() - 1
    lines, drawdown = _thin(lines), _thin_lows(drawdown)
    final = {column: percent(curves[column].iloc[-1] - 1, 0) for column in lines}

    def draw(figure: "Figure", narrow: bool) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
        for column, colour, text, width in (
            ("buy_and_hold", "rival", "buy and hold", 1.2),
            ("equity", "accent", "the strategy, after costs", 1.8),
        ):
            above.plot(
                lines.index, lines[column], color=INKS[colour], linewidth=width, label=f"{text} ({final[column]})"
            )
            below.plot(drawdown.index, drawdown[column], color=INKS[colour], linewidth=width * 0.65)
        below.fill_between(
            drawdown.index, drawdown["equity"], 0.0, color=INKS["accent-wash"], linewidth=0, edgecolor="none"
        )
        above.axhline(1.0, color=INKS["muted"], linewidth=0.8, linestyle=(0, (2, 3)))
        above.set_xlim(lines.index[0], lines.index[-1])
        above.set_ylabel("value of 1 invested")
        below.set_ylabel("below its peak")
        legend(above, narrow, reverse=True)
        _percentages(below)
        dates(below, narrow)
        margins(figure, narrow)

    return both_widths(name, draw, (13.4, 5.4), 4.9)


def fan(name: str, quantiles: pd.DataFrame, bars_per_day: float) -> str:
    """Monte Carlo fan: quantiles of equity over resampled histories of the same length.

    Parameters
    ----------
    name
        As in :func:`performance`.
    quantiles
        Columns ``p05 p25 p50 p75 p95`` of equity; the index counts bars.
    bars_per_day
        For the axis in days.
    """
    days = np.asarray(quantiles.index, dtype=float) / bars_per_day

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        for low, high, colour, text in (
            ("p05", "p95", "accent-mist", "9 of 10 paths"),
            ("p25", "p75", "accent-wash", "the middle half"),
        ):
            axes.fill_between(days, quantiles[low], quantiles[high], color=INKS[colour], linewidth=0, label=text)
        axes.plot(days, quantiles["p50"], color=INKS["accent"], label="the median path", linewidth=1.8)
        axes.axhline(1.0, color=INKS["muted"], linewidth=0.8, linestyle=(0, (2, 3)))
        axes.set_xlim(days[0], days[-1])
        axes.set_xlabel("days")
        axes.set_ylabel("value of 1 invested")
        legend(axes, narrow)
        margins(figure, narrow)

    return both_widths(name, draw, (7.0, 5.6), 4.2)


def calibration(name: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """How often the price rose where the model said so, above the number of forecasts in each bin.

    Parameters
    ----------
    name
        As in :func:`performance`.
    bins
        Mappings with ``predicted``, ``observed`` with its ends ``_low`` and ``_high`` (fractions) and ``count``.
    """
    full = [one for one in bins if one["count"] and one["predicted"] is not None and one["observed"] is not None]
    predicted, observed, count = (np.array([one[key] for one in full]) for key in ("predicted", "observed", "count"))
    low, high = (np.array([one[f"observed_{end}"] for one in full]) for end in ("low", "high"))

    def draw(figure: "Figure", narrow: bool) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        spread = float(np.max(np.abs(predicted - 0.5), initial=0.05)) + 0.03
        ends = (0.5 - spread, 0.5 + spread)
        above.plot(ends, ends, color=INKS["muted"], linewidth=0.8, linestyle=(0, (2, 3)), label="as it should be")
        above.errorbar(
            predicted,
            observed,
            yerr=(observed - low, high - observed),
            fmt="o",
            markersize=5,
            color=INKS["accent"],
            elinewidth=1.1,
            label="as it was, with its interval",
        )
        above.set_xlim(ends)
        above.set_ylabel("how often it rose")
        below.vlines(predicted, 0, count, color=INKS["accent-wash"], linewidth=7)
        below.set_ylim(0, None)
        below.set_ylabel("forecasts")
        below.set_xlabel("forecast probability of a rise")
        _percentages(above)
        below.xaxis.set_major_formatter(lambda value, _: percent(value, 0))
        below.yaxis.set_major_formatter(lambda value, _: number(value, 0))
        below.locator_params(axis="y", nbins=3)
        legend(above, narrow)
        margins(figure, narrow)

    return both_widths(name, draw, (7.0, 4.4), 4.6)


def importance(name: str, features: Sequence[Mapping[str, Any]], most: int = 12) -> str:
    """Permutation importance of groups of features with its interval, each by its leading feature.

    Parameters
    ----------
    name
        As in :func:`performance`.
    features
        Mappings with ``feature``, ``features``, ``mean``, ``low`` and ``high``.
    most
        Number of groups shown, the most important first.
    """
    shown = sorted(features, key=lambda one: one["mean"], reverse=True)[:most][::-1]
    names = [_with_more(one["feature"], len(one["features"]) - 1) for one in shown]

    def draw(figure: "Figure", narrow: bool) -> None:
        axes = figure.subplots()
        rows = np.arange(len(shown))
        mean, low, high = (np.array([one[key] for one in shown]) for key in ("mean", "low", "high"))
        axes.barh(rows, mean, color=INKS["accent-wash"], height=0.62)
        axes.errorbar(
            mean,
            rows,
            xerr=[np.maximum(mean - low, 0), np.maximum(high - mean, 0)],
            fmt="o",
            markersize=3.5,
            color=INKS["accent"],
            elinewidth=1.1,
        )
        axes.axvline(0.0, color=INKS["muted"], linewidth=0.8)
        axes.set_yticks(rows, names)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", visible=True)
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=4 if narrow else 6)
        axes.xaxis.set_major_formatter(lambda value, _: plain(round(value * 1000, 6)))
        axes.set_xlabel("log loss added, thousandths")
        axes.margins(y=0.03)
        margins(figure, narrow, left=0.25 + 0.088 * max(map(len, names), default=0), top=0.1)

    height = 0.9 + 0.3 * len(shown)
    return both_widths(name, draw, (7.0, height), height)


def _with_more(name: str, others: int) -> str:
    return f"{name} +{others}" if others else name


def whisker(
    value: float | None, low: float | None, high: float | None, mark: float | None, span: tuple[float, float]
) -> str:
    """An estimate with its interval on a line, and a tick where doing nothing stands.

    Parameters
    ----------
    value, low, high
        Estimate and its interval; without them only the line is drawn.
    mark
        What it is compared with.
    span
        Ends of the line, the same for all whiskers that stand beside each other.
    """
    low_end, high_end = span

    def at(x: float) -> str:
        share = (min(max(x, low_end), high_end) - low_end) / ((high_end - low_end) or 1.0)
        return f"{2 + share * 96:.1f}%"

    parts = ['<line class="rail" x1="0" x2="100%" y1="12" y2="12"/>']
    if value is not None and low is not None and high is not None:
        parts.append(f'<line class="range" x1="{at(low)}" x2="{at(high)}" y1="12" y2="12"/>')
    if mark is not None:
        parts.append(f'<line class="mark" x1="{at(mark)}" x2="{at(mark)}" y1="2" y2="22"/>')
    if value is not None:
        parts.append(f'<circle class="dot" cx="{at(value)}" cy="12" r="5"/>')
    said = f"{number(value, 3)} {interval(low, high, 3)} against {number(mark, 3)}"
    return f'<svg class="whisker" role="img" aria-label="{said}">{"".join(parts)}</svg>'


def _thin(lines: pd.DataFrame) -> pd.DataFrame:
    """At most ``_POINTS`` rows, the first and the last among them."""
    if len(lines) <= _POINTS:
        return lines
    return lines.iloc[np.unique(np.linspace(0, len(lines) - 1, _POINTS).astype(int))]


def _thin_lows(drawdown: pd.DataFrame) -> pd.DataFrame:
    """At most ``_POINTS`` rows, each the lowest of its stretch: thinning must not hide the worst loss."""
    if len(drawdown) <= _POINTS:
        return drawdown
    stretch = np.arange(len(drawdown)) * _POINTS // len(drawdown)
    lows = drawdown.groupby(stretch).min()
    return lows.set_index(drawdown.index[np.unique(stretch, return_index=True)[1]])


def legend(axes: "Axes", narrow: bool, reverse: bool = False) -> None:
    """What the lines are, above the axes."""
    handles, labels = axes.get_legend_handles_labels()
    step = -1 if reverse else 1
    columns = 1 if narrow else len(labels)
    axes.legend(
        handles[::step],
        labels[::step],
        loc="lower left",
        bbox_to_anchor=(0, 1.02),
        ncols=columns,
        handlelength=1.4,
        columnspacing=1.4,
        labelcolor=INKS["muted"],
    )


def margins(figure: "Figure", narrow: bool, left: float = 0.8, top: float = 0.0, right: float = 0.15) -> None:
    """Room for labels, in inches. Measuring text takes longer than drawing, and depends on the fonts at hand."""
    width, height = figure.get_size_inches()
    top = top or (0.85 if narrow else 0.4)
    bottom = 0.6 if figure.axes[-1].get_xlabel() else 0.35
    figure.subplots_adjust(
        left=left / width, right=1 - right / width, bottom=bottom / height, top=1 - top / height, hspace=0.14
    )
    for axes in figure.axes:
        axes.yaxis.set_label_coords((0.16 - left) / (width - left - right), 0.5)


def _percentages(axes: "Axes") -> None:
    axes.yaxis.set_major_formatter(lambda value, _: percent(value, 0))


def dates(axes: "Axes", narrow: bool) -> None:
    """Dates below the axes, few enough to be read."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=4 if narrow else 9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
