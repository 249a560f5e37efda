"""Copies the weights of a layer to its twin in the other Keras version."""

import keras
import numpy as np

from keras_basisprune.export.tfmot._cannot_cross import Lacking


def copy_weights(old, new):
    """Copies the weights of one layer to another of the same kind.

    Both list their weights in the same order, apart from a wrapper with weights of its
    own (`SpectralNormalization`); those are told apart by their shapes.

    Args:
        old: A built layer of Keras or `tf_keras`.
        new: The other, built, and not yet frozen.

    Raises:
        Lacking: If their weights do not fit each other.
    """
    values = [np.asarray(keras.ops.convert_to_numpy(_tensor(w))) for w in old.weights]
    shapes = [tuple(w.shape) for w in new.weights]
    if [value.shape for value in values] != shapes:
        values = _in_order(values, shapes)
    if values:
        new.set_weights(values)
    if type(new).__name__ == "Normalization" and values:
        new.finalize_state()


def _tensor(weight):
    return weight if isinstance(weight, keras.Variable) else weight.numpy()


def _in_order(values, shapes):
    """Arranges arrays by their shapes, if each shape is there once."""
    held = {value.shape: value for value in values}
    if len(held) == len(values) and sorted(held) == sorted(shapes):
        return [held[shape] for shape in shapes]
    raise Lacking(
        f"its weights have the shapes {[v.shape for v in values]}, those of its twin "
        f"{shapes}"
    )
