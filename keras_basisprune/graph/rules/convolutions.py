"""Rules for convolutions: plain, grouped, transposed, depthwise, separable."""

import keras
import numpy as np

from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.rule import Rule, channel_rule, no_mixing


class _Convolution(Rule):
    """A layer that mixes its input channels into new ones."""

    def propagate(self, layer, inputs, flow):
        """Takes what comes in at the layer's channel axis, and issues new channels."""
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
        """Kernel and bias."""
        return "kernel", "bias"

    def _made(self, layer, source, flow):
        return flow.make(layer.filters)


def _bias(layer, kept):
    return {"bias": kept.take(layer.bias)} if layer.use_bias else {}


@channel_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvolutionRule(_Convolution):
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
        """Cuts the kernel at both ends; of groups, each in the same way."""
        rows, columns = kept_in[0], kept_out[0]
        config = {"filters": len(columns)}
        kernel = columns.take(layer.kernel)
        if layer.groups == rows.total:
            config["groups"] = len(rows)
        elif layer.groups > 1:
            kernel = kernel[..., rows.indices[: len(rows) // layer.groups], :]
        else:
            kernel = rows.take(kernel, -2)
        return config, {"kernel": kernel, **_bias(layer, columns)}


@channel_rule(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
class TransposedRule(_Convolution):
    """Kernels of shape `(*size, cout, cin)`."""

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel at both ends."""
        rows, columns = kept_in[0], kept_out[0]
        kernel = columns.take(rows.take(layer.kernel), -2)
        config = {"filters": len(columns)}
        return config, {"kernel": kernel, **_bias(layer, columns)}


@channel_rule(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class DepthwiseRule(_Convolution):
    """Kernels of shape `(*size, cin, depth_multiplier)`."""

    def _made(self, layer, source, flow):
        return np.repeat(source.ids, layer.depth_multiplier)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the filters of the channels that have left."""
        kernel = kept_in[0].take(layer.kernel, -2)
        return {}, {"kernel": kernel, **_bias(layer, kept_out[0])}


@channel_rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class SeparableRule(_Convolution):
    """A depthwise kernel, and a pointwise one of shape `(1, 1, cin * depth, cout)`."""

    def weights(self, layer):
        """Both kernels and the bias."""
        return "depthwise_kernel", "pointwise_kernel", "bias"

    def cut(self, layer, kept_in, kept_out):
        """Cuts depthwise filters, and the pointwise kernel at both ends."""
        rows, columns = kept_in[0], kept_out[0]
        depth = layer.depth_multiplier
        between = (rows.indices[:, None] * depth + np.arange(depth)).ravel()
        pointwise = np.take(columns.take(layer.pointwise_kernel), between, axis=-2)
        weights = {
            "depthwise_kernel": rows.take(layer.depthwise_kernel, -2),
            "pointwise_kernel": pointwise,
        }
        return {"filters": len(columns)}, {**weights, **_bias(layer, columns)}
