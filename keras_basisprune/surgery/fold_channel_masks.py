"""Folds layers that scale and mask channels into the layers that read them."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.decomposable import decomposable
from keras_basisprune.graph.factors_pass import factors_pass
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trace import Call, Trace, is_from_keras, trace
from keras_basisprune.graph.trained_masks import of_call
from keras_basisprune.layers import TrainedMask


def fold_channel_masks(model) -> keras.Model:
    """Multiplies the factors of channels into the layers that read them.

    Those are the kernels of convolutions and dense layers, also behind pooling,
    dropout, padding, concatenation and `Flatten`. Where another kind of layer reads
    them (a sum, BatchNormalization), or the model outputs them, a
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
    rescaled: set[int] = set()
    for key, made in calls.items():
        found = readers.rows(made)
        if found is None and any((of_call(c, "factors") != 1).any() for c in made):
            rescaled |= {id(call) for call in made}
        else:
            instead[key] = []
        for reader, rows in (found or {}).items():
            kernels[reader] = kernels.get(reader, 1.0) * rows
    traced = _with_rescalings(traced, rescaled)

    def replace(layer, name):
        if id(layer) in instead:
            return instead[id(layer)]
        if id(layer) in kernels:
            key, axis = _rows(layer)
            kernel = keras.ops.convert_to_numpy(getattr(layer, key)).astype(np.float64)
            factors = kernels[id(layer)]
            rows = kernel * (factors if axis == -1 else factors[:, None])
            return [NewLayer(clone(layer, name), {key: rows})]
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

    def rows(self, calls) -> dict[int, np.ndarray] | None:
        """Returns a dict from `id`s of layers to the factors of their kernels' rows.

        `None` if the factors can't be multiplied into all layers that read them.
        """
        found: dict[int, np.ndarray] = {}
        seen: set[int] = set()
        for call in calls:
            channels = self._channels.get(id(call.output_tensors[0]))
            factors = of_call(call, "factors")
            if channels is None or len(channels) != len(factors):
                return None
            ids = channels.ids.tolist()
            of = dict(zip(ids, factors.tolist(), strict=True))
            if [of[number] for number in ids] != factors.tolist():
                return None  # a channel that is there twice, with unlike factors
            positive = bool((factors >= 0).all())
            for reader, joined in self._all(call.output_tensors[0], positive):
                rows = None if reader is None else self._factors(reader, of, joined)
                if rows is None:
                    return None
                before = found.setdefault(id(reader.op), rows)
                if not np.array_equal(before, rows):
                    return None
                seen.add(id(reader))
        all_calls = [call for key in found for call in self._calls[key]]
        return found if all(id(call) in seen for call in all_calls) else None

    def _all(self, tensor, positive, joined=False):
        """Yields the calls that read a tensor by weights; `None` for other readers.

        With each goes whether it reads channels of other tensors beside these.
        """
        if id(tensor) in self._results:
            yield None, joined
        for call in self._consumers.get(id(tensor), ()):
            beside = len(call.input_tensors) > 1
            if factors_pass(call.op, positive) and (not beside or self._aside(call)):
                output = call.output_tensors[0]
                yield from self._all(output, positive, joined or beside)
            else:
                yield (call if _has_rows(call.op) else None), joined

    def _aside(self, call):
        """Whether a concatenation sets unlike channels side by side."""
        output = call.output_tensors[0]
        channels = self._channels.get(id(output))
        if channels is None or call.op.axis % len(output.shape) != channels.axis:
            return False
        return len(np.unique(channels.ids)) == len(channels)

    def _factors(self, call, of, joined) -> np.ndarray | None:
        channels = self._channels.get(id(call.input_tensors[0]))
        if channels is None or len(channels) != _width(call.op):
            return None
        first = getattr(call.op, "data_format", None) == "channels_first"
        rank = len(call.input_tensors[0].shape)
        if channels.axis != (1 if first and rank > 2 else rank - 1):
            return None
        found = channels.ids.tolist()
        if not joined and any(one not in of for one in found):
            return None
        return np.array([of.get(one, 1.0) for one in found])


def _has_rows(op) -> bool:
    """Returns whether a layer multiplies each input channel by a row of `kernel`."""
    if not is_from_keras(type(op)) or not isinstance(op, keras.layers.Layer):
        return False
    rule = rule_of(op)
    if rule is None:
        return False
    if rule.row_axis == -1 or rule.depthwise(op):
        return not op.quantization_mode
    return decomposable(op) is None and getattr(op, _rows(op)[0], None) is not None


def _rows(layer) -> tuple[str, int]:
    """The weight that has a row for each input channel, and on which axis."""
    key = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
    return key, rule_of(layer).row_axis


def _width(layer) -> int:
    key, axis = _rows(layer)
    return getattr(layer, key).shape[axis]


def _with_rescalings(traced, calls) -> Trace:
    """Has a `Rescaling` of its own in place of each of some calls."""
    alike: dict[int, list] = {}
    made = []
    for call in traced.calls:
        if id(call) in calls:
            known = alike.setdefault(id(call.op), [])
            layer = _rescaling(call)
            scale = layer.get_config()["scale"]
            layer = next((x for x in known if x.get_config()["scale"] == scale), layer)
            known.append(layer)
            call = Call(layer, (call.input_tensors[0],), {}, call.outputs, call.scope)
        made.append(call)
    return dataclasses.replace(traced, calls=made)


def _rescaling(call) -> keras.layers.Rescaling:
    shape = [1] * (len(call.input_tensors[0].shape) - 1)  # without the batch axis
    first = getattr(call.op, "data_format", None) == "channels_first"
    shape[0 if first else -1] = -1
    factors = of_call(call, "factors").astype(np.float32).reshape(shape).tolist()
    return keras.layers.Rescaling(
        factors, dtype=call.op.dtype_policy, name=call.op.name
    )
