"""Rules for dense layers, embeddings, and this package's scaling layer."""

import math
import re

import keras
import numpy as np

from keras_basisprune.graph.rules._kernels import KernelRule, columns, kernel_flops
from keras_basisprune.graph.rules._patches import gathered
from keras_basisprune.graph.rules._reads import Read, axis_first
from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.pointwise import no_mixing
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule
from keras_basisprune.layers import BasisScalingConv


@channel_rule(keras.layers.Dense)
class DenseRule(KernelRule):
    """A kernel of shape `(cin, units)` on the last axis."""

    asked = True
    width = "units"

    def propagate(self, layer, inputs, flow):
        """Creates new channels; channels of another axis pass unchanged."""
        (source,) = inputs
        last = len(flow.call.input_tensors[0].shape) - 1
        if source.axis != last:
            return source
        return Channels(no_mixing(layer, flow.make(layer.units), flow), last)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel's input and output channels."""
        rows, columns = kept_in[0], kept_out[0]
        if rows.behind != 1:
            return {}, {}  # another axis was cut
        weights = {"kernel": columns.take(rows.take(layer.kernel, 0))}
        if layer.use_bias:
            weights["bias"] = columns.take(layer.bias)
        return {"units": len(columns)}, weights

    def reads(self, layer, call):
        """Returns the kernel, for channels on the last axis; others pass."""
        return [Read(call.input_tensors[0], self.rows(layer), last=True)]

    def patches(self, layer, inputs, positions):
        """Returns the inputs at the positions."""
        return gathered(inputs, positions).reshape(-1, inputs.shape[-1])


@channel_rule(keras.layers.EinsumDense)
class EinsumDenseRule(Rule):
    """A kernel of shape `(cin, cout)` on the last axis, if that is the equation."""

    adapted = "kernel"

    def weights(self, layer):
        """Names kernel and bias."""
        return "kernel", "bias"

    def propagate(self, layer, inputs, flow):
        """Creates new channels, if all other axes pass unchanged."""
        (source,) = inputs
        last = len(flow.call.input_tensors[0].shape) - 1
        read, kernel, made = re.split(",|->", layer.equation.replace(" ", ""))
        like_dense = (read[-1] + made[-1], read[:-1]) == (kernel, made[:-1])
        if not like_dense or source.axis != last:
            reason = f"`{layer.name}` is not like Dense: {layer.equation}"
            return flow.stop(inputs, reason)
        ids = flow.make(flow.axis_size(last))
        return Channels(no_mixing(layer, ids, flow), last)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel's channels, and a bias that has the last axis."""
        rows, columns = kept_in[0], kept_out[0]
        weights = {"kernel": columns.take(rows.take(layer.kernel, 0))}
        if layer.equation[-1] in (layer.bias_axes or ""):
            weights["bias"] = columns.take(layer.bias)
        shape = [*layer.partial_output_shape[:-1], len(columns)]
        return {"output_shape": shape}, weights

    def filters(self, layer):
        """Returns the columns of the kernel."""
        return columns(layer.kernel)

    def reads(self, layer, call):
        """Returns the kernel, for channels on the last axis; others pass."""
        return [Read(call.input_tensors[0], axis_first(layer.kernel, 0), last=True)]

    def flops(self, call, shapes):
        """Counts the kernel, times all axes that only the input has."""
        read, kernel = re.split(",|->", call.op.equation.replace(" ", ""))[:2]
        given = shapes.inputs[0]
        before, dots, after = read.partition("...")
        hidden = range(len(before), len(given) - len(after)) if dots else ()
        labels = [*before, *[None] * len(hidden), *after]
        others = [
            size
            for axis, (label, size) in enumerate(zip(labels, given, strict=True))
            if axis and (label is None or label not in kernel)
        ]
        if None in others:
            return None
        weights = math.prod(shapes.weight(call.op, "kernel"))
        return 2 * weights * math.prod(others)


@channel_rule(keras.layers.Embedding)
class EmbeddingRule(Rule):
    """Rows of `output_dim` numbers, looked up by integers."""

    adapted = "embeddings"

    def weights(self, layer):
        """Names the table."""
        return ("embeddings",)

    def propagate(self, layer, inputs, flow):
        """Creates new channels; inputs are pinned."""
        flow.pin(inputs[0].ids, f"positions that `{layer.name}` looks up")
        axis = len(flow.call.output_tensors[0].shape) - 1
        return Channels(flow.make(layer.output_dim), axis)

    def cut(self, layer, kept_in, kept_out):
        """Cuts columns of the table."""
        table = kept_out[0].take(layer.embeddings)
        return {"output_dim": len(kept_out[0])}, {"embeddings": table}

    def filters(self, layer):
        """Returns the columns of the table."""
        return columns(layer.embeddings)

    def flops(self, call, shapes):
        """Counts nothing: rows are looked up."""
        return 0


@channel_rule(BasisScalingConv)
class BasisScalingRule(Rule):
    """Reads bases (removed by `Plan.bases`), and produces output channels."""

    inherited = True

    def weights(self, layer):
        """Names all weights."""
        return "kernel", "bias", "scale", "mask", "mean"

    def propagate(self, layer, inputs, flow):
        """Creates new channels."""
        (source,) = inputs
        flow.pin(source.ids, f"bases of `{layer.name}`: they leave by `Plan.bases`")
        axis = flow.channel_axis(flow.call.output_tensors[0])
        return Channels(no_mixing(layer, flow.make(layer.filters), flow), axis)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel's input and output channels, scales and masks."""
        rows, columns = kept_in[0], kept_out[0]
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        energies = (kernel.astype("float64") ** 2).sum(axis=1)
        share = energies[rows.indices].sum() / (energies.sum() or 1.0)
        config = {"filters": len(columns), "energy": layer.energy * float(share)}
        weights = {"kernel": columns.take(rows.take(kernel, 0))}
        for name in ("scale", "mask", *(["mean"] if layer.centered else [])):
            weights[name] = rows.take(getattr(layer, name))
        if layer.use_bias:
            weights["bias"] = columns.take(layer.bias)
        return config, weights

    def filters(self, layer):
        """Returns the scaled rows of the kernel: filters on basis features."""
        scale, mask, kernel = (
            keras.ops.convert_to_numpy(weight).astype(np.float64)
            for weight in (layer.scale, layer.mask, layer.kernel)
        )
        return (scale * mask)[:, None] * kernel

    def flops(self, call, shapes):
        """Counts the kernel, at each position."""
        kernel = shapes.weight(call.op, "kernel")
        return kernel_flops(call.op, math.prod(kernel), shapes.outputs[0], kernel[-1])
