"""The bisection over shares, with score functions of which the edge is known."""

import itertools
import math

import hypothesis
import pytest
from hypothesis import strategies as st

from keras_basisprune.search.smallest_share import smallest_share

LEAST = 0.9


class Attempts:
    """Scores of ways with known edges: good enough from the edge upwards.

    Below its `possible` share a way can't be gone at all.
    """

    def __init__(self, edges, possible=None, slopes=None):
        self.edges = edges
        self.possible = possible or dict.fromkeys(edges, 0.0)
        self.slopes = slopes or dict.fromkeys(edges, 0.1)
        self.asked = []

    def __call__(self, share, way):
        self.asked.append((share, way))
        return self.score(share, way)

    def score(self, share, way):
        if share < self.possible[way]:
            return math.nan
        return LEAST + self.slopes[way] * (share - self.edges[way])

    @property
    def failed(self):
        """The shares at which no way that was tried was good enough."""
        best = {}
        for share, way in self.asked:
            good = self.score(share, way) >= LEAST
            best[share] = best.get(share, False) or good
        return [share for share, good in best.items() if not good]


shares = st.floats(0.0, 1.5)


@st.composite
def attempts(draw, most=3):
    ways = "abc"[: draw(st.integers(1, most))]

    def drawn(values):
        return {way: draw(values) for way in ways}

    return Attempts(drawn(shares), drawn(shares), drawn(st.floats(0.01, 1.0)))


trials = st.integers(1, 9)
lowest = st.floats(0.001, 0.5)


@hypothesis.given(attempts(), trials, lowest)
def test_what_is_found_is_good_enough_and_as_small_as_promised(attempt, number, low):
    found = smallest_share(attempt, LEAST, list(attempt.edges), number, low)
    shares = list(dict.fromkeys(share for share, _ in attempt.asked))
    contested = [x for x in shares if sum(y == x for y, _ in attempt.asked) > 1]
    left = number - shares.index(contested[0]) - 1 if contested else number
    factor = low ** -(0.5**left) * (1 + 1e-9)  # it may begin anew with what is left
    share, way = 1.0, None
    if found is not None:
        share, way = found
        assert attempt.score(share, way) >= LEAST
        assert (share, way) in attempt.asked
        smaller = [x for x in attempt.asked if x[0] < share]
        assert not any(attempt.score(*x) >= LEAST for x in smaller)
    failed = [x for x, y in attempt.asked if y == way and attempt.score(x, y) < LEAST]
    failed = [x for x in failed or attempt.failed if x < share]
    below = max(failed, default=low)
    assert share <= below * factor
    assert len(attempt.asked) <= number + len(attempt.edges) - 1
    assert len(shares) == number
    assert len(set(attempt.asked)) == len(attempt.asked)
    assert all(low < x < 1 for x, _ in attempt.asked)


@hypothesis.given(attempts(most=1), trials, lowest)
def test_one_way_is_found_to_within_the_factor_of_its_edge(attempt, number, low):
    edge = max(low, attempt.edges["a"], attempt.possible["a"])
    factor = low ** -(0.5**number) * (1 + 1e-9)
    found = smallest_share(attempt, LEAST, "a", number, low)
    if found is None:
        assert edge * factor > 1
    else:
        assert edge <= found[0] * (1 + 1e-9)
        assert found[0] <= edge * factor


@hypothesis.given(attempts(), trials, lowest)
def test_the_way_that_it_ends_with_is_the_best_at_the_share_of_the_switch(
    attempt, number, low
):
    smallest_share(attempt, LEAST, list(attempt.edges), number, low)
    groups = [
        (share, [way for _, way in group])
        for share, group in itertools.groupby(attempt.asked, key=lambda x: x[0])
    ]
    contests = [at for at, (_, ways) in enumerate(groups) if len(ways) > 1]
    assert len(contests) <= 1
    if not contests:
        assert {way for _, way in attempt.asked} == {"a"}
        return
    (at,) = contests
    share, ways = groups[at]
    assert ways == list(attempt.edges)
    first = attempt.score(share, "a")
    assert math.isnan(first) or (first < LEAST and at >= 2)
    assert all(before == ["a"] for _, before in groups[:at])
    after = {way for _, (way,) in groups[at + 1 :]}
    scores = {way: attempt.score(share, way) for way in ways}
    known = {way: score for way, score in scores.items() if not math.isnan(score)}
    if after and known:
        (way,) = after
        assert scores[way] == max(known.values())
    elif after:
        assert after == {"a"}


def test_by_hand():
    attempt = Attempts({"a": 0.4, "b": 0.3, "c": 0.05})
    found = smallest_share(attempt, LEAST, "abc", trials=4, lowest=0.01)
    # Exponents of ten: -1 fails, -0.5 fails, -0.25 is good, -0.375 is good.
    assert found == (pytest.approx(10**-0.375), "a")
    assert [way for _, way in attempt.asked] == ["a"] * 4
    # One more, -0.4375 (0.365): it fails in the first way, and c is best there. From
    # there to -2, -1.21875 is the middle.
    found = smallest_share(attempt, LEAST, "abc", trials=6, lowest=0.01)
    assert found == (pytest.approx(10**-1.21875), "c")
    ways = [way for _, way in attempt.asked[4:]]
    assert ways == ["a", "a", "a", "a", "a", "b", "c", "c"]


def test_what_can_not_be_done_is_tried_in_other_ways_at_once():
    edges = {"a": 0.0, "b": 0.02, "c": 0.5}
    attempt = Attempts(edges, possible={"a": 2.0, "b": 0.0, "c": 0.0})
    share, way = smallest_share(attempt, LEAST, "abc", trials=7, lowest=0.01)
    assert way == "b"
    assert 0.02 <= share <= 0.02 * 0.01 ** -(0.5**7)
    assert [way for _, way in attempt.asked] == ["a", "b", "c"] + ["b"] * 6


def test_nothing_is_good_enough():
    attempt = Attempts({"a": 2.0, "b": 3.0})
    assert smallest_share(attempt, LEAST, "ab", trials=7) is None
    assert len(attempt.asked) == 8
    assert [way for _, way in attempt.asked[-3:]] == ["a"] * 3


def test_nothing_can_be_done():
    nowhere = {"a": 2.0, "b": 2.0}
    attempt = Attempts(dict.fromkeys("ab", 0.0), possible=nowhere)
    assert smallest_share(attempt, LEAST, "ab", trials=5) is None
    assert [way for _, way in attempt.asked] == ["a", "b", "a", "a", "a", "a"]


def test_a_score_just_good_enough_counts():
    asked = []

    def attempt(share, way):
        asked.append(share)
        return LEAST

    share, way = smallest_share(attempt, LEAST, ["only"], trials=7, lowest=0.01)
    assert way == "only"
    assert share == pytest.approx(0.01 ** (1 - 0.5**7))
    assert asked == sorted(asked, reverse=True)
