import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_basisprune import Limits, Plan
from keras_basisprune.plans import Kept
from keras_basisprune.plans.above_threshold import above_threshold

SEEDED = settings(derandomize=True, deadline=None, max_examples=100)
SCORES = {
    "a": np.array([0.5, 1.0, 0.05, 0.0]),
    "b": np.array([0.02, 0.2]),
}


def indices(plan):
    return {name: kept.indices for name, kept in plan.bases.items()}


@pytest.mark.parametrize(
    ("threshold", "a", "b"),
    [
        (0.0, (0, 1, 2), (0, 1)),  # 0 is masked, and stays so
        (0.05, (0, 1, 2), (0, 1)),  # what equals the threshold stays
        (0.11, (0, 1), (1,)),
        (0.5, (0, 1), (1,)),
        (0.51, (1,), (1,)),
        (1.0, (1,), (1,)),
        (7.0, (1,), (1,)),
    ],
)
def test_local_threshold(threshold, a, b):
    plan = above_threshold(SCORES, threshold=threshold)
    assert plan == Plan(bases={"a": Kept(a, 4), "b": Kept(b, 2)})


@pytest.mark.parametrize(
    ("threshold", "a", "b"),
    [
        (0.02, (0, 1, 2), (0, 1)),
        (0.03, (0, 1, 2), (1,)),
        (0.1, (0, 1), (1,)),
        (0.3, (0, 1), (1,)),  # `b` keeps one
        (1.0, (1,), (1,)),
    ],
)
def test_global_threshold(threshold, a, b):
    plan = above_threshold(SCORES, threshold=threshold, scope="global")
    assert indices(plan) == {"a": a, "b": b}


@pytest.mark.parametrize(
    ("ratio", "a", "b"),
    [
        (0.0, (0, 1, 2), (0, 1)),
        (0.25, (0, 1, 2), (0, 1)),  # the one that is masked already
        (0.49, (0, 1, 2), (0, 1)),
        (0.5, (0, 1), (1,)),
        (0.75, (1,), (1,)),
        (0.999, (1,), (1,)),
    ],
)
def test_local_ratio(ratio, a, b):
    assert indices(above_threshold(SCORES, ratio=ratio)) == {"a": a, "b": b}


@pytest.mark.parametrize(
    ("ratio", "a", "b"),
    [
        (1 / 6, (0, 1, 2), (0, 1)),
        (2 / 6, (0, 1, 2), (1,)),
        (3 / 6, (0, 1), (1,)),
        (5 / 6, (1,), (1,)),
    ],
)
def test_global_ratio(ratio, a, b):
    plan = above_threshold(SCORES, ratio=ratio, scope="global")
    assert indices(plan) == {"a": a, "b": b}


def test_a_ratio_is_exact_in_floating_point():
    scores = {"a": np.arange(1.0, 11.0)}
    for removed in range(10):
        plan = above_threshold(scores, ratio=removed / 10)
        assert len(plan.bases["a"].indices) == 10 - removed


def test_equal_scores_share_their_fate():
    assert indices(above_threshold({"a": [1.0, 1.0, 2.0]}, ratio=0.5)) == {
        "a": (0, 1, 2)
    }
    assert indices(above_threshold({"a": [1.0, 1.0, 2.0]}, ratio=0.7)) == {"a": (2,)}


def test_costs_divide_global_scores():
    scores = {"cheap": np.array([1.0, 0.3]), "dear": np.array([1.0, 0.9])}
    costs = {"cheap": 1.0, "dear": 9.0}  # per cost: 1, 0.3 and 0.111, 0.1
    given = {"scope": "global", "costs": costs}
    assert indices(above_threshold(scores, threshold=0.11, **given)) == {
        "cheap": (0, 1),
        "dear": (0,),
    }
    assert indices(above_threshold(scores, ratio=0.25, **given)) == {
        "cheap": (0, 1),
        "dear": (0,),
    }
    assert indices(above_threshold(scores, ratio=0.25, scope="global")) == {
        "cheap": (0,),
        "dear": (0, 1),
    }


def test_costs_do_not_matter_locally_nor_when_equal():
    costs = {"a": 3.0, "b": 3.0}
    local = {"costs": {"a": 1.0, "b": 100.0}}
    for threshold in (0.02, 0.1, 0.5):
        assert above_threshold(SCORES, threshold, **local) == above_threshold(
            SCORES, threshold
        )
        assert above_threshold(
            SCORES, threshold, scope="global", costs=costs
        ) == above_threshold(SCORES, threshold, scope="global")


@pytest.mark.parametrize(
    ("min_kept", "a", "b"),
    [
        (1, (1,), (1,)),
        (2, (0, 1), (0, 1)),
        (3, (0, 1, 2), (0, 1)),
        (4, (0, 1, 2, 3), (0, 1)),  # demanded: even what is masked
        (9, (0, 1, 2, 3), (0, 1)),
    ],
)
def test_min_kept(min_kept, a, b):
    for scope in ("local", "global"):
        plan = above_threshold(
            SCORES, 1.0, scope=scope, limits=Limits(min_kept=min_kept)
        )
        assert indices(plan) == {"a": a, "b": b}


@pytest.mark.parametrize(
    ("round_to", "kept"), [(1, 3), (2, 4), (3, 3), (4, 4), (5, 5), (8, 7)]
)
def test_round_to(round_to, kept):
    scores = {"a": np.array([7.0, 6, 5, 4, 3, 2, 1])}
    plan = above_threshold(scores, 5 / 7, limits=Limits(round_to=round_to))
    assert indices(plan) == {"a": tuple(range(kept))}


def test_a_layer_without_any_score_keeps_the_first():
    plan = above_threshold({"a": np.zeros(3), "b": np.ones(2)}, 0.5, scope="global")
    assert indices(plan) == {"a": (0,), "b": (0, 1)}


def test_given_scores_do_not_change():
    scores = {"a": np.array([0.1, 1.0], np.float32), "b": [1, 2]}
    above_threshold(scores, 0.5, scope="global", costs={"a": 1, "b": 2})
    np.testing.assert_array_equal(scores["a"], np.array([0.1, 1.0], np.float32))
    assert scores["b"] == [1, 2]


VALUES = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
LAYERS = st.dictionaries(
    st.sampled_from("abcd"), st.lists(VALUES, min_size=1, max_size=12), min_size=1
)
LIMITS = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(["local", "global"]),
        "costs": st.one_of(
            st.none(), st.fixed_dictionaries({x: st.floats(1, 1e6) for x in "abcd"})
        ),
        "limits": st.builds(
            Limits,
            min_kept=st.integers(1, 6),
            round_to=st.integers(1, 6),
            max_removed=st.sampled_from([1.0, 1.0, 0.5]),
        ),
    }
)
AIM = st.one_of(
    st.fixed_dictionaries({"threshold": st.floats(0, 2)}),
    st.fixed_dictionaries({"ratio": st.floats(0, 0.999)}),
)


@SEEDED
@given(LAYERS, AIM, LIMITS)
def test_limits_always_hold(scores, aim, given):
    limits = given["limits"]
    for name, kept in above_threshold(scores, **aim, **given).bases.items():
        size, count = len(scores[name]), len(kept.indices)
        assert kept.total == size
        least = limits.least(size)
        assert count >= max(min(limits.min_kept, size), (1 - limits.max_removed) * size)
        assert count == size or count % limits.round_to == 0
        demanded = -(-least // limits.round_to) * limits.round_to
        alive = np.count_nonzero(scores[name])
        rounded = -(-alive // limits.round_to) * limits.round_to
        if any(scores[name][i] == 0 for i in kept.indices):
            assert count <= max(demanded, rounded)
        out = set(range(size)) - set(kept.indices)
        lowest = min(scores[name][i] for i in kept.indices)
        assert all(scores[name][i] <= lowest for i in out)


@SEEDED
@given(LAYERS, LIMITS, st.floats(0, 2), st.floats(0, 2))
def test_a_higher_threshold_never_keeps_more(scores, given, one, two):
    low, high = sorted((one, two))
    more, less = (above_threshold(scores, t, **given).bases for t in (low, high))
    assert all(set(less[x].indices) <= set(more[x].indices) for x in scores)


@SEEDED
@given(LAYERS, LIMITS, st.floats(0, 0.999), st.floats(0, 0.999))
def test_a_higher_ratio_never_keeps_more(scores, given, one, two):
    low, high = sorted((one, two))
    more, less = (above_threshold(scores, ratio=r, **given).bases for r in (low, high))
    assert all(set(less[x].indices) <= set(more[x].indices) for x in scores)


@SEEDED
@given(LAYERS, AIM)
def test_masked_never_comes_back(scores, aim):
    for name, kept in above_threshold(scores, **aim).bases.items():
        zero = [i for i in kept.indices if scores[name][i] == 0]
        assert not zero or (not any(scores[name]) and kept.indices == (0,))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"threshold": -0.1}, "Expected `threshold` to be a finite number >= 0"),
        ({"threshold": float("nan")}, "Expected `threshold` .* threshold=nan"),
        ({"threshold": float("inf")}, "Expected `threshold` .* threshold=inf"),
        ({"ratio": 1.0}, r"Expected `ratio` to be in \[0, 1\).* ratio=1.0"),
        ({"ratio": -0.1}, "Expected `ratio`"),
    ],
)
def test_refuses_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        above_threshold(SCORES, **arguments)


@pytest.mark.parametrize(
    "values", [[np.nan, 1.0], [-0.1, 1.0], [np.inf, 1.0], [[1.0]], [], 1.0]
)
def test_refuses_scores(values):
    with pytest.raises(ValueError, match="Expected `scores` to hold .* for `a`"):
        above_threshold({"a": values}, threshold=0.1)


def test_refuses_no_scores():
    with pytest.raises(ValueError, match="Expected `scores` to name a layer"):
        above_threshold({}, threshold=0.1)


@pytest.mark.parametrize("costs", [{"a": 1.0}, {"a": 1.0, "b": 0.0}, {}])
def test_refuses_costs(costs):
    with pytest.raises(ValueError, match="Expected `costs` to give every layer"):
        above_threshold(SCORES, 0.1, scope="global", costs=costs)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"min_kept": 0}, "Expected `min_kept` to be a positive .* min_kept=0"),
        ({"min_kept": 1.5}, "Expected `min_kept`"),
        ({"max_removed": 0}, r"Expected `max_removed` to be a float in \(0, 1\].*=0"),
        ({"max_removed": 1.1}, "Expected `max_removed`"),
        ({"exclude": 3}, "Expected `exclude` to hold names, regular expressions"),
        ({"round_to": 0}, "Expected `round_to` to be a positive .* round_to=0"),
        ({"round_to": "8"}, "Expected `round_to`"),
    ],
)
def test_limits_refuse(arguments, text):
    with pytest.raises(ValueError, match=text):
        Limits(**arguments)
