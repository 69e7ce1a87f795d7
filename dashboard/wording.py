"""How numbers and verdicts are said: one spelling for the report and the terminal.

A missing value is an en dash, never 0.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from trading.instrument import duration

MISSING = "–"
_MINUS = "\N{MINUS SIGN}"
# A rank correlation below this is called mixed.
_WEAK = 0.3
_HEALTH = frozenset({"audit_clean", "audit_control", "simulated_markets", "onnx_parity"})

FAMILIES: Mapping[str, str] = {
    "vote": "vote of all models",
    "random_forest": "random forest",
    "svm": "support vectors",
    "xgboost": "XGBoost",
    "lstm": "LSTM",
    "transformer": "Transformer",
}
BASELINES: Mapping[str, str] = {
    "buy_and_hold": "buy and hold",
    "flat": "doing nothing",
    "train_majority": "always the training majority",
    "test_majority": "always the test majority",
    "reversal": "bet against the last bar",
    "constant": "constant 50%",
    "random": "random trader, same turnover",
}
COSTS: Mapping[str, str] = {
    "fees": "fees",
    "spread_cost": "spread and slippage",
    "impact_cost": "impact on the price",
    "funding": "funding",
    "borrow": "borrowing",
}
RULES: Mapping[str, str] = {
    "audit_clean": "nothing sees the future",
    "audit_control": "the audit catches a planted leak",
    "simulated_markets": "nothing gained where there is nothing to find",
    "onnx_parity": "what is served is what was tested",
    "enough_trades": "enough trades to judge by",
    "skill": "better than the best rule without skill",
    "deflated_sharpe": "significant after all trials",
    "drawdown": "drawdown within the limit",
    "against_champion": "against the champion",
    "latency": "fast enough to be served",
    "stress": "a crash would be bearable",
    "seed_spread": "the seed does not decide",
    "earning": "earns money after costs",
    "since_claim": "has not lost since it was proven",
    "error_budget": "within the budget for promoting noise",
    "overfitting": "what was chosen holds elsewhere",
}
# What was drawn anew, by its keys below `simulated`, in the order of the table.
DRAWN: Mapping[tuple[str, ...], str] = {
    ("markets",): "in markets without a direction",
    ("execution",): "filled later, dearer, or not at once",
    ("jitter",): "decided by slightly other numbers",
    ("returns",): "from other stretches of its returns",
    ("trades", "drawn"): "from other trades of this kind",
    ("trades", "permuted"): "its trades in another order",
}
QUESTIONS: Mapping[str, str] = {
    "first": "Is it good enough to be the first champion?",
    "challenge": "Does another recipe beat the champion's?",
    "refresh": "Is the champion's recipe, on newer data, healthy and not worse?",
}
SELECTIONS: Mapping[str, str] = {
    "mutual_information": "those that say most about the direction by themselves",
    "clusters": "the best one of each group of features that say much the same",
    "permutation": "those that forecasts inside the training rows lost most without",
}
DEGREES: Mapping[int, str] = {1: "long", 0: "flat", -1: "short"}


def number(value: float | None, digits: int = 2) -> str:
    """A number with thin grouping and a real minus; ``None`` and NaN are an en dash."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:,.{digits}f}"
    return f"{_MINUS}{text[1:]}" if text.startswith("-") and float(text.replace(",", "")) else text.lstrip("-")


def signed(value: float | None, digits: int = 2) -> str:
    """As :func:`number`, with a plus in front of what is above zero."""
    text = number(value, digits)
    return f"+{text}" if text != MISSING and value is not None and round(value, digits) > 0 else text


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage."""
    return MISSING if value is None or not math.isfinite(value) else f"{number(value * 100, digits)}%"


def signed_percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage with its sign."""
    return MISSING if value is None or not math.isfinite(value) else f"{signed(value * 100, digits)}%"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of two fractions, in percentage points."""
    return signed(None if value is None else value * 100, digits)


def interval(low: float | None, high: float | None, digits: int = 2, scale: float = 1.0) -> str:
    """Both ends in brackets; an en dash where either is missing."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    return f"[{number(low * scale, digits)}, {number(high * scale, digits)}]"


def scientific(value: float | None) -> str:
    """A very small number, as ``3.1e-07``."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.1e}".replace("-", _MINUS)


def plain(value: object) -> str:
    """Whatever a rule measured: yes or no, a count, a number to four digits, or words."""
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case int():
            return number(value, 0)
        case float():
            if not math.isfinite(value):
                return MISSING
            if value == 0 or abs(value) >= 1000:
                return number(value, 0)
            if abs(value) < 1e-3:
                return scientific(value)
            return f"{value:.4g}".replace("-", _MINUS)
        case _:
            return str(value)


def day(stamp: str | None) -> str:
    """Date part of an ISO stamp."""
    return stamp[:10] if stamp else MISSING


def minute(stamp: str | None) -> str:
    """Date, hour and minute of an ISO stamp in UTC."""
    return f"{stamp[:10]} {stamp[11:16]} UTC" if stamp else MISSING


def position(value: float | None) -> str:
    """``long``, ``short`` or ``flat``, with its size where it is not a whole one."""
    if value is None or not math.isfinite(value):
        return MISSING
    side = DEGREES[(value > 0) - (value < 0)]
    return side if value in DEGREES else f"{side} {abs(value):.2f}"


def push(direction: float | None) -> str:
    """Whether more of a feature speaks for a rise or a fall; a weak tie says neither."""
    if direction is None or not math.isfinite(direction):
        return MISSING
    return "mixed" if abs(direction) < _WEAK else "↑ rise" if direction > 0 else "↓ fall"


def label(name: str) -> str:
    """Words for a model family, baseline or rule."""
    return FAMILIES.get(name) or BASELINES.get(name) or RULES.get(name) or name.replace("_", " ")


def scenario(name: str) -> str:
    """Words for a stress scenario: ``covid_2020_03_12`` has its date, ``volume_div_20`` its sign."""
    words = re.sub(r"(?<=\d) (?=\d)", "-", label(name))
    return re.sub(r"\bdiv (?=\d)", "÷ ", re.sub(r"\bx(?=\d)", "× ", words))


def sentence(text: str) -> str:
    """A remark with its capital and its full stop, and baselines by the words they have here."""
    text = text.strip()
    for name, words in BASELINES.items():
        text = text.replace(f"'{name}'", f"“{words}”")
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


def ordered(names: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    """Names in the order they are known in; those that nobody has words for yet at the end."""
    order = list(known)
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def by_length(horizons: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Horizons of the evidence from the shortest to the longest: JSON sorts ``24h`` before ``4h``."""
    return sorted(horizons.items(), key=lambda item: item[1]["horizon_bars"])


def headline(verdict: Mapping[str, Any] | None) -> tuple[str, str]:
    """The verdict in plain words, and its tone.

    Parameters
    ----------
    verdict
        Content of ``data/gate/verdict.json``, or ``None`` before the gate has spoken.

    Returns
    -------
    tuple of str
        A sentence without its full stop, and ``good``, ``mixed``, ``bad`` (something is broken) or ``neutral``.
    """
    if verdict is None or not verdict.get("horizons"):
        return "Not judged yet", "neutral"
    horizons: Mapping[str, Mapping[str, Any]] = dict(
        sorted(verdict["horizons"].items(), key=lambda item: duration(item[0]))
    )
    passed = [name for name, one in horizons.items() if one["verdict"] == "passed"]
    if len(passed) == len(horizons):
        return "Passed the gate after costs, at every horizon", "good"
    if passed:
        rest = [name for name in horizons if name not in passed]
        return f"{', '.join(passed)} passed the gate after costs; {', '.join(rest)} not promoted", "mixed"
    failed = {rule["rule"] for one in horizons.values() for rule in one.get("rules", []) if not rule["passed"]}
    if failed & _HEALTH:
        return "Failed its own checks: not promoted", "bad"
    if all(one.get("question") == "refresh" for one in horizons.values()):
        return "Worse than the champion it would refresh: not promoted", "neutral"
    return "No proven edge after costs: not promoted", "neutral"
