"""Rules for depthwise and separable convolutions."""

import math

import keras
import numpy as np

from keras_basisprune.graph.rewrite import NewLayer
from keras_basisprune.graph.rules._depthwise_half import depthwise_half
from keras_basisprune.graph.rules._kernels import (
    columns,
    folded,
    kernel_flops,
    pointwise_layer,
)
from keras_basisprune.graph.rules._patches import gathered, patches
from keras_basisprune.graph.rules._reads import Read, axis_first
from keras_basisprune.graph.rules.convolutions import Convolution, cut_bias
from keras_basisprune.graph.rules.registry import channel_rule


@channel_rule(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class DepthwiseRule(Convolution):
    """Kernels of shape `(*size, cin, depth_multiplier)`."""

    inherited = True

    def _made(self, layer, source, flow):
        return np.repeat(source.ids, layer.depth_multiplier)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the filters of the removed channels."""
        kernel = kept_in[0].take(layer.kernel, -2)
        return {}, {"kernel": kernel, **cut_bias(layer, kept_out[0])}

    def depthwise(self, layer):
        """Returns `True`."""
        return True

    def filters(self, layer):
        """Returns the filter of each output channel."""
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        return kernel.reshape(-1, math.prod(kernel.shape[-2:]))

    def flops(self, call, shapes):
        """Counts all weights, at each position of the output."""
        kernel = shapes.weight(call.op, "kernel")
        width = math.prod(kernel[-2:])
        return kernel_flops(call.op, math.prod(kernel), shapes.outputs[0], width)

    def fold(self, layer, name, factor, offset):
        """Multiplies the last two axes by the factors."""
        factors = {"kernel": np.reshape(factor, layer.kernel.shape[-2:])}
        return folded(layer, name, factor, offset, factors)

    def obstacle(self, layer):
        """Returns the reason, which always applies."""
        return "depthwise: each channel has a filter of its own, so its rank is 1"

    def patches(self, layer, inputs, positions):
        """Returns patches of `kh kw cin` numbers, those of a channel not together."""
        return patches(layer, inputs, positions)


@channel_rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class SeparableRule(Convolution):
    """A depthwise kernel, and a pointwise one of shape `(1, 1, cin * depth, cout)`.

    The matrix is the pointwise kernel.
    """

    inherited = True

    def weights(self, layer):
        """Names both kernels and the bias."""
        return "depthwise_kernel", "pointwise_kernel", "bias"

    def cut(self, layer, kept_in, kept_out):
        """Cuts depthwise filters, and the pointwise kernel's rows and columns."""
        rows, columns = kept_in[0], kept_out[0]
        depth = layer.depth_multiplier
        between = (rows.indices[:, None] * depth + np.arange(depth)).ravel()
        pointwise = np.take(columns.take(layer.pointwise_kernel), between, axis=-2)
        weights = {
            "depthwise_kernel": rows.take(layer.depthwise_kernel, -2),
            "pointwise_kernel": pointwise,
        }
        return {"filters": len(columns)}, {**weights, **cut_bias(layer, columns)}

    def filters(self, layer):
        """Returns the columns of the pointwise kernel."""
        return columns(layer.pointwise_kernel)

    def reads(self, layer, call):
        """Returns `depth_multiplier` rows for each channel."""
        rows, depth = axis_first(layer.pointwise_kernel, -2), layer.depth_multiplier
        channel = np.repeat(np.arange(len(rows) // depth), depth)
        return [Read(call.input_tensors[0], rows, channel)]

    def flops(self, call, shapes):
        """Counts all weights of both halves, at each position of the output."""
        names = ("depthwise_kernel", "pointwise_kernel")
        kernels = [shapes.weight(call.op, name) for name in names]
        weights = sum(map(math.prod, kernels))
        return kernel_flops(call.op, weights, shapes.outputs[0], kernels[1][-1])

    def fold(self, layer, name, factor, offset):
        """Multiplies the pointwise kernel by the factors."""
        factors = {"pointwise_kernel": factor, "depthwise_kernel": 1}
        return folded(layer, name, factor, offset, factors)

    def matrix(self, layer):
        """Returns the pointwise kernel as a matrix."""
        return columns(layer.pointwise_kernel)

    def matrix_shape(self, layer):
        """Returns the shape of the matrix."""
        return tuple(layer.pointwise_kernel.shape[-2:])

    def before(self, layer, name):
        """Makes the depthwise half."""
        half = depthwise_half(layer, name)
        return [NewLayer(half, {"kernel": layer.depthwise_kernel})]

    def with_matrix(self, layer, name, matrix, bias=None):
        """Makes a pointwise convolution."""
        return pointwise_layer(layer, name, matrix, bias)

    def weights_for(self, layer, matrix):
        """Returns the pointwise kernel for a matrix."""
        shape = layer.pointwise_kernel.shape
        return {"pointwise_kernel": np.reshape(matrix, shape)}

    def patches(self, layer, inputs, positions):
        """Returns outputs of the depthwise half at the positions."""
        if layer.data_format == "channels_first":
            inputs = np.moveaxis(inputs, 1, -1)
        return gathered(inputs, positions).reshape(-1, inputs.shape[-1])
