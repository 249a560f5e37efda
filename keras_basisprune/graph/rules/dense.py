"""Rules for dense layers, embeddings, and this package's scaling layer."""

import re

import keras

from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.rule import Rule, channel_rule, no_mixing
from keras_basisprune.layers import BasisScalingConv


@channel_rule(keras.layers.Dense)
class DenseRule(Rule):
    """A kernel of shape `(cin, units)` on the last axis."""

    def weights(self, layer):
        """Kernel and bias."""
        return "kernel", "bias"

    def propagate(self, layer, inputs, flow):
        """Issues new channels; channels of another axis pass unchanged."""
        (source,) = inputs
        last = len(flow.call.input_tensors[0].shape) - 1
        if source.axis != last:
            return source
        return Channels(no_mixing(layer, flow.make(layer.units), flow), last)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel at both ends."""
        rows, columns = kept_in[0], kept_out[0]
        if rows.behind != 1:
            return {}, {}  # it is another axis that was cut
        weights = {"kernel": columns.take(rows.take(layer.kernel, 0))}
        if layer.use_bias:
            weights["bias"] = columns.take(layer.bias)
        return {"units": len(columns)}, weights


@channel_rule(keras.layers.EinsumDense)
class EinsumDenseRule(Rule):
    """A kernel of shape `(cin, cout)` on the last axis, if that is the equation."""

    def weights(self, layer):
        """Kernel and bias."""
        return "kernel", "bias"

    def propagate(self, layer, inputs, flow):
        """Issues new channels, if all other axes pass unchanged."""
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
        """Cuts the kernel at both ends, and a bias that has the last axis."""
        rows, columns = kept_in[0], kept_out[0]
        weights = {"kernel": columns.take(rows.take(layer.kernel, 0))}
        if layer.equation[-1] in (layer.bias_axes or ""):
            weights["bias"] = columns.take(layer.bias)
        shape = [*layer.partial_output_shape[:-1], len(columns)]
        return {"output_shape": shape}, weights


@channel_rule(keras.layers.Embedding)
class EmbeddingRule(Rule):
    """Rows of `output_dim` numbers, looked up by integers."""

    def weights(self, layer):
        """The table."""
        return ("embeddings",)

    def propagate(self, layer, inputs, flow):
        """Issues new channels; what is looked up stays."""
        flow.pin(inputs[0].ids, f"positions that `{layer.name}` looks up")
        axis = len(flow.call.output_tensors[0].shape) - 1
        return Channels(flow.make(layer.output_dim), axis)

    def cut(self, layer, kept_in, kept_out):
        """Cuts columns of the table."""
        table = kept_out[0].take(layer.embeddings)
        return {"output_dim": len(kept_out[0])}, {"embeddings": table}


@channel_rule(BasisScalingConv)
class BasisScalingRule(Rule):
    """Basis features come in (bases, by `Plan.bases`), output channels leave."""

    def weights(self, layer):
        """All."""
        return "kernel", "bias", "scale", "mask", "mean"

    def propagate(self, layer, inputs, flow):
        """Issues new channels."""
        (source,) = inputs
        flow.pin(source.ids, f"bases of `{layer.name}`: they leave by `Plan.bases`")
        axis = flow.channel_axis(flow.call.output_tensors[0])
        return Channels(no_mixing(layer, flow.make(layer.filters), flow), axis)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the kernel at both ends, scales and masks."""
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
