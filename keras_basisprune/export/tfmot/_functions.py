"""Calls of TensorFlow functions in a `tf_keras` model, repeated with `keras.ops`."""

import inspect
import re

import keras
import numpy as np

from keras_basisprune.export.tfmot import _symbols
from keras_basisprune.export.tfmot._cannot_cross import Lacking

# Operators and other names of functions in the tables.
_ALSO = {
    "__operators__.add": "add",
    "abs": "abs",
    "add": "add",
    "compat.v1.math.floordiv": "floor_divide",
    "compat.v1.math.mod": "mod",
    "divide": "divide",
    "exp": "exp",
    "floor_div": "floor_divide",
    "floordiv": "floor_divide",
    "identity": "copy",
    "math.sigmoid": "sigmoid",
    "math.softplus": "softplus",
    "math.tanh": "tanh",
    "math.truediv": "divide",
    "maximum": "maximum",
    "minimum": "minimum",
    "multiply": "multiply",
    "negative": "negative",
    "nn.elu": "elu",
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.selu": "selu",
    "nn.silu": "silu",
    "nn.softsign": "softsign",
    "pow": "power",
    "sigmoid": "sigmoid",
    "sqrt": "sqrt",
    "square": "square",
    "subtract": "subtract",
    "tanh": "tanh",
}


def apply_function(symbol, args, kwargs):
    """Computes on tensors of Keras what a TensorFlow function does on its own.

    Args:
        symbol: The function's name in TensorFlow, such as `"math.add"`.
        args: Its positional arguments, with tensors of Keras.
        kwargs: Its keyword arguments.

    Returns:
        A `KerasTensor` or a list of them.

    Raises:
        Lacking: If there is nothing in `keras.ops` that does.
    """
    if symbol == "__operators__.getitem":
        return _get_item(*args, **kwargs)
    short = symbol.removeprefix("compat.v1.")
    signature = inspect.signature(_symbols.function(symbol))
    given = dict(signature.bind(*args, **kwargs).arguments)
    given.pop("name", None)
    given = {key: _listed(value) for key, value in given.items()}
    if short in _elementwise():
        return _elementwise()[short](*_constants(given.values()))
    if short in _reductions():
        axis = given.get("axis")
        axis = tuple(axis) if isinstance(axis, list) else axis
        keepdims = given.get("keepdims") or False
        return _reductions()[short](given["input_tensor"], axis=axis, keepdims=keepdims)
    if short in _OTHERS:
        return _OTHERS[short](**given)
    raise Lacking(f"`keras.ops` has no equal of `tf.{symbol}`")


def _listed(value):
    return value.tolist() if isinstance(value, np.ndarray) else value


def _constants(values):
    """Gives constants the dtype of the tensors, as TensorFlow does."""
    values = list(values)
    dtypes = [x.dtype for x in values if isinstance(x, keras.KerasTensor)]
    return [
        x if isinstance(x, keras.KerasTensor) else np.asarray(x, dtypes[0])
        for x in values
    ]


def _elementwise():
    found = {**_symbols.ARITHMETIC, **_symbols.COMPARISONS, **_symbols.LOGIC}
    names = {symbol: _snake(kind) for kind, symbol in found.items()} | _ALSO
    return {symbol: getattr(keras.ops, name) for symbol, name in names.items()}


def _reductions():
    rows = _symbols.REDUCTIONS.items()
    names = {symbol: _snake(kind) for kind, symbol in rows}
    names |= {symbol.removeprefix("math."): name for symbol, name in names.items()}
    return {symbol: getattr(keras.ops, name) for symbol, name in names.items()}


def _snake(kind):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()


def _get_item(tensor, slice_spec):
    keys = slice_spec if isinstance(slice_spec, list | tuple) else [slice_spec]
    found = []
    for key in keys:
        if isinstance(key, dict):
            key = slice(key["start"], key["stop"], key["step"])
        if isinstance(key, keras.KerasTensor):
            raise Lacking("it takes a part that depends on a tensor")
        found.append(Ellipsis if key == "Ellipsis" else key)
    return tensor[tuple(found)]


def _argument(function):
    def apply(input, axis=None, output_type="int64"):
        found = function(input, axis=0 if axis is None else axis)
        return keras.ops.cast(found, getattr(output_type, "name", output_type))

    return apply


def _cast(x, dtype):
    return keras.ops.cast(x, getattr(dtype, "name", dtype))


def _clip(t, clip_value_min, clip_value_max):
    return keras.ops.clip(t, clip_value_min, clip_value_max)


def _concat(values, axis):
    values = values if isinstance(values, list | tuple) else [values]
    return keras.ops.concatenate(values, axis)


def _pad(tensor, paddings, mode="CONSTANT", constant_values=0):
    mode = mode.lower()
    if mode != "constant":
        return keras.ops.pad(tensor, paddings, mode)
    return keras.ops.pad(tensor, paddings, mode, constant_values)


def _resize(
    images,
    size,
    method="bilinear",
    preserve_aspect_ratio=False,
    antialias=False,
):
    if preserve_aspect_ratio:
        raise Lacking("`keras.ops.image.resize` preserves no aspect ratio")
    return keras.ops.image.resize(
        images, tuple(size), interpolation=method, antialias=antialias
    )


def _split(value, num_or_size_splits, axis=0, num=None):
    where = num_or_size_splits
    if not isinstance(where, int):
        where = np.cumsum(where)[:-1].tolist()
    return keras.ops.split(value, where, axis)


def _stack(values, axis=0):
    values = values if isinstance(values, list | tuple) else [values]
    return keras.ops.stack(values, axis)


def _where(condition, x=None, y=None, **_):
    if x is None or y is None:
        raise Lacking("`keras.ops.where` needs both results")
    return keras.ops.where(condition, x, y)


_OTHERS = {
    "argmax": _argument(lambda *args, **kwargs: keras.ops.argmax(*args, **kwargs)),
    "argmin": _argument(lambda *args, **kwargs: keras.ops.argmin(*args, **kwargs)),
    "cast": _cast,
    "clip_by_value": _clip,
    "concat": _concat,
    "expand_dims": lambda input, axis: keras.ops.expand_dims(input, axis),
    "image.resize": _resize,
    "math.argmax": _argument(lambda *args, **kw: keras.ops.argmax(*args, **kw)),
    "math.argmin": _argument(lambda *args, **kw: keras.ops.argmin(*args, **kw)),
    "nn.gelu": lambda features, approximate=False: keras.ops.gelu(
        features, approximate
    ),
    "nn.leaky_relu": lambda features, alpha=0.2: keras.ops.leaky_relu(features, alpha),
    "nn.log_softmax": lambda logits, axis=-1: keras.ops.log_softmax(
        logits, -1 if axis is None else axis
    ),
    "nn.softmax": lambda logits, axis=-1: keras.ops.softmax(
        logits, -1 if axis is None else axis
    ),
    "pad": _pad,
    "repeat": lambda input, repeats, axis=None: keras.ops.repeat(input, repeats, axis),
    "reshape": lambda tensor, shape: keras.ops.reshape(tensor, shape),
    "reverse": lambda tensor, axis: keras.ops.flip(tensor, tuple(axis)),
    "roll": lambda input, shift, axis: keras.ops.roll(input, shift, axis),
    "split": _split,
    "squeeze": lambda input, axis=None: keras.ops.squeeze(
        input, tuple(axis) if isinstance(axis, list) else axis
    ),
    "stack": _stack,
    "tile": lambda input, multiples: keras.ops.tile(input, multiples),
    "transpose": lambda a, perm=None, conjugate=False: keras.ops.transpose(a, perm),
    "where": _where,
}
