from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.test_trading.test_simulator.cases import random_case
from trading.costs import Costs
from trading.errors import PositionError
from trading.simulator import Rules, Run, Stops, simulate, sweep

COSTS = Costs(5.0, 2.0, 1.0)
YEAR = 8760.0


def runs(positions: pd.Series | pd.DataFrame) -> list[Run]:
    """Without stops, with them, and the other way round."""
    return [
        Run(positions, COSTS),
        Run(positions, COSTS, Rules(stops=Stops(0.02, 0.04)), rebalance_band=0.1),
        Run(-positions, replace(COSTS, fee_bps=0.0)),
    ]


@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_sweep_says_what_simulations_say(assets: int, threads: int) -> None:
    case = random_case(5, (), assets)
    bars, positions = case.asked()
    seen: list[int] = []
    table = sweep(bars, runs(positions), bars_per_year=YEAR, initial_equity=50.0, threads=threads, progress=seen.append)
    for (_, row), run in zip(table.iterrows(), runs(positions), strict=True):
        alone = simulate(
            bars,
            run.positions,
            run.costs,
            rebalance_band=run.rebalance_band,
            bars_per_year=YEAR,
            initial_equity=50.0,
            rules=run.rules,
        )
        assert dict(row) == pytest.approx(alone.metrics, rel=1e-12, abs=1e-12, nan_ok=True)
    assert seen == [1, 2, 3]


def test_runs_are_drawn_when_their_turn_comes() -> None:
    case = random_case(5, (), 1)
    bars, positions = case.asked()
    drawn, most = 0, 0

    def lazily() -> Iterator[Run]:
        nonlocal drawn
        for _ in range(20):
            drawn += 1
            yield Run(positions, COSTS)

    def watch(done: int) -> None:
        nonlocal most
        most = max(most, drawn - done)

    assert len(sweep(bars, lazily(), bars_per_year=YEAR, threads=2, progress=watch)) == 20
    assert most <= 4


def test_no_run_is_an_empty_table() -> None:
    assert sweep(random_case(5, (), 1).asked()[0], [], bars_per_year=YEAR).empty


def test_refuses_runs_over_other_stamps() -> None:
    bars, positions = random_case(5, (), 1).asked()
    with pytest.raises(PositionError, match="0 is flat"):
        sweep(bars, [Run(positions, COSTS), Run(positions.iloc[:-1], COSTS)], bars_per_year=YEAR)


def test_refuses_a_run_with_a_hole() -> None:
    bars, positions = random_case(5, (), 1).asked()
    with pytest.raises(PositionError, match="NaN"):
        sweep(bars, [Run(positions.where(np.arange(len(positions)) != 3), COSTS)], bars_per_year=YEAR)
