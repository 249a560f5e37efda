"""Rounds the kernels of a network, one layer after the other."""

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.sample_folds import sample_folds
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import QuantizedWeights
from keras_basisprune.training.quantization._kernel_sums import (
    can_be_compensated,
    kernel_sums,
)


def round_kernels(network, original, batches, verbose):
    """Gives the layers of a network that rounds kernels of rounded numbers.

    Layer after layer, from the inputs that the rounded layers before it deliver: the
    kernel is corrected by ridge regression towards the outputs of the original
    (`RidgeFolds`; not in depthwise convolutions), and rounded by
    `compensated_rounding`. Then the bias is set so that the mean of each output channel
    is that of the original.

    Args:
        network: The `keras.Model` that rounds, changed in place.
        original: The `keras.Model` that it was made of, with layers of the same names.
        batches: `KeptBatches`.
        verbose: Whether to show a progress bar.
    """
    old, new = depth_first(trace(original)), depth_first(trace(network))
    known, first = _first_calls(old), _first_calls(new)
    streams = LiveValues(old, batches), LiveValues(new, batches)
    drawn = MapPositions.for_fitting(batches), sample_folds(batches)
    for name, index in tqdm(first.items(), unit="layer", disable=not verbose):
        layer = new.calls[index].op
        if not isinstance(layer, QuantizedWeights) or name not in known:
            continue
        if not can_be_compensated(layer.layer):
            continue
        read = []
        places = (known[name], index)
        for stream, traced, at in zip(streams, (old, new), places, strict=True):
            stream.advance(at)
            tensor = traced.calls[at].input_tensors[0]
            if tensor in stream:
                read.append(stream.of(tensor))
        if len(read) == 2:
            _round(layer, zip(*read, *drawn, strict=True))


def _first_calls(traced) -> dict[str, int]:
    """Maps the name of each operation to the position of its first call."""
    found: dict[str, int] = {}
    for index, call in enumerate(traced.calls):
        found.setdefault(call.op.name, index)
    return found


def _round(layer, batches):
    """Rounds the kernel of one layer.

    Args:
        layer: The `QuantizedWeights`.
        batches: Iterable of what it reads in the original and now, of `MapPositions`
            and the folds of samples.
    """
    inner, most = layer.layer, 2 ** (layer.bits - 1) - 1
    rule, sums = rule_of(inner), kernel_sums(inner)
    for was, now, positions, folds in batches:
        at = positions.of_map(output_positions(inner, now.shape))
        patches = [
            rule.patches(inner, values, at).astype(np.float32, copy=False)
            for values in (was, now)
        ]
        sums.add(*patches, np.repeat(folds, len(patches[0]) // len(folds)))
    target = sums.target()
    high = layer.limits_of(target.astype(np.float32)).astype(np.float64)
    scales = high.reshape(_channels(inner)) / most
    kernel = sums.numbers(target, scales, most) * scales
    inner.kernel.assign(kernel)
    if layer.ranges == "learned":
        layer.limit.assign(high)
    if inner.use_bias:
        bias = keras.ops.convert_to_numpy(inner.bias)
        inner.bias.assign(bias + sums.lacking(kernel))


def _channels(layer) -> tuple[int, ...]:
    """Returns the sizes of the last axes of a kernel, which output channels are on."""
    depthwise = rule_of(layer).depthwise(layer)
    return tuple(layer.kernel.shape[-2:] if depthwise else layer.kernel.shape[-1:])
