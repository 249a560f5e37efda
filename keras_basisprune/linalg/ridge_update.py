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
        An array `D` of shape `(n, cout)`, float64 unless both arrays are float32; zeros
        if the inputs do not vary, or there is no error.

    Example:

    >>> ridge_update(np.eye(2), np.array([[2.0], [4.0]]), ridge=1.0)
    array([[1.],
           [2.]])
    """
    dtype = np.float32 if covariance.dtype == np.float32 else np.float64
    strength = ridge * np.trace(covariance) / len(covariance)
    if not (strength > 0 and np.any(cross_covariance)):
        return np.zeros(cross_covariance.shape, dtype)
    shifted: np.ndarray = np.array(covariance, dtype)
    shifted.flat[:: len(shifted) + 1] += strength
    return np.linalg.solve(shifted, cross_covariance)
