"""What the exchange trades: real bars, as far as its own clock has come."""

import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

LENGTHS = {"1m": 60_000, "30m": 1_800_000, "1h": 3_600_000, "1d": 86_400_000}
Candle = list[float]


@dataclass
class Market:
    """Bars and funding rates of one pair.

    Parameters
    ----------
    bars
        Of the bar contract, at ``timeframe``; gaps stay gaps.
    now
        The exchange's time when the server starts. Its clock then runs ``speed`` times as fast as the world's.
    """

    bars: pd.DataFrame
    now: pd.Timestamp
    timeframe: str = "30m"
    speed: float = 1.0
    frozen: bool = False
    _from: float = field(default_factory=time.monotonic)
    _candles: dict[str, dict[int, Candle]] = field(default_factory=dict)

    def millis(self) -> int:
        """The exchange's time."""
        passed = 0.0 if self.frozen else (time.monotonic() - self._from) * self.speed
        return int(self.now.value // 1_000_000 + passed * 1000)

    def set_time(self, now: pd.Timestamp) -> None:
        """Move the exchange's clock."""
        self.now, self._from = now, time.monotonic()

    def correct(self, timeframe: str, stamp: pd.Timestamp, close: float) -> None:
        """Change a bar's close, as exchanges do."""
        candle = self._of(timeframe)[int(stamp.value // 1_000_000)]
        candle[4] = close
        candle[2], candle[3] = max(candle[2], close), min(candle[3], close)

    def candles(self, timeframe: str) -> list[Candle]:
        """All candles so far, the one that is being made as far as it has come."""
        now, length = self.millis(), LENGTHS[timeframe]
        shown = [list(candle) for stamp, candle in self._of(timeframe).items() if stamp <= now]
        if shown and shown[-1][0] + length > now:
            shown[-1] = unfinished(shown[-1], (now - shown[-1][0]) / length)
        return shown

    def frame(self, timeframe: str) -> pd.DataFrame:
        """What a perfect fetch would bring by now: the closed bars."""
        now, length = self.millis(), LENGTHS[timeframe]
        rows = [candle for stamp, candle in self._of(timeframe).items() if stamp + length <= now]
        index = pd.DatetimeIndex(pd.to_datetime([int(row[0]) for row in rows], unit="ms", utc=True), name="timestamp")
        columns = ["open", "high", "low", "close", "volume"]
        return pd.DataFrame([row[1:] for row in rows], columns=columns, index=index.as_unit("us"), dtype="float64")

    def rates(self) -> list[tuple[int, float]]:
        """Funding settled every eight hours, some milliseconds late, at a made-up rate."""
        step, start = 8 * 3_600_000, int(self.bars.index[0].value // 1_000_000)
        first = -(-start // step) * step
        return [(stamp + 3, 0.0001 * np.sin(stamp / 1e9)) for stamp in range(first, self.millis(), step)]

    def _of(self, timeframe: str) -> dict[int, Candle]:
        if timeframe not in self._candles:
            bars = self.bars
            if timeframe != self.timeframe:
                rule = bars.resample(timeframe)
                how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
                bars = rule.agg(how).dropna()
            stamps = bars.index.as_unit("ms").asi8
            self._candles[timeframe] = {
                int(stamp): [int(stamp), *map(float, row)] for stamp, row in zip(stamps, bars.to_numpy(), strict=True)
            }
        return self._candles[timeframe]


def unfinished(candle: Candle, share: float) -> Candle:
    """A candle of which only a share has passed: other values than those it ends with, and not all of its volume."""
    stamp, start, high, low, close, volume = candle
    now = start + (close - start) * share
    return [stamp, start, max(start, now, low), min(start, now, high), now, volume * share]
