"""Rules for layers and operators that bring several tensors together."""

import keras
import numpy as np

from keras_basisprune.graph.channels._base import Channels, Rule, channel_rule


@channel_rule(
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
class JoiningRule(Rule):
    """Channels at the same position are united; sizes are aligned from the right."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Ties what meets. A single channel that is spread over many stays."""
        tensors, output = flow.call.input_tensors, flow.call.output_tensors[0]
        behind = [
            len(tensor.shape) - source.axis
            for tensor, source in zip(tensors, inputs, strict=True)
        ]
        main = max(range(len(inputs)), key=lambda i: len(inputs[i]))
        size, axis = len(inputs[main]), len(output.shape) - behind[main]
        for source, place in zip(inputs, behind, strict=True):
            if place != behind[main]:
                flow.pin(source.ids, f"`{layer.name}` joins them with another axis")
                flow.pin(inputs[main].ids, f"`{layer.name}` joins another axis to them")
            elif len(source) == size:
                flow.unite(inputs[main].ids, source.ids)
            else:
                flow.pin(source.ids, f"`{layer.name}` spreads one channel over many")
        return Channels(inputs[main].ids, axis)

    def arguments(self, call, kept_in, kept_out):
        """Cuts constants that have one number per channel."""
        kept = kept_out[0]
        behind = len(call.output_tensors[0].shape) - kept.axis

        def cut(value):
            shape = getattr(value, "shape", ())
            if isinstance(value, keras.KerasTensor) or len(shape) < behind:
                return value
            whole = shape[-behind] == kept.total and kept.total > 1
            return kept.take(value, -behind) if whole else value

        return keras.tree.map_structure(cut, (call.args, call.kwargs))


@channel_rule(keras.layers.Concatenate)
class ConcatenateRule(Rule):
    """Channels stand one behind the other."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Joins the arrays, or ties them where another axis grows."""
        axis = layer.axis % len(flow.call.output_tensors[0].shape)
        for source in inputs[1:]:
            if source.axis != inputs[0].axis:
                for other in inputs:
                    flow.pin(other.ids, f"`{layer.name}` joins different axes")
                size = flow.axis_size(inputs[0].axis)
                made = flow.fresh(size)
                flow.pin(made, f"`{layer.name}` joins different axes")
                return Channels(made, inputs[0].axis)
        if axis == inputs[0].axis:
            return Channels(np.concatenate([source.ids for source in inputs]), axis)
        for source in inputs[1:]:
            flow.unite(inputs[0].ids, source.ids)
        return inputs[0]
