"""Whether somebody would have sat through it."""

from pipelines.gate.ruling import Evidence, Ruling, number, shown
from pipelines.params import GateParams


def drawdown(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """The worst loss from a peak is one that somebody would have sat through."""
    value = number(evidence["horizons"][horizon]["strategy"]["max_drawdown"])
    passed = value is not None and value <= gate.max_drawdown
    return Ruling(
        "drawdown",
        passed,
        value,
        gate.max_drawdown,
        f"The largest loss from a peak was {shown(value, '.1%')} (allowed: {gate.max_drawdown:.1%}).",
        "" if passed else f"a drawdown of {shown(value, '.1%')}",
    )


def stress(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """No scenario of the catalogue, laid onto the positions that were taken, falls deeper than somebody would bear.

    Its worst point counts, not its end: whoever is sold out there does not see the rebound.
    """
    found = {one["name"]: number(one["drawdown"]) for one in evidence["horizons"][horizon]["stress"]["scenarios"]}
    known = {name: loss for name, loss in found.items() if loss is not None}
    worst = max(known, key=lambda name: known[name], default=None)
    value = None if worst is None else known[worst]
    passed = value is not None and len(known) == len(found) and value <= gate.max_stress_drawdown
    return Ruling(
        "stress",
        passed,
        value,
        gate.max_stress_drawdown,
        f"The worst of {len(found)} scenarios ({worst or 'none was measured'}) falls by up to {shown(value, '.1%')}"
        f" (allowed: {gate.max_stress_drawdown:.0%}).",
        "" if passed else f"a fall of {shown(value, '.0%')} in the scenario {worst}",
    )


def earning(evidence: Evidence, horizon: str) -> Ruling:
    """A recipe that was proven still earns: all that is asked of its money when it is refitted."""
    value = number(evidence["horizons"][horizon]["strategy"]["sharpe"])
    passed = value is not None and value > 0.0
    return Ruling(
        "earning",
        passed,
        value,
        0.0,
        f"The annual Sharpe ratio of the recipe's walk-forward is {shown(value, '+.2f')} (must be above zero).",
        "" if passed else "the champion's recipe no longer earns",
    )
