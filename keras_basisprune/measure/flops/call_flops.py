"""FLOPs of one call of a layer or operation."""

import dataclasses
import re

import keras

from keras_basisprune.graph.rules import ATTENTION
from keras_basisprune.graph.trace import is_from_keras
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.measure.flops._attention import (
    attention,
    dot,
    headed_attention,
)
from keras_basisprune.measure.flops._convolutions import (
    CONVOLUTIONS,
    convolution,
    einsum_dense,
)
from keras_basisprune.measure.flops._recurrent import recurrent
from keras_basisprune.measure.flops._shapes import Shapes

# Classes behind functions of `keras.ops` (which have no public name) that multiply
# tensors with each other.
_DARK_OPERATIONS = re.compile(
    "matmul|dot|inner|outer|einsum|conv(?!ert)|correlate|attention|fft", re.IGNORECASE
)
# Layers whose weights may have several axes, yet are only looked up or multiplied
# element by element.
_LIGHT_LAYERS = (
    keras.layers.Embedding,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.RMSNormalization,
)
# Layers that multiply, though they may have no weights that Keras knows of.
_DARK_LAYERS = (
    keras.layers.FlaxLayer,
    keras.layers.JaxLayer,
    keras.layers.Lambda,
    keras.layers.MelSpectrogram,
    keras.layers.TFSMLayer,
    keras.layers.TorchModuleWrapper,
)


def call_flops(call, shapes=None) -> int | None:
    """2 x multiply-adds of one call, for one sample.

    Args:
        call: A `Call` of a `Trace`.
        shapes: The `Shapes` to count for. Defaults to those that the call has.

    Returns:
        The number, 0 for what only adds or selects, `None` if it isn't known: no rule
        knows the layer, or the length of a sequence that a recurrent layer or
        attention reads is unknown.

    Raises:
        ValueError: If sizes of the output of a convolution or dense layer are unknown.
    """
    products = _products(call, call.op, shapes or Shapes.of(call))
    return None if products is None else 2 * products


def _products(call, layer, shapes):
    if not isinstance(layer, keras.layers.Layer):
        known = is_from_keras(type(layer))
        dark = not known or _DARK_OPERATIONS.search(type(layer).__name__)
        return None if dark else 0
    if not (is_from_keras(type(layer)) or isinstance(layer, BasisScalingConv)):
        return _of_a_subclass(layer, shapes)
    if isinstance(layer, keras.layers.TimeDistributed):
        return _at_each_step(call, layer, shapes)
    if isinstance(layer, keras.layers.Bidirectional):
        names = ("forward_layer", "backward_layer")
        each = [recurrent(getattr(layer, n), shapes.inside(f"{n}.")) for n in names]
        return None if None in each else sum(each)
    if isinstance(layer, CONVOLUTIONS):
        return convolution(layer, shapes)
    if isinstance(layer, keras.layers.EinsumDense):
        return einsum_dense(layer, shapes)
    if isinstance(layer, keras.layers.RNN):
        return recurrent(layer, shapes)
    if isinstance(layer, ATTENTION):
        return headed_attention(call, layer, shapes)
    if isinstance(layer, keras.layers.Attention | keras.layers.AdditiveAttention):
        return attention(call, layer, shapes)
    if isinstance(layer, keras.layers.Dot):
        return dot(layer, shapes)
    return None if _is_dark(layer) else 0


def _of_a_subclass(layer, shapes):
    """A user's layer: counted if it is a convolution or dense layer, else unknown."""
    return convolution(layer, shapes) if isinstance(layer, CONVOLUTIONS) else None


def _at_each_step(call, layer, shapes):
    """What the layer inside does, times the number of steps."""
    steps = shapes.inputs[0][1]
    inner = layer.layer
    if isinstance(inner, keras.Model):
        return None
    if isinstance(inner, CONVOLUTIONS):  # says itself which size is unknown
        return convolution(inner, shapes.inside("layer."))
    within = _products(
        dataclasses.replace(call, op=inner), inner, shapes.inside("layer.", 1)
    )
    if within in (None, 0):
        return within
    return None if steps is None else steps * within


def _is_dark(layer):
    """Whether a layer of Keras may multiply by weights in ways no rule knows."""
    if isinstance(layer, _DARK_LAYERS):
        return True
    heavy = any(len(weight.shape) > 1 for weight in layer.weights)
    return heavy and type(layer) not in _LIGHT_LAYERS
