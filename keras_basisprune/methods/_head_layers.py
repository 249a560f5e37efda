"""The head of a network: what is made new for a new task."""

import keras
import numpy as np

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.convolutions import convolutions
from keras_basisprune.graph.last_layers import last_layers
from keras_basisprune.graph.trace import Trace


def head_layers(traced: Trace) -> list[keras.layers.Layer]:
    """Finds the layers with weights behind the last convolution.

    Not among them are those that belong to what convolutions make, such as
    BatchNormalization. If there is none, and one convolution makes all that the model
    puts out, that is the head.

    Args:
        traced: A model's `Trace`.

    Returns:
        A list of layers.
    """
    layers = {id(op): op for op in _behind(traced)}
    if not layers:
        last = last_layers(traced, lambda op: hasattr(op, "kernel"))
        return last if len(last) == 1 else []
    return list(layers.values())


def _behind(traced):
    channels = channel_map(traced)
    found = convolutions(traced)
    features = np.zeros(channels.count, bool)
    for call in found:
        of = channels.of(call.output_tensors[0])
        if of is not None:
            features[of] = True
    makers = {id(call) for call in found}
    before: set[int] = set()  # tensors from which a convolution follows
    for call in reversed(traced.calls):
        follows = not before.isdisjoint(map(id, call.output_tensors))
        if follows or id(call) in makers:
            before |= {id(tensor) for tensor in call.input_tensors}
            continue
        of = channels.of(call.output_tensors[0])
        if getattr(call.op, "weights", ()) and (of is None or not features[of].any()):
            yield call.op
