"""Factors by which outputs of a fitted map vary as much as they should."""

import numpy as np

_LARGEST = 1.5


def variance_factors(matrix, products, variances) -> np.ndarray:
    """Returns a factor for each output of a linear map.

    Least squares gives outputs that vary less than what they are fitted to, by as much
    as it can't predict; layer after layer, signals become weaker. Multiplied with these
    factors, outputs vary as much as they should. No factor is below 1 or above 1.5.

    Args:
        matrix: Array of shape `(n, outputs)`: the fitted map.
        products: Array of shape `(n, outputs)`: the covariance of its inputs, times it.
        variances: Array of shape `(outputs,)`: what the outputs should have.

    Returns:
        A float64 array of shape `(outputs,)`.

    Example:

    >>> variance_factors(np.eye(2), np.eye(2), np.array([1.44, 0.5])).round(2)
    array([1.2, 1. ])
    """
    have = np.einsum("ij,ij->j", matrix, products)
    varies = have > 1e-12 * max(have.max(initial=0.0), 1e-300)
    ratio = np.divide(variances, have, out=np.ones_like(have), where=varies)
    return np.clip(np.sqrt(np.maximum(ratio, 0.0)), 1.0, _LARGEST)
