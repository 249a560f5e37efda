"""Compares shapes and dtypes of what a layer returns in both Keras versions."""

import keras

from keras_basisprune.export.tfmot._cannot_cross import Lacking


def check_outputs(before, after, dtypes):
    """Raises `Lacking` unless tensors have the same shapes and dtypes.

    Args:
        before: List of the symbolic tensors of one version.
        after: Structure of those of the other.
        dtypes: Whether dtypes are compared. Those that layers of Keras announce are not
            always those that they return: `Flatten` of a mixed policy, for example.
    """
    after = keras.tree.flatten(after)
    if list(map(len, map(_shape, before))) != list(map(len, map(_shape, after))):
        fits = False
    else:
        fits = all(
            (not dtypes or _dtype(x) == _dtype(y))
            and all(
                None in (a, b) or a == b
                for a, b in zip(*map(_shape, (x, y)), strict=True)
            )
            for x, y in zip(before, after, strict=True)
        )
    if not fits:
        raise Lacking(f"it returns {_shown(before)} here, and {_shown(after)} there")


def _shape(tensor):
    return tuple(tensor.shape)


def _dtype(tensor):
    return getattr(tensor.dtype, "name", tensor.dtype)


def _shown(tensors):
    return ", ".join(f"{_dtype(x)} {_shape(x)}" for x in tensors)
