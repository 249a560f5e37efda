"""Operations in layers that need ranges of their own, as layers of their own."""

import keras
import numpy as np

from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite

_KNOWN = ("linear", "relu", "softmax", "swish", "silu", "tanh")


def operations_apart(model) -> keras.Model:
    """Clones a model while setting apart what TFMOT can't quantize within a layer.

    LiteRT computes `hard_sigmoid` by three operations, and `Rescaling` by two, each of
    which needs a range. Other activations that TFMOT does not know follow their layer.

    Args:
        model: A built Functional or Sequential `keras.Model`.
    """
    return rewrite(model, _replaced)


def _replaced(op, name):
    """Returns the layers that stand for one; `None` to keep it."""
    if type(op).__name__ == "HardSigmoid" and not isinstance(op, keras.layers.Layer):
        return _pieces("hard_sigmoid", name)
    if isinstance(op, keras.layers.Rescaling):
        return _rescaled(op.scale, op.offset, name)
    if isinstance(op, keras.layers.Normalization) and not op.invert:
        mean, deviation = np.asarray(op.mean), np.sqrt(np.asarray(op.variance))
        if mean.size in (1, mean.shape[-1]):
            deviation = np.maximum(deviation.ravel(), keras.config.epsilon())
            return _rescaled(1 / deviation, -mean.ravel() / deviation, name)
    if isinstance(op, keras.layers.RNN | keras.layers.Wrapper):
        return None
    activation = getattr(op, "activation", None)
    kind = getattr(activation, "__name__", "linear")
    if isinstance(op, keras.layers.Activation):
        return _pieces(kind, name) if kind == "hard_sigmoid" else None
    if kind in _KNOWN or activation is None:
        return None
    return [NewLayer(clone(op, name, activation="linear")), *_pieces(activation, name)]


def _rescaled(scale, offset, name):
    scale, offset = (np.asarray(x, "float64").tolist() for x in (scale, offset))
    return [
        NewLayer(keras.layers.Rescaling(scale, name=f"{name}_scale")),
        NewLayer(keras.layers.Rescaling(1.0, offset, name=f"{name}_offset")),
    ]


def _pieces(activation, name):
    layers, made = keras.layers, getattr(activation, "__name__", activation)
    name = f"{name}_{made}"
    if made != "hard_sigmoid":
        return [NewLayer(layers.Activation(activation, name=name))]
    return [
        NewLayer(layers.Rescaling(1.0, 3.0, name=f"{name}_shift")),
        NewLayer(layers.ReLU(6.0, name=f"{name}_relu")),
        NewLayer(layers.Rescaling(1 / 6, name=f"{name}_scale")),
    ]
