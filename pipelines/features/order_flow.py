"""Who took liquidity, where the bars say so: they carry what takers bought, and the number of trades."""

from functools import partial

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import balance, column, correlation, mean, ratio, score, total
from pipelines.features.series import RETURN, VOLUME

_order_flow = partial(Feature, "order_flow")

COLUMNS = ("taker_buy_volume", "trades")

BOUGHT, TRADES = map(column, COLUMNS)

IMBALANCE = ratio(2 * BOUGHT - VOLUME, VOLUME)
"""Takers' purchases minus their sales, as a share of the volume; 0 where nothing traded."""


def taker_imbalance(rows: int) -> Expression:
    """The same over a window."""
    return ratio(total(2 * BOUGHT - VOLUME, rows), total(VOLUME, rows))


SIZE = ratio(VOLUME, TRADES)
"""Mean size of a trade."""

FEATURES = (
    _order_flow("taker_imbalance_1", IMBALANCE, "Cont et al. 2014, by trades"),
    *(_order_flow(f"taker_imbalance_{n}", taker_imbalance(n), "Cont et al. 2014, by trades") for n in (6, 24, 72)),
    _order_flow("taker_imbalance_score_72", score(IMBALANCE, 72), "standard score"),
    _order_flow("taker_return_correlation_48", correlation(IMBALANCE, RETURN, 48), "impact of trades"),
    _order_flow("trade_size_24", balance(SIZE, mean(SIZE, 24)), "size of trades against its mean, bounded"),
    _order_flow("trade_count_24", balance(TRADES, mean(TRADES, 24)), "number of trades against its mean, bounded"),
)
