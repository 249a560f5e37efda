"""Operations of Keras that are no plain function of their tensors in TensorFlow.

Each is computed by a function of the operation, a name for a layer, and the arguments.
"""

import keras
import numpy as np

from keras_basisprune.export.tfmot._cannot_cross import Lacking
from keras_basisprune.export.tfmot._packages import load_tf_keras
from keras_basisprune.export.tfmot._symbols import function
from keras_basisprune.export.tfmot._tensors import cast, is_symbolic, one_dtype


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
        axis=op.get_config()["axis"], name=name, dtype=one_dtype(xs)[0].dtype.name
    )
    return made(one_dtype(xs))


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
    return function("stack")(one_dtype(xs), op.get_config()["axis"])


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
    return function("where")(cast(condition, "bool"), *one_dtype([x1, x2]))


OTHERS = {
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
