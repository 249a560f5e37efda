"""Adds the calls of layers that round to those of a network."""

import dataclasses

import keras

from keras_basisprune.graph.trace import Call
from keras_basisprune.layers import FakeQuantize, QuantizedActivation, StaysFloat
from keras_basisprune.training.quantization import _kinds


def with_rounding(traced, places, layers, with_scale):
    """Returns a `Trace` with calls of the layers that round.

    Layers with a kernel are also told the scales of their inputs and of their outputs,
    and those that round a sum or a product its operands, at which scales: so that they
    compute in integers, as the file does.

    Args:
        traced: The `Trace`.
        places: Maps the `id`s of tensors to `Place`s.
        layers: Maps the groups of places to layers.
        with_scale: The `id`s of layers with a kernel that is rounded.
    """
    return _Calls(traced, places, layers, with_scale).made()


class _Calls:
    def __init__(self, traced, places, layers, with_scale):
        self._traced, self._places, self._layers = traced, places, layers
        self._with_scale = with_scale
        self._instead: dict[int, keras.KerasTensor] = {}
        self._calls: list[Call] = []
        self._producers, self._readers = traced.producers(), traced.consumers()

    def made(self):
        for tensor in keras.tree.flatten(self._traced.inputs):
            self._round(tensor)
        for call in self._traced.calls:
            given = (call.args, call.kwargs)
            args, kwargs = keras.tree.map_structure(self._given, given)
            if self._takes_scales(call.op):
                kwargs = {**kwargs, **self._scales_around(call)}
            self._calls.append(dataclasses.replace(call, args=args, kwargs=kwargs))
            for tensor in call.output_tensors:
                self._round(tensor)
        outputs = keras.tree.map_structure(self._given, self._traced.outputs)
        return dataclasses.replace(self._traced, calls=self._calls, outputs=outputs)

    def _takes_scales(self, op) -> bool:
        return id(op) in self._with_scale or isinstance(op, QuantizedActivation)

    def _given(self, value):
        return self._instead.get(id(value), value)

    def _round(self, tensor):
        """Adds the call that rounds a tensor, if one does."""
        place = self._places.get(id(tensor))
        if place is None or not place.rounded:
            return
        if place.from_float:
            cast = StaysFloat(name="stays_float")
            self._call(cast, tensor, tensor, {})
        how = {"member": place.member, "average": place.average}
        layer = self._layers[place.group]
        self._call(
            layer, self._given(tensor), tensor, {**how, **self._operation(tensor)}
        )

    def _call(self, layer, source, tensor, kwargs):
        out = keras.KerasTensor(tensor.shape, dtype=layer.compute_dtype)
        self._calls.append(Call(layer, (source,), kwargs, out))
        self._instead[id(tensor)] = out

    def _scale(self, place, source):
        """Adds the call that returns the scale of a place; `source` is any tensor."""
        out = keras.KerasTensor((), dtype="float32")
        only = {"member": None, "scale_only": True}
        self._calls.append(Call(self._layers[place.group], (source,), only, out))
        return out

    def _scales_around(self, call) -> dict:
        """Returns the scales that a layer with a kernel is told."""
        source, found = call.input_tensors[0], {}
        if (place := self._places.get(id(source))) is not None:
            found["input_scale"] = self._scale(place, self._given(source))
            after = self._place_behind(call.output_tensors[0])
            if after is not None and self._has_8_bits(after):
                found["output_scale"] = self._scale(after, self._given(source))
        return found

    def _place_behind(self, tensor):
        """Returns the place of a tensor, or of the only ReLU that reads it."""
        place = self._places.get(id(tensor))
        readers = self._readers.get(id(tensor), ())
        if place is None and len(readers) == 1 and _kinds.is_relu(readers[0].op):
            place = self._places.get(id(readers[0].output_tensors[0]))
        return place

    def _has_8_bits(self, place) -> bool:
        return self._layers[place.group].bits == 8

    def _operation(self, tensor) -> dict:
        """Returns which operation makes a tensor, and of what; empty if none known."""
        call = self._producers.get(id(tensor))
        if call is not None and _kinds.is_relu(call.op):
            source = call.input_tensors[0]
            # One that is rounded itself is not computed together with the ReLU.
            call = None if id(source) in self._places else self._producers[id(source)]
        layer = self._layers[self._places[id(tensor)].group]
        if call is None or not isinstance(layer, FakeQuantize) or layer.bits > 8:
            return {}
        operation, given = _kinds.operation(call.op), call.input_tensors
        places = [self._places.get(id(one)) for one in given]
        known = len(given) == (1 if operation == "mean" else 2) and None not in places
        sized = operation != "mean" or None not in given[0].shape[1:]
        if operation is None or not (known and sized):
            return {}
        given = [self._given(one) for one in given]
        scales = [
            self._scale(place, one) for place, one in zip(places, given, strict=True)
        ]
        return {
            "operation": operation,
            "operands": given,
            "operand_scales": scales,
        }
