import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import WalkForwardSplit
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

from pipelines.splits import PurgedWalkForward
from trading.errors import EngineError, ParamsError, TooFewBarsError

HOUR = pd.Timedelta(hours=1)


def hours(rows):
    return pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")


def constant_labels(index, span):
    return pd.Series(index + span * HOUR, index=index, name="t_end")


@st.composite
def cases(draw):
    """Gappy stamps, and labels that end at any later time or never."""
    steps = draw(st.lists(st.integers(1, 4), min_size=30, max_size=60))
    index = pd.DatetimeIndex(pd.Timestamp("2024-01-01", tz="UTC") + np.cumsum(steps) * HOUR, name="timestamp")
    # The first label is known at once, so that every block has a row to train on.
    spans = [1, *draw(st.lists(st.integers(1, 24), min_size=len(steps) - 1, max_size=len(steps) - 1))]
    never = draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    t_end = pd.Series(index + np.array(spans) * HOUR, index=index).mask(
        np.array(never) & (np.arange(len(steps)) % 3 == 0)
    )
    splitter = PurgedWalkForward(draw(st.integers(1, 6)), draw(st.floats(0.5, 0.75)), draw(st.integers(0, 6)) * HOUR)
    return index, t_end, splitter


@settings(max_examples=80, deadline=None)
@given(cases())
def test_what_must_hold_for_every_split(case):
    index, t_end, splitter = case
    frame = pd.DataFrame({"x": 0.0}, index=index)
    splits = list(splitter.split(frame, t_end=t_end))
    tests = [test for _, test in splits]
    sizes = [len(test) for test in tests]
    first = int(len(index) * splitter.first_test_fraction)
    assert np.array_equal(np.concatenate(tests), np.arange(first, len(index)))
    assert len(splits) == splitter.get_n_splits()
    assert max(sizes) - min(sizes) <= 1
    earlier = np.array([], dtype=int)
    for train, test in splits:
        limit = index[test[0]] - splitter.embargo
        assert set(earlier) <= set(train)  # anchored: nothing is forgotten
        assert t_end.iloc[train].notna().all()
        assert (t_end.iloc[train] <= limit).all()
        assert train.max() < test.min()
        assert (np.diff(train) > 0).all()
        left_out = np.setdiff1d(np.arange(test[0]), train)
        assert not (t_end.iloc[left_out] <= limit).any()  # and no more is thrown away than must be
        earlier = train


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.integers(1, 5),
    size=st.integers(1, 12),
    before=st.integers(30, 60),
    spans=st.lists(st.integers(1, 12), min_size=120, max_size=120),
    embargo=st.integers(0, 8),
)
def test_agrees_with_purgedcv_padding_the_purge(blocks, size, before, spans, embargo):
    rows = before + blocks * size
    index = hours(rows)
    t_end = pd.Series(index + np.array(spans[:rows]) * HOUR, index=index)
    theirs = WalkForwardSplit(
        n_splits=blocks,
        test_size=size,
        prediction_times=pd.Series(index),
        evaluation_times=t_end.reset_index(drop=True),
        purge_horizon=embargo * HOUR,
    )
    ours = PurgedWalkForward(blocks, (before + 0.5) / rows, embargo * HOUR)
    frame = t_end.to_frame()
    for (train, test), (expected_train, expected_test) in zip(
        ours.split(frame, t_end=t_end), theirs.split(frame), strict=True
    ):
        assert np.array_equal(train, expected_train)
        assert np.array_equal(test, expected_test)


def test_a_label_known_at_the_opening_trains_and_one_known_later_does_not():
    index = hours(10)
    splitter = PurgedWalkForward(1, 0.5, pd.Timedelta(0))
    [(train, test)] = splitter.split(index.to_frame(), t_end=constant_labels(index, 2))
    assert train.tolist() == [0, 1, 2, 3]
    assert test.tolist() == [5, 6, 7, 8, 9]
    [(train, _)] = PurgedWalkForward(1, 0.5, HOUR).split(index.to_frame(), t_end=constant_labels(index, 2))
    assert train.tolist() == [0, 1, 2]


def test_labels_that_never_come_are_tested_but_not_trained_on():
    index = hours(12)
    t_end = constant_labels(index, 1)
    t_end.iloc[[1, 8]] = pd.NaT
    [(train, test)] = PurgedWalkForward(1, 0.5, pd.Timedelta(0)).split(index.to_frame(), t_end=t_end)
    assert train.tolist() == [0, 2, 3, 4, 5]
    assert 8 in test


def test_scikit_learn_can_drive_it():
    index = hours(60)
    frame = pd.DataFrame({"x": np.arange(60.0)}, index=index)
    t_end = constant_labels(index, 3)
    y = pd.Series(np.arange(60) % 2, index=index)
    with config_context(enable_metadata_routing=True):
        splitter = clone(PurgedWalkForward(4, 0.4, 2 * HOUR), safe=False)
        scores = cross_val_score(DummyClassifier(), frame, y, cv=splitter, params={"t_end": t_end})
        with pytest.raises(EngineError, match="without t_end"):
            cross_val_score(DummyClassifier(), frame, y, cv=splitter)
    assert len(scores) == 4
    assert repr(splitter).startswith("PurgedWalkForward(")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((0, 0.5, HOUR), "0 splits"),
        ((2, 0.0, HOUR), "first_test_fraction"),
        ((2, 1.0, HOUR), "first_test_fraction"),
        ((2, 0.5, -HOUR), "embargo"),
        ((2, 0.5, pd.NaT), "embargo"),
    ],
)
def test_settings_out_of_range(arguments, names):
    with pytest.raises(ParamsError, match=names):
        PurgedWalkForward(*arguments)


def test_t_end_must_come_and_belong_to_the_rows():
    index = hours(20)
    splitter = PurgedWalkForward(2, 0.5, HOUR)
    with pytest.raises(EngineError, match="without t_end"):
        next(splitter.split(index.to_frame()))
    with pytest.raises(EngineError, match="not that of"):
        next(splitter.split(index.to_frame(), t_end=constant_labels(index[1:], 1)))
    for broken in (index[::-1], index.repeat(2)):
        with pytest.raises(EngineError, match="time order"):
            next(splitter.split(broken.to_frame(), t_end=constant_labels(broken, 1)))
    with pytest.raises(EngineError, match="time order"):
        next(splitter.split(pd.DataFrame({"x": range(20)}), t_end=constant_labels(index, 1)))


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(0, 60), blocks=st.integers(1, 12), fraction=st.floats(0.05, 0.95))
def test_too_few_rows_says_how_many_are_enough(rows, blocks, fraction):
    splitter = PurgedWalkForward(blocks, fraction, pd.Timedelta(0))
    index = hours(rows)
    enough = rows - int(rows * fraction) >= blocks and int(rows * fraction) >= 1
    try:
        list(splitter.split(index.to_frame(), t_end=constant_labels(index, 1)))
        assert enough
    except TooFewBarsError as error:
        assert not enough
        needed = int(error.remedy.split("at least ")[1].split(" ")[0])
        assert needed > rows
        index = hours(needed)
        assert len(list(splitter.split(index.to_frame(), t_end=constant_labels(index, 1)))) == blocks


def test_a_block_without_training_rows_says_so():
    index = hours(20)
    with pytest.raises(TooFewBarsError, match="block 1 of 2 has no training row") as caught:
        list(PurgedWalkForward(2, 0.5, pd.Timedelta(days=2)).split(index.to_frame(), t_end=constant_labels(index, 1)))
    assert "2 days" in str(caught.value)
