"""Probabilities from scores: against independent fits, and where there is little to learn."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from models.calibration import (
    EXTREME,
    Isotonic,
    Platt,
    calibration_of,
    fit_calibration,
    fit_platt,
    log_odds,
    sigmoid,
)
from trading.errors import ModelError

N = 4000


def overconfident(seed: int = 0, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Scores twice as far from one half, in log odds, as the truth, which leans to a rise."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(0.3, 0.5, n)
    labels = (generator.random(n) < expit(truth)).astype(float)
    return expit(2 * (truth - 0.3)), labels


def test_platt_agrees_with_scikit_learn() -> None:
    scores = np.random.default_rng(1).normal(size=N)
    labels = (np.random.default_rng(2).random(N) < expit(1.5 * scores - 0.4)).astype(float)
    theirs = _SigmoidCalibration().fit(scores, labels)
    ours = fit_platt(scores, labels, np.ones(N))
    assert ours.slope == pytest.approx(-theirs.a_, rel=1e-3)
    assert ours.intercept == pytest.approx(-theirs.b_, abs=1e-3)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_what_was_overconfident_is_so_no_more(method: str) -> None:
    scores, labels = overconfident()
    found = fit_calibration(method, scores, labels, np.ones(N))  # type: ignore[arg-type]
    assert found is not None
    new, happened = overconfident(5)

    def brier(prob_up: np.ndarray) -> float:
        return float(((prob_up - happened) ** 2).mean())

    assert brier(found.apply(new)) < brier(new) - 0.005
    if isinstance(found, Platt):
        assert found.slope == pytest.approx(0.5, abs=0.07)
        assert found.intercept == pytest.approx(0.3, abs=0.1)


def test_isotonic_lines_pass_through_the_middles_of_the_steps() -> None:
    scores, labels = overconfident(n=300)
    found = fit_calibration("isotonic", scores, labels, np.ones(300))
    assert isinstance(found, Isotonic)
    steps = IsotonicRegression().fit_transform(scores, labels)
    for score, probability in zip(found.scores, found.probabilities, strict=True):
        on_it = np.isclose(steps, probability)
        assert score == pytest.approx(scores[on_it].mean())
        assert found.apply(np.array([score]))[0] == pytest.approx(labels[on_it].mean())
    ends = found.apply(np.array([0.0, 1.0]))
    assert ends.tolist() == [found.probabilities[0], found.probabilities[-1]]


def test_a_score_that_was_wrong_is_worth_the_base_rate_and_not_its_opposite() -> None:
    scores, labels = overconfident()
    found = fit_platt(-log_odds(scores), labels, np.ones(N))
    assert found.slope == 0.0
    assert found.apply(np.array([0.1, 0.9])) == pytest.approx(labels.mean(), abs=2e-3)


def test_weights_count_and_their_size_does_not() -> None:
    scores, labels = overconfident()
    weights = np.r_[np.ones(N // 2), np.zeros(N // 2)]
    half = fit_platt(log_odds(scores[: N // 2]), labels[: N // 2], np.ones(N // 2))
    assert fit_platt(log_odds(scores), labels, weights).slope == pytest.approx(half.slope, rel=1e-4)
    assert fit_platt(log_odds(scores), labels, 1000 * weights).slope == pytest.approx(half.slope, rel=1e-4)
    doubled = fit_calibration("isotonic", scores, labels, 7 * np.ones(N))
    plain = fit_calibration("isotonic", scores, labels, np.ones(N))
    assert doubled is not None
    assert plain is not None
    assert doubled.apply(scores) == pytest.approx(plain.apply(scores))


def test_few_rows_that_are_all_right_are_not_certain() -> None:
    found = fit_platt(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([0.0, 0, 1, 1]), np.ones(4))
    assert sigmoid(np.array([found.slope + found.intercept]))[0] == pytest.approx(3 / 4, abs=1e-3)
    level = fit_platt(np.zeros(6), np.array([0.0, 0, 1, 1, 1, 1]), np.ones(6))
    assert sigmoid(np.array([level.intercept]))[0] == pytest.approx((4 * 5 / 6 + 2 / 4) / 6, abs=1e-3)


def test_rising_whatever_is_learnt() -> None:
    grid = np.linspace(0, 1, 101)
    for seed in range(5):
        scores, labels = overconfident(seed, 50)
        for method in ("platt", "isotonic"):
            found = fit_calibration(method, scores, labels, np.ones(50))  # type: ignore[arg-type]
            assert found is not None
            given = found.apply(grid)
            assert (np.diff(given) >= 0).all()
            assert ((given >= 0) & (given <= 1)).all()
            assert calibration_of(found.to_json()) == found
            assert np.isnan(found.apply(np.array([np.nan]))).all()


def test_nothing_asked_for_is_nothing() -> None:
    assert fit_calibration("none", np.zeros(0), np.zeros(0), np.zeros(0)) is None
    assert calibration_of(None) is None


def test_one_class_is_refused() -> None:
    with pytest.raises(ModelError, match="3 held-out rows of one class"):
        fit_calibration("platt", np.array([0.4, 0.5, 0.6]), np.ones(3), np.ones(3))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"method": "platt", "slope": -1.0, "intercept": 0.0},
        {"method": "isotonic", "scores": [0.5, 0.4], "probabilities": [0.1, 0.2]},
        {"method": "isotonic", "scores": [0.4, 0.5], "probabilities": [0.2, 0.1]},
        {"method": "isotonic", "scores": [], "probabilities": []},
        {"method": "temperature", "slope": 1.0, "intercept": 0.0},
    ],
)
def test_what_is_no_calibration_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="a calibration of"):
        calibration_of(content)


def test_log_odds_and_their_inverse() -> None:
    p = np.array([EXTREME, 0.2, 0.5, 0.9, 1 - EXTREME])
    assert log_odds(p) == pytest.approx(logit(p))
    assert sigmoid(log_odds(p)) == pytest.approx(p)
    assert log_odds(np.array([0.0, 1.0])) == pytest.approx(logit([EXTREME, 1 - EXTREME]))
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]
