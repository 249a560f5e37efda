"""Rounds a matrix so that each error is made up for by weights that come later."""

import numpy as np

_AT_ONCE = 64  # inputs whose errors are passed on together
_SMALLEST = 1e-30


def compensated_rounding(matrix, covariance, scales, most, damping=0.1) -> np.ndarray:
    """Rounds the weights of a linear map, with little change of its outputs.

    Weights of one input after the other are rounded to whole multiples of the scale of
    their output, those of inputs that vary most first. What this changes in the outputs
    is made up for, as far as inputs are correlated, by the weights that are not yet
    rounded: that is the solution of a least squares problem, and one Cholesky factor of
    the inverse covariance holds the solutions of all steps. An output for which the
    nearest numbers happen to be better keeps those.

    The largest weight of each output gets the largest integer, so that the scale can
    be found from the result.

    Source: Frantar et al. 2023, *GPTQ: Accurate Post-Training Quantization for
    Generative Pre-trained Transformers* (arXiv:2210.17323), section 3, after Frantar
    and Alistarh 2022, *Optimal Brain Compression* (arXiv:2208.11580).

    Time is `O(n^3 + n^2 outputs)`, memory `O(n^2 + n outputs)`.

    Args:
        matrix: Array of shape `(n, outputs)`.
        covariance: Float64 array of shape `(n, n)`, of the inputs: or their second
            moments, if no constant can be added to the outputs.
        scales: Array of shape `(outputs,)`, positive: the distance of two neighbouring
            numbers.
        most: Integer, the largest one; the smallest is `-most`.
        damping: Float > 0: this share of the mean variance is added to each variance,
            more of it where the covariance is that of few samples.

    Returns:
        A float64 array of integers, of the matrix's shape. Times `scales`, it is the
        rounded matrix.

    Example:

    >>> together = np.ones((2, 2))  # both inputs are the same
    >>> matrix = np.array([[0.4], [7.0], [0.4]])
    >>> compensated_rounding(matrix, np.ones((3, 3)), np.ones(1), 7).ravel()
    array([1., 7., 0.])
    """
    matrix = np.asarray(matrix, np.float64)
    nearest = np.clip(np.floor(matrix / scales + 0.5), -most, most)
    columns = np.arange(matrix.shape[1])
    largest = np.abs(matrix).argmax(0)
    ends = np.sign(matrix[largest, columns]) * most
    nearest[largest, columns] = ends
    order = np.argsort(-np.diag(covariance), kind="stable")
    places = np.argsort(order)
    found = _in_order(
        matrix[order],
        _factor(covariance[np.ix_(order, order)], damping),
        scales,
        most,
        (places[largest], ends),
    )[places]
    errors = [
        np.einsum("ij,ij->j", lack, covariance @ lack)
        for lack in (number * scales - matrix for number in (found, nearest))
    ]
    return np.where(errors[0] <= errors[1], found, nearest)


def _factor(covariance, damping):
    """Returns the upper Cholesky factor of the inverse."""
    size = len(covariance)
    more = damping * np.trace(covariance) / size + _SMALLEST
    inverse = np.linalg.inv(covariance + more * np.eye(size))
    return np.linalg.cholesky((inverse + inverse.T) / 2).T


def _in_order(left, factor, scales, most, largest):
    """Rounds row after row; `left` is changed."""
    found = np.zeros_like(left)
    where, ends = largest
    for start in range(0, len(left), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(left))
        errors = np.zeros((stop - start, left.shape[1]))
        for row in range(start, stop):
            numbers = np.clip(np.floor(left[row] / scales + 0.5), -most, most)
            found[row] = np.where(where == row, ends, numbers)
            error = (left[row] - found[row] * scales) / factor[row, row]
            left[row + 1 : stop] -= np.outer(factor[row, row + 1 : stop], error)
            errors[row - start] = error
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return found
