import numpy as np
import pandas as pd
import pytest

from dashboard.history import drawdowns, monthly_returns, rolling_sharpe
from pipelines.metrics import sharpe, sharpe_interval

INDEX = pd.date_range("2019-11-15", periods=3000, freq="h", tz="UTC", name="timestamp")


@pytest.fixture
def net() -> pd.Series:
    return pd.Series(np.random.default_rng(5).normal(0, 0.004, len(INDEX)), index=INDEX)


def _equity(*values: float) -> pd.Series:
    return pd.Series(values, index=INDEX[: len(values)])


def test_falls_by_hand() -> None:
    deep, shallow = drawdowns(_equity(1.0, 1.2, 1.1, 1.2, 0.6, 0.9))
    assert (deep.start, deep.trough, deep.recovery, deep.bars) == (INDEX[3], INDEX[4], None, 2)
    assert deep.depth == pytest.approx(0.5)
    assert (shallow.start, shallow.trough, shallow.recovery, shallow.bars) == (INDEX[1], INDEX[2], INDEX[3], 2)
    assert shallow.depth == pytest.approx(1 / 12)


def test_a_loss_on_the_first_bar_is_a_fall_and_growth_is_none() -> None:
    (found,) = drawdowns(_equity(0.9, 0.8, 1.0))
    assert (found.start, found.trough, found.recovery, found.bars) == (INDEX[0], INDEX[1], INDEX[2], 2)
    assert found.depth == pytest.approx(0.2)
    assert drawdowns(_equity(1.0, 1.1, 1.1, 1.2)) == []


def test_the_deepest_of_five_is_the_largest_drawdown(net: pd.Series) -> None:
    equity = (1 + net).cumprod()
    found = drawdowns(equity)
    assert len(found) == 5
    peaks = np.maximum(equity.cummax(), 1.0)
    assert found[0].depth == pytest.approx((1 - equity / peaks).max())
    assert [one.depth for one in found] == sorted((one.depth for one in found), reverse=True)
    for one in found:
        assert one.start < one.trough or one.start == INDEX[0]
        if one.recovery is not None:
            assert equity[one.recovery] >= peaks[one.start]


def test_months_compound_to_the_year_and_the_years_to_the_whole(net: pd.Series) -> None:
    equity = (1 + net).cumprod()
    months = monthly_returns(equity)
    assert list(months.index) == [2019, 2020]
    assert list(months.columns) == [*range(1, 13), "year"]
    assert months.loc[2019, 12] == pytest.approx((1 + net["2019-12"]).prod() - 1)
    assert months.loc[2019, list(range(1, 11))].isna().all()
    assert (1 + months["year"]).prod() == pytest.approx(equity.iloc[-1])


def test_the_rolling_ratio_is_that_of_the_window_before(net: pd.Series) -> None:
    found = rolling_sharpe(net, 24.0, 0.9)
    assert len(found) <= 120
    assert (found.index[0], found.index[-1]) == (INDEX[90 * 24 - 1], INDEX[-1])
    last = net.iloc[-90 * 24 :]
    expected = (sharpe(last, 8760), *sharpe_interval(last, 8760, 0.9))
    np.testing.assert_allclose(found.iloc[-1], expected)
    changed = net.copy()
    changed.iloc[2500:] = 0.01
    pd.testing.assert_frame_equal(rolling_sharpe(changed, 24.0, 0.9).loc[: INDEX[2499]], found.loc[: INDEX[2499]])


def test_no_ratio_where_nothing_moved_and_no_rows_where_the_test_is_short(net: pd.Series) -> None:
    assert rolling_sharpe(net * 0.0, 24.0, 0.9).isna().all(axis=None)
    assert rolling_sharpe(net.iloc[: 90 * 24 - 1], 24.0, 0.9).empty
