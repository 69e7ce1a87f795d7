"""Claims that are made again and again spend one budget."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc

from pipelines.gate.budget import Asked, level_of, spent, within_budget
from tests.test_pipelines.test_gate.test_judgement import GATE, GOOD, LEDGER, judge, rule, stream

START = pd.Timestamp("2019-09-01", tz="UTC")
DAY = pd.Timedelta(days=1)


def night(asked, recipe, day, horizons=1):
    """One night's question; what was asked is remembered."""
    identity = f"{recipe} on {day}"
    level = level_of(asked, identity, recipe, START + day * DAY, horizons, GATE)
    if level.number is not None and not any(one.judged_hash == identity for one in asked):
        asked.append(Asked(level.number, identity, recipe, START + day * DAY))
    return level


@given(
    nights=st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abcd")), max_size=80), horizons=st.integers(1, 4)
)
def test_whatever_is_asked_all_horizons_together_never_spend_more_than_the_budget(nights, horizons):
    asked, levels = [], {}
    for day, recipe in sorted(nights):
        level = night(asked, recipe, day, horizons)
        if level.number is not None:
            levels[level.number] = level.error
    assert sorted(levels) == list(range(1, len(levels) + 1))
    assert sum(levels.values()) * horizons <= GATE.error_budget


def test_the_whole_budget_is_there_to_be_spent():
    assert sum(spent(number, GATE) for number in range(1, 100_000)) == pytest.approx(GATE.error_budget, rel=1e-4)


def test_the_same_recipe_waits_for_new_bars_and_another_does_not():
    asked = []
    first = night(asked, "a", 0)
    assert (first.number, first.until) == (1, None)
    waiting = night(asked, "a", 29)
    assert (waiting.number, waiting.until) == (None, START + 30 * DAY)
    assert night(asked, "b", 29).number == 2
    assert night(asked, "a", 30).number == 3
    assert night(asked, "a", 59).until == START + 60 * DAY, "from the last time that it was asked"
    # The same question once more is the same question.
    assert night(asked, "a", 0) == first
    assert len(asked) == 3


def test_waiting_is_refused_in_words_and_spends_nothing():
    recipe = GOOD["horizons"]["1h"]["bundle"]["recipe_sha256"]
    asked = [Asked(4, "before", recipe, pd.Timestamp(GOOD["test"]["last"]) - 3 * DAY)]
    verdict = judge(GOOD, "1h", LEDGER, GATE, None, stream(0.0), asked)
    assert (verdict["verdict"], verdict["number"]) == ("refused", None)
    assert "2019-09-28" in rule(verdict, "error_budget")["reason"]
    other = judge(GOOD, "1h", LEDGER, GATE, None, stream(0.0), [Asked(4, "before", "another", START)])
    assert other["number"] == 5
    assert rule(other, "deflated_sharpe")["threshold"] == pytest.approx(1 - spent(5, GATE))


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_year_of_nights_on_noise_promotes_it_no_more_often_than_the_budget(seed):
    """Nightly claims about one growing, useless stream; asked at a fixed level, noise passes far more often."""
    rng = np.random.default_rng(seed)
    years, found, naive = 300, 0, 0
    for _ in range(years):
        days = rng.normal(size=365 + 400).cumsum()
        asked, passed, any_night = [], False, False
        for day in range(365):
            known = day + 400
            z = (days[known - 1] - (days[known - 401] if known > 400 else 0.0)) / 20.0
            level = night(asked, "a", day)
            p = 0.5 * float(erfc(z / np.sqrt(2)))
            passed |= level.number is not None and p <= level.error
            any_night |= p <= GATE.error_budget
        found, naive = found + passed, naive + any_night
    assert found / years <= GATE.error_budget + 3 * np.sqrt(GATE.error_budget * (1 - GATE.error_budget) / years)
    assert naive / years > 2 * GATE.error_budget


def test_the_rule_says_what_the_question_costs():
    said = within_budget(level_of([], "x", "a", START, 1, GATE), GATE)
    assert said.passed
    assert "Question 1 about this instrument is judged at a level of 0.03" in said.reason
