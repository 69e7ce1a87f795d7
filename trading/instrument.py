"""An instrument is a symbol seen at a timeframe; both are spelt as ccxt spells them."""

import re
from dataclasses import dataclass

import pandas as pd

from trading.errors import InstrumentError

_TIMEFRAME = re.compile(r"([1-9]\d*)([mhdw])")
_UNIT = {
    "m": pd.Timedelta(minutes=1),
    "h": pd.Timedelta(hours=1),
    "d": pd.Timedelta(days=1),
    "w": pd.Timedelta(weeks=1),
}
_SYMBOL = re.compile(r"[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9]+(-[A-Z0-9-]+)?)?")
_SLUG = re.compile(r"[A-Z0-9]+-[A-Z0-9]+(_[A-Z0-9]+(-[A-Z0-9-]+)?)?")
YEAR = pd.Timedelta(days=365)


def duration(text: str) -> pd.Timedelta:
    """Length of a timeframe or horizon such as ``30m``, ``1h`` or ``1d``.

    Raises
    ------
    InstrumentError
        If ``text`` is not a whole number followed by m, h, d or w.
    """
    found = _TIMEFRAME.fullmatch(text)
    if not found:
        raise InstrumentError(
            f"unknown timeframe {text!r}",
            rule="a whole number and one of m, h, d, w",
            remedy="write it as 5m, 30m, 1h, 4h or 1d",
        )
    count, unit = found.groups()
    return int(count) * _UNIT[unit]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A symbol at a timeframe.

    Parameters
    ----------
    symbol
        Unified symbol such as ``BTC/USD`` or ``BTC/USDT:USDT``. Build one with :meth:`parse` to accept slugs as well.
    timeframe
        Bar length such as ``1h``.
    """

    symbol: str
    timeframe: str

    def __post_init__(self) -> None:
        if not _SYMBOL.fullmatch(self.symbol):
            raise InstrumentError(
                f"unknown symbol {self.symbol!r}",
                rule="BASE/QUOTE, or BASE/QUOTE:SETTLE for a derivative, in capitals",
                remedy="write it as BTC/USD, BTC-USD or BTC/USDT:USDT",
            )
        duration(self.timeframe)

    @classmethod
    def parse(cls, symbol: str, timeframe: str) -> "Instrument":
        """Accept a unified symbol or its slug, in any case."""
        text = symbol.strip().upper()
        if _SLUG.fullmatch(text):
            base, rest = text.split("-", 1)
            text = f"{base}/{rest.replace('_', ':', 1)}"
        return cls(text, timeframe.strip())

    @property
    def slug(self) -> str:
        """The symbol in paths, addresses and registry names: ``BTC-USD``."""
        return self.symbol.replace("/", "-").replace(":", "_")

    @property
    def name(self) -> str:
        """Slug and timeframe: the name of the workspace and of the experiment."""
        return f"{self.slug}-{self.timeframe}"

    def model_name(self, horizon: str) -> str:
        """Name of the registered model for one horizon."""
        return f"{self.name}-{horizon}"

    @property
    def bar(self) -> pd.Timedelta:
        """Length of one bar."""
        return duration(self.timeframe)

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days: crypto markets do not close."""
        return YEAR / self.bar

    def bars_in(self, horizon: str) -> int:
        """Number of bars in a horizon such as ``24h``.

        Raises
        ------
        InstrumentError
            If the horizon is not a whole number of bars.
        """
        count, rest = divmod(duration(horizon), self.bar)
        if count < 1 or rest != pd.Timedelta(0):
            raise InstrumentError(
                f"horizon {horizon!r} is not a whole number of {self.timeframe} bars",
                rule="a horizon is one or more whole bars",
                remedy="change horizons in params.yaml or the timeframe",
            )
        return int(count)
