"""Means and covariances of inputs of a map, and of what its outputs lack."""

import dataclasses

import numpy as np

from keras_basisprune.linalg.add_outer import add_outer


@dataclasses.dataclass(frozen=True)
class Sums:
    """Means and covariances of inputs and errors.

    Attributes:
        count: Number of samples.
        mean: Array of shape `(n,)`: of the inputs.
        covariance: Array of shape `(n, n)`: of the inputs.
        error: Array of shape `(outputs,)`: the mean error.
        cross: Array of shape `(n, outputs)`: covariance of inputs and errors.
        variance: Array of shape `(outputs,)`: of the errors.
    """

    count: int
    mean: np.ndarray
    covariance: np.ndarray
    error: np.ndarray
    cross: np.ndarray
    variance: np.ndarray

    def target_variance(self, matrix, products) -> np.ndarray:
        """Returns the variance of the targets, outputs of a map plus the errors.

        Args:
            matrix: Array of shape `(n, outputs)`: the map.
            products: The product of the covariance and the map.
        """
        sums = np.einsum("ij,ij->j", matrix, products + 2 * self.cross)
        return np.maximum(sums + self.variance, 0.0)

    def corrected_products(self, products, update, ridge) -> np.ndarray:
        """Returns the product of the covariance and a map that was corrected.

        It follows from what the correction solves, in a fraction of the time of a
        product.

        Args:
            products: The product of the covariance and the map.
            update: The correction by `RidgeFolds`, centered.
            ridge: Its strength.
        """
        strength = ridge * np.trace(self.covariance) / len(self.covariance)
        return products + self.cross - strength * update


def joined(parts) -> Sums:
    """Returns the `Sums` of several folds, without loss of digits to large means."""
    if len(parts) == 1:
        return parts[0]
    count = sum(part.count for part in parts)
    shares = [part.count / count for part in parts]

    def averaged(name):
        total = shares[0] * getattr(parts[0], name)
        for share, part in zip(shares[1:], parts[1:], strict=True):
            total += share * getattr(part, name)
        return total

    mean, error = averaged("mean"), averaged("error")
    covariance, cross = averaged("covariance"), averaged("cross")
    variance = averaged("variance")
    for share, part in zip(shares, parts, strict=True):
        off, miss = part.mean - mean, part.error - error
        add_outer(covariance, share, off, off)
        add_outer(cross, share, off, miss)
        variance += share * miss**2
    return Sums(count, mean, covariance, error, cross, variance)


def without(together, part) -> Sums:
    """Returns the `Sums` of all samples but those of one fold."""
    share = part.count / together.count
    kept = 1 - share
    mean = (together.mean - share * part.mean) / kept
    error = (together.error - share * part.error) / kept
    covariance, cross = -share * part.covariance, -share * part.cross
    covariance += together.covariance
    cross += together.cross
    variance = together.variance - share * part.variance
    for sums, weight in ((together, 1.0), (part, -share)):
        off, miss = sums.mean - mean, sums.error - error
        add_outer(covariance, weight, off, off)
        add_outer(cross, weight, off, miss)
        variance += weight * miss**2
    covariance /= kept
    cross /= kept
    variance = np.maximum(variance / kept, 0.0)
    count = together.count - part.count
    return Sums(count, mean, covariance, error, cross, variance)
