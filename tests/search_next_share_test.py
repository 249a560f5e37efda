"""Guesses of the share at a limit, where the loss at each share is known."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_basisprune.search.next_share import NextShare
from keras_basisprune.search.smallest_share import smallest_share

SHARES = (0.95, 0.85, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05)
TABLE = [(share, 0.01 / share**2) for share in SHARES]  # a line of logarithms


def guess(tried=(), low=0.01, high=1.0, table=TABLE, before=0.95, least=0.93):
    return NextShare(table, before, least)(low, high, dict(tried))


def test_by_hand():
    # At first, a loss of 0.25 a nat: 0.02 / 0.25 = 0.01 / share^2.
    first = math.sqrt(0.01 * 0.25 / 0.02)
    assert guess() == pytest.approx(first)
    # Half of the budget is lost: twice the loss is sought, and 15 % in its logarithm
    # beyond, so that the limit lies between.
    good = {0.4: 0.94}
    assert guess(good) == pytest.approx(0.4 / math.sqrt(2 * math.exp(0.15)))
    # Twice the budget, and NaN, which says nothing.
    bad = {0.2: 0.91, 0.1: math.nan}
    assert guess(bad) == pytest.approx(0.2 * math.sqrt(2 * math.exp(0.15)))
    # On both sides: lost are 0.01 and 0.04, so the limit is halfway in logarithms.
    assert guess(good | bad) == pytest.approx(math.sqrt(0.4 * 0.2))
    # 0.01 and 0.0201: nearly all of the way, but three quarters at most.
    near = good | {0.2: 0.9299}
    assert guess(near) == pytest.approx(math.sqrt(0.4 * 0.2) * 0.5**0.25)


def test_no_guess_is_close_to_an_end_or_beyond():
    for low, high, room in ((0.3, 0.5, math.exp(0.05)), (0.3, 0.33, 1.1**0.1)):
        for tried in ({}, {high: 0.95}, {low: 0.1}, {high: 0.99}):
            found = guess(tried, low, high)
            assert low * room * 0.9999 <= found <= high / room * 1.0001
        assert guess({high: 0.95}, low, high) == pytest.approx(low * room)
        assert guess({low: 0.1}, low, high) == pytest.approx(high / room)


def test_after_three_on_one_side_the_range_is_halved():
    tried = {0.5: 0.95, 0.4: 0.949, 0.3: 0.948}
    assert guess(tried, 0.01, 0.3) == pytest.approx(math.sqrt(0.01 * 0.3))


def test_a_table_that_says_nothing_does_no_harm():
    for table in ([(0.9, 0.0), (0.1, 0.0)], [(0.1, 3.0), (0.9, 5.0)]):
        for tried in ({}, {0.3: 0.94}, {0.3: 0.9}, {0.3: 0.9, 0.5: 0.94}):
            assert 0.01 < guess(tried, table=table) < 1.0


@hypothesis.settings(deadline=None)
@hypothesis.given(st.floats(0.5, 2.0), st.floats(0.02, 1.0), st.floats(0.005, 0.1))
def test_the_edge_is_found_with_fewer_shares(power, size, budget):
    """Scores fall as any power of the prediction."""
    asked = []

    def attempt(share, way):
        asked.append(share)
        return 1 - size * (0.01 * (share**-2 - 1)) ** power

    table = [(share, 0.01 * (share**-2 - 1)) for share in SHARES]
    edge = (1 + 100 * (budget / size) ** (1 / power)) ** -0.5
    hypothesis.assume(edge > 0.02)
    tools = NextShare(table, 1.0, 1 - budget)
    found = smallest_share(attempt, 1 - budget, ["way"], 7, 0.01, tools)
    if found is None:
        assert edge > 0.9
        return
    share, way = found
    assert attempt(share, way) >= 1 - budget
    assert edge <= share <= edge * 1.2
    assert len(asked) <= 8


def test_on_average_two_shares_of_seven_are_saved():
    rng, counts, factors = np.random.default_rng(0), [], []
    table = [(share, 0.01 * (share**-2 - 1)) for share in SHARES]
    for _ in range(200):
        power, size = rng.uniform(0.7, 1.5), 0.15 * math.exp(rng.normal())
        budget, asked = 0.01, []

        def attempt(share, way, power=power, size=size, asked=asked):
            asked.append(share)
            return 1 - size * (0.01 * (share**-2 - 1)) ** power

        edge = (1 + 100 * (budget / size) ** (1 / power)) ** -0.5
        tools = NextShare(table, 1.0, 1 - budget)
        found = smallest_share(attempt, 1 - budget, ["way"], 7, 0.01, tools)
        counts.append(len(asked))
        factors.append(found[0] / edge)
    assert np.mean(counts) < 5
    assert np.mean(factors) < 1.03


def test_other_ways_are_tried_in_the_end_if_not_before():
    """The first share fails in the first way, and all others are good."""
    edges = {"a": 0.1001, "b": 0.02}
    asked = []

    def attempt(share, way):
        asked.append((share, way))
        return 0.9 + 0.1 * (share - edges[way])

    def guess(low, high, tried):
        return low * (high / low) ** (0.25 if tried else 0.5)

    found = smallest_share(attempt, 0.9, "ab", 7, 0.01, guess)
    ends = [0.1, 10**-0.75, 10 ** (-1 + 1 / 16), 10 ** (-1 + 1 / 64)]
    shares = [share for share, way in asked if way == "a"]
    np.testing.assert_allclose(shares[:4], ends)
    assert asked[len(shares)] == (pytest.approx(0.1), "b")
    assert [way for _, way in asked[len(shares) :]] == ["b"] * 3
    low = 0.01 * 10**0.25  # this fails, and a quarter of what is left is good
    assert found == asked[-1] == (pytest.approx(low * (0.1 / low) ** 0.25), "b")


def test_guesses_are_rounded_to_quarters_of_the_range():
    asked = []

    def attempt(share, way):
        asked.append(share)
        return 0.0

    guesses = iter([0.012, 0.05, 0.99])
    smallest_share(attempt, 0.9, ["way"], 3, 0.01, lambda *_: next(guesses))
    first = 0.01 * 100**0.25  # not the lower end
    second = first * (1 / first) ** 0.25  # 0.05 lies at 0.13 of the range
    np.testing.assert_allclose(asked, [first, second, second ** (0.25)], rtol=1e-6)
