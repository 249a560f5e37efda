"""Rules for layers and operators that combine several tensors."""

import keras
import numpy as np

from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.registry import channel_rule, unfollowed_rule
from keras_basisprune.graph.rules.rule import Rule


@channel_rule(
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
    "Arctan2",
    "CustomScaleLayer",  # of InceptionResNetV2
    "Divide",
    "DivideNoNan",
    "Equal",
    "FloorDivide",
    "Fmax",
    "Fmin",
    "Fmod",
    "Greater",
    "GreaterEqual",
    "Heaviside",
    "Hypot",
    "Less",
    "LessEqual",
    "Logaddexp",
    "LogicalAnd",
    "LogicalOr",
    "LogicalXor",
    "Maximum",
    "Minimum",
    "Mod",
    "Multiply",
    "NotEqual",
    "Power",
    "Subtract",
    "TrueDivide",
    "Where",
)
class JoiningRule(Rule):
    """Channels at the same position are united; sizes are aligned from the right."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Ties channels that are combined. A channel that is broadcast is pinned."""
        tensors, output = flow.call.input_tensors, flow.call.output_tensors[0]
        behind = [
            len(tensor.shape) - source.axis
            for tensor, source in zip(tensors, inputs, strict=True)
        ]
        main = max(range(len(inputs)), key=lambda i: len(inputs[i]))
        size, axis = len(inputs[main]), len(output.shape) - behind[main]
        if output.shape[axis] != size:
            reason = f"`{layer.name}` broadcasts one channel over a constant"
            return flow.stop(inputs, reason)
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
        args = [_cut_constant(value, kept_out[0]) for value in call.args]
        kwargs = {k: _cut_constant(v, kept_out[0]) for k, v in call.kwargs.items()}
        return args, kwargs


@channel_rule(keras.layers.Add, "Add")
class AddRule(JoiningRule):
    """A sum."""

    adds = True


def _cut_constant(value, kept):
    """Cuts a constant at the channel axis if it has one."""
    shape = getattr(value, "shape", ())
    if isinstance(value, keras.KerasTensor) or len(shape) < kept.behind:
        return value
    whole = shape[-kept.behind] == kept.total
    return kept.take(value, -kept.behind) if whole else value


@channel_rule(keras.layers.Concatenate, "Concatenate")
class ConcatenateRule(Rule):
    """Channels are put one after the other."""

    free = True
    scales = "any"

    def propagate(self, layer, inputs, flow):
        """Joins the arrays, or ties them where another axis grows."""
        axis = layer.axis % len(flow.call.output_tensors[0].shape)
        if len(inputs) != len(keras.tree.flatten((flow.call.args, flow.call.kwargs))):
            return flow.stop(inputs, f"`{layer.name}` joins them with a constant")
        if any(source.axis != inputs[0].axis for source in inputs):
            return flow.stop(inputs, f"`{layer.name}` joins different axes")
        if axis == inputs[0].axis:
            return Channels(np.concatenate([source.ids for source in inputs]), axis)
        for source in inputs[1:]:
            flow.unite(inputs[0].ids, source.ids)
        return inputs[0]


@channel_rule("Stack")
class StackRule(Rule):
    """Tensors are stacked along a new axis."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Ties channels at the same position."""
        new = layer.axis % len(flow.call.output_tensors[0].shape)
        given = len(keras.tree.flatten((flow.call.args, flow.call.kwargs)))
        if not new or given != len(inputs) or len({s.axis for s in inputs}) > 1:
            return flow.stop(
                inputs, f"`{layer.name}` stacks tensors with different axes"
            )
        for source in inputs[1:]:
            flow.unite(inputs[0].ids, source.ids)
        return Channels(inputs[0].ids, inputs[0].axis + (new <= inputs[0].axis))


@unfollowed_rule(keras.layers.Dot)
class DotRule(Rule):
    """Tensors are multiplied with each other. Only the cost is known."""

    def flops(self, call, shapes):
        """Counts the output, times the size of the summed axis."""
        axes = call.op.axes
        axis = axes if isinstance(axes, int) else axes[0]
        products = shapes.product([*shapes.outputs[0][1:], shapes.inputs[0][axis]])
        return None if products is None else 2 * products
