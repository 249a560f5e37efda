"""Chooses by measured losses which layers have weights of 4 bits."""

import pathlib
import tempfile
import warnings
from typing import Any

import keras
import numpy as np

from keras_basisprune.export import export_tflite
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.graph.trace import check_model
from keras_basisprune.layers import QuantizedWeights
from keras_basisprune.plans.sensitivity.kernel_losses import kernel_losses
from keras_basisprune.training.quantization._small_weights import can_be_small
from keras_basisprune.training.quantization.quantize_aware import quantize_aware
from keras_basisprune.utils.cannot_reach import CannotReach
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data, Verbose

_BITS = 4
_FEW = 8  # samples that suffice to know how large a file is
_ATTEMPTS = 4


def select_weight_bits(
    model: keras.Model,
    data: Data,
    *,
    max_bytes: int,
    activation_bits: int = 8,
    exclude: Any = (),
    verbose: Verbose = "auto",
) -> dict[str, int]:
    """Chooses which layers have weights of 4 bits, so that a file is small enough.

    Half the bytes of a layer cost little accuracy in one layer and much in another. For
    each layer alone, the weights are rounded to 4 bits, and the loss of the outputs is
    measured as by `sensitivity`: no labels are needed, and nothing is trained. Layers
    that lose least per byte that is saved get 4 bits, until the file fits; all others
    keep 8.

    Time is that of half a pass of the samples for each layer, on average, and of
    writing two files (three at most, if sizes turn out otherwise than expected).

    Args:
        model: A built Functional or Sequential `keras.Model`, pruned or not.
        data: A few hundred typical samples, without labels, in the forms of
            `quantize_aware`. A dataset is read several times.
        max_bytes: Integer, the most bytes of the LiteRT file that `export_tflite`
            writes of the quantization-aware network.
        activation_bits: As in `quantize_aware`.
        exclude: Layers that stay in float, as in `quantize_aware`.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A dict from the names of layers to 4 or 8, for `quantize_aware(weight_bits=)`.
        Layers that can't have 4 bits (depthwise and transposed convolutions) are not in
        it.

    Raises:
        CannotReach: If the file is larger with 4 bits in all layers; a `ValueError`.
        ValueError: If an argument does not fit.

    Example:

    >>> bits = select_weight_bits(model, images, max_bytes=300_000)
    >>> small = keras_basisprune.quantize_aware(
    ...     model, images, weight_bits=bits, ranges="learned"
    ... )
    """
    check_model("model", model)
    check_finite_weights(model)
    max_bytes = check_whole("max_bytes", max_bytes, remedy="Pass 300_000, say.")
    verbose = check_verbose(verbose)
    options = {
        "activation_bits": activation_bits,
        "exclude": exclude,
        "rounding": "nearest",  # files of this size, too, in less time
    }
    network = quantize_aware(model, data, samples=_FEW, verbose=0, **options)
    saved = _saved(network)
    large, small = (
        _bytes(model, data, dict.fromkeys(saved, bits), options) for bits in (8, _BITS)
    )
    if large <= max_bytes:
        return dict.fromkeys(saved, 8)
    if small > max_bytes:
        raise CannotReach(
            f"Expected `max_bytes` to be {small} or more: that is the file with "
            "weights of 4 bits wherever they are possible. Received: "
            f"max_bytes={max_bytes}. Make the network smaller (`compress`), or allow "
            "more."
        )
    left_out = {id(x) for x in match_layers(model.layers, exclude, "exclude")}
    names = {layer.name for layer in model.layers if id(layer) in left_out}
    losses = kernel_losses(
        model, data, lambda layer: _rounded(layer, saved, names), verbose
    )
    allowed = max_bytes - small
    for _ in range(_ATTEMPTS):
        chosen = _chosen(losses, saved, allowed)
        over = _bytes(model, data, chosen, options) - max_bytes
        if over <= 0:
            return chosen
        allowed -= over
    return dict.fromkeys(saved, _BITS)


def _saved(network) -> dict[str, int]:
    """Returns the bytes that 4 bits save, by the name of the layer."""
    found = {}
    for layer in network.layers:
        if isinstance(layer, QuantizedWeights) and can_be_small(layer.layer):
            found[layer.name] = int(np.prod(layer.layer.kernel.shape)) // 2
    return found


def _rounded(layer, saved, left_out):
    """Returns the kernel with 4 bits; `None` for a layer that can't have them."""
    if layer.name not in saved or layer.name in left_out or not can_be_small(layer):
        return None
    kernel = np.array(keras.ops.convert_to_numpy(layer.kernel), np.float64)
    steps = 2 ** (_BITS - 1) - 1
    high = QuantizedWeights(layer, _BITS).limits_of(kernel.astype(np.float32))
    scale = high / steps  # output channels are on the last axis
    return np.clip(np.round(kernel / scale), -steps, steps) * scale


def _chosen(losses, saved, allowed) -> dict[str, int]:
    """Returns the bits of each layer, with so many bytes more than at least.

    Layers that were not measured have 4 bits.
    """
    rest = sum(saved[name] for name in losses)
    dear_last = sorted(losses, key=lambda name: losses[name] / max(saved[name], 1))
    small = set()
    for name in dear_last:
        if rest <= allowed:
            break
        small.add(name)
        rest -= saved[name]
    # The last one may have saved so much that others need not.
    for name in sorted(small, key=losses.__getitem__, reverse=True):
        if rest + saved[name] <= allowed:
            small.discard(name)
            rest += saved[name]
    return {n: 8 if n in losses and n not in small else _BITS for n in saved}


def _bytes(model, data, bits, options) -> int:
    """Returns how large the file is."""
    network = quantize_aware(
        model, data, weight_bits=bits, samples=_FEW, verbose=0, **options
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Expected quantization=")
        path = pathlib.Path(folder) / "model.tflite"
        return export_tflite(network, path, tolerance=None).bytes
