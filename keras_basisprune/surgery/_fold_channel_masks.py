"""Folds layers that scale and mask channels into the layers that read them."""

import keras
import numpy as np

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.decomposable import decomposable
from keras_basisprune.graph.factors_pass import factors_pass
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trace import Trace, is_from_keras, trace
from keras_basisprune.layers import TrainedMask


def fold_channel_masks(model) -> keras.Model:
    """Multiplies the factors of channels into the layers that read them.

    Those are the kernels of convolutions and dense layers, also behind pooling,
    dropout, padding and `Flatten`. If another kind of layer reads them (a sum, a
    concatenation, BatchNormalization), or the model outputs them, a
    `keras.layers.Rescaling` with a factor per channel replaces the layer. Time is that
    of a copy.

    Args:
        model: A Functional or Sequential `keras.Model`.

    Returns:
        A `keras.Model` without layers that scale and mask channels; the given model if
        it has no such layers.
    """
    traced = trace(model)
    calls: dict[int, list] = {}
    for call in traced.calls:
        if isinstance(call.op, TrainedMask) and call.op.weighs[0] == "channels":
            calls.setdefault(id(call.op), []).append(call)
    if not calls:
        return model
    readers = _Readers(traced)
    kernels: dict[int, np.ndarray] = {}
    instead: dict[int, list[NewLayer]] = {}
    for key, made in calls.items():
        factors = made[0].op.factors()
        found = readers.rows(made, factors)
        if np.all(factors == 1) or found is not None:
            instead[key] = []
        if found is not None:
            kernels |= found

    def replace(layer, name):
        if id(layer) in instead:
            return instead[id(layer)]
        if id(layer) in calls:
            return [_rescaling(layer, name, calls[id(layer)][0])]
        if id(layer) in kernels:
            kernel = keras.ops.convert_to_numpy(layer.kernel).astype(np.float64)
            rows = {"kernel": kernel * kernels[id(layer)][:, None]}
            return [NewLayer(clone(layer, name), rows)]
        return None

    return rewrite(model, replace, traced)


class _Readers:
    """Finds the layers that multiply a tensor by weights, and the rows they use."""

    def __init__(self, traced: Trace):
        self._consumers = traced.consumers()
        self._results = {id(t) for t in keras.tree.flatten(traced.outputs)}
        self._channels = channel_map(traced).tensors
        self._calls: dict[int, list] = {}
        for call in traced.calls:
            self._calls.setdefault(id(call.op), []).append(call)

    def rows(self, calls, factors) -> dict[int, np.ndarray] | None:
        """Returns a dict from `id`s of layers to the factors of their kernels' rows.

        `None` if the factors can't be multiplied into all layers that read them.
        """
        found: dict[int, np.ndarray] = {}
        seen: set[int] = set()
        for call in calls:
            channels = self._channels.get(id(call.output_tensors[0]))
            if channels is None or len(channels) != len(factors):
                return None
            if len(np.unique(channels.ids)) != len(factors):
                return None
            of = dict(zip(channels.ids.tolist(), factors.tolist(), strict=True))
            for reader in self._all(call.output_tensors[0], bool((factors >= 0).all())):
                rows = None if reader is None else self._factors(reader, of)
                if rows is None:
                    return None
                before = found.setdefault(id(reader.op), rows)
                if not np.array_equal(before, rows):
                    return None
                seen.add(id(reader))
        all_calls = [call for key in found for call in self._calls[key]]
        return found if all(id(call) in seen for call in all_calls) else None

    def _all(self, tensor, positive):
        """Yields calls that multiply a tensor by weights; `None` for other readers."""
        if id(tensor) in self._results:
            yield None
        for call in self._consumers.get(id(tensor), ()):
            if factors_pass(call.op, positive) and len(call.input_tensors) == 1:
                yield from self._all(call.output_tensors[0], positive)
            else:
                yield call if _has_rows(call.op) else None

    def _factors(self, call, of) -> np.ndarray | None:
        channels = self._channels.get(id(call.input_tensors[0]))
        if channels is None or len(channels) != call.op.kernel.shape[-2]:
            return None
        first = getattr(call.op, "data_format", None) == "channels_first"
        rank = len(call.input_tensors[0].shape)
        if channels.axis != (1 if first and rank > 2 else rank - 1):
            return None
        if any(one not in of for one in channels.ids.tolist()):
            return None
        return np.array([of[one] for one in channels.ids.tolist()])


def _has_rows(op) -> bool:
    """Returns whether a layer multiplies each input channel by a row of `kernel`."""
    if not is_from_keras(type(op)) or not isinstance(op, keras.layers.Layer):
        return False
    rule = rule_of(op)
    if rule is not None and rule.depthwise(op):
        return not op.quantization_mode
    return decomposable(op) is None and getattr(op, "kernel", None) is not None


def _rescaling(layer, name, call) -> NewLayer:
    shape = [1] * (len(call.input_tensors[0].shape) - 1)  # without the batch axis
    first = getattr(layer, "data_format", None) == "channels_first"
    shape[0 if first else -1] = -1
    factors = layer.factors().astype(np.float32).reshape(shape).tolist()
    scaling = keras.layers.Rescaling(factors, dtype=layer.dtype_policy, name=name)
    return NewLayer(scaling)
