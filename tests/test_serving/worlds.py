"""Bars, and what people said and paid beside them, none of it real."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.features import FeatureEngine
from pipelines.sentiment import fear_greed, funding, headlines
from pipelines.sentiment.declared import declared
from tests.test_pipelines.test_features.markets import make_bars
from trading.bars import COLUMNS

HOUR = pd.Timedelta("1h")
ETHER = "ETH/USD"
SERIES = ("fear_greed", "funding_rate", "headlines")
GROUPS = ("volatility", "order_flow", "cross_asset", "sentiment")


def engine_beside() -> FeatureEngine:
    """Features that read all that there can be beside prices and volumes."""
    return FeatureEngine(GROUPS, "1h", assets=[ETHER], series=SERIES)


@dataclass(frozen=True)
class World:
    """Bars of the instrument and of another, and tables of observations as a caller sends them."""

    bars: pd.DataFrame
    sent: dict[str, pd.DataFrame]

    def between(self, after: pd.Timestamp, until: pd.Timestamp) -> dict[str, pd.DataFrame]:
        """What became public in ``(after, until]``, as a caller sends it."""
        found = {}
        for name, table in self.sent.items():
            public = table.index + HOUR if name == ETHER else pd.DatetimeIndex(table["published_at"])
            found[name] = table[(public > after) & (public <= until)]
        return found

    def known(self, until: pd.Timestamp) -> dict[str, pd.DataFrame]:
        """What was public by then, as research reads it."""
        return prepared(self.between(pd.Timestamp(0, tz="UTC"), until))


def prepared(sent: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables in the form in which the engine takes them."""
    frames = {ETHER: sent[ETHER]}
    for name, kind in (("fear_greed", fear_greed), ("funding_rate", funding)):
        stamps = pd.DatetimeIndex(sent[name]["published_at"], name="published_at")
        frames[name] = pd.DataFrame({name: kind.prepare(sent[name]["value"]).to_numpy()}, index=stamps)
    said = sent["headlines"]
    stamps = pd.DatetimeIndex(said["published_at"]).as_unit("ns").asi8
    dated = pd.DatetimeIndex(headlines.dated(stamps), tz="UTC")
    rows = said.assign(published_at=dated, not_before=dated)
    delay = declared("headlines").terms["delay"]
    frames["headlines"] = headlines.prepare(rows, delay, lambda texts: np.array([score_of(text) for text in texts]))
    return frames


def score_of(title: str) -> float:
    """A score that depends on the title only."""
    return (sum(map(ord, title)) % 201 - 100) / 100


def score(titles: list[str]) -> np.ndarray:
    """Scores of titles, in place of a lexicon's."""
    return np.array([score_of(title) for title in titles])


def make_world(rows: int, seed: int = 0) -> World:
    """A world of so many hours; bars are missing in it, days without an index, and hours without news."""
    rng = np.random.default_rng(seed)
    bars, ether = make_bars(rows, seed=seed, gaps=0.02), make_bars(rows, seed=seed + 1, gaps=0.05)[COLUMNS]
    first, span = bars.index[0] - 4 * pd.Timedelta("1D"), rows + 96
    days = pd.date_range(first.normalize(), periods=span // 24, freq="D")
    days = days[rng.random(len(days)) < 0.9]
    settled = pd.date_range(first.normalize(), periods=span // 8, freq="8h") + pd.to_timedelta(
        rng.integers(0, 50, span // 8), unit="ms"
    )
    # To the minute, some at midnight sharp, which stands for the day; a hundred hours in which nobody writes.
    said = first + pd.to_timedelta(np.sort(rng.integers(0, span * 60, span // 3)), unit="min")
    said = said[(said < first + 150 * HOUR) | (said > first + 250 * HOUR)]
    said = said.where(rng.random(len(said)) < 0.95, said.normalize()).sort_values().unique()
    titles = pd.Series([f"headline {number}" for number in rng.permutation(len(said))], dtype="string")
    return World(
        bars,
        {
            ETHER: ether,
            "fear_greed": pd.DataFrame({"published_at": days, "value": rng.integers(5, 95, len(days)).astype(float)}),
            "funding_rate": pd.DataFrame({"published_at": settled, "value": rng.normal(1e-4, 1e-4, len(settled))}),
            "headlines": pd.DataFrame({"published_at": said, "title": titles, "score": np.nan}),
        },
    )
