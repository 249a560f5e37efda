"""Rules for convolutions: plain, grouped, transposed."""

import keras
import numpy as np

from keras_basisprune.graph.rules._kernels import (
    KernelRule,
    folded,
    kernel_flops,
)
from keras_basisprune.graph.rules._patches import patches
from keras_basisprune.graph.rules._reads import Read, axis_first
from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.pointwise import no_mixing
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule


class Convolution(Rule):
    """A layer that mixes its input channels into new ones."""

    def propagate(self, layer, inputs, flow):
        """Reads the layer's channel axis, and creates new channels."""
        (source,) = inputs
        tensor = flow.call.input_tensors[0]
        output = flow.call.output_tensors[0]
        if source.axis != flow.channel_axis(tensor):
            reason = f"`{layer.name}` reads across another axis"
            flow.pin(source.ids, reason)
            source = Channels(flow.fresh(tensor.shape[flow.channel_axis(tensor)]), 0)
            flow.pin(source.ids, reason)
        ids = self._made(layer, source, flow)
        return Channels(no_mixing(layer, ids, flow), flow.channel_axis(output))

    def weights(self, layer):
        """Names kernel and bias."""
        return "kernel", "bias"

    def _made(self, layer, source, flow):
        return flow.make(layer.filters)


def cut_bias(layer, kept) -> dict:
    """Returns the kept part of a bias, if there is one."""
    return {"bias": kept.take(layer.bias)} if layer.use_bias else {}


@channel_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvolutionRule(Convolution, KernelRule):
    """Kernels of shape `(*size, cin / groups, cout)`."""

    def _made(self, layer, source, flow):
        if layer.groups == 1:
            return flow.make(layer.filters)
        if layer.groups == len(source):  # depthwise
            return np.repeat(source.ids, layer.filters // layer.groups)
        flow.unite_groups(source.ids, layer.groups)
        made = flow.make(layer.filters)
        flow.unite_groups(made, layer.groups)
        return made

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel's input and output channels, of all groups alike."""
        rows, columns = kept_in[0], kept_out[0]
        config = {"filters": len(columns)}
        kernel = columns.take(layer.kernel)
        if layer.groups == rows.total:
            config["groups"] = len(rows)
        elif layer.groups > 1:
            kernel = kernel[..., rows.indices[: len(rows) // layer.groups], :]
        else:
            kernel = rows.take(kernel, -2)
        return config, {"kernel": kernel, **cut_bias(layer, columns)}

    def depthwise(self, layer):
        """Returns whether there are several groups."""
        return layer.groups > 1

    def reads(self, layer, call):
        """Returns the rows of all groups of filters, each group as a part."""
        groups, inside = layer.groups, layer.kernel.shape[-2]
        if groups == 1:
            return super().reads(layer, call)
        if inside == 1:  # depthwise: the channels pass
            return []
        parts = np.split(keras.ops.convert_to_numpy(layer.kernel), groups, axis=-1)
        rows = np.concatenate([axis_first(part, -2) for part in parts])
        part = np.repeat(np.arange(groups), inside)
        return [Read(call.input_tensors[0], rows, part=part)]

    def matrix(self, layer):
        """Returns the kernel as a matrix, or `None` for several groups."""
        return super().matrix(layer) if layer.groups == 1 else None

    def matrix_shape(self, layer):
        """Returns the shape of the matrix, or `None`."""
        return super().matrix_shape(layer) if layer.groups == 1 else None

    def obstacle(self, layer):
        """Returns a reason: groups, or one at the output."""
        if layer.groups > 1:
            return f"grouped convolution ({layer.groups} groups): not supported"
        return super().obstacle(layer)

    def patches(self, layer, inputs, positions):
        """Returns patches of `kh kw cin` numbers."""
        return patches(layer, inputs, positions)


@channel_rule(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
class TransposedRule(Convolution):
    """Kernels of shape `(*size, cout, cin)`."""

    inherited = True
    row_axis = -1

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel's input and output channels."""
        rows, columns = kept_in[0], kept_out[0]
        kernel = columns.take(rows.take(layer.kernel), -2)
        config = {"filters": len(columns)}
        return config, {"kernel": kernel, **cut_bias(layer, columns)}

    def filters(self, layer):
        """Returns the kernel, output channels last."""
        return axis_first(layer.kernel, -2).T

    def rows(self, layer):
        """Returns the kernel, input channels first."""
        return axis_first(layer.kernel, -1)

    def flops(self, call, shapes):
        """Counts all weights, at each position of the input."""
        kernel = shapes.weight(call.op, "kernel")
        return kernel_flops(
            call.op, np.prod(kernel).item(), shapes.inputs[0], kernel[-1]
        )

    def fold(self, layer, name, factor, offset):
        """Multiplies the last axis but one by the factors."""
        factors = {"kernel": np.reshape(factor, (-1, 1))}
        return folded(layer, name, factor, offset, factors)

    def obstacle(self, layer):
        """Returns the reason, which always applies."""
        return "transposed convolution: not supported"
