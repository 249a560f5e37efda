"""Standard deviations along the principal components of outputs."""

import numpy as np


def principal_deviations(covariance, rank, floor=1e-6) -> np.ndarray:
    """Returns the singular values of the `principal_basis` with this covariance.

    Time is that of the eigenvalues alone.

    Args:
        covariance: Array of shape `(cout, cout)`.
        rank: Integer, of the map whose outputs these are.
        floor: As in `principal_basis`.

    Returns:
        A float64 array of shape `(rank,)`, descending.

    Example:

    >>> principal_deviations(np.diag([4.0, 9.0]), 2)
    array([3., 2.])
    """
    variances = np.linalg.eigvalsh((covariance + covariance.T) / 2)[::-1][:rank]
    deviations = np.sqrt(np.maximum(variances, 0.0))
    if deviations[0] == 0.0:  # constant outputs: no basis matters
        return np.full(rank, floor)
    return np.maximum(deviations, floor * deviations[0])
