"""A linear map's correction towards what its outputs should be."""

import numpy as np


def ridge_update(covariance, cross_covariance, ridge) -> np.ndarray:
    """Solves `(C + ridge mean(diag C) I) D = X`: ridge regression.

    With `C` the covariance of the inputs of a map `W` and `X` the covariance of the
    inputs with the error of its outputs (target minus output), `W + D` is the
    least-squares map, regularized towards `W`: along inputs that hardly vary, it is
    almost unchanged. Time is `O(n^3 + n^2 cout)`.

    Args:
        covariance: Array `C` of shape `(n, n)`, symmetric, positive semi-definite.
        cross_covariance: Array `X` of shape `(n, cout)`.
        ridge: Float > 0, relative to the mean variance of the inputs.

    Returns:
        A float64 array `D` of shape `(n, cout)`; zeros if the inputs do not vary, or
        there is no error.

    Example:

    >>> ridge_update(np.eye(2), np.array([[2.0], [4.0]]), ridge=1.0)
    array([[1.],
           [2.]])
    """
    strength = ridge * np.trace(covariance) / len(covariance)
    if not (strength > 0 and np.any(cross_covariance)):
        return np.zeros(cross_covariance.shape)
    shifted = np.array(covariance, np.float64)
    shifted.flat[:: len(shifted) + 1] += strength
    return np.linalg.solve(shifted, cross_covariance)
