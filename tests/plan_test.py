import copy
import dataclasses
import json
import pickle

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_basisprune import BasisScalingConv, Plan, convert, prune
from keras_basisprune.plans import Kept

SEEDED = settings(derandomize=True, deadline=None, max_examples=100)


@st.composite
def kept(draw):
    total = draw(st.integers(1, 40))
    indices = draw(st.sets(st.integers(0, total - 1), min_size=1))
    return Kept(tuple(sorted(indices)), total)


PLANS = st.builds(
    Plan,
    bases=st.dictionaries(st.text(max_size=8), kept(), max_size=4),
    channels=st.dictionaries(st.text(max_size=8), kept(), max_size=4),
)


@SEEDED
@given(PLANS)
def test_json_round_trip(plan):
    text = plan.to_json()
    again = Plan.from_json(text)
    assert again == plan
    assert hash(again) == hash(plan)
    assert again.to_json() == text


@SEEDED
@given(PLANS, PLANS)
def test_equal_plans_are_those_with_equal_parts(a, b):
    same = dict(a.bases) == dict(b.bases) and dict(a.channels) == dict(b.channels)
    assert (a == b) is same
    assert (a.to_json() == b.to_json()) is same


def test_json_is_readable():
    plan = Plan(bases={"conv": Kept((0, 2), 4)})
    assert json.loads(plan.to_json()) == {
        "version": 1,
        "bases": {"conv": {"indices": [0, 2], "total": 4}},
        "channels": {},
    }


def test_order_of_layers_does_not_matter():
    a, b = Kept((0,), 2), Kept((1,), 3)
    assert Plan(bases={"a": a, "b": b}) == Plan(bases={"b": b, "a": a})
    assert Plan(bases={"a": a, "b": b}).to_json() == Plan({"b": b, "a": a}).to_json()
    assert len({Plan(bases={"a": a, "b": b}), Plan(bases={"b": b, "a": a})}) == 1


def test_bases_and_channels_are_not_the_same():
    part = {"a": Kept((0,), 2)}
    assert Plan(bases=part) != Plan(channels=part)
    assert Plan() != "a plan"


def test_numpy_integers_become_integers():
    plan = Plan(bases={"a": Kept(np.array([0, 3]), np.int64(5))})
    assert plan.bases["a"] == Kept((0, 3), 5)
    assert Plan.from_json(plan.to_json()) == plan


def test_is_frozen():
    given_bases = {"a": Kept((0,), 2)}
    plan = Plan(bases=given_bases)
    with pytest.raises(TypeError, match="does not support item assignment"):
        plan.bases["b"] = Kept((0,), 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.bases = {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.bases["a"].total = 3
    given_bases["b"] = Kept((0,), 2)
    assert list(plan.bases) == ["a"]


def test_can_be_copied_and_pickled():
    plan = Plan(bases={"a": Kept((0, 2), 3)}, channels={"b": Kept((1,), 2)})
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert copy.deepcopy(plan) == plan


@pytest.mark.parametrize(
    ("indices", "total"),
    [
        ((), 4),
        ((1, 0), 4),
        ((1, 1), 4),
        ((-1, 0), 4),
        ((0, 4), 4),
        ((0.5, 1), 4),
        ("01", 4),
        ((0,), 4.0),
        (3, 4),
        ((0,), None),
    ],
)
def test_kept_refuses(indices, total):
    with pytest.raises(ValueError, match="Expected `indices` to be ascending whole"):
        Kept(indices, total)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 1}',
        '{"version": 2, "bases": {}, "channels": {}}',
        '{"version": 1, "bases": [], "channels": {}}',
        '{"version": 1, "bases": {"a": 3}, "channels": {}}',
        '{"version": 1, "bases": {"a": {"indices": [0]}}, "channels": {}}',
        '{"version": 1, "bases": {"a": {"indices": [2], "total": 2}}, "channels": {}}',
        '{"version": 1, "bases": {"a": {"indices": "0", "total": 2}}, "channels": {}}',
        None,
    ],
)
def test_from_json_refuses(text):
    with pytest.raises(ValueError, match="Expected `text` to be a plan written by"):
        Plan.from_json(text)


def converted():
    """Singular values 5, 4, 3, 2, 1 in `wide`, random ones in `narrow`."""
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(5, name="wide"),
            keras.layers.Dense(2, name="narrow"),
        ]
    )
    model.get_layer("wide").kernel.assign(np.diag([5.0, 4, 3, 2, 1]))
    return convert(model, include=keras.layers.Dense)


def test_from_masks_keeps_what_is_not_masked():
    model = converted()
    assert Plan.from_masks(model) == Plan(
        bases={"wide": Kept(range(5), 5), "narrow": Kept((0, 1), 2)}
    )
    model.get_layer("wide_scaling").mask.assign([0, 1, 0, 1, 0])
    assert Plan.from_masks(model).bases["wide"] == Kept((1, 3), 5)
    assert Plan.from_masks(model).bases["narrow"] == Kept((0, 1), 2)


@pytest.mark.parametrize(
    ("round_to", "indices"),
    [
        (1, (1, 3)),
        (2, (1, 3)),
        (3, (0, 1, 3)),  # 5 is the strongest that is masked
        (4, (0, 1, 2, 3)),
        (8, (0, 1, 2, 3, 4)),
        (np.int64(3), (0, 1, 3)),
    ],
)
def test_from_masks_rounds_up(round_to, indices):
    model = converted()
    model.get_layer("wide_scaling").mask.assign([0, 1, 0, 1, 0])
    plan = Plan.from_masks(model, round_to)
    assert plan.bases["wide"].indices == indices
    assert plan.bases["narrow"].indices == (0, 1)


def test_from_masks_weighs_by_scale():
    model = converted()
    model.get_layer("wide_scaling").mask.assign([0, 0, 0, 0, 1])
    model.get_layer("wide_scaling").scale.assign([0.1, -0.2, 2.0, 1.0, 1.0])
    assert Plan.from_masks(model, 2).bases["wide"].indices == (2, 4)
    assert Plan.from_masks(model, 3).bases["wide"].indices == (2, 3, 4)


def test_from_masks_keeps_one_where_all_are_masked():
    model = converted()
    model.get_layer("wide_scaling").mask.assign(np.zeros(5))
    assert Plan.from_masks(model).bases["wide"] == Kept((0,), 5)
    assert Plan.from_masks(model, 2).bases["wide"] == Kept((0, 1), 5)
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    np.testing.assert_allclose(prune(model)(x), model(x), rtol=1e-5, atol=1e-6)


def test_from_masks_sees_nested_models():
    inner = converted()
    inner.get_layer("wide_scaling").mask.assign([1, 0, 0, 0, 1])
    inputs = keras.Input((5,))
    outer = keras.Model(inputs, keras.layers.Dense(1)(inner(inputs)))
    assert Plan.from_masks(outer).bases["wide"].indices == (0, 4)


def test_from_masks_of_an_ordinary_model_is_empty():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    assert Plan.from_masks(model) == Plan()


def test_from_masks_knows_the_layer_by_its_weights():
    inputs = keras.Input((4,))
    basis = keras.layers.Dense(3, use_bias=False)(inputs)
    outputs = BasisScalingConv(2, name="any_scaling")(basis)
    model = keras.Model(inputs, outputs)
    assert Plan.from_masks(model).bases == {"any": Kept((0, 1, 2), 3)}


@pytest.mark.parametrize("round_to", [0, -1, 1.5, None, "8"])
def test_from_masks_refuses(round_to):
    with pytest.raises(ValueError, match="Expected `round_to` to be a positive int"):
        Plan.from_masks(converted(), round_to)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bases": {"a": (0, 1)}}, r"`bases` to map names.*\{'a': \(0, 1\)\}"),
        ({"channels": {3: Kept((0,), 2)}}, r"`channels` to map names.*\{3: Kept"),
        ({"channels": None}, r"`channels` to map names.*None \(of type NoneType\)"),
        ({"bases": [("a", Kept((0,), 2))]}, r"`bases` to map names.*of type list"),
    ],
)
def test_fields_that_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Plan(**fields)
