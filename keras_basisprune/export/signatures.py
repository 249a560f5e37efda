"""The specification and structure of a model's inputs."""

import keyword
import re

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.utils.check_whole import check_whole

_LARGEST = 2**20


def input_specs(model, batch_size=None, input_shape=None):
    """Returns one `keras.InputSpec` per input, in the order of `model.inputs`.

    Args:
        model: A Functional or built Sequential `keras.Model`.
        batch_size: The size of the first dimension, or `None` to leave it open. An
            input with a fixed batch size keeps it, and the other inputs adopt it.
        input_shape: The shape of one sample without the batch dimension, or a list
            (in the order of `model.inputs`) or a dict (by input name) of shapes.
            Needed for inputs with open dimensions only.

    Returns:
        A list of specifications with names that every runtime accepts.

    Raises:
        ValueError: If `input_shape` contradicts the model.
    """
    shapes = _given_shapes(model, input_shape)
    own = next((tensor.shape[0] for tensor in model.inputs if tensor.shape[0]), None)
    fixed = own or fixed_batch(model) or batch_size
    specs, used = [], set()
    for tensor, given in zip(model.inputs, shapes, strict=True):
        sizes = tuple(tensor.shape[1:])
        if given is not None and not _fits(given, sizes):
            raise ValueError(
                f"Expected `input_shape` to fit the input {tensor.name!r} of shape "
                f"{sizes} (batch dimension left out). Received: input_shape="
                f"{input_shape!r}. Pass one whole number per open dimension."
            )
        name = _clean(tensor.name, used)
        batch = fixed if tensor.shape[0] is None else tensor.shape[0]
        shape = (batch, *(sizes if given is None else given))
        specs.append(keras.InputSpec(shape=shape, dtype=tensor.dtype, name=name))
    return specs


def fixed_specs(model, batch_size, input_shape):
    """Returns `input_specs`, in which all sizes but the batch size must be known.

    Raises:
        ValueError: If `batch_size` is not a batch size, or if a size remains open.
    """
    if batch_size is not None:
        remedy = "None leaves it open."
        batch_size = check_whole("batch_size", batch_size, 1, _LARGEST, remedy)
    specs = input_specs(model, batch_size, input_shape)
    for spec in specs:
        if None in spec.shape[1:]:
            raise ValueError(
                "Expected `input_shape` for a model whose input has open dimensions. "
                f"Received: input_shape={input_shape!r} for the input {spec.name!r} "
                f"of shape {spec.shape}. Pass the shape of one sample, such as "
                "input_shape=(224, 224, 3)."
            )
    return specs


def pack(model, flat):
    """Arranges a flat list in the structure that `model` takes."""
    if isinstance(model, keras.Sequential):
        return flat[0]
    return keras.tree.pack_sequence_as(model.input, list(flat))


def _given_shapes(model, input_shape):
    """Lays `input_shape` out as one tuple (or `None`) per input."""
    names = [tensor.name for tensor in model.inputs]
    if isinstance(input_shape, dict):
        unknown = sorted(set(input_shape) - set(names))
        if not unknown:
            return [input_shape.get(name) for name in names]
    elif input_shape is None:
        return [None] * len(names)
    elif not isinstance(input_shape, list | tuple):
        pass  # raises below
    elif len(names) == 1 and all(_is_size(size) for size in input_shape):
        return [tuple(input_shape)]
    elif len(names) == len(input_shape):
        several = all(x is None or isinstance(x, list | tuple) for x in input_shape)
        if several:
            return [None if shape is None else tuple(shape) for shape in input_shape]
    raise ValueError(
        "Expected `input_shape` to be the shape of one sample, or a list or dict of "
        f"shapes for the inputs {names}. Received: input_shape={input_shape!r}. Pass "
        "(96, 96, 3), say."
    )


def _is_size(size):
    return isinstance(size, (int, np.integer)) and not isinstance(size, bool)


def _fits(given, own):
    return len(given) == len(own) and all(
        _is_size(new) and new > 0 and old in (None, new)
        for new, old in zip(given, own, strict=True)
    )


def _clean(name, used):
    """Returns a unique name that signatures of TensorFlow and LiteRT accept."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not name[:1].isalnum() or keyword.iskeyword(name):
        name = f"input_{name.strip('_')}"
    while name in used:
        name += "_"
    used.add(name)
    return name
