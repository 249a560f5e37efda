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
    from scipy import linalg

    dtype = np.float32 if covariance.dtype == np.float32 else np.float64
    strength = ridge * np.trace(covariance) / len(covariance)
    if not (strength > 0 and np.any(cross_covariance)):
        return np.zeros(cross_covariance.shape, dtype)
    shifted = _shifted(covariance, dtype, strength)
    try:  # twice as fast as a solution that doesn't know that it is definite
        factor = linalg.cho_factor(shifted, overwrite_a=True, check_finite=False)
        return linalg.cho_solve(factor, cross_covariance, check_finite=False)
    except linalg.LinAlgError:  # only nearly so, by rounding
        shifted = _shifted(covariance, dtype, strength)
        return np.linalg.solve(shifted, cross_covariance)


def _shifted(covariance, dtype, strength) -> np.ndarray:
    """Returns a covariance and a multiple of the identity, in Fortran's order."""
    shifted: np.ndarray = np.array(covariance.T, dtype, order="F")
    shifted.flat[:: len(shifted) + 1] += strength
    return shifted
