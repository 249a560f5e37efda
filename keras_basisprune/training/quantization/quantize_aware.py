"""Makes a network round weights and activations as its int8 file will."""

import keras

from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.surgery import fold
from keras_basisprune.training.quantization._observed import observed
from keras_basisprune.training.quantization._places import places
from keras_basisprune.training.quantization._rounded import Form, rounded
from keras_basisprune.training.quantization._steps import steps
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data, Verbose

_MOST = 2**31 - 1


def quantize_aware(
    model: keras.Model,
    data: Data,
    *,
    ranges: str = "moving",
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
    the file). The model is folded first (`fold`); a BatchNormalization that no
    convolution can take becomes a depthwise convolution of size 1, and separable
    convolutions become two layers. `fold` also turns the trained network back into an
    ordinary one.

    The given model is not changed. Time is that of a forward pass over the samples.

    Args:
        model: A built Functional or Sequential `keras.Model`, pruned or not.
        data: Typical samples, without labels, to find the ranges of activations: an
            array, a list or dict of arrays for several inputs, or a dataset of batches.
        ranges: `"moving"`: ranges of activations follow each training batch by a
            moving average, and those of weights follow the weights; `"learned"`: all
            are trained by gradients.
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
    samples = check_whole("samples", samples, 1, _MOST, "Pass 320, say.")
    verbose = check_verbose(verbose)
    check_model("model", model)
    check_finite_weights(model)
    form = Form(8, 8, ranges)
    split = steps(fold(model), form.activation_bits, ())
    traced = trace(split)
    extremes = observed(split, traced, data, samples, verbose)
    found = places(traced, extremes, form.activation_bits, ())
    return rounded(split, traced, found, form, ())
