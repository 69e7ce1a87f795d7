"""What a lexicon's scores of headlines are worth: how many it scores at all, and whether their sign goes with returns.

    python -m benchmarks.skill.headlines HEADLINES BARS [--stamp published_at]

HEADLINES is a table with a title and a stamp, BARS are hourly bars. Agreement is that of the sign of a score with the
sign of the return of an hour; no skill is what independent signs of the same frequencies would reach. The interval is
for the difference, from a bootstrap over whole days, because the headlines of a day tell one story.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.sentiment.lexicon import vader

HOUR = pd.Timedelta("1h")
RESAMPLES = 2000


def excess(days: np.ndarray, up_score: np.ndarray, up_return: np.ndarray) -> tuple[float, float, float, float]:
    """Agreement, no-skill agreement, and the 95% interval of their difference."""
    counts = np.stack([up_score & up_return, ~up_score & ~up_return, up_score, up_return, np.ones(len(days), bool)])
    _, group = np.unique(days, return_inverse=True)
    by_day = np.stack([np.bincount(group, row) for row in counts.astype(float)])

    def measure(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both, neither, score, ret, all_ = total
        chance = score / all_ * ret / all_ + (1 - score / all_) * (1 - ret / all_)
        return (both + neither) / all_, chance

    agreement, chance = measure(by_day.sum(axis=1))
    rng = np.random.default_rng(7)
    drawn = rng.multinomial(by_day.shape[1], np.full(by_day.shape[1], 1 / by_day.shape[1]), size=RESAMPLES)
    again, lucky = measure(by_day @ drawn.T)
    low, high = np.quantile(again - lucky, [0.025, 0.975])
    return float(agreement), float(chance), float(low), float(high)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("headlines", type=Path)
    parser.add_argument("bars", type=Path)
    parser.add_argument("--stamp", default="published_at", help="column of publication")
    given = parser.parse_args()
    rows = pd.read_parquet(given.headlines)[[given.stamp, "title"]].dropna().drop_duplicates()
    stamps = rows[given.stamp].dt.as_unit("us")
    scores = vader()(rows["title"].tolist())
    print(f"{len(rows)} headlines, {stamps.min()} to {stamps.max()}")
    print(f"neutral {np.mean(scores == 0):.3f}  positive {np.mean(scores > 0):.3f}  negative {np.mean(scores < 0):.3f}")
    print(
        f"stamped on the hour {np.mean(stamps == stamps.dt.floor('1h')):.3f}, at midnight "
        f"{np.mean(stamps == stamps.dt.normalize()):.3f}"
    )
    bars = pd.read_parquet(given.bars).set_index("timestamp").sort_index()
    returns = np.log(bars["close"] / bars["open"])
    returns = returns[returns != 0]
    hours = pd.Series(scores, index=stamps.dt.floor("1h").to_numpy()).groupby(level=0).mean()
    hours.index = pd.DatetimeIndex(hours.index, tz="UTC")
    for name, stamp, score in (
        ("each headline", pd.DatetimeIndex(stamps.dt.floor("1h")), scores),
        ("mean of an hour", hours.index, hours.to_numpy()),
    ):
        for when, shift in (("same hour", 0 * HOUR), ("hour after", HOUR)):
            move = returns.reindex(stamp + shift).to_numpy()
            known = np.isfinite(move) & (score != 0)
            result = excess(stamp[known].normalize().asi8, score[known] > 0, move[known] > 0)
            agreement, chance, low, high = result
            print(
                f"{name:16} {when:10} n {known.sum():5}  agreement {agreement:.4f}  no skill {chance:.4f}  "
                f"difference {agreement - chance:+.4f} [{low:+.4f}, {high:+.4f}]"
            )


if __name__ == "__main__":
    main()
