"""Small markets, accounts and scenarios for the tests of this folder."""

from typing import Any

import numpy as np
import pandas as pd

from pipelines.stress.account import Account
from pipelines.stress.scenario import Scenario
from trading.costs import Costs
from trading.simulator import Rules

HOUR = pd.Timedelta(hours=1)


def scenario(hours: float = 24.0, *path: tuple[float, float], **effects: Any) -> Scenario:
    """A scenario with a path of (hours, move) and other effects."""
    entry = {"name": "test", "kind": "made_up", "description": "A test.", "source": "Here.", "hours": hours}
    points = [{"hours": when, "move": move} for when, move in path]
    return Scenario.model_validate(entry | {"path": points} | effects)


def wild(bars: int = 400, seed: int = 0, bar: str = "1h", volume: float = 1000.0) -> pd.DataFrame:
    """A random walk whose bars open away from the close before."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, bars)))
    open_ = np.append(100.0, close[:-1]) * np.exp(rng.normal(0.0, 0.001, bars))
    high = np.maximum(open_, close) * np.exp(rng.exponential(0.003, bars))
    low = np.minimum(open_, close) * np.exp(-rng.exponential(0.003, bars))
    index = pd.date_range("2020-01-01", periods=bars, freq=bar, tz="UTC", name="timestamp")
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def still(bars: int = 400, price: float = 100.0, volume: float = 1000.0) -> pd.DataFrame:
    """A market in which nothing moves."""
    index = pd.date_range("2020-01-01", periods=bars, freq="1h", tz="UTC", name="timestamp")
    return pd.DataFrame(
        {"open": price, "high": price, "low": price, "close": price, "volume": volume}, index=index, dtype=float
    )


def constant(bars: pd.DataFrame, position: float) -> pd.DataFrame:
    """The same target at every bar."""
    return pd.DataFrame({"X": position}, index=bars.index, dtype=float)


def account(costs: Costs | None = None, band: float = np.inf, capital: float = 1000.0, **rules: Any) -> Account:
    """An account that trades for nothing, unless it is told otherwise."""
    return Account(capital, costs or Costs(0.0, 0.0, 0.0), Rules(**rules), band, 8760.0)
