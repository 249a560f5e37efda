"""Tells which layers can be decomposed, and why others can't."""

import keras
import numpy as np

from keras_basisprune.graph.rules import Rule, defines, rule_of, rules_of


def decomposable(layer: keras.layers.Layer) -> str | None:
    """Returns the reason why a layer can't be decomposed, or `None`.

    Args:
        layer: A built layer.

    Returns:
        `None` if the layer can be decomposed (`Conv1D/2D/3D` without groups, `Dense`,
        `SeparableConv1D/2D`, and layers whose rule has a `matrix`), an empty string if
        it has no kernel, otherwise the reason.
    """
    rule = rule_of(layer) or Rule()
    if defines(rule, "matrix"):
        return rule.obstacle(layer)
    if not any(len(weight.shape) > 1 for weight in layer.weights):
        return ""
    if any(defines(base, "matrix") for base in rules_of(layer)):
        return (
            f"{type(layer).__name__} is a subclass of a Keras layer, and may compute "
            "something else"
        )
    return rule.obstacle(layer)


def decomposed_by_default(layer: keras.layers.Layer) -> bool:
    """Returns whether a decomposable layer is chosen if `include` is not given."""
    rule = rule_of(layer)
    return defines(rule, "matrix") and not rule.asked


def kernel_matrix(layer: keras.layers.Layer) -> np.ndarray:
    """Reads the kernel of a decomposable layer as a matrix.

    Args:
        layer: A layer for which `decomposable(layer)` is `None`.

    Returns:
        A float32 array (float64 if the kernel is) of shape `(n, cout)`,
        `n = kh * kw * cin`; for a separable convolution the kernel of its pointwise
        half, `n = cin * depth_multiplier`.

    Raises:
        ValueError: If the kernel holds NaN or infinite values.
    """
    matrix = keras.ops.convert_to_numpy(rule_of(layer).matrix(layer))
    if matrix.dtype != np.float64:
        matrix = matrix.astype(np.float32, copy=False)
    if not np.isfinite(matrix).all():
        raise ValueError(
            "Expected `model` to have finite weights. Received: a kernel with NaN or "
            f"infinite values in layer `{layer.name}`. Train the model again with a "
            "lower learning rate, or load weights that were saved before it diverged."
        )
    return matrix
