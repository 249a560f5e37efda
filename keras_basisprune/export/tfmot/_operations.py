"""Calls of `keras.ops` and operators, repeated on tensors of `tf_keras`."""

import numbers

import keras
import numpy as np

from keras_basisprune.export.tfmot import _symbols
from keras_basisprune.export.tfmot._activations import to_tf_activation
from keras_basisprune.export.tfmot._cannot_cross import Lacking
from keras_basisprune.export.tfmot._other_operations import OTHERS
from keras_basisprune.export.tfmot._packages import load_tf_keras
from keras_basisprune.export.tfmot._symbols import function
from keras_basisprune.export.tfmot._tensors import cast, is_symbolic, one_dtype


def apply_operation(op, name, args, kwargs, dtype):
    """Computes on tensors of `tf_keras` what an operation of Keras does on its own.

    Args:
        op: A `keras.Operation` that is no layer.
        name: The name for a layer that does it.
        args: Its positional arguments, with tensors of `tf_keras`.
        kwargs: Its keyword arguments.
        dtype: The dtype of its (first) result.

    Returns:
        A tensor of `tf_keras`, or a list of them.

    Raises:
        Lacking: If there is nothing that does.
    """
    kind = type(op).__name__
    if not type(op).__module__.startswith("keras."):
        raise Lacking("it is no operation of Keras")
    args, kwargs = keras.tree.map_structure(_constant, (list(args), dict(kwargs)))
    if kind in _symbols.ACTIVATIONS:
        return _activation(op, kind, name, *args, **kwargs)
    if kind in _symbols.ARITHMETIC:
        return _arithmetic(kind, name, [*args, *kwargs.values()], dtype)
    if kind in _symbols.COMPARISONS:
        return function(_symbols.COMPARISONS[kind])(*one_dtype(args))
    if kind in _symbols.LOGIC:
        args = [cast(x, "bool") for x in args]
        return function(_symbols.LOGIC[kind])(*args)
    if kind in _symbols.REDUCTIONS:
        return _reduction(op, kind, args[0], dtype)
    if kind in OTHERS:
        return OTHERS[kind](op, name, *args, **kwargs)
    raise Lacking("`tf_keras` has no equal of this operation")


def _constant(value):
    if isinstance(value, keras.Variable):
        raise Lacking("it reads a variable that is not part of a layer")
    if not is_symbolic(value) and keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    return value


def _activation(op, kind, name, x):
    layers = load_tf_keras().layers
    own = {"Elu": 1.0, "Celu": 1.0, "HardShrink": 0.5, "SoftShrink": 0.5}
    for key, value in op.get_config().items():
        default = own.get(kind, 4)
        if key != "name" and value != default:
            raise Lacking(f"`tf_keras` has no equal of `{key}={value!r}`")
    made = to_tf_activation(_symbols.ACTIVATIONS[kind])
    return layers.Activation(made, name=name, dtype=x.dtype.name)(x)


def _arithmetic(kind, name, args, dtype):
    layers = load_tf_keras().layers
    tensors = [x for x in args if is_symbolic(x)]
    if len(tensors) == len(args) == 2 and kind in _symbols.MERGING:
        if all(x.dtype == dtype and len(x.shape) > 1 for x in tensors):
            return getattr(layers, _symbols.MERGING[kind])(name=name, dtype=dtype)(args)
    if len(args) == 2 and len(tensors) == 1 and dtype.startswith("float"):
        number = args[is_symbolic(args[0])]
        if isinstance(number, numbers.Real) or np.ndim(number) == 0:
            scaled = _scaled(kind, float(number), is_symbolic(args[0]))
            if scaled is not None:
                scale, offset = scaled
                made = layers.Rescaling(scale, offset, name=name, dtype=dtype)
                return made(cast(tensors[0], dtype))
    return function(_symbols.ARITHMETIC[kind])(*[cast(x, dtype) for x in args])


def _scaled(kind, number, second):
    """Returns scale and offset of `x + 2`, `2 * x`, `1 - x`; TFMOT can quantize these.

    Args:
        kind: Class of the operation.
        number: The constant.
        second: Whether it is the second argument.
    """
    if kind == "Add":
        return 1.0, number
    if kind == "Multiply":
        return number, 0.0
    if kind == "Subtract":
        return (1.0, -number) if second else (-1.0, number)
    return None


def _reduction(op, kind, x, dtype):
    config = op.get_config()
    if config.get("initial") is not None or config.get("dtype") is not None:
        raise Lacking("`tf_keras` has no equal of `initial` and `dtype`")
    if kind not in ("All", "Any"):
        x = cast(x, dtype)
    axis = config["axis"]
    axis = list(axis) if isinstance(axis, tuple | list) else axis
    reduce = function(_symbols.REDUCTIONS[kind])
    return reduce(x, axis=axis, keepdims=config["keepdims"])
