"""In which order inputs of a linear map leave when the others make up for them."""

import numpy as np

_AT_ONCE = 32  # inputs that leave between two updates of all the rest


def removal_order(covariance, gram, ridge) -> tuple[np.ndarray, np.ndarray]:
    """Removes the inputs of a linear map one by one, the most dispensable first.

    When an input leaves, the rows of the others are corrected by least squares, so that
    the outputs stay as they were as well as they can. The loss that remains is known in
    advance: with `P = (C + e I)^-1` for the inputs that are left, and `G` the Gram
    matrix of their corrected rows, removing input `i` costs `G_ii / P_ii` (the optimal
    brain surgeon; Hassibi, Stork 1993). `P` and `G` are then downdated, not computed
    anew. The next 32 inputs are looked for among the 128 that cost least at the moment,
    and all others are updated after them, in matrix products. Time is `O(n^3)`, memory
    `O(n^2)`.

    Args:
        covariance: Array `C` of shape `(n, n)`, the covariance of the inputs.
        gram: Array `G = W W^T` of shape `(n, n)`, with `W` the map, `(n, cout)`.
        ridge: Float > 0; `e` relative to the mean variance of the inputs.

    Returns:
        A pair of arrays of shape `(n,)`: the inputs in the order in which they leave,
        and the loss (expected squared error of the outputs, summed over them) after
        each of them has left, in the same order. It never decreases.

    Example:

    >>> order, loss = removal_order(np.eye(2), np.diag([4.0, 1.0]), 1e-9)
    >>> order, loss.round(6)
    (array([1, 0]), array([1., 5.]))
    """
    covariance = np.asarray(covariance, np.float64)
    gram = np.array(gram, np.float64)
    count = len(covariance)
    strength = ridge * (np.trace(covariance) / count or 1.0)
    inverse = np.linalg.inv(covariance + strength * np.eye(count))
    left = np.arange(count)
    order, losses = [], []
    while len(left):
        cost = np.diag(gram) / np.diag(inverse)
        candidates = np.argsort(cost, kind="stable")[: 4 * _AT_ONCE]
        inside = np.ix_(candidates, candidates)
        number = min(_AT_ONCE, len(candidates))
        chosen, loss = _one_by_one(inverse[inside], gram[inside], number)
        gone = candidates[chosen]
        order.append(left[gone])
        losses.append(loss)
        stays = np.setdiff1d(np.arange(len(left)), gone)
        inverse, gram = _downdated(inverse, gram, gone, stays)
        left = left[stays]
    total = np.cumsum(np.maximum(np.concatenate(losses), 0.0))
    return np.concatenate(order), total


def _one_by_one(inverse, gram, number):
    """The first few to leave, exactly, and what each of them costs."""
    alive = np.ones(len(inverse), bool)
    chosen, losses = [], []
    for _ in range(number):
        cost = np.where(alive, np.diag(gram), np.inf) / np.where(
            alive, np.diag(inverse), 1.0
        )
        best = int(np.argmin(cost))
        chosen.append(best)
        losses.append(cost[best])
        alive[best] = False
        share = inverse[:, best] / inverse[best, best]
        row = gram[best].copy()
        gram = gram - np.outer(share, row) - np.outer(row, share)
        gram += row[best] * np.outer(share, share)
        inverse = inverse - np.outer(share, inverse[best])
    return np.array(chosen), np.array(losses)


def _downdated(inverse, gram, gone, stays):
    """The inverse and the Gram matrix of those that stay."""
    both, across = np.ix_(gone, gone), np.ix_(gone, stays)
    share = np.linalg.solve(inverse[both], inverse[across]).T
    fixed = share @ gram[across]
    inside = np.ix_(stays, stays)
    gram = gram[inside] - fixed - fixed.T + share @ gram[both] @ share.T
    return inverse[inside] - share @ inverse[across], gram
