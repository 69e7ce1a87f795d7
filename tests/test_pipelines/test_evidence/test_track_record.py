import math

import pytest
from purgedcv import min_track_record_length

from pipelines.evidence.deflated_sharpe import probabilistic_sharpe
from pipelines.evidence.track_record import minimum_track_record, track_record


@pytest.mark.parametrize(
    ("periods", "skew", "kurtosis", "years"),
    [(252, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_papers_examples(periods: int, skew: float, kurtosis: float, years: float) -> None:
    """Bailey and López de Prado (2012), section "Minimum track record length" and its numerical example.

    An annual ratio of 2 is above 1 with 95% confidence after 2.73 years of daily, 2.83 of weekly and 3.24 of monthly
    normal returns; after 4.99 years of monthly ones with the moments of hedge funds' (skewness -0.72, kurtosis 5.78).
    """
    root = math.sqrt(periods)
    assert minimum_track_record(2 / root, 1 / root, skew, kurtosis, 0.95) / periods == pytest.approx(years, abs=0.005)


@pytest.mark.parametrize("benchmark", [-0.02, 0.0, 0.04])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_agrees_with_purgedcv_and_with_the_probability_that_it_inverts(benchmark: float, confidence: float) -> None:
    found = minimum_track_record(0.08, benchmark, -0.4, 7.0, confidence)
    reference = min_track_record_length(0.08, benchmark, alpha=1 - confidence, skew=-0.4, kurtosis=7.0)
    assert math.ceil(found) == reference
    before, after = (probabilistic_sharpe(0.08, benchmark, n, -0.4, 7.0) for n in (math.floor(found), math.ceil(found)))
    assert before < confidence <= after


def test_no_record_is_long_enough_for_a_ratio_that_is_not_above() -> None:
    assert minimum_track_record(0.02, 0.02, 0.0, 3.0, 0.95) == math.inf
    assert minimum_track_record(-0.1, 0.0, 0.0, 3.0, 0.95) == math.inf
    assert math.isnan(minimum_track_record(math.nan, 0.0, 0.0, 3.0, 0.95))


@pytest.mark.parametrize(("kurtosis", "confidence"), [(1.0, 0.95), (3.0, 0.5), (3.0, 1.0), (math.nan, 0.9)])
def test_refuses_what_cannot_be(kurtosis: float, confidence: float) -> None:
    with pytest.raises(ValueError):
        minimum_track_record(0.5, 0.0, 3.0, kurtosis, confidence)


def test_a_record_is_told_in_years() -> None:
    moments = {"observations": 24.0, "sharpe_per_bar": 2 / math.sqrt(12), "skewness": -0.72, "kurtosis": 5.78}
    found = track_record(moments, 1 / math.sqrt(12), 12.0, 0.95)
    assert found["observed_years"] == 2.0
    assert found["above_luck"] == {"years": pytest.approx(4.99, abs=0.005), "reason": None}
    assert found["above_zero"]["years"] < 2.0
    lost = track_record(moments | {"sharpe_per_bar": 0.1}, 0.2, 12.0, 0.95)
    assert lost["above_luck"] == {"years": None, "reason": "the Sharpe ratio is not above what luck would show"}
    assert lost["above_zero"]["years"] > 2.0
    assert track_record(moments | {"sharpe_per_bar": 0.0}, 0.2, 12.0, 0.95)["above_zero"]["years"] is None
