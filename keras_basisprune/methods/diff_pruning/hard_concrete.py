"""The hard concrete distribution: gates in [0, 1] that are often exactly 0 or 1.

Pure functions of tensors, on every backend. Louizos, Welling, Kingma 2018, *Learning
Sparse Neural Networks through L0 Regularization* (arXiv:1712.01312), section 2.2, with
temperature 1, and stretched to `(-1.5, 1.5)` as in Guo, Rush, Kim 2020
(arXiv:2012.07463).
"""

import math

from keras import ops

LOW, HIGH = -1.5, 1.5
_SHIFT = math.log(-LOW / HIGH)
_LEAST = 1e-4  # uniform numbers stay this far away from 0 and 1


def sampled_gates(log_alpha, uniform):
    """Draws gates.

    Args:
        log_alpha: Float tensor of any shape.
        uniform: Uniform random numbers in [0, 1), of the same shape.

    Returns:
        A tensor of values in [0, 1], differentiable by `log_alpha`.
    """
    u = ops.clip(uniform, _LEAST, 1 - _LEAST)
    return _stretched(ops.log(u) - ops.log(1 - u) + log_alpha)


def expected_gates(log_alpha):
    """Returns the gates without noise, as they are used after training."""
    return _stretched(log_alpha)


def open_probability(log_alpha):
    """Returns the probabilities that gates are not 0; their sum is the expected L0."""
    return ops.sigmoid(log_alpha - _SHIFT)


def _stretched(logits):
    return ops.clip(ops.sigmoid(logits) * (HIGH - LOW) + LOW, 0.0, 1.0)
