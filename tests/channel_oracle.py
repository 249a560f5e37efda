"""What a model without some channels has to compute, worked out in another way.

The model itself is run, call by call, with all of its channels. Wherever a layer reads
channels by weights, those that have left are multiplied by zero, which is the same as
weights of zero. Layers with statistics across channels are computed by hand.
"""

import inspect

import keras
import numpy as np
from keras import layers
from models import array, outputs, randomize, relative_difference, sample

import keras_basisprune as kbp
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace

READERS = (
    layers.Attention,  # and additive attention
    layers.Bidirectional,
    layers.Conv1D,
    layers.Conv1DTranspose,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Conv3D,
    layers.Conv3DTranspose,
    layers.Dense,
    layers.EinsumDense,
    layers.GRU,
    layers.GroupQueryAttention,
    layers.LSTM,
    layers.MultiHeadAttention,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.SimpleRNN,
    layers.TimeDistributed,
    layers.UnitNormalization,  # zeros do not add to a length
    kbp.BasisScalingConv,
)


def random_plan(model, seed=0, share=0.4):
    """Leaves out each group of channels with a probability of `share`.

    One channel of each tensor stays, and so does what is pinned.
    """
    traced = trace(model)
    channels = channel_map(traced)
    dead = np.random.default_rng(seed).random(channels.count) < share
    dead[list(channels.pinned)] = False
    for ids in (found.ids for found in channels.tensors.values()):
        if len(ids) and dead[channels.groups[ids]].all():
            dead[channels.groups[ids[0]]] = False
    plan = {}
    for name, groups in groups_of(traced, channels).layers.items():
        if dead[groups].any():
            plan[name] = kbp.plans.Kept(np.flatnonzero(~dead[groups]), len(groups))
    return kbp.Plan(channels=plan)


def zeroed(model, plan):
    """The function that the pruned model should compute, of the unpruned model."""
    traced = trace(model)
    channels = channel_map(traced)
    alive = np.ones(channels.count, bool)
    for name, groups in groups_of(traced, channels).layers.items():
        if name in plan.channels:
            alive[np.delete(groups, plan.channels[name].indices)] = False

    def run(inputs, training=False):
        values = {
            id(tensor): keras.ops.convert_to_tensor(value)
            for tensor, value in zip(
                keras.tree.flatten(traced.inputs),
                keras.tree.flatten(inputs),
                strict=True,
            )
        }

        def value(thing, mask=False):
            if not isinstance(thing, keras.KerasTensor):
                return thing
            kept = channels.kept(thing, alive)
            found = values[id(thing)]
            if not mask or kept is None or len(kept) == kept.total:
                return found
            shape = [-1 if axis == kept.axis else 1 for axis in range(kept.rank)]
            ones = np.isin(np.arange(kept.total), kept.indices).reshape(shape)
            masked = found * keras.ops.cast(ones, found.dtype)
            masked._keras_mask = getattr(found, "_keras_mask", None)
            return masked

        for call in traced.calls:
            reads = isinstance(call.op, READERS)
            args, kwargs = keras.tree.map_structure(
                lambda thing, reads=reads: value(thing, reads), (call.args, call.kwargs)
            )
            if by_hand := _BY_HAND.get(type(call.op)):
                kept = channels.kept(call.input_tensors[0], alive)
                made = by_hand(call.op, array(args[0]), kept)
            else:
                if "training" in inspect.signature(call.op.call).parameters:
                    kwargs = {**kwargs, "training": training}
                made = call.op(*args, **kwargs)
            tensors = zip(call.output_tensors, keras.tree.flatten(made), strict=True)
            values |= {id(tensor): v for tensor, v in tensors}
        return keras.tree.map_structure(value, traced.outputs)

    return run


def check(model, seeds=2, tolerance=1e-5):
    """Holds random plans against the oracle; returns those that left something out."""
    randomize(model)
    x = sample(model)
    plans = [random_plan(model, seed, 0.5) for seed in range(seeds)]
    plans = [plan for plan in plans if plan.channels]
    for plan in plans:
        expected = outputs(zeroed(model, plan), x)
        small = kbp.prune(model, plan)
        assert relative_difference(expected, outputs(small, x)) <= tolerance
        assert small.count_params() < model.count_params()
    return plans


def between(middle, shape=(8, 8, 3), conv=layers.Conv2D):
    """A convolution `a` of 6 channels, then what is tried, then a convolution `b`."""
    x = inputs = keras.Input(shape)
    x = conv(6, 3, padding="same", name="a")(x)
    return keras.Model(inputs, conv(2, 1, name="b")(middle(x)))


def chain(*kinds):
    def middle(x):
        for layer in kinds:
            x = layer()(x)
        return x

    return middle


def residual():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", name="a")(x)
    y = layers.BatchNormalization(name="bn")(x)
    y = layers.Conv2D(2, 3, padding="same", name="b", activation="relu")(y)
    x = layers.Add(name="add")([x, layers.Conv2D(4, 1, name="c")(y)])
    return keras.Model(inputs, layers.Conv2D(5, 3, name="d")(x))


def _layer_normalization(layer, x, kept):
    """Statistics over the kept channels; the others stay as they are."""
    assert len(kept) == kept.total or list(np.ravel(layer.axis)) in ([-1], [kept.axis])
    axes = tuple(np.ravel(layer.axis))
    part = np.take(x, kept.indices, kept.axis)
    part = part - part.mean(axes, keepdims=True)
    part = part / np.sqrt((part**2).mean(axes, keepdims=True) + layer.epsilon)
    return _scattered(layer, x, part, kept)


def _rms_normalization(layer, x, kept):
    part = np.take(x, kept.indices, kept.axis)
    square = (part**2).mean(tuple(np.ravel(layer.axis)), keepdims=True)
    part = part / np.sqrt(square + layer.epsilon)
    whole = np.zeros_like(x)
    whole[..., kept.indices] = part * array(layer.scale)[kept.indices]
    return keras.ops.convert_to_tensor(whole)


def _group_normalization(layer, x, kept):
    """Groups of the kept channels; as many groups, unless each channel is one."""
    groups = len(kept) if layer.groups == kept.total else layer.groups
    part = np.moveaxis(np.take(x, kept.indices, kept.axis), kept.axis, -1)
    shape = part.shape
    part = part.reshape(shape[0], -1, groups, shape[-1] // groups)
    part = part - part.mean((1, 3), keepdims=True)
    part = part / np.sqrt((part**2).mean((1, 3), keepdims=True) + layer.epsilon)
    part = np.moveaxis(part.reshape(shape), -1, kept.axis)
    return _scattered(layer, x, part, kept)


def _scattered(layer, x, part, kept):
    shape = [-1 if axis == kept.axis else 1 for axis in range(kept.rank)]
    if layer.gamma is not None:
        part = part * array(layer.gamma)[kept.indices].reshape(shape)
    if layer.beta is not None:
        part = part + array(layer.beta)[kept.indices].reshape(shape)
    whole = np.moveaxis(np.zeros_like(x), kept.axis, -1)
    whole[..., kept.indices] = np.moveaxis(part, kept.axis, -1)
    return keras.ops.convert_to_tensor(np.moveaxis(whole, -1, kept.axis))


_BY_HAND = {
    layers.LayerNormalization: _layer_normalization,
    layers.RMSNormalization: _rms_normalization,
    layers.GroupNormalization: _group_normalization,
}
