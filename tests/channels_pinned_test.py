"""Which channels stay, and why; rules of one's own."""

import re

import keras
import numpy as np
import pytest
from channel_oracle import residual
from keras import layers, ops
from models import Doubled, randomize

import keras_basisprune as kbp


def one(x, **kwargs):
    return layers.Conv2D(kwargs.pop("filters", 4), 1, **kwargs)(x)


PINNED = {
    "softmax": (lambda x: layers.Softmax(name="s")(x), "`s` reads across channels"),
    "activation": (
        lambda x: one(x, activation="softmax", name="s"),
        "activation softmax of `s` reads across channels",
    ),
    "activation_layer": (
        lambda x: layers.Activation("softmax", name="s")(x),
        "`s` reads across channels",
    ),
    "masking": (lambda x: layers.Masking(name="m")(x), "`m` reads across channels"),
    "mean": (
        lambda x: ops.mean(x, axis=-1, keepdims=True) * one(x),
        "`mean` reads across channels",
    ),
    "noise_shape": (
        lambda x: layers.Dropout(0.5, (None, 1, 1, 4), name="d")(x),
        "`noise_shape` of `d` counts them",
    ),
    "clip": (lambda x: ops.clip(x, [0.0] * 4, [1.0] * 4), "`clip` has limits for each"),
    "another_axis": (
        lambda x: layers.BatchNormalization(axis=1, name="bn")(x),
        "`bn` normalizes along another axis",
    ),
    "another_format": (
        lambda x: layers.Conv2D(2, 1, data_format="channels_first", name="c")(x),
        "`c` reads across another axis",
    ),
    "pool_another_axis": (
        lambda x: layers.MaxPooling2D(data_format="channels_first", name="p")(x),
        "`p` takes their axis for another",
    ),
    "several_axes": (
        lambda x: layers.LayerNormalization(axis=(1, 2, 3), name="n")(x),
        "`n` has weights for several axes",
    ),
    "taken_apart": (
        lambda x: layers.Reshape((6, 6, 2, 2), name="r")(x),
        "`r` takes their axis apart",
    ),
    "an_index": (
        lambda x: x[..., 0][..., None] * one(x),
        "`get_item` takes them apart",
    ),
    "every_second": (lambda x: x[..., ::2], "`get_item` takes them apart"),
    "parts": (
        lambda x: ops.split(x, 2, axis=-1)[0],
        "`split` parts them",
    ),
    "more_channels": (
        lambda x: ops.pad(x, [[0, 0], [0, 0], [0, 0], [1, 1]]),
        "`pad` adds channels",
    ),
    "with_a_constant": (
        lambda x: ops.concatenate([x, np.ones((1, 6, 6, 1), "float32")], axis=3),
        "`concatenate` joins them with a constant",
    ),
    "lambda": (
        lambda x: layers.Lambda(lambda t: t, name="l")(x),
        "no rule for `l` (of type Lambda)",
    ),
    "the_batch": (
        lambda x: ops.transpose(x, (1, 0, 2, 3)),
        "`transpose` moves the batch axis",
    ),
    "no_axis": (
        lambda x: ops.squeeze(x[:, :1, :1]),
        "`squeeze` does not say its `axis`",
    ),
    "einsum": (
        lambda x: layers.EinsumDense("abcd,cde->abe", (6, 5), name="e")(x),
        "`e` is not like Dense: abcd,cde->abe",
    ),
    "dot": (
        lambda x: layers.Dot(-1, name="dot")([x, one(x)]),
        "no rule for `dot` (of type Dot)",
    ),
    "unlike_axes": (
        lambda x: x + layers.Permute((3, 1, 2))(one(x, filters=6)[:, :, :4]),
        "joins them with another axis",
    ),
}


@pytest.mark.parametrize("name", PINNED)
def test_what_stays_and_why(name):
    make, reason = PINNED[name]
    x = inputs = keras.Input((6, 6, 3))
    x = make(layers.Conv2D(4, 1, name="a")(x))
    x = layers.Dense(2)(layers.Flatten()(x)) if name != "the_batch" else x
    groups = kbp.graph.channel_groups(keras.Model(inputs, x))
    assert not groups.prunable("a").any() or name == "activation"
    # Operations are numbered through the session.
    reasons = {re.sub(r"_\d+`", "`", why) for why in groups.pinned.values()}
    assert any(reason in why for why in reasons), reasons


def test_one_channel_that_is_spread_stays():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="a")(x)
    x = x * layers.Conv2D(1, 1, activation="sigmoid", name="gate")(x)
    groups = kbp.graph.channel_groups(keras.Model(inputs, layers.Dense(2)(x)))
    assert groups.prunable("a").all() and not groups.prunable("gate").any()
    assert any("spreads one channel over many" in r for r in groups.pinned.values())


def test_bases_leave_by_the_plan_of_bases():
    groups = kbp.graph.channel_groups(kbp.convert(residual()))
    assert groups.prunable("a_scaling").all()
    assert not groups.prunable("a_basis").any()
    reason = "bases of `a_scaling`: they leave by `Plan.bases`"
    assert reason in groups.pinned.values()


def test_statistics_that_were_measured_stay():
    x = inputs = keras.Input((6, 6, 3))
    norm = layers.Normalization(name="norm")
    x = norm(layers.Conv2D(4, 1, name="a")(x))
    groups = kbp.graph.channel_groups(keras.Model(inputs, layers.Dense(2)(x)))
    assert not groups.prunable("a").any()
    assert "`norm` has measured their statistics" in groups.pinned.values()


def test_a_layer_that_is_called_on_unlike_inputs():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="a")(x)
    dense = layers.Dense(5, name="dense")
    y = dense(x) * dense(layers.GlobalMaxPooling2D()(x))[:, None, None]
    groups = kbp.graph.channel_groups(keras.Model(inputs, layers.Conv2D(2, 1)(y)))
    assert not groups.prunable("a").any() and not groups.prunable("dense").any()
    assert "`dense` is called on unlike inputs" in groups.pinned.values()


def custom(layer):
    x = inputs = keras.Input((6, 6, 3))
    x = layer(layers.Conv2D(4, 1, name="a")(x))
    x = layers.Conv2D(4, 1, name="b")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


def test_a_layer_without_a_rule_stays_and_is_named():
    groups = kbp.graph.channel_groups(custom(Doubled(5, name="doubled")))
    reason = "no rule for `doubled` (of type Doubled)"
    assert list(groups.pinned.values()).count(reason) == 4 + 5
    assert not groups.prunable("a").any() and groups.prunable("b").all()
    assert f"9: {reason}" in str(groups)


def test_a_subclass_of_a_known_layer_is_not_known():
    class Odd(layers.Conv2D):
        def call(self, inputs):
            return super().call(inputs) + inputs[..., :1]

    groups = kbp.graph.channel_groups(custom(Odd(5, 1, name="odd")))
    assert "no rule for `odd` (of type Odd)" in groups.pinned.values()


def test_a_rule_of_ones_own():
    class ChannelGain(keras.layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=shape[-1:], name="gain")

        def call(self, inputs):
            return inputs * self.gain

    model = randomize(custom(ChannelGain(name="gain")))
    assert not kbp.graph.channel_groups(model).prunable("a").any()

    @kbp.graph.channel_rule(ChannelGain)
    class ChannelGainRule:
        def propagate(self, layer, inputs, flow):
            return inputs[0]

        def cut(self, layer, kept_in, kept_out):
            return {}, {"gain": kept_in[0].take(layer.gain)}

    assert kbp.graph.channel_groups(model).prunable("a").all()
    small = kbp.prune(model, kbp.Plan(channels={"gain": kbp.plans.Kept((1, 3), 4)}))
    before, after = model.get_layer("gain"), small.get_layer("gain")
    np.testing.assert_array_equal(before.gain.numpy()[[1, 3]], after.gain.numpy())
    assert small.get_layer("a").filters == 2
    assert ChannelGainRule.__name__ == "ChannelGainRule"  # the class as it was


def test_rules_that_are_refused():
    for kind in (layers.Dense(2), 3):
        with pytest.raises(ValueError, match=r"`kinds` to be layer classes.*Pass the"):
            kbp.graph.channel_rule(kind)
    with pytest.raises(ValueError, match=r"`propagate` and `cut`.*Half without cut"):

        @kbp.graph.channel_rule(Doubled)
        class Half:
            def propagate(self, layer, inputs, flow):
                return inputs[0]

    reason = "no rule for `doubled` (of type Doubled)"
    groups = kbp.graph.channel_groups(custom(Doubled(5, name="doubled")))
    assert reason in groups.pinned.values()
