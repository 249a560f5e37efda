"""Calls of `keras.ops` and operators, repeated on tensors of `tf_keras`."""

import numbers

import keras
import numpy as np

from keras_basisprune.export.tfmot import _symbols
from keras_basisprune.export.tfmot._activations import to_tf_activation
from keras_basisprune.export.tfmot._cannot_cross import Lacking
from keras_basisprune.export.tfmot._packages import load_tf_keras
from keras_basisprune.export.tfmot._symbols import function


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
        return function(_symbols.COMPARISONS[kind])(*_one_dtype(args))
    if kind in _symbols.LOGIC:
        args = [_cast(x, "bool") for x in args]
        return function(_symbols.LOGIC[kind])(*args)
    if kind in _symbols.REDUCTIONS:
        return _reduction(op, kind, args[0], dtype)
    if kind in _OTHERS:
        return _OTHERS[kind](op, name, *args, **kwargs)
    raise Lacking("`tf_keras` has no equal of this operation")


def _constant(value):
    if isinstance(value, keras.Variable):
        raise Lacking("it reads a variable that is not part of a layer")
    if not is_symbolic(value) and keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value)
    return value


def is_symbolic(value) -> bool:
    """Returns whether a value is a tensor of `tf_keras`."""
    try:
        return load_tf_keras().backend.is_keras_tensor(value)
    except ValueError:  # no tensor at all
        return False


def _cast(value, dtype):
    if is_symbolic(value):
        return value if value.dtype == dtype else function("cast")(value, dtype)
    return np.asarray(value).astype(dtype) if isinstance(value, np.ndarray) else value


def _one_dtype(args):
    """Casts to the dtype that Keras' operations compute in."""
    held = [x.dtype.name if is_symbolic(x) else type(x) for x in args]
    held = [x if isinstance(x, str) or x in (int, float) else "float32" for x in held]
    dtype = keras.backend.result_type(*held)
    return [_cast(x, dtype) for x in args]


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
                return made(_cast(tensors[0], dtype))
    return function(_symbols.ARITHMETIC[kind])(*[_cast(x, dtype) for x in args])


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
        x = _cast(x, dtype)
    axis = config["axis"]
    axis = list(axis) if isinstance(axis, tuple | list) else axis
    reduce = function(_symbols.REDUCTIONS[kind])
    return reduce(x, axis=axis, keepdims=config["keepdims"])


def _argument(op, name, x):
    config = op.get_config()
    if config["axis"] is None or config["keepdims"]:
        raise Lacking("`tf_keras` has no equal without `axis` or with `keepdims`")
    which = "argmax" if type(op).__name__ == "Argmax" else "argmin"
    return function(f"math.{which}")(x, axis=config["axis"], output_type="int32")


def _cast_to(op, name, x):
    return function("cast")(x, op.get_config()["dtype"])


def _clip(op, name, x):
    config = op.get_config()
    return function("clip_by_value")(x, config["x_min"], config["x_max"])


def _concatenate(op, name, xs):
    made = load_tf_keras().layers.Concatenate(
        axis=op.get_config()["axis"], name=name, dtype=_one_dtype(xs)[0].dtype.name
    )
    return made(_one_dtype(xs))


def _copy(op, name, x):
    return function("identity")(x)


def _expand_dims(op, name, x):
    axis = op.get_config()["axis"]
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    rank = len(x.shape) + len(axes)
    for one in sorted(a % rank for a in axes):
        x = function("expand_dims")(x, one)
    return x


def _flip(op, name, x):
    axis = op.get_config()["axis"]
    axes = range(len(x.shape)) if axis is None else np.atleast_1d(axis)
    return function("reverse")(x, [int(a) % len(x.shape) for a in axes])


def _gelu(op, name, x):
    return function("nn.gelu")(x, op.get_config()["approximate"])


def _get_item(op, name, x, key):
    keys = key if isinstance(key, tuple | list) else [key]
    if any(is_symbolic(k) or isinstance(k, np.ndarray | list) for k in keys):
        raise Lacking("`tf_keras` takes numbers and slices only")
    return x[tuple(keys)]


def _leaky_relu(op, name, x):
    slope = op.get_config()["negative_slope"]
    layer = load_tf_keras().layers.LeakyReLU(slope, name=name, dtype=x.dtype.name)
    return layer(x)


def _move_axis(op, name, x):
    config, rank = op.get_config(), len(x.shape)
    source, target = (
        [int(a) % rank for a in np.atleast_1d(config[key])]
        for key in ("source", "destination")
    )
    order = [a for a in range(rank) if a not in source]
    for to, which in sorted(zip(target, source, strict=True)):
        order.insert(to, which)
    return function("transpose")(x, order)


def _pad(op, name, x, constant_values=None):
    config = op.get_config()
    width, rank = config["pad_width"], len(x.shape)
    width = np.broadcast_to(np.asarray(width), (rank, 2)).tolist()
    options = {"mode": config["mode"].upper()}
    if config["mode"] == "constant":
        options["constant_values"] = constant_values or 0
    return function("pad")(x, width, **options)


def _relu6(op, name, x):
    return load_tf_keras().layers.ReLU(6.0, name=name, dtype=x.dtype.name)(x)


def _repeat(op, name, x):
    config = op.get_config()
    return function("repeat")(x, config["repeats"], axis=config["axis"])


def _reshape(op, name, x):
    shape = [-1 if size is None else size for size in op.get_config()["newshape"]]
    if shape.count(-1) == 1 and shape[0] == -1 and x.shape[0] is None:
        layer = load_tf_keras().layers.Reshape(shape[1:], name=name)
        known = [*x.shape[1:], *shape[1:]]
        if None not in known and np.prod(x.shape[1:]) == np.prod(shape[1:]):
            return layer(x)
    return function("reshape")(x, shape)


def _resize(op, name, images):
    config = op.get_config()
    plain = {"interpolation", "antialias", "size", "name", "data_format"}
    unusual = {k: v for k, v in config.items() if k not in plain and v}
    unusual.pop("fill_mode", None)
    channels_first = keras.config.image_data_format() == "channels_first"
    if unusual or config["data_format"] == "channels_first" or channels_first:
        raise Lacking("`tf_keras` resizes without padding, channels last")
    return function("image.resize")(
        images, config["size"], config["interpolation"], antialias=config["antialias"]
    )


def _roll(op, name, x):
    config = op.get_config()
    if config["axis"] is None:
        raise Lacking("`tf_keras` needs an `axis`")
    return function("roll")(x, config["shift"], config["axis"])


def _softmax(op, name, x):
    axis = op.get_config()["axis"]
    if not isinstance(axis, int):
        raise Lacking("`tf_keras` has no equal without one `axis`")
    if type(op).__name__ == "LogSoftmax":
        return function("nn.log_softmax")(x, axis)
    layer = load_tf_keras().layers.Softmax(axis, name=name, dtype=x.dtype.name)
    return layer(x)


def _split(op, name, x):
    config = op.get_config()
    where, axis = config["indices_or_sections"], config["axis"]
    if not isinstance(where, int):
        ends = [*where, x.shape[axis]]
        where = np.diff([0, *ends]).tolist()
    return function("split")(x, where, axis)


def _squeeze(op, name, x):
    axis = op.get_config()["axis"]
    return function("squeeze")(
        x, axis if axis is None else np.atleast_1d(axis).tolist()
    )


def _stack(op, name, xs):
    return function("stack")(_one_dtype(xs), op.get_config()["axis"])


def _swap_axes(op, name, x):
    config, order = op.get_config(), list(range(len(x.shape)))
    one, two = config["axis1"], config["axis2"]
    order[one], order[two] = order[two], order[one]
    return function("transpose")(x, order)


def _tile(op, name, x):
    repeats = np.atleast_1d(op.get_config()["repeats"]).tolist()
    missing = len(x.shape) - len(repeats)
    if missing < 0:
        raise Lacking("`tf_keras` repeats no more axes than there are")
    return function("tile")(x, [1] * missing + repeats)


def _transpose(op, name, x):
    axes = op.get_config()["axes"]
    return function("transpose")(x, None if axes is None else list(axes))


def _where(op, name, condition, x1=None, x2=None):
    if x1 is None or x2 is None:
        raise Lacking("`tf_keras` has no equal with one argument")
    return function("where")(_cast(condition, "bool"), *_one_dtype([x1, x2]))


_OTHERS = {
    "Argmax": _argument,
    "Argmin": _argument,
    "Cast": _cast_to,
    "Clip": _clip,
    "Concatenate": _concatenate,
    "Copy": _copy,
    "ExpandDims": _expand_dims,
    "Flip": _flip,
    "Gelu": _gelu,
    "GetItem": _get_item,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _softmax,
    "Moveaxis": _move_axis,
    "Pad": _pad,
    "Relu6": _relu6,
    "Repeat": _repeat,
    "Reshape": _reshape,
    "Resize": _resize,
    "Roll": _roll,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "Stack": _stack,
    "Swapaxes": _swap_axes,
    "Tile": _tile,
    "Transpose": _transpose,
    "Where": _where,
}
