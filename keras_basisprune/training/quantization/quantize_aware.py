"""Makes a network round weights and activations as its int8 file will."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.sample_batches import are_arrays, sample_batches
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.layers import QuantizedWeights
from keras_basisprune.surgery import fold
from keras_basisprune.training.quantization._compensated import round_kernels
from keras_basisprune.training.quantization._corrected import (
    correct_biases,
    inputs_of,
)
from keras_basisprune.training.quantization._kernel_sums import can_be_compensated
from keras_basisprune.training.quantization._observed import observed
from keras_basisprune.training.quantization._places import places
from keras_basisprune.training.quantization._rounded import Form, rounded
from keras_basisprune.training.quantization._small_weights import can_be_small
from keras_basisprune.training.quantization._steps import steps
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.types import Data, Verbose

_BATCH = 32
_MOST = 2**31 - 1


def quantize_aware(
    model: keras.Model,
    data: Data,
    *,
    ranges: str = "moving",
    weight_bits: int | Mapping[str, int] = 8,
    activation_bits: int = 8,
    exclude: Any = (),
    rounding: str = "compensated",
    samples: int = 320,
    verbose: Verbose = "auto",
) -> keras.Model:
    """Rounds weights and activations as an int8 file does, so that training can adapt.

    Integers instead of floats cost accuracy, in small networks most of all. In the
    returned network each kernel and each activation is rounded to the numbers that
    LiteRT's int8 file will hold, while gradients pass as if they were not. Train it for
    a few epochs with `fit` or `recover` (with the float network as teacher), and write
    it with `export_tflite`: the file computes what the network computes.

    The scheme is LiteRT's: kernels symmetric, with a scale per output channel;
    activations with a scale and zero point per tensor, after a ReLU that follows a
    convolution or sum, and one range for all inputs and the output of a concatenation;
    the inputs and outputs of the network, too. Biases stay in float (32-bit integers in
    the file). The model is folded first (`fold`); a BatchNormalization that
    no convolution can take becomes a depthwise convolution of size 1, and separable
    convolutions become two layers. `fold` also turns the trained network back into an
    ordinary one.

    Rounding to the nearest number is not best for the outputs. By default, kernels are
    rounded layer after layer, from the inputs that the rounded layers before deliver:
    corrected by ridge regression towards the outputs in float, then rounded one input
    after the other, where the weights that follow make up for each error (Frantar et
    al. 2023, *GPTQ*, arXiv:2210.17323, section 3). Biases then restore the mean of each
    channel. All of it is in closed form; nothing is trained. Kernels then *are* the
    rounded numbers. Grouped and transposed convolutions, and kernels with `kh kw cin`
    above 4,608, are rounded to the nearest; their biases are corrected for the mean of
    what that changes (Nagel et al. 2019, arXiv:1906.04721, section 4.2).

    The given model is not changed. Time is that of three forward passes over the
    samples, run layer by layer, and of one product `O(n^2)` per position (30,000 of
    them at most) and a few solutions `O(n^3)` per layer, `n = kh kw cin`. Memory does
    not grow with the number of samples: what is beyond half a GiB is on disk
    (`data.spilling`). With `rounding="nearest"`, it is one forward pass.

    Args:
        model: A built Functional or Sequential `keras.Model`, pruned or not.
        data: Typical samples, without labels, to find the ranges of activations and to
            round by: an array, a list or dict of arrays for several inputs, or a
            dataset of batches.
        ranges: `"moving"`: ranges of activations follow each training batch by a
            moving average, and those of weights follow the weights; `"learned"`: all
            are trained by gradients.
        weight_bits: Integer, 8 or 4. With 4, kernels have 15 numbers per channel and
            half the bytes; depthwise and transposed kernels keep 8. Train with
            `ranges="learned"`. Or a dict from names of layers to 8 or 4, such as
            `training.select_weight_bits` returns; all others have 8.
        activation_bits: Integer, 8 or 16. With 16, little is lost without training, but
            fewer operations have integer kernels, and these are slower.
        exclude: Layers that stay in float: names, regular expressions, classes or
            predicates, as in `convert`.
        rounding: `"compensated"`: kernels are rounded so that outputs change least; or
            `"nearest"`: to the nearest numbers, with biases corrected for the mean.
        samples: Integer, the most samples that are read of `data`.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A Functional `keras.Model`, not compiled. It can be saved as a `.keras` file,
        and loaded where `keras_basisprune` is imported.

    Raises:
        ValueError: If an argument does not fit, or `data` does not fit the model.

    Example:

    >>> small = keras_basisprune.quantize_aware(model, images)
    >>> config = keras_basisprune.Recovery(epochs=3, learning_rate=1e-4)
    >>> keras_basisprune.recover(small, images, teacher=model, config=config)
    >>> keras_basisprune.export_tflite(small, "small_int8.tflite")
    """
    check_choice("ranges", ranges, ("moving", "learned"))
    check_choice("rounding", rounding, ("compensated", "nearest"))
    samples = check_whole("samples", samples, 1, _MOST, "Pass 320, say.")
    verbose = check_verbose(verbose)
    check_model("model", model)
    check_finite_weights(model)
    form = Form(
        _weight_bits(weight_bits),
        _one_of("activation_bits", activation_bits, (8, 16)),
        ranges,
    )
    folded = fold(model)
    left_out = match_layers(_layers(folded), exclude, "exclude")
    split = steps(folded, form.activation_bits, {id(layer) for layer in left_out})
    names = {layer.name for layer in left_out}
    unchanged = {id(layer) for layer in _layers(split) if layer.name in names}
    _check_names(form.weight_bits, _layers(split))
    traced = trace(split)
    sources = inputs_of(traced)
    averaged = tuple(dict.fromkeys(sources.values()))
    batches = _batches(split, data, samples, rounding)
    extremes, means = observed(split, traced, batches, verbose, averaged)
    found = places(traced, extremes, form.activation_bits, unchanged)
    network = rounded(split, traced, found, form, unchanged)
    compensated = rounding == "compensated"
    by_means = {
        layer.name: means[sources[layer.name]]
        for layer in network.layers
        if layer.name in sources and isinstance(layer, QuantizedWeights)
        if not (compensated and can_be_compensated(layer.layer))
    }
    correct_biases(network, by_means)
    if compensated:
        round_kernels(network, split, batches, verbose)
    return network


def _batches(model, data, samples, rounding):
    """Returns batches of the data, which can be read again if need be."""
    kept = rounding == "compensated"
    read = sample_batches(model, None, data, "data", _BATCH, samples, kept=kept)
    return KeptBatches(read, are_arrays(model, data)) if kept else read


def _one_of(argument, value, choices):
    remedy = f"Pass {choices[0]} or {choices[1]}."
    value = check_whole(argument, value, min(choices), max(choices), remedy)
    if value not in choices:
        raise ValueError(
            f"Expected `{argument}` to be {choices[0]} or {choices[1]}. Received: "
            f"{argument}={value}. Leave it out for {choices[0]}."
        )
    return value


def _weight_bits(bits):
    if not isinstance(bits, Mapping):
        return _one_of("weight_bits", bits, (8, 4))
    return {
        name: _one_of(f"weight_bits[{name!r}]", value, (8, 4))
        for name, value in bits.items()
    }


def _check_names(bits, layers):
    """Raises `ValueError` unless all layers that are named can have so many bits."""
    if not isinstance(bits, dict):
        return
    known = {x.name: x for x in layers if QuantizedWeights.accepts(x)}
    for name, value in bits.items():
        if name not in known or (value < 8 and not can_be_small(known[name])):
            small = [key for key, layer in known.items() if can_be_small(layer)]
            raise ValueError(
                "Expected `weight_bits` to name layers whose weights can have 4 bits. "
                f"Received: {name!r}: {value}. These can: "
                f"[{shortened(map(repr, small))}]."
            )


def _layers(model) -> list:
    return [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
