"""The basis of a linear map along which its outputs vary most."""

import numpy as np

from keras_basisprune.linalg._low_rank import LowRank

# Standard deviations below this share of the largest one are raised to it.
_FLOOR = 1e-6


def principal_basis(matrix, covariance, through, target, floor=_FLOOR) -> LowRank:
    """Decomposes a linear map by the principal components of its outputs.

    With `C = V diag(l) V^T` the covariance of the outputs, the filters are
    `matrix @ V / sqrt(l)` and the kernel back to the outputs is `sqrt(l) V^T`. Features
    have unit variance over the data (and so one scale when they are quantized), and the
    norms of the kernel's rows are the standard deviations `sqrt(l)`, used in place of
    the singular values. Features are centred, so that the mean of the outputs is the
    same whichever bases are removed. At full rank the map is unchanged up to rounding,
    for all inputs. Time is that of one eigen-decomposition, `O(min(n, cout)^3)`, and
    one product `O(n cout min(n, cout))`.

    Source: Zhang, Zou, He, Sun 2015, *Accelerating Very Deep Convolutional Networks
    for Classification and Detection* (arXiv:1505.06798), section 3.1: the best
    subspace for the responses.

    Args:
        matrix: Array of shape `(n, cout)`.
        covariance: Array of shape `(cout, cout)`: the covariance of the outputs.
        through: Array of shape `(cout,)`: the mean of `x @ matrix`.
        target: Array of shape `(cout,)`: the mean that the outputs should have.
        floor: Float, smallest standard deviation by which features are divided,
            relative to the largest.

    Returns:
        A `LowRank` of rank `min(n, cout)`, float64.

    Example:

    >>> found = principal_basis(np.eye(2), np.diag([4.0, 9.0]), [0, 0], [1, 1])
    >>> found.singular_values
    array([3., 2.])
    """
    matrix = np.asarray(matrix, np.float64)
    through, target = np.asarray(through, np.float64), np.asarray(target, np.float64)
    span = None
    if matrix.shape[0] < matrix.shape[1]:
        # All possible outputs of the map lie in the span of its rows.
        span = np.linalg.qr(matrix.T)[0]
        covariance = span.T @ covariance @ span
    variances, axes = np.linalg.eigh((covariance + covariance.T) / 2)
    variances, axes = variances[::-1], axes[:, ::-1]
    if span is not None:
        axes = span @ axes
    deviations = np.sqrt(np.maximum(variances, 0.0))
    deviations = np.maximum(deviations, floor * deviations[0])
    if deviations[0] == 0.0:  # constant outputs: no basis matters
        deviations += floor * (np.abs(matrix).max() or 1.0)
    return LowRank(
        matrix @ axes / deviations,
        deviations[:, None] * axes.T,
        through @ axes / deviations,
        target,
    )
