"""Channel scaling: where scales stand, what trains, what is left, and how it ends."""

import keras
import numpy as np
import pytest
from contract import same_state, state_of
from keras import layers
from models import array, identical, outputs, randomize, relative_difference, sample
from scaled_networks import NETWORKS, dense, inverted, residual, sequence, u_net

import keras_basisprune as kbp
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import ChannelScaling
from keras_basisprune.methods import channel_scaling, channel_scaling_method


def scalings(model):
    """The layers that weigh channels, by the name of what they weigh."""
    found = [part.layer for part in trained_masks(trace(model)).values()]
    assert all(isinstance(layer, ChannelScaling) for layer in found)
    return {layer.weighs[1]: layer for layer in found}


def masked(model, seed=0):
    """Prepared, with scales that are not 1, and half of the channels masked."""
    prepared, rng = channel_scaling(model), np.random.default_rng(seed)
    for layer in scalings(prepared).values():
        count = layer.scale.shape[0]
        layer.scale.assign(rng.uniform(0.5, 1.5, count))
        layer.mask.assign(rng.permutation(count) >= count // 2)
    return prepared


@pytest.mark.parametrize("name", NETWORKS)
def test_masked_pruned_and_folded_agree(name):
    make, weighed, head = NETWORKS[name]
    model = make()
    x, state = sample(model), state_of(model)
    before = outputs(model, x)
    prepared = masked(model)
    assert set(scalings(prepared)) == set(weighed.split())
    trained = {id(weight) for weight in prepared.trainable_weights}
    heads = [prepared.get_layer(name) for name in head.split()]
    weights = [layer.scale for layer in scalings(prepared).values()]
    weights += [weight for layer in heads for weight in layer.weights]
    assert trained == {id(weight) for weight in weights}
    now = outputs(prepared, x)
    assert relative_difference(before, now) > 1e-3
    pruned = kbp.prune(prepared)
    assert relative_difference(now, outputs(pruned, x)) <= 1e-5
    folded = kbp.fold(pruned)
    assert relative_difference(now, outputs(folded, x)) <= 1e-5
    assert not any(isinstance(op, layers.Rescaling) for op in folded.layers)
    assert not scalings(folded)
    for layer in scalings(prepared).values():
        layer.scale.assign(np.ones(layer.scale.shape))
        layer.mask.assign(np.ones(layer.scale.shape))
    assert relative_difference(before, outputs(prepared, x)) <= 1e-6
    assert same_state(state, state_of(model))


def test_a_scale_acts_once_on_each_path_of_a_residual_network():
    """What reads the sum by weights reads it scaled, whatever the number of sums."""
    model = residual()
    prepared, factors = channel_scaling(model), np.linspace(0.5, 2.0, 6)
    layer = scalings(prepared)["stem"]
    layer.scale.assign(factors)
    folded = kbp.fold(prepared, batch_norm=False)
    for name in ("inner1", "inner2", "hidden"):
        expected = array(model.get_layer(name).kernel) * factors[:, None]
        np.testing.assert_allclose(array(folded.get_layer(name).kernel), expected, 1e-6)
    for name in ("stem", "outer1", "outer2", "head"):
        same = array(model.get_layer(name).kernel)
        np.testing.assert_array_equal(array(folded.get_layer(name).kernel), same)
    groups = kbp.graph.channel_groups(model).layers
    np.testing.assert_array_equal(groups["stem"], groups["outer2"])


def test_scales_of_concatenations_are_masked_scored_and_counted_one_by_one():
    model = dense()
    prepared = channel_scaling(model, l1=0.5)
    found = scalings(prepared)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6, 6, 3)).astype("float32"), np.arange(32) % 4
    for layer in found.values():
        layer.scale.assign(rng.uniform(0.2, 1.0, layer.scale.shape))
    total = sum(np.abs(array(layer.scale)).sum() for layer in found.values())
    np.testing.assert_allclose(float(sum(prepared.losses)), 0.5 * total, rtol=1e-6)
    loss = "sparse_categorical_crossentropy"
    assert set(kbp.scores.taylor(prepared, (x, y), loss=loss)) == set(found)
    prepared.compile(keras.optimizers.SGD(1e-4), loss)
    callback = kbp.L1Thresholding(0.99, min_kept=2)
    logs = prepared.fit(x, y, epochs=2, verbose=0, callbacks=[callback]).history
    plan = kbp.Plan.from_masks(prepared)
    kept = sum(len(part.indices) for part in plan.channels.values())
    assert (
        kept == logs["kept_channels"][-1] < sum(p.total for p in plan.channels.values())
    )
    assert min(len(part.indices) for part in plan.channels.values()) == 2
    small = kbp.prune(model, plan)
    for kind in ("params", "flops"):
        left, whole = (getattr(kbp.measure.cost(m), kind) for m in (small, model))
        assert logs[f"{kind}_ratio"][-1] == pytest.approx(left / whole)


def test_scales_stand_behind_the_activation_and_in_front_of_pooling():
    prepared = channel_scaling(u_net())
    made = [op.name for op in prepared.layers]
    assert made.index("down_channel_scaling") == made.index("down_relu") + 1
    depthwise = channel_scaling(inverted())
    source = depthwise.get_layer("wide1_channel_scaling").input
    assert source is depthwise.get_layer("depthwise1_relu").output


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_either_data_format(data_format):
    first = {"data_format": data_format}
    axis = 1 if data_format == "channels_first" else -1
    inputs = keras.Input((3, 6, 6) if axis == 1 else (6, 6, 3))
    x = layers.Conv2D(6, 3, name="a", **first)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(axis)(x))
    x = layers.Conv2D(4, 3, activation="relu", name="b", **first)(x)
    x = layers.GlobalAveragePooling2D(**first)(x)
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    found = scalings(channel_scaling(model))
    assert {layer.data_format for layer in found.values()} == {data_format}
    assert [layer.scale.shape for layer in found.values()] == [(6,), (4,)]


def test_what_is_normalized_across_or_unknown_has_no_scales():
    inputs = keras.Input((9, 9, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="plain")(inputs)
    x = layers.Conv2D(6, 3, name="across")(x)
    x = layers.LayerNormalization()(x)
    x = layers.Conv2D(6, 3, name="hidden")(layers.ReLU()(x))
    x = layers.Lambda(lambda x: x[..., ::-1], output_shape=(None, None, 6))(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    assert set(scalings(channel_scaling(model))) == {"plain"}


def test_nested_and_shared_models_and_frozen_heads():
    inner = sequence()
    a, b = keras.Input((12, 3)), keras.Input((12, 3))
    features = keras.Model(inner.inputs, inner.get_layer("features").output)
    x = layers.Concatenate()([features(a), features(b)])
    frozen = layers.Dense(5, name="frozen", trainable=False)(x)
    model = randomize(keras.Model([a, b], layers.Dense(3, name="head")(frozen)))
    prepared = masked(model)
    x = sample(model)
    trained = [layer.name for layer in prepared.layers if layer.trainable_weights]
    assert trained == ["conv1_channel_scaling", "conv2_channel_scaling", "head"]
    folded = kbp.fold(kbp.prune(prepared))
    now = outputs(prepared, x)
    assert relative_difference(now, outputs(folded, x)) <= 1e-5


MASKS = {"conv1": [1.0, 0.0, 1.0, 1.0, 0.0, 1.0], "conv2": [1.0, 1.0, 0.0, 1.0]}


def trained(threshold=0.2, seed=0, **kwargs):
    """A network whose scales were trained, and the one it was made of."""
    model = sequence()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 12, 3)).astype("float32"), np.arange(32) % 4
    row = channel_scaling_method(threshold=threshold, learning_rate=0.1, **kwargs)
    prepared = row.prepare(model)
    row.train(prepared, (x, y), epochs=4, seed=seed)
    for name, mask in MASKS.items():
        scalings(prepared)[name].mask.assign(mask)
    return model, row, prepared, x


def test_only_scales_and_head_train():
    model, _, prepared, _ = trained()
    for layer in model.layers:
        now = prepared.get_layer(layer.name).get_weights()
        assert identical(layer.get_weights(), now) == (layer.name != "head")
    for layer in scalings(prepared).values():
        assert not np.any(array(layer.scale) == 1.0)


def test_the_seed_decides():
    first, again, other = (scalings(trained(seed=s)[2])["conv1"] for s in (0, 0, 1))
    np.testing.assert_array_equal(array(first.scale), array(again.scale))
    assert not np.array_equal(array(first.scale), array(other.scale))


def test_the_plan_keeps_what_is_not_masked_or_the_largest_scales():
    model, row, prepared, _ = trained()
    plan = row.plan(prepared)
    kept = {
        name: np.isin(np.arange(p.total), p.indices).tolist()
        for name, p in plan.channels.items()
    }
    assert kept == {name: (np.array(mask) > 0).tolist() for name, mask in MASKS.items()}
    for layer, scale in zip(
        scalings(prepared).values(),
        ([0.3, -0.9, 0.1, 0.8, 0.2, 0.7], [0.4, -0.6, 0.5, 0.15]),
        strict=True,
    ):
        layer.mask.assign(np.ones(len(scale)))
        layer.scale.assign(scale)
    plan = row.plan(prepared, keep=0.5, cost="params")
    kept = {name: kept.indices for name, kept in plan.channels.items()}
    assert kept == {"conv1": (1, 3, 5), "conv2": (0, 1, 2)}
    small = row.carry_out(prepared, plan)
    assert small.count_params() <= 0.5 * prepared.count_params()
    assert small.count_params() < model.count_params()


def test_folded_scales_keep_the_function_and_selecting_ones_the_weights():
    model, _, prepared, x = trained()
    plan = kbp.Plan.from_masks(prepared)
    small = {
        scales: channel_scaling_method(scales=scales).carry_out(prepared, plan)
        for scales in ("fold", "select")
    }
    now = outputs(prepared, x)
    assert relative_difference(now, outputs(small["fold"], x)) <= 1e-5
    kept = [plan.channels[name].indices for name in ("conv1", "conv2")]
    same = array(model.get_layer("conv2").kernel)[:, kept[0]][:, :, kept[1]]
    np.testing.assert_array_equal(
        array(small["select"].get_layer("conv2").kernel), same
    )
    factors = scalings(prepared)["conv1"].factors()[list(kept[0])]
    np.testing.assert_allclose(
        array(small["fold"].get_layer("conv2").kernel), same * factors[:, None], 1e-6
    )
    for network in small.values():
        assert not scalings(network)
        assert [x.name for x in network.layers if x.trainable_weights] == ["head"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: keras.Sequential(
                [keras.Input((3,)), layers.Dense(2)], name="plain"
            ),
            "`model` to have convolutions.*'plain', which has no convolution",
        ),
        (
            lambda: keras.Sequential([keras.Input((6, 6, 3)), layers.Conv2D(2, 3)]),
            "`model` to have convolutions whose channels may leave.*none of these",
        ),
        (lambda: channel_scaling(sequence()), "no layers yet that weigh channels"),
        (lambda: "model", "`model` to be a built Functional"),
    ],
)
def test_models_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        channel_scaling(make())


def test_arguments_that_are_refused():
    model = sequence()
    for l1 in (-1.0, np.nan, "1e-4", True):
        with pytest.raises(ValueError, match="`l1` to be a finite number >= 0"):
            channel_scaling(model, l1=l1)
    with pytest.raises(ValueError, match="`scales` to be 'fold' or 'select'"):
        channel_scaling_method(scales="keep")
    for threshold in (1.0, 1.5, -0.1):
        message = r"`threshold` to be a number in \[0, 1\).*no channel of any layer"
        with pytest.raises(ValueError, match=message):
            channel_scaling_method(threshold=threshold)
    with pytest.raises(ValueError, match="`learning_rate` to be a number"):
        channel_scaling_method(learning_rate=0)
    model.get_layer("conv1").kernel.assign(np.full((3, 3, 6), np.nan))
    with pytest.raises(ValueError, match="conv1"):
        channel_scaling(model)
    taken = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(4, 3, name="a"),
            layers.ReLU(name="a_channel_scaling"),
            layers.Conv2D(4, 3, name="b"),
        ]
    )
    with pytest.raises(ValueError, match="'a_channel_scaling'. Rename it"):
        channel_scaling(taken)


@pytest.mark.parametrize("pool", [layers.MaxPooling2D, layers.AveragePooling2D])
def test_strong_l1_ends_at_zero_and_what_is_left_can_be_prepared_again(pool):
    """Scales below zero could not be taken through a maximum, and would stay."""
    x = inputs = keras.Input((8, 8, 3))
    for name in ("a", "b"):
        x = layers.Conv2D(6, 3, padding="same", activation="relu", name=name)(x)
        x = pool(2)(x)
    x = layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(x))
    model = randomize(keras.Model(inputs, x))
    prepared = channel_scaling(model, l1=10.0)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(32, 8, 8, 3)).astype("float32")
    prepared.compile(keras.optimizers.SGD(0.15), "sparse_categorical_crossentropy")
    prepared.fit(images, np.arange(32) % 2, epochs=3, verbose=0)
    found = np.concatenate([array(x.scale) for x in scalings(prepared).values()])
    assert found.min() == 0.0  # steps of 1.5 would have gone through it
    for layer in scalings(prepared).values():
        layer.scale.assign(rng.uniform(0.5, 1.5, layer.scale.shape))
    small = kbp.fold(prepared)
    assert not scalings(small)
    assert (
        relative_difference(outputs(prepared, [images]), outputs(small, [images]))
        <= 1e-5
    )
    again = channel_scaling(small)
    assert set(scalings(again)) == {"a", "b"}
