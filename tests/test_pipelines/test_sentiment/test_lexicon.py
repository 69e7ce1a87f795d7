"""What the lexicon can and cannot tell."""

import numpy as np

from pipelines.sentiment.lexicon import vader


def test_scores_lie_between_minus_one_and_one_and_depend_on_the_text_alone():
    texts = [
        "Investors are happy about excellent gains",
        "Exchange crashes in terrible scam",
        "There are nine nodes",
    ]
    scores = vader()(texts)
    assert scores[0] > 0.5
    assert scores[1] < -0.5
    assert scores[2] == 0.0
    assert np.abs(scores).max() <= 1.0
    np.testing.assert_array_equal(vader()(texts[::-1])[::-1], scores)
    assert vader()([]).shape == (0,)


def test_the_words_of_the_market_are_not_in_it():
    # As docs/sentiment.md says: these mean nothing to it, while a block is bad news and a security good news.
    assert (
        vader()(["Bitcoin surges", "Ether plunges", "Analysts turn bullish", "Lender files for bankruptcy"]).tolist()
        == [0] * 4
    )
    assert vader()(["The next block"])[0] < 0 < vader()(["A security token"])[0]
