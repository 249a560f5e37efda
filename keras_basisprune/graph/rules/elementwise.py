"""Rules for layers and operators that treat each channel independently."""

import keras
import numpy as np

from keras_basisprune.graph.rules.pointwise import pointwise
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule

# Classes behind elementwise `keras.ops` functions of one tensor.
_FUNCTIONS = """
    Abs Absolute Angle Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Cast Cbrt Ceil
    Conj Conjugate ConvertToTensor Copy Cos Cosh Deg2rad Erf Erfc Erfinv Exp Exp2
    Expm1 Fabs Floor I0 Imag Isfinite Isinf Isnan Isneginf Isposinf Log Log10 Log1p
    Log2 LogicalNot NanToNum Negative OnesLike Rad2deg Real Reciprocal Round Rsqrt
    SaturateCast Sign Signbit Sin Sinc Sinh Sqrt Square StopGradient Tan Trunc
    ZerosLike
""".split()
# Activations.
_ACTIVATIONS = """
    Celu Elu Gelu HardShrink HardSigmoid HardSilu HardTanh LeakyRelu LogSigmoid Relu
    Relu6 Selu Sigmoid Silu SoftShrink Softplus Softsign SparsePlus SparseSigmoid
    Squareplus Tanh TanhShrink Threshold
""".split()


@channel_rule(*_FUNCTIONS)
class PointwiseRule(Rule):
    """Channels pass."""

    free = True


@channel_rule(
    keras.layers.ELU, keras.layers.LeakyReLU, keras.layers.ReLU, *_ACTIVATIONS
)
class PointwiseActivationRule(PointwiseRule):
    """Channels pass an activation."""

    follows = True


@channel_rule(
    keras.layers.ActivityRegularization,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    "StochasticDepth",  # of ConvNeXt
)
class IdleRule(PointwiseRule):
    """Channels pass, unchanged in inference."""

    idle = True
    scales = "any"


@channel_rule(keras.layers.AlphaDropout, keras.layers.Dropout)
class DropoutRule(Rule):
    """Channels pass, unless `noise_shape` states their number."""

    free = True
    idle = True
    scales = "any"

    def propagate(self, layer, inputs, flow):
        """Pins channels if `noise_shape` states their number."""
        shape = getattr(layer, "noise_shape", None)
        if shape is not None and shape[inputs[0].axis] not in (None, 1):
            flow.pin(inputs[0].ids, f"`noise_shape` of `{layer.name}` counts them")
        return inputs[0]


@channel_rule(keras.layers.Masking)
class MaskingRule(Rule):
    """Positions are masked by the values of all their channels."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Pins channels."""
        flow.pin(inputs[0].ids, f"`{layer.name}` reads across channels")
        return inputs[0]


@channel_rule("Clip")
class ClipRule(Rule):
    """Channels pass, if all have the same limits."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Pins channels with individual limits."""
        if np.ndim(layer.x_min) or np.ndim(layer.x_max):
            flow.pin(inputs[0].ids, f"`{layer.name}` has limits for each")
        return inputs[0]


@channel_rule(keras.layers.Activation)
class ActivationRule(Rule):
    """Channels pass, unless the function reads across them (softmax)."""

    free = True
    follows = True

    def propagate(self, layer, inputs, flow):
        """Pins channels unless the function treats each independently."""
        if not pointwise(layer.activation):
            flow.pin(inputs[0].ids, f"`{layer.name}` reads across channels")
        return inputs[0]
