"""Activations of Keras 3 in `tf_keras`, where some are missing and one is another."""

import functools
import types

import keras

from keras_basisprune.export.tfmot._cannot_cross import Lacking
from keras_basisprune.export.tfmot._packages import load_tf_keras

PACKAGE = "keras_basisprune"
# The same function under the same name.
_SAME = (
    *("elu", "exponential", "gelu", "leaky_relu", "linear", "log_softmax", "mish"),
    *("relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign"),
    *("swish", "tanh"),
)
# Made here, of TensorFlow's operations. Keras 2's `hard_sigmoid` is another function.
_MADE = (
    *("celu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh"),
    *("log_sigmoid", "soft_shrink", "squareplus", "tanh_shrink"),
)
_LIBRARIES = ("keras", "tf_keras", "tensorflow", "keras_basisprune")
_RENAMED = {"swish": "silu", "hard_swish": "hard_silu"}


def to_tf_activation(activation):
    """Returns the activation for `tf_keras` that computes what one of Keras does.

    Args:
        activation: A function, a name, or a `keras.layers.Layer`, or `None`.

    Returns:
        A name that `tf_keras` knows, a function that is registered there, or `None`.

    Raises:
        Lacking: If there is none.
    """
    if activation is None:
        return None
    if isinstance(activation, keras.layers.Layer):
        raise Lacking("its activation is a layer")
    if _of_a_user(activation):
        return activation
    name = activation if isinstance(activation, str) else _own_name(activation)
    if name in _SAME:
        return name
    if name in _MADE:
        return made_activations()[_RENAMED.get(name, name)]
    raise Lacking(f"`tf_keras` has no activation {name!r}")


def from_tf_activation(activation):
    """Returns the name of Keras' activation that computes what one of `tf_keras` does.

    Args:
        activation: A function or `None`.

    Raises:
        Lacking: If there is none.
    """
    if activation is None:
        return None
    name = getattr(activation, "__name__", type(activation).__name__)
    if made_activations().get(name) is activation:
        return name
    if _of_a_user(activation):
        return activation
    for same in _SAME:
        if activation is load_tf_keras().activations.get(same):
            return same
    raise Lacking(f"`keras` has no activation {name!r} that computes the same")


def _of_a_user(activation) -> bool:
    """Returns whether it is a function of a user, which both versions can call."""
    if not isinstance(activation, types.FunctionType):
        return False
    return activation.__module__.split(".")[0] not in _LIBRARIES


def _own_name(activation):
    name = getattr(activation, "__name__", type(activation).__name__)
    if getattr(keras.activations, name, None) is activation:
        return name
    raise Lacking(f"`{name}` is not an activation of Keras")


@functools.cache
def made_activations():
    """Maps names to functions that are registered with `tf_keras` for its files."""
    import tensorflow as tf

    def celu(x):
        return tf.where(x > 0, x, tf.math.expm1(tf.minimum(x, 0)))

    def hard_shrink(x):
        return tf.where(tf.abs(x) > 0.5, x, tf.zeros_like(x))

    def hard_sigmoid(x):
        return tf.nn.relu6(x + 3) / 6

    def hard_silu(x):
        return x * (tf.nn.relu6(x + 3) / 6)

    def hard_tanh(x):
        return tf.clip_by_value(x, -1, 1)

    def log_sigmoid(x):
        return tf.math.log_sigmoid(x)

    def soft_shrink(x):
        return x - tf.clip_by_value(x, -0.5, 0.5)

    def squareplus(x):
        return (x + tf.sqrt(tf.square(x) + 4)) / 2

    def tanh_shrink(x):
        return x - tf.tanh(x)

    functions = (celu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh)
    functions += (log_sigmoid, soft_shrink, squareplus, tanh_shrink)
    register = load_tf_keras().saving.register_keras_serializable
    return {f.__name__: register(PACKAGE, f.__name__)(f) for f in functions}
