"""A stamp is believed unless it lies within what had been recorded before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sentiment.arrivals import not_before


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), max_size=12))
def test_the_rule_word_for_word(pairs):
    published = np.array([stamp for stamp, _ in pairs], dtype=np.int64)
    recorded = np.array([stamp + lag for stamp, lag in pairs], dtype=np.int64)
    expected = []
    for stamp, when in zip(published, recorded, strict=True):
        before = published[recorded < when]
        inside = len(before) > 0 and before.min() <= stamp <= before.max()
        expected.append(when if inside else stamp)
    assert not_before(published, recorded).tolist() == expected


def test_a_history_fetched_in_two_parts_is_believed_and_a_correction_is_not():
    published = np.array([10, 20, 30, 40, 20, 5])
    recorded = np.array([99, 99, 99, 120, 130, 130])
    assert not_before(published, recorded).tolist() == [10, 20, 30, 40, 130, 5]
