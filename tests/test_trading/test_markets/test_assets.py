import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from trading.errors import ParamsError
from trading.markets.assets import HALF_LIFE, cointegrated, correlated
from trading.markets.market import Drawn, Edge, Market, draw


@pytest.fixture(scope="module")
def main() -> Drawn:
    return draw(Market("linear", 0.6), 30_000, 21)


def moves_of(bars: pd.DataFrame) -> pd.Series:
    return np.log(bars["close"] / bars["open"])


def spread_of(bars: pd.DataFrame, main: pd.DataFrame) -> pd.Series:
    return np.log(bars["close"] / main["close"])


def explained(columns: pd.DataFrame, surprise: pd.Series) -> float:
    """Probability, if the columns tell nothing, of a fit as good as theirs (Lagrange multiplier test, White's form)."""
    scores = (columns - columns.mean()).mul(surprise, axis=0).to_numpy()
    total = scores.sum(axis=0)
    return float(chi2.sf(total @ np.linalg.solve(scores.T @ scores, total), scores.shape[1]))


def known(assets: list[pd.DataFrame], main: pd.DataFrame) -> pd.DataFrame:
    """What the assets' bars show at their close, as a model would read it."""
    columns = {}
    for at, bars in enumerate(assets):
        moves, spread = moves_of(bars), spread_of(bars, main)
        columns |= {(at, "now"): moves, (at, "before"): moves.shift(1), (at, "day"): moves.rolling(24).sum()}
        columns |= {(at, "apart"): spread - spread.rolling(168).mean(), (at, "volume"): np.log(bars["volume"])}
        columns |= {(at, "close in range"): (bars["close"] - bars["low"]) / (bars["high"] - bars["low"])}
    return pd.DataFrame(columns)


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.6, 0.95])
def test_correlated_assets_are_correlated_as_asked(main: Drawn, correlation: float) -> None:
    one, other = correlated(main.bars, 2, correlation, 1)
    moves = moves_of(main.bars)
    assert moves.corr(moves_of(one)) == pytest.approx(correlation, abs=0.03)
    # What they have in common is the main market.
    assert moves_of(one).corr(moves_of(other)) == pytest.approx(correlation**2, abs=0.03)
    assert moves_of(one).std() == pytest.approx(moves.std(), rel=0.05)


def test_cointegrated_assets_come_back_and_correlated_ones_do_not(main: Drawn) -> None:
    (bound,), (tied,) = cointegrated(main.bars, 1, 1), correlated(main.bars, 1, 0.6, 1)

    def kept(bars: pd.DataFrame) -> tuple[float, float]:
        """Coefficient of an AR(1) with a constant, and the Dickey-Fuller statistic of one."""
        spread = spread_of(bars, main.bars)
        now, before = spread.iloc[1:].to_numpy(), spread.iloc[:-1].to_numpy()
        before = before - before.mean()
        slope = before @ now / (before @ before)
        rest = now - now.mean() - slope * before
        return float(slope), float((slope - 1) / np.sqrt(rest.var() / (before @ before)))

    slope, statistic = kept(bound)
    assert slope == pytest.approx(0.5 ** (1 / HALF_LIFE), abs=0.005)
    assert statistic < -10  # -3.4 is the 1% quantile without cointegration
    assert kept(tied)[1] > -3.4
    assert 0.005 < spread_of(bound, main.bars).std() < 0.05


@pytest.mark.parametrize("edge", ["linear", "regime"])
def test_other_assets_tell_nothing_new_of_the_next_move(edge: Edge) -> None:
    """Given the answer, what the main market does next is independent of all that the others show."""
    drawn = draw(Market(edge, 0.6), 30_000, 22)
    assets = correlated(drawn.bars, 2, 0.6, 3) + cointegrated(drawn.bars, 2, 3)
    opens = drawn.bars["open"]
    rows = slice(200, -2)
    surprise = ((opens.shift(-2) > opens.shift(-1)) - drawn.answer["prob_up"]).iloc[rows]
    assert explained(known(assets, drawn.bars).iloc[rows], surprise) > 0.001
    # The test would see one that shows a hundredth of the next bar's noise.
    ahead = moves_of(drawn.bars).shift(-1).rename("ahead")
    leak = 0.1 * ahead + ahead.std() * np.random.default_rng(4).standard_normal(len(ahead))
    assert explained(leak.iloc[rows].to_frame(), surprise) < 1e-6


@pytest.mark.parametrize("edge", ["interaction", "regime"])
def test_ranges_and_volumes_of_the_market_itself_tell_no_more_than_the_answer(edge: Edge) -> None:
    """Neither of the direction of the next move nor, where a volatility regime is hidden, of its size."""
    drawn = draw(Market(edge, 0.6), 60_000, 23)
    bars, opens, rows = drawn.bars, drawn.bars["open"], slice(200, -2)
    columns = {}
    for lag in (0, 1, 5):
        past = bars.shift(lag)
        middle = (past["open"] + past["close"]) / 2
        columns |= {(lag, "skew"): (past["high"] + past["low"]) / middle - 2, (lag, "volume"): np.log(past["volume"])}
        columns |= {
            (lag, "range"): np.log(past["high"] / past["low"]),
            (lag, "move"): np.log(past["close"] / past["open"]),
        }
    shown = pd.DataFrame(columns).iloc[rows]
    ahead = opens.shift(-2) / opens.shift(-1) - 1
    direction = ((ahead > 0) - drawn.answer["prob_up"]).iloc[rows]
    size = (ahead**2 / drawn.answer["square"]).clip(upper=20).iloc[rows]
    assert explained(shown, direction) > 0.001
    assert explained(shown, size - size.mean()) > 0.001
    # Whoever ignored the regime would see it in the ranges.
    plain = (ahead**2 / drawn.answer["square"].mean()).clip(upper=20).iloc[rows]
    assert explained(shown, plain - plain.mean()) < 1e-6


def test_assets_see_no_later_bar_of_the_main_market(main: Drawn) -> None:
    cut = 5_000
    changed = main.bars.copy()
    changed.iloc[cut:] = draw(Market("none"), len(changed), 99).bars.iloc[cut:].to_numpy()
    for before, after in zip(
        correlated(main.bars, 1, 0.6, 5) + cointegrated(main.bars, 1, 5),
        correlated(changed, 1, 0.6, 5) + cointegrated(changed, 1, 5),
        strict=True,
    ):
        pd.testing.assert_frame_equal(before.iloc[:cut], after.iloc[:cut], check_exact=True)
        assert (before["close"].iloc[cut:] != after["close"].iloc[cut:]).any()


def test_assets_are_bars_of_their_own_seeds(main: Drawn) -> None:
    several = correlated(main.bars, 3, 0.6, 1) + cointegrated(main.bars, 3, 1)
    for bars in several:
        assert bars.index.equals(main.bars.index)
        assert list(bars) == list(main.bars)
        assert np.isfinite(bars.to_numpy()).all()
        assert (bars > 0).all(axis=None)
        assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
        assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
        assert (bars["open"].iloc[1:].to_numpy() == bars["close"].iloc[:-1].to_numpy()).all()
    assert len({float(bars["close"].iloc[-1]) for bars in several}) == len(several)
    pd.testing.assert_frame_equal(several[0], correlated(main.bars, 1, 0.6, 1)[0], check_exact=True)
    assert (several[0]["close"] != correlated(main.bars, 1, 0.6, 2)[0]["close"]).all()
    assert correlated(main.bars, 0, 0.6, 1) == cointegrated(main.bars, 0, 1) == []


def test_refuses_what_is_no_correlation_or_too_many(main: Drawn) -> None:
    for wrong in (1.0, -1.0, 2.0, float("nan")):
        with pytest.raises(ParamsError, match="above -1 and below 1"):
            correlated(main.bars, 1, wrong, 0)
    with pytest.raises(ParamsError, match="21 other assets"):
        correlated(main.bars, 21, 0.6, 0)
    with pytest.raises(ParamsError, match="-1 other assets"):
        cointegrated(main.bars, -1, 0)
