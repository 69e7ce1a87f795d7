"""Whether the machine that made a version can be believed, and served: nothing here is about money."""

from pipelines.gate.ruling import Evidence, Ruling, number, shown
from pipelines.params import GateParams


def audit_clean(evidence: Evidence) -> Ruling:
    """No value changed when what became known after it was changed."""
    checks = evidence["audit"]["checks"]
    changed = sum(check["changed"] for check in checks)
    compared = sum(check["compared"] for check in checks)
    passed = bool(evidence["audit"]["clean"]) and changed == 0 and compared > 0
    return Ruling(
        "audit_clean",
        passed,
        float(changed),
        0.0,
        f"{changed} of {compared} values changed when only what became known after them was changed.",
        "" if passed else "the look-ahead audit is not clean",
    )


def audit_control(evidence: Evidence) -> Ruling:
    """The audit catches a leak that was planted for it: without that, its silence says nothing."""
    passed = bool(evidence["audit"]["control_caught"])
    return Ruling(
        "audit_control",
        passed,
        float(passed),
        1.0,
        f"The audit {'caught' if passed else 'missed'} the leak that was planted to test it.",
        "" if passed else "the look-ahead audit missed the leak planted to test it",
    )


def simulated_markets(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """Where there is nothing to find, nothing is earned before costs, and nothing lost: else somebody sees ahead.

    Whoever sees the next bar and bets against it loses, so that a loss is as bad a sign as a profit. Features that
    simulated bars have no input for, and bars that no model fits, leave nothing to judge.
    """
    told = evidence["horizons"][horizon]["simulated"]["markets"]
    if told["reason"] is not None:
        reason = f"Nothing was traded in simulated markets: {told['reason']}."
        return Ruling("simulated_markets", True, None, gate.max_null_z, reason)
    value = number(told["z"])
    passed = value is not None and abs(value) <= gate.max_null_z
    return Ruling(
        "simulated_markets",
        passed,
        value,
        gate.max_null_z,
        f"In {told['draws']} simulated markets without a direction, returns before costs are {shown(value, '.1f')}"
        f" standard errors above zero (allowed: {gate.max_null_z:g}, either way).",
        "" if passed else "returns before costs are not zero where nothing can be foreseen",
    )


def onnx_parity(evidence: Evidence, horizon: str, gate: GateParams) -> Ruling:
    """The graphs that are served say what the final fits say that they were exported from.

    A difference that is None says that no row could be compared, which is no agreement.
    """
    measured = evidence["horizons"][horizon]["onnx"]
    value = number(measured["max_difference"])
    passed = value is not None and value <= gate.max_onnx_difference and measured["rows"] > 0
    return Ruling(
        "onnx_parity",
        passed,
        value,
        gate.max_onnx_difference,
        f"On {measured['rows']} rows the exported graphs differ from the final fits by at most {shown(value, '.1e')}"
        f" (allowed: {gate.max_onnx_difference:.1e}).",
        "" if passed else "the exported graphs do not agree with the final fits",
    )


def latency(evidence: Evidence, gate: GateParams) -> Ruling:
    """An answer that comes too late is about another price."""
    value = number(evidence["measured"]["latency_ms"]["p99"])
    passed = value is not None and value <= gate.max_latency_ms
    return Ruling(
        "latency",
        passed,
        value,
        gate.max_latency_ms,
        f"99 of 100 forecasts take at most {shown(value, '.1f')} ms on this machine (allowed:"
        f" {gate.max_latency_ms:g} ms); features are not in it.",
        "" if passed else f"forecasts that take {shown(value, '.1f')} ms",
    )
