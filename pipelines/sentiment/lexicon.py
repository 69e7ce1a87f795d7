"""Scores of headlines by a lexicon that a package ships. Its limits are measured in ``docs/sentiment.md``."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Scorer = Callable[[Sequence[str]], NDArray[np.float64]]


def vader() -> Scorer:
    """VADER's compound score of a text: in [-1, 1], 0 where no word of it is in the lexicon.

    The lexicon was rated on social media in 2014. It knows ``crash``, ``scam`` and ``gains``, and neither ``surge``,
    ``plunge``, ``bullish`` nor ``bankruptcy``. The score of a text depends on nothing but the text.

    References
    ----------
    Hutto and Gilbert (2014), "VADER: A parsimonious rule-based model for sentiment analysis of social media text".
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([analyzer.polarity_scores(text)["compound"] for text in texts], dtype=np.float64)

    return score
