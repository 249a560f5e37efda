"""A call that reads zeros instead of some channels."""

import dataclasses

import keras
import numpy as np


class MaskedCall:
    """Calls a layer (or other operation) on inputs with some channels set to zero.

    Args:
        call: The `Call`.
        channels: The model's `ChannelMap`.
    """

    def __init__(self, call, channels):
        self._op, self.name = call.op, call.op.name
        self.activation = getattr(call.op, "activation", None)
        self._channels, self._masks = channels, {}
        leaves = enumerate(keras.tree.flatten((call.args, call.kwargs)))
        self._places = {
            place: tensor
            for place, tensor in leaves
            if isinstance(tensor, keras.KerasTensor) and id(tensor) in channels.tensors
        }

    @staticmethod
    def in_place_of(call, channels):
        """Returns a pair: a `MaskedCall`, and the same `Call` of it."""
        masked = MaskedCall(call, channels)
        return masked, dataclasses.replace(call, op=masked)

    @property
    def groups(self) -> np.ndarray:
        """The groups of channels that it reads."""
        found = [self._channels.of(tensor) for tensor in self._places.values()]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def remove(self, groups):
        """Sets channels of some groups to zero, and no others; none for `()`."""
        self._masks = {}
        for place, tensor in self._places.items():
            gone = np.isin(self._channels.of(tensor), groups)
            if gone.any():
                shape = [1] * len(tensor.shape)
                shape[self._channels.tensors[id(tensor)].axis] = len(gone)
                self._masks[place] = (~gone).reshape(shape)

    def __call__(self, *args, **kwargs):
        """Calls the layer in inference."""
        leaves = keras.tree.flatten((args, kwargs))
        for place, mask in self._masks.items():
            value = leaves[place]
            leaves[place] = value * keras.ops.cast(mask, value.dtype)
        args, kwargs = keras.tree.pack_sequence_as((args, kwargs), leaves)
        if isinstance(self._op, keras.layers.Layer):
            kwargs["training"] = False
        return self._op(*args, **kwargs)
