"""convert with `keep`: ranks and bases in one call."""

import keras
import numpy as np
import pytest
from keras import layers
from models import KINDS, conv_block, outputs, randomize, relative_difference, sample

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace
from keras_basisprune.utils.cannot_reach import CannotReach

IMAGES = np.random.default_rng(0).random((30, 10, 10, 3), dtype="float32")


@pytest.fixture(scope="module")
def model():
    x = inputs = keras.Input((10, 10, 3))
    for name, width in (("one", 16), ("two", 24), ("three", 24)):
        x = conv_block(x, width, name)
    x = layers.SeparableConv2D(20, 3, activation="relu", name="split")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(4, name="head")(x)))


def same(one, other):
    assert [layer.name for layer in one.layers] == [x.name for x in other.layers]
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cost", ["flops", "params", "bases"])
@pytest.mark.parametrize("keep", [0.7, 0.4])
def test_one_call_does_what_three_did(model, keep, cost):
    before = model.get_weights()
    one = kbp.convert(model, keep=keep, cost=cost, data=IMAGES, verbose=0)
    whole = kbp.convert(model, data=IMAGES, verbose=0)
    plan = kbp.select_bases(whole, keep=keep, cost=cost)
    same(one, kbp.convert(model, plan, basis="regression", data=IMAGES, verbose=0))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    if cost != "bases":
        costs = [getattr(kbp.measure.cost(m), cost) for m in (kbp.fold(one), model)]
        assert keep - 0.1 < costs[0] / costs[1] <= keep * 1.01


@pytest.mark.parametrize("cost", ["flops", "params"])
def test_without_data_it_is_the_svd_of_the_weights(model, cost):
    one = kbp.convert(model, keep=0.5, cost=cost, l1=1e-3)
    whole = kbp.convert(model, l1=1e-3)
    plan = kbp.select_bases(whole, keep=0.5, cost=cost)
    same(one, kbp.convert(model, plan, l1=1e-3))
    pruned = kbp.prune(whole, plan)
    found = [outputs(m, [IMAGES])[0] for m in (one, pruned)]
    assert relative_difference(*found) < 1e-5
    costs = [getattr(kbp.measure.cost(m), cost) for m in (kbp.fold(one), model)]
    assert costs[0] <= 0.5 * costs[1]


def test_activations_if_they_are_asked_for(model):
    one = kbp.convert(model, keep=0.5, basis="activations", data=IMAGES, verbose=0)
    whole = kbp.convert(model, data=IMAGES, verbose=0)
    plan = kbp.select_bases(whole, keep=0.5)
    same(one, kbp.convert(model, plan, data=IMAGES, verbose=0))


def test_data_makes_it_better(model):
    wanted = model.predict(IMAGES, verbose=0)
    errors = [
        np.abs(kbp.convert(model, **given)(IMAGES) - wanted).mean()
        for given in (
            {"keep": 0.35, "data": IMAGES, "verbose": 0},
            {"keep": 0.35, "basis": "activations", "data": IMAGES, "verbose": 0},
            {"keep": 0.35},
        )
    ]
    assert errors == sorted(errors)


@pytest.mark.parametrize("kind", ["shared", "nested", "channels_first", "conv1d"])
def test_other_kinds_of_models(kind):
    model = randomize(KINDS[kind]())
    data = sample(model, batch=20)
    one = kbp.convert(model, keep=0.7, data=data, verbose=0)
    whole = kbp.convert(model, data=data, verbose=0)
    plan = kbp.select_bases(whole, keep=0.7)
    same(one, kbp.convert(model, plan, basis="regression", data=data, verbose=0))


def test_what_is_left_out_and_limits(model):
    limits = kbp.Limits(round_to=4, min_kept=8, exclude="three")
    given = {"exclude": "one", "data": IMAGES, "verbose": 0}
    one = kbp.convert(model, keep=0.8, limits=limits, **given)
    ranks = {name: pair.rank for name, pair in basis_pairs(trace(one)).items()}
    assert ranks.keys() == {"two", "three", "split"}
    assert ranks["three"] == 24
    assert all(rank >= 8 and rank % 4 == 0 for rank in ranks.values())
    assert kbp.measure.cost(kbp.fold(one)).flops <= 0.8 * kbp.measure.cost(model).flops


def test_data_is_read_once(model):
    reads = []

    class Once(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            reads.append(index)
            return IMAGES

    one = kbp.convert(model, keep=0.5, data=Once(), verbose=0)
    assert reads == [0]
    same(one, kbp.convert(model, keep=0.5, data=IMAGES, verbose=0))
    batches = iter([IMAGES])  # that can't be read twice
    same(one, kbp.convert(model, keep=0.5, data=batches, verbose=0))


def never():
    raise AssertionError("data was read")
    yield


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"rank": 4, "keep": 0.5},
            "one of `rank` and `keep`. Received: rank=4, keep",
        ),
        ({"rank": kbp.Plan(), "keep": 0.5}, "one of `rank` and `keep`"),
        ({"keep": 0}, r"`keep` to be a float in \(0, 1\].*keep=0"),
        ({"keep": 1.5}, "`keep` to be a float.*keep=1.5"),
        ({"keep": 0.5, "cost": "bytes"}, "`cost` to be .*'bytes'.*LatencyTable"),
        ({"keep": 0.5, "limits": 8}, "`limits` to be a .*Limits.*limits=8"),
        ({"limits": kbp.Limits(round_to=8)}, "`limits` together with `keep`"),
        ({"keep": 0.5, "basis": "weights"}, "and none for 'weights'"),
        ({"keep": 0.5, "exclude": "nowhere"}, "`exclude` to match the name of a layer"),
    ],
)
def test_what_is_refused_before_data_is_read(model, given, message):
    with pytest.raises(ValueError, match=message):
        kbp.convert(model, data=never(), verbose=0, **given)


def test_what_can_not_be_reached(model):
    for given in ({}, {"data": IMAGES}):
        with pytest.raises(CannotReach, match="`keep` to be a share of the flops that"):
            kbp.convert(model, keep=0.01, verbose=0, **given)
    with pytest.raises(ValueError, match="`data` for the bases 'activations' and"):
        kbp.convert(model, keep=0.5, basis="regression")


def test_sizes_that_are_unknown():
    x = inputs = keras.Input((None, None, 3))
    for name in "ab":
        x = layers.Conv2D(8, 3, padding="same", name=name)(x)
    model = randomize(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(ValueError, match="fixed input size for `cost='flops'`"):
        kbp.convert(model, keep=0.5)
    small = kbp.fold(kbp.convert(model, keep=0.5, cost="params"))
    assert (
        kbp.measure.cost(small, input_shape=(10, 10, 3)).params
        <= 0.5 * model.count_params()
    )
