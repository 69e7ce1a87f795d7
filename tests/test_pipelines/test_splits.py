from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import CombinatorialPurgedCV, WalkForwardSplit, reconstruct_paths
from purgedcv import PurgedKFold as TheirKFold
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

from pipelines.splits import CombinatorialPurged, PurgedKFold, PurgedWalkForward
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


@pytest.mark.parametrize(
    ("splitter", "count"),
    [
        (PurgedWalkForward(4, 0.4, 2 * HOUR), 4),
        (PurgedKFold(5, 2 * HOUR), 5),
        (CombinatorialPurged(5, 2, 2 * HOUR), 10),
    ],
)
def test_scikit_learn_can_drive_it(splitter, count):
    index = hours(60)
    frame = pd.DataFrame({"x": np.arange(60.0)}, index=index)
    t_end = constant_labels(index, 3)
    y = pd.Series(np.arange(60) % 2, index=index)
    with config_context(enable_metadata_routing=True):
        copy = clone(splitter, safe=False)
        scores = cross_val_score(DummyClassifier(), frame, y, cv=copy, params={"t_end": t_end})
        with pytest.raises(EngineError, match="without t_end"):
            cross_val_score(DummyClassifier(), frame, y, cv=copy)
    assert len(scores) == count == splitter.get_n_splits(frame, y)
    assert repr(copy).startswith(f"{type(splitter).__name__}(")


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


def test_other_settings_out_of_range():
    with pytest.raises(ParamsError, match="max_train is 0"):
        PurgedWalkForward(2, 0.5, HOUR, max_train=0)
    with pytest.raises(ParamsError, match="1 splits"):
        PurgedKFold(1, HOUR)
    with pytest.raises(ParamsError, match="1 groups"):
        CombinatorialPurged(1, 1, HOUR)
    for chosen in (0, 4):
        with pytest.raises(ParamsError, match=f"{chosen} test groups of 4"):
            CombinatorialPurged(4, chosen, HOUR)
    for fraction in (-0.1, 1.0):
        with pytest.raises(ParamsError, match="first_test_fraction"):
            CombinatorialPurged(4, 2, HOUR, fraction)
    for splitter in (PurgedKFold, lambda count, embargo: CombinatorialPurged(count, 1, embargo)):
        with pytest.raises(ParamsError, match="embargo"):
            splitter(3, -HOUR)


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
    for impossible in (constant_labels(index, 0), constant_labels(index, 1).dt.tz_localize(None)):
        with pytest.raises(EngineError, match="not later than its row"):
            next(splitter.split(index.to_frame(), t_end=impossible))


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


@st.composite
def labelled_rows(draw, min_size=20, max_size=45):
    """Gappy stamps, and labels that end at any later time, in any order, or never."""
    steps = draw(st.lists(st.integers(1, 3), min_size=min_size, max_size=max_size))
    index = pd.DatetimeIndex(pd.Timestamp("2024-01-01", tz="UTC") + np.cumsum(steps) * HOUR, name="timestamp")
    count = len(steps)
    spans = draw(st.lists(st.sampled_from([1, 1, 2, 3, 5, 9, 14]), min_size=count, max_size=count))
    never = np.array(draw(st.lists(st.sampled_from([False] * 7 + [True]), min_size=count, max_size=count)))
    return index, pd.Series(index + np.array(spans) * HOUR, index=index).mask(never)


def everywhere(embargo):
    """Splitters that train before and after the test, and small walk-forwards."""
    kfold = st.integers(2, 6).map(lambda count: PurgedKFold(count, embargo))
    combinatorial = st.tuples(st.integers(3, 6), st.integers(1, 2), st.sampled_from([0.0, 0.3, 0.5])).map(
        lambda drawn: CombinatorialPurged(drawn[0], drawn[1], embargo, drawn[2])
    )
    forward = st.tuples(st.integers(1, 4), st.sampled_from([None, 1, 5])).map(
        lambda drawn: PurgedWalkForward(drawn[0], 0.5, embargo, max_train=drawn[1])
    )
    return st.one_of(kfold, combinatorial, forward)


def blocks(rows, count):
    return np.array_split(np.arange(rows), count)


def blocks_of(splitter, rows):
    """The test rows that a splitter must yield, and the rows it may train on for each."""
    if isinstance(splitter, PurgedWalkForward):
        first = int(rows * splitter.first_test_fraction)
        for block in blocks(rows - first, splitter.n_splits):
            yield block + first, np.arange(block[0] + first)
        return
    if isinstance(splitter, PurgedKFold):
        tests = blocks(rows, splitter.n_splits)
    else:
        first = int(rows * splitter.first_test_fraction)
        groups = [block + first for block in blocks(rows - first, splitter.n_groups)]
        tests = [np.concatenate(choice) for choice in combinations(groups, splitter.n_test_groups)]
    for test in tests:
        yield test, np.setdiff1d(np.arange(rows), test)


def overlap(first, second, embargo):
    """Whether two labels, each a stamp and when it was known, share time or come nearer than the embargo."""
    (opened, known), (other_opened, other_known) = first, second
    return opened < other_known + embargo and other_opened - embargo < known


def brute_force(index, t_end, test, candidates, embargo):
    """Every training label beside every test label, one pair at a time."""
    labels = [(stamp, stamp if pd.isna(known) else known) for stamp, known in zip(index, t_end, strict=True)]
    return [
        row
        for row in candidates
        if not pd.isna(t_end.iloc[row]) and not any(overlap(labels[row], labels[other], embargo) for other in test)
    ]


@settings(max_examples=120, deadline=None)
@given(st.data(), labelled_rows(), st.sampled_from([0, 0, 1, 3]))
def test_no_training_label_overlaps_a_test_label_and_no_more_is_left_out(data, rows, embargo):
    index, t_end = rows
    splitter = data.draw(everywhere(embargo * HOUR))
    expected = []
    for test, candidates in blocks_of(splitter, len(index)):
        train = brute_force(index, t_end, test, candidates, splitter.embargo)
        if getattr(splitter, "max_train", None):
            train = train[-splitter.max_train :]
        expected.append((train, test.tolist()))
    found = splitter.split(t_end.to_frame(), t_end=t_end)
    for number, (train, test) in enumerate(expected, start=1):
        if not train:
            with pytest.raises(TooFewBarsError, match=f"block {number} of {splitter.get_n_splits()} has no training"):
                next(found)
            return
        ours = next(found)
        assert ours[0].tolist() == train
        assert ours[1].tolist() == test
    assert next(found, None) is None


@settings(max_examples=60, deadline=None)
@given(labelled_rows(), st.integers(2, 5), st.integers(0, 4), st.booleans())
def test_both_sides_agree_with_purgedcv(rows, count, embargo, combine):
    index, t_end = rows
    t_end = t_end.fillna(pd.Series(index + HOUR, index=index))
    theirs = (CombinatorialPurgedCV if combine else TheirKFold)(
        count + combine,
        *([2] if combine else []),
        prediction_times=pd.Series(index),
        evaluation_times=t_end.reset_index(drop=True),
        purge_horizon=embargo * HOUR,
    )
    ours = CombinatorialPurged(count + 1, 2, embargo * HOUR) if combine else PurgedKFold(count, embargo * HOUR)
    frame = t_end.to_frame()
    expected = list(theirs.split(frame))
    if all(len(train) for train, _ in expected):
        for (train, test), (their_train, their_test) in zip(ours.split(frame, t_end=t_end), expected, strict=True):
            assert np.array_equal(train, their_train)
            assert np.array_equal(test, their_test)


def overlaps_at_the_front(index, t_end, train, test):
    """Training rows before the test whose label ends inside it."""
    return [row for row in train if row < test[0] and t_end.iloc[row] > index[test[0]]]


def test_a_purge_that_starts_where_the_first_test_label_ends_leaves_overlaps_and_ours_does_not():
    # A known implementation builds each test window from the end of its first label instead of its beginning. What is
    # shown here is that rule in a few lines, and what it costs: labels of three hours leak into all but the first.
    index = hours(30)
    t_end = constant_labels(index, 3)
    for train, test in PurgedKFold(3, pd.Timedelta(0)).split(t_end, t_end=t_end):
        window_opens, window_closes = t_end.iloc[test[0]], t_end.iloc[test].max()
        others = np.setdiff1d(np.arange(30), test)
        late = [row for row in others if t_end.iloc[row] <= window_opens or index[row] >= window_closes]
        assert len(overlaps_at_the_front(index, t_end, late, test)) == (2 if test[0] else 0)
        assert overlaps_at_the_front(index, t_end, train, test) == []
        assert set(train) < set(late) or not test[0]


def test_counting_rows_is_no_purge():
    # Leaving out as many rows as a label is usually long forgets the label that lasts longer.
    index = hours(40)
    t_end = constant_labels(index, 2)
    t_end.iloc[3] = index[25]
    for train, test in PurgedKFold(2, pd.Timedelta(0)).split(t_end, t_end=t_end):
        assert 3 not in train or 3 in test
        counted = [row for row in range(40) if row < test[0] - 2 or row > test[-1] + 2]
        assert overlaps_at_the_front(index, t_end, counted, test) == ([3] if test[0] else [])
        # And the long label, once it is tested, takes the rows beside which it was still open.
        if 3 in test:
            assert train.tolist() == list(range(25, 40))


def test_a_rolling_window_keeps_the_latest_rows_that_the_purge_left():
    index = hours(20)
    t_end = constant_labels(index, 4)
    anchored = [train.tolist() for train, _ in PurgedWalkForward(3, 0.5, HOUR).split(t_end, t_end=t_end)]
    rolling = [train.tolist() for train, _ in PurgedWalkForward(3, 0.5, HOUR, max_train=4).split(t_end, t_end=t_end)]
    assert rolling == [train[-4:] for train in anchored]
    assert rolling[0] == [2, 3, 4, 5]


def test_fewer_rows_than_blocks():
    for splitter in (PurgedKFold(4, HOUR), CombinatorialPurged(4, 2, HOUR)):
        index = hours(3)
        with pytest.raises(TooFewBarsError, match="3 rows are too few for 4 blocks"):
            next(splitter.split(index.to_frame(), t_end=constant_labels(index, 1)))


def test_the_printed_paths():
    # López de Prado (2018), figure 12.2: six groups, two tested; split and group, both from one.
    splitter = CombinatorialPurged(6, 2, HOUR)
    assert (splitter.get_n_splits(), splitter.n_paths) == (15, 5)
    assert (splitter.path_splits()[:2] + 1).tolist() == [[1, 1, 2, 3, 4, 5], [2, 6, 6, 7, 8, 9]]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.integers(1, 7), st.integers(0, 20), st.sampled_from([0, 3, 20]))
def test_every_path_is_complete_and_every_forecast_is_on_one(groups, tested, more, before):
    tested = min(tested, groups - 1)
    index = hours(before + groups + more)
    fraction = (before + 0.5) / len(index) if before else 0.0
    splitter = CombinatorialPurged(groups, tested, pd.Timedelta(0), fraction)
    tests = [test for test, _ in blocks_of(splitter, len(index))]
    # A forecast that says which split made it, about which row.
    said = [pd.Series(1000.0 * number + test, index=index[test]) for number, test in enumerate(tests)]
    paths = splitter.paths(said)
    assert splitter.n_paths == comb(groups, tested) * tested // groups
    assert paths.index.equals(index[before:])
    assert list(paths) == list(range(splitter.n_paths))
    assert paths.notna().all(axis=None)
    for number in paths:
        path = paths[number]
        rows, makers = (path % 1000).astype(int), (path // 1000).astype(int)
        assert rows.tolist() == list(range(before, len(index)))
        assert all(row in tests[maker] for row, maker in zip(rows, makers, strict=True))
    used = paths.to_numpy().ravel()
    assert len(np.unique(used)) == len(used) == sum(len(test) for test in tests)
    # A second opinion on which forecast belongs to which path.
    shifted = [test - before for test in tests]
    theirs = reconstruct_paths([forecast.to_numpy() for forecast in said], shifted, groups, tested, groups + more)
    assert np.array_equal(paths.to_numpy().T, theirs)


def test_forecasts_must_be_about_the_test_rows_of_their_split():
    index = hours(12)
    splitter = CombinatorialPurged(4, 2, HOUR)
    said = [pd.Series(0.0, index=index[test]) for test, _ in blocks_of(splitter, 12)]
    with pytest.raises(EngineError, match="5 series of forecasts for 6 splits"):
        splitter.paths(said[:5])
    with pytest.raises(EngineError, match="split 1 are not about its test rows"):
        splitter.paths([said[1], said[0], *said[2:]])
    with pytest.raises(EngineError, match="split 2"):
        splitter.paths([said[0], said[1].iloc[:-1], *said[2:]])
