"""Which layers a basis can be taken of, and why the others are left alone."""

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_SUPPORTED = (*CONVOLUTIONS, *SEPARABLE, keras.layers.Dense)


def decomposable(layer: keras.layers.Layer) -> str | None:
    """Why a layer can't be decomposed.

    Args:
        layer: A built layer.

    Returns:
        `None` if the layer can be decomposed (`Conv1D/2D/3D` without groups, `Dense`,
        `SeparableConv1D/2D`), the empty string if it has no kernel to speak of, and
        otherwise the reason in words.
    """
    if type(layer) in _SUPPORTED:
        return _obstacle(layer)
    if not any(len(weight.shape) > 1 for weight in layer.weights):
        return ""
    if type(layer) in _DEPTHWISE:
        return "depthwise: each channel has a filter of its own, so its rank is 1"
    if type(layer) in _TRANSPOSED:
        return "transposed convolution: not supported"
    if isinstance(layer, _SUPPORTED):
        return (
            f"{type(layer).__name__} is a subclass of a Keras layer, and may compute "
            "something else"
        )
    return f"{type(layer).__name__} is not a convolution or dense layer"


def kernel_matrix(layer: keras.layers.Layer) -> np.ndarray:
    """Reads the kernel of a decomposable layer as a matrix.

    Args:
        layer: A layer for which `decomposable(layer)` is `None`.

    Returns:
        A float32 array (float64 if the kernel is) of shape `(n, cout)`,
        `n = kh * kw * cin`; for a separable convolution that of its pointwise half,
        `n = cin * depth_multiplier`.

    Raises:
        ValueError: If the kernel holds NaN or infinite values.
    """
    kernel = layer.pointwise_kernel if isinstance(layer, SEPARABLE) else layer.kernel
    matrix = keras.ops.convert_to_numpy(kernel)
    if matrix.dtype != np.float64:
        matrix = matrix.astype(np.float32, copy=False)
    if not np.isfinite(matrix).all():
        raise ValueError(
            "Expected `model` to have finite weights. Received: a kernel with NaN or "
            f"infinite values in layer `{layer.name}`. Train the model again with a "
            "lower learning rate, or load weights that were saved before it diverged."
        )
    return matrix.reshape(-1, matrix.shape[-1])


def _obstacle(layer):
    if getattr(layer, "groups", 1) > 1:
        return f"grouped convolution ({layer.groups} groups): not supported"
    if getattr(layer, "quantization_mode", None):
        return f"quantized to {layer.quantization_mode}: decompose before quantizing"
    if getattr(layer, "lora_enabled", False):
        return "LoRA is enabled: merge it first (`fold(model, batch_norm=False)`)"
    prelu = isinstance(layer.activation, keras.layers.PReLU)  # built when it is called
    if prelu or getattr(layer.activation, "variables", ()):
        return f"its activation `{layer.activation.name}` has weights: not supported"
    return None
