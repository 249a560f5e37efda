"""Differences between the outputs of an exported file and of Keras."""

import dataclasses
import math

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.run_batches import run_batches

_CHUNK = 8  # samples that Keras computes at once


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Differences between two lists of outputs.

    Attributes:
        max_abs_difference: The largest absolute difference.
        max_relative_difference: The largest difference of an output, divided by its
            largest absolute value in the reference; the largest over all outputs.
        top1_agreement: The share of samples, 0 to 1, with the same largest entry, over
            all outputs of shape `(batch, classes)` with two classes or more; `None`
            without such an output.
    """

    max_abs_difference: float
    max_relative_difference: float
    top1_agreement: float | None


def keras_outputs(model, inputs, pack):
    """Returns the outputs of `model` in inference, as a flat list of arrays.

    Args:
        model: The `keras.Model`.
        inputs: A list of arrays, one per input, of one common length.
        pack: A function that turns a list of arrays into the argument of `model`.
    """
    size = fixed_batch(model) or min(_CHUNK, len(inputs[0]))

    def run(arrays):
        tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
        outputs = keras.tree.flatten(model(pack(tensors), training=False))
        return [keras.ops.convert_to_numpy(output) for output in outputs]

    return run_batches(run, inputs, size)


def agreement(reference, outputs):
    """Compares two flat lists of arrays and returns an `Agreement`."""
    largest, relative, hits = [], [], []
    for expected, output in zip(reference, outputs, strict=True):
        expected = np.asarray(expected, "float64")
        output = np.asarray(output, "float64").reshape(expected.shape)
        difference = float(np.max(np.abs(output - expected), initial=0.0))
        scale = float(np.max(np.abs(expected), initial=0.0))
        largest.append(difference)
        relative.append(_ratio(difference, scale))
        if expected.ndim == 2 and expected.shape[1] > 1:
            hits.append(expected.argmax(1) == output.argmax(1))
    return Agreement(
        max_abs_difference=float(np.max(largest)),
        max_relative_difference=float(np.max(relative)),
        top1_agreement=float(np.mean(np.concatenate(hits))) if hits else None,
    )


def resolve_tolerance(tolerance, default):
    """Returns the number (or `None`) that `tolerance` stands for.

    Raises:
        ValueError: If it is not `"auto"`, `None` or a number that is not negative.
    """
    if isinstance(tolerance, str) and tolerance == "auto":
        return default
    is_number = isinstance(tolerance, (int, float, np.number))
    if tolerance is None or (
        is_number and not isinstance(tolerance, bool) and tolerance >= 0
    ):
        return tolerance
    raise ValueError(
        "Expected `tolerance` to be 'auto', None or a number that is not negative. "
        f"Received: tolerance={tolerance!r}. Pass a share of the largest absolute "
        "output, such as 0.01."
    )


def check_agreement(found, tolerance, what):
    """Raises a `ValueError` if the relative difference exceeds `tolerance`."""
    if tolerance is None or found.max_relative_difference <= tolerance:
        return
    raise ValueError(
        f"Expected {what} to agree with the Keras model within `tolerance`. Received: "
        f"tolerance={tolerance} and a largest difference of "
        f"{found.max_relative_difference:.3g} of the largest absolute output "
        f"({found.max_abs_difference:.3g} absolute). No file was written. Pass a "
        "larger `tolerance` (None switches the check off), samples like the real "
        "inputs, or a gentler quantization."
    )


def _ratio(difference, scale):
    """Returns the quotient; 0 / 0 is 0, others over 0 are infinite, NaN remains NaN."""
    if scale > 0 or math.isnan(difference) or math.isnan(scale):
        return difference / scale if scale else math.nan
    return 0.0 if difference == 0 else math.inf
