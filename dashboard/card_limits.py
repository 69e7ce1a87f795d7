"""What the evidence of a model does not show, in plain words."""

from collections.abc import Iterator, Mapping
from typing import Any

from dashboard.wording import day, number, percent


def limits(spec: Mapping[str, Any], evidence: Mapping[str, Any], verdict: Mapping[str, Any] | None) -> Iterator[str]:
    """Sentences about what is not known; arguments as those of :func:`dashboard.card.card`."""
    one = evidence["horizons"][spec["horizon"]]
    if verdict is None:
        yield "The gate has not judged it: nothing here is a promise, and it is for trading on paper only."
    yield from _doubts(one)
    test, costs = evidence.get("test", {}), spec["costs"]
    yield (
        f"Tested on one stretch of one market, {day(test.get('first'))} to {day(test.get('last'))}. Other markets, "
        "other years and other lengths of a bar were not tested."
    )
    yield (
        "The test is that of the recipe, refit on what was known at the time. The fit that is served has also learnt "
        "from the test's bars, so no figure here is its own."
    )
    paid = evidence.get("costs", {}).get("per_side_bps")
    rate = costs.get("borrow", 0.0)
    yield (
        f"Costs assumed: {number(paid, 1)} bps a side whatever the size (fee {number(costs['fee_bps'], 1)}, spread "
        f"{number(costs['spread_bps'], 1)}, slippage {number(costs['slippage_bps'], 1)}), and "
        f"{percent(rate) if rate else 'nothing'} a year on what is sold short. Market impact, funding, outages and "
        "delays are not in them."
    )
    yield (
        f"It speaks about {spec['horizon']} ahead, on whole bars without holes: it was trained through gaps of at most "
        f"{number(spec['max_gap'], 0)} missing bars and moves of at most {percent(spec['max_jump'], 0)} in a bar."
    )
    if spec["commit"] is None or spec.get("dirty") is not False:
        yield (
            "The code that made it had changes that no commit holds, or its commit is unknown: it cannot be made again "
            "exactly."
        )


def _doubts(one: Mapping[str, Any]) -> Iterator[str]:
    """What the intervals leave open, whatever the gate asks for."""
    low, sharpe = one.get("skill_low"), one.get("strategy", {}).get("sharpe_low")
    if low is None or low <= 0:
        yield "Its accuracy is not shown to be better than that of the best rule without skill."
    if sharpe is None or sharpe <= 0:
        yield "The interval of its Sharpe ratio does not lie above zero: a profit after costs is not shown."
    loss = one.get("skill", {}).get("vote", {}).get("log_loss")
    constant = one.get("baselines", {}).get("constant", {}).get("log_loss")
    if loss is not None and constant is not None and loss >= constant:
        yield "Its probabilities are worth less than a constant 50% by log loss."
