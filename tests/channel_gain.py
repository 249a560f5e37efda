"""A toy method: a trainable gain per channel, behind the activation of convolutions.

The layer follows the protocol of `layers.TrainedMask`, and no part of the package knows
it.
"""

import keras
import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import TrainedMask
from keras_basisprune.methods import Method
from keras_basisprune.plan import Plan
from keras_basisprune.training.l1_thresholding import L1Thresholding


@keras.saving.register_keras_serializable(package="channel_gain")
class Gain(TrainedMask):
    """Multiplies each channel by a gain of its own."""

    def __init__(self, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format

    def build(self, input_shape):
        axis = 1 if self.data_format == "channels_first" else -1
        self.add_scale_and_mask(input_shape[axis])

    def call(self, inputs):
        factors = self.scale * self.mask
        if self.data_format == "channels_first":
            shape = (-1,) + (1,) * (len(inputs.shape) - 2)
            factors = keras.ops.reshape(factors, shape)
        return inputs * factors

    @property
    def weighs(self):
        return "channels", self.name.removesuffix("_gain")

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


def channel_gain(model, data=None, l1=0.0):
    """Puts a `Gain` behind activations all of whose readers make other channels."""
    traced = trace(model)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    chosen: dict[int, str] = {}
    for call in traced.calls:
        of = channels.of(call.output_tensors[0])
        if of is None or not _is_activated(call.op):
            continue
        names = [n for n, other in groups.layers.items() if np.array_equal(of, other)]
        free = names and groups.prunable(names[0]).all()
        if (
            free
            and names[0] not in chosen.values()
            and _alone(traced, channels, call, of)
        ):
            chosen[id(call.op)] = names[0]

    def replace(layer, name):
        if id(layer) not in chosen:
            return None
        weights = {w.name: w for w in layer.weights}
        gain = Gain(l1=l1 or None, name=f"{chosen[id(layer)]}_gain")
        return [NewLayer(clone(layer, name), weights), NewLayer(gain)]

    return rewrite(model, replace, traced)


def _is_activated(op):
    if isinstance(op, keras.layers.ReLU):
        return True
    linear = keras.activations.linear
    return type(op) is keras.layers.Conv2D and op.activation is not linear


def _alone(traced, channels, call, of):
    """Whether one layer makes these channels, and all read them behind this call."""
    consumers = traced.consumers()
    pending, reached = [call.output_tensors[0]], set()
    while pending:
        for reader in consumers.get(id(pending.pop()), ()):
            reached.add(id(reader))
            if not hasattr(reader.op, "kernel"):
                if reader.op.weights:
                    return False  # BatchNormalization makes something of zeros
                pending += reader.output_tensors
    makers = 0
    for other in (c for c in traced.calls if hasattr(c.op, "kernel")):
        read = np.isin(of, channels.of(other.input_tensors[0])).any()
        made = np.isin(of, channels.of(other.output_tensors[0])).any()
        makers += bool(made and not read)
        if read and made == (id(other) in reached):  # depthwise, or mixed elsewhere
            return False
    return makers == 1


def gain_training(
    prepared,
    train,
    *,
    validation=None,
    keep=None,
    cost="flops",
    epochs=None,
    seed=0,
    verbose=0,
):
    """Gains train, and the callback masks small ones."""
    keras.utils.set_random_seed(seed)
    prepared.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    callback = L1Thresholding(0.5)
    prepared.fit(*train, epochs=epochs or 4, verbose=verbose, callbacks=[callback])


def gain_plan(
    prepared, *, keep=None, data=None, cost="flops", scores=None, limits=None
):
    """The masks are the answer."""
    return Plan.from_masks(prepared)


CHANNEL_GAIN = Method(
    name="channel_gain",
    title="A toy: trained gains of channels",
    source="Nobody, Nowhere 2021 (arXiv:0000.00000), section 0",
    needs=("labels", "training"),
    removes=("channels",),
    prepare=channel_gain,
    train=gain_training,
    plan=gain_plan,
)
