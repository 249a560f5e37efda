"""Dtypes of tensors of `tf_keras` and of constants."""

import keras
import numpy as np

from keras_basisprune.export.tfmot._packages import load_tf_keras
from keras_basisprune.export.tfmot._symbols import function


def is_symbolic(value) -> bool:
    """Returns whether a value is a tensor of `tf_keras`."""
    try:
        return load_tf_keras().backend.is_keras_tensor(value)
    except ValueError:  # no tensor at all
        return False


def cast(value, dtype):
    """Returns a tensor or an array in another dtype; other values as they are."""
    if is_symbolic(value):
        return value if value.dtype == dtype else function("cast")(value, dtype)
    return np.asarray(value).astype(dtype) if isinstance(value, np.ndarray) else value


def one_dtype(args):
    """Casts to the dtype that Keras' operations compute in."""
    held = [x.dtype.name if is_symbolic(x) else type(x) for x in args]
    held = [x if isinstance(x, str) or x in (int, float) else "float32" for x in held]
    dtype = keras.backend.result_type(*held)
    return [cast(x, dtype) for x in args]
