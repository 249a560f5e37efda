"""What ChannelCosts predicts is what `cost` measures of the pruned model."""

import sys

import keras
import numpy as np
import pytest
from channel_gain import channel_gain
from channel_oracle import between, chain, random_plan, residual
from channels_rules_test import IMAGES, VOLUMES
from channels_sequences_test import SEQUENCES
from keras import layers
from models import KINDS
from scaled_networks import dense

import keras_basisprune as kbp
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rules import Rule, registry, rule_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.surgery import kept_groups


def layer_scale(x):
    module = sys.modules[keras.applications.ConvNeXtTiny.__module__]
    return module.LayerScale(0.5, x.shape[-1])(x)


# What is neither in IMAGES, in SEQUENCES nor in VOLUMES.
OTHERS = {
    "layer_scale": layer_scale,
    "rest": chain(
        lambda: layers.RandomCrop(7, 7),
        lambda: layers.Rescaling(2.0),
    ),
    "layers_of_one_axis": lambda x: layers.Concatenate(axis=1)(
        [layers.Dense(5)(x), layers.Permute((2, 1, 3))(layers.Dense(5)(x))]
    ),
    "flattened_and_back": lambda x: layers.Reshape((8, 8, 2))(
        layers.Dense(128)(layers.Dense(7)(layers.Flatten()(x)))
    ),
    "timed": chain(
        lambda: layers.TimeDistributed(layers.Conv1DTranspose(5, 3)),
        lambda: layers.TimeDistributed(layers.SeparableConv1D(6, 3)),
        lambda: layers.TimeDistributed(layers.DepthwiseConv1D(3)),
        lambda: layers.TimeDistributed(layers.LSTM(5, return_sequences=True)),
        lambda: layers.Reshape((8, 6, 5)),
        lambda: layers.TimeDistributed(layers.EinsumDense("abc,cd->abd", (6, 4))),
        lambda: layers.TimeDistributed(layers.PReLU(shared_axes=[1])),
    ),
}


def embedded():
    ids = keras.Input((7,), dtype="int32")
    x = layers.Embedding(9, 6, name="a")(ids)
    x = layers.Masking()(layers.Dense(5)(layers.SpatialDropout1D(0.5)(x)))
    return keras.Model(ids, layers.Dense(2)(layers.GRU(4)(x)))


def twice():
    """Layers that are called at two sizes, one of them inside of a nested model."""
    conv = layers.Conv2D(6, 3, padding="same", name="conv")
    inner_inputs = keras.Input((None, None, 4))
    inner = keras.Model(inner_inputs, layers.ReLU()(conv(inner_inputs)), name="inner")
    x = inputs = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 1, name="a")
    x, y = first(x), first(layers.MaxPooling2D()(x))
    x = layers.MaxPooling2D()(inner(x)) + inner(y)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def converted():
    return kbp.convert(residual(), rank=0.8)


MODELS = {
    **{n: lambda m=m: between(m) for n, m in {**IMAGES, **OTHERS}.items()},
    **{
        f"volumes_{n}": lambda m=m: between(m, (4, 4, 4, 2), layers.Conv3D)
        for n, m in VOLUMES.items()
    },
    **{
        f"sequences_{n}": lambda m=m: between(m, (8, 3), layers.Conv1D)
        for n, m in SEQUENCES.items()
    },
    "embedded": embedded,
    "twice": twice,
    "converted": converted,
    "gains": lambda: channel_gain(residual()),
    "joined_masks": lambda: kbp.methods.channel_scaling(dense()),
    **{n: KINDS[n] for n in ("operators", "channels_first", "wrappers")},
    **{n: lambda n=n: kbp.graph.flatten(KINDS[n]()) for n in ("nested", "siamese")},
}


def measured(model, plan):
    found = (
        kbp.measure.cost(kbp.prune(model, plan))
        if plan.channels
        else kbp.measure.cost(model)
    )
    return {"flops": found.flops, "params": found.params}


def predicted(traced, channels, plan):
    alive = kept_groups(traced, channels, plan, {})
    return {of: ChannelCosts(traced, channels, of)(alive) for of in ("flops", "params")}


def without(model, channels, group):
    """The plan without one group, or `None` if that leaves a tensor without any."""
    for of in (channels.groups[found.ids] for found in channels.tensors.values()):
        if len(of) and (of == group).all():
            return None
    groups = kbp.graph.channel_groups(model)
    return kbp.Plan(
        channels={
            name: kbp.plans.Kept(tuple(np.flatnonzero(of != group)), len(of))
            for name, of in groups.layers.items()
            if (of == group).any()
        }
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_cost_is_the_one_that_is_measured(name):
    model = MODELS[name]()
    traced = trace(model)
    channels = channel_map(traced)
    plans = [kbp.Plan(), *(random_plan(model, seed, 0.4 * seed) for seed in (1, 2))]
    assert any(plan.channels for plan in plans)
    for plan in plans:
        assert predicted(traced, channels, plan) == measured(model, plan)


@pytest.mark.parametrize("name", ["residual", "sequences_recurrent", "timed", "twice"])
def test_what_each_group_costs(name):
    model = residual() if name == "residual" else MODELS[name]()
    traced = trace(model)
    channels = channel_map(traced)
    whole = measured(model, kbp.Plan())
    each = {of: ChannelCosts(traced, channels, of).marginal() for of in whole}
    assert not each["params"][list(channels.pinned)].any()
    free = np.setdiff1d(np.arange(channels.count), list(channels.pinned))
    tried = 0
    for group in np.random.default_rng(0).permutation(free):
        plan = without(model, channels, group)
        if plan is None or tried == 5:
            continue
        tried += 1
        left = measured(model, plan)
        assert {of: each[of][group] for of in whole} == {
            of: whole[of] - left[of] for of in whole
        }
    assert tried > 2


def test_channels_count_those_that_may_leave():
    model = residual()
    traced = trace(model)
    channels = channel_map(traced)
    costs = ChannelCosts(traced, channels, "channels")
    assert costs(np.ones(channels.count, bool)) == 6
    assert costs(np.zeros(channels.count, bool)) == 0
    assert costs.marginal().sum() == 6


def test_no_rule_is_without_a_model():
    """Whoever writes a rule adds a model with such a layer to this file."""
    seen = set()
    for make in MODELS.values():
        for call in trace(make()).calls:
            seen |= {*type(call.op).__mro__, type(call.op).__name__}
    needed = {
        kind
        for kind, rule in registry._RULES.items()
        if (not isinstance(kind, str) or type(rule).cut is not Rule.cut)
        and getattr(kind, "__module__", "keras").startswith(("keras.", "keras_basis"))
        or kind == "LayerScale"
    }
    assert len(needed) > 80
    assert {str(kind) for kind in needed - seen} == set()


class Mixed(keras.layers.Layer):
    """A user's dense layer on the sum and the difference of two tensors."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shapes):
        self.plus = self.add_weight(shape=(shapes[0][-1], self.units), name="plus")
        self.both = self.add_weight(
            shape=(2 * shapes[0][-1] + 1, self.units), name="both"
        )

    def call(self, inputs):
        return (inputs[0] + inputs[1]) @ self.plus

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.fixture
def rule_of_mixed():
    @kbp.graph.channel_rule(Mixed)
    class MixedRule:
        def propagate(self, layer, inputs, flow):
            flow.unite(inputs[0].ids, inputs[1].ids)
            return kbp.graph.Channels(flow.make(layer.units), inputs[0].axis)

        def cut(self, layer, kept_in, kept_out):
            rows = np.concatenate(
                [kept_in[0].indices, kept_in[1].indices + kept_in[0].total]
            )
            rows = np.append(rows, 2 * kept_in[0].total)
            both = keras.ops.convert_to_numpy(layer.both)[rows]
            plus = kept_out[0].take(kept_in[0].take(layer.plus, 0))
            weights = {"plus": plus, "both": kept_out[0].take(both)}
            return {"units": len(kept_out[0])}, weights

    yield
    del registry._RULES[Mixed]


def test_a_rule_of_the_users_own(rule_of_mixed):
    x = inputs = keras.Input((6, 6, 3))
    x, y = (layers.Conv2D(8, 1, name=name)(x) for name in "ab")
    x = Mixed(6, name="mixed")([x, y])
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    assert rule_of(model.get_layer("mixed"))
    traced = trace(model)
    channels = channel_map(traced)
    for seed in range(3):
        plan = random_plan(model, seed, 0.5)
        assert predicted(traced, channels, plan) == measured(model, plan)
