"""How much is traded, and on which side of the market. Where nothing traded, each has a neutral value."""

from functools import partial

from pipelines.features.expression import Expression
from pipelines.features.feature import Feature
from pipelines.features.operators import (
    absolute,
    balance,
    change,
    correlation,
    deviation,
    exp,
    lag,
    mean,
    positive,
    rank,
    ratio,
    score,
    sign,
    total,
)
from pipelines.features.series import RETURN, TYPICAL, VOLUME, WHERE_CLOSED

_volume = partial(Feature, "volume")


def trend(short: int, long: int) -> Expression:
    """Short against long mean of volume."""
    return balance(mean(VOLUME, short), mean(VOLUME, long))


def share(x: Expression, rows: int) -> Expression:
    """Volume weighted by ``x``, as a share of all volume in the window."""
    return ratio(total(x * VOLUME, rows), total(VOLUME, rows))


def money_flow_index(rows: int) -> Expression:
    """Share of the money that changed hands at rising typical prices, in [0, 1]; 0.5 where nothing moved."""
    money, move = exp(TYPICAL) * VOLUME, sign(change(TYPICAL))
    return 0.5 + balance(total(money * positive(move), rows), total(money * positive(-move), rows)) / 2


def chaikin_oscillator(short: int, long: int) -> Expression:
    """Volume weighted by where bars closed: short against long."""
    return share(WHERE_CLOSED, short) - share(WHERE_CLOSED, long)


FEATURES = (
    _volume("relative_volume_24", balance(VOLUME, mean(VOLUME, 24)), "volume against its mean, bounded"),
    _volume("volume_trend_6_24", trend(6, 24), "volume oscillator, bounded"),
    _volume("volume_trend_24_168", trend(24, 168), "volume oscillator, bounded"),
    _volume("volume_score_168", score(VOLUME, 168), "standard score"),
    _volume("volume_rank_168", rank(VOLUME, 168), "rank in the window"),
    _volume("volume_change_1", balance(VOLUME, lag(VOLUME)), "against the bar before, bounded"),
    _volume("volume_change_24", balance(VOLUME, lag(VOLUME, 24)), "against 24 bars before, bounded"),
    _volume("volume_dispersion_24", ratio(deviation(VOLUME, 24), mean(VOLUME, 24)), "coefficient of variation"),
    *(
        _volume(f"signed_volume_{n}", share(sign(RETURN), n), "Granville 1963 (on-balance volume), over a window")
        for n in (6, 24, 72)
    ),
    _volume("money_flow_20", share(WHERE_CLOSED, 20), "Chaikin (money flow)"),
    _volume("chaikin_oscillator_3_10", chaikin_oscillator(3, 10), "Chaikin, over windows"),
    _volume("money_flow_index_14", money_flow_index(14), "Quong and Soudack 1989, over 100"),
    _volume("force_13", share(RETURN, 13), "Elder 1993, a unit of volume"),
    _volume("volume_return_correlation_48", correlation(absolute(RETURN), VOLUME, 48), "Karpoff 1987"),
    _volume("volume_signed_correlation_48", correlation(RETURN, VOLUME, 48), "Karpoff 1987"),
    _volume("volume_autocorrelation_72", correlation(VOLUME, lag(VOLUME), 72), "persistence of volume"),
)
