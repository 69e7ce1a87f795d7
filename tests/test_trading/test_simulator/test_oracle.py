"""The compiled pass against the plain account of ``oracle.py``, over all switches."""

import numpy as np
import pytest

from tests.test_trading.test_simulator.cases import SWITCHES, Case, random_case
from tests.test_trading.test_simulator.oracle import Oracle
from trading.simulator import Simulation, simulate

YEAR = 8760.0
CASES = 260


def run(case: Case) -> tuple[Simulation, Oracle]:
    bars, positions = case.asked()
    simulation = simulate(
        bars,
        positions,
        case.costs,
        rebalance_band=case.band,
        bars_per_year=YEAR,
        initial_equity=case.equity,
        rules=case.rules,
    )
    return simulation, Oracle(case.bars, case.positions, case.costs, case.rules, case.band, case.equity)


def check(simulation: Simulation, oracle: Oracle) -> None:
    unit = oracle.initial
    np.testing.assert_allclose(simulation.equity / unit, np.array(oracle.equity) / unit, rtol=1e-12, atol=1e-12)
    held = np.asarray(simulation.held).reshape(len(oracle.equity), -1)
    np.testing.assert_allclose(held, oracle.held, rtol=1e-9, atol=1e-10)
    assert simulation.ruined_at == oracle.ruined_at
    assert len(simulation.fills) == len(oracle.fills)
    if len(simulation.fills):
        made, expected = simulation.fills, oracle.table()
        for name in ("timestamp", "decided_at", "reason"):
            assert list(made[name]) == list(expected[name])
        if "symbol" in made:
            assert list(made["symbol"]) == list(expected["symbol"])
        for name in ("price", "units", "notional", "fee", "spread_cost", "impact_cost"):
            np.testing.assert_allclose(made[name] / unit, expected[name] / unit, rtol=1e-9, atol=1e-12, err_msg=name)
    for name, value in oracle.metrics(YEAR).items():
        scale = unit if name in oracle.paid else 1.0
        assert simulation.metrics[name] / scale == pytest.approx(value / scale, rel=1e-9, abs=1e-11, nan_ok=True), name


@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize("switches", SWITCHES)
def test_agrees_with_the_oracle(switches: str, assets: int) -> None:
    seen = {"fills": 0, "ruins": 0, "reasons": set()}
    for seed in range(CASES):
        simulation, oracle = run(random_case(seed, SWITCHES[switches], assets))
        try:
            check(simulation, oracle)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
        seen["fills"] += len(oracle.fills)
        seen["ruins"] += oracle.ruined_at is not None
        seen["reasons"] |= {fill["reason"] for fill in oracle.fills}
    # A case that trades nothing agrees with everything.
    assert seen["fills"] > 5 * CASES
    assert 0 < seen["ruins"] < CASES / 2
    wanted = {"order"}
    wanted |= {"stop", "take_profit"} if "stops" in SWITCHES[switches] else set()
    wanted |= {"liquidation"} if "margin" in SWITCHES[switches] else set()
    assert seen["reasons"] == wanted
