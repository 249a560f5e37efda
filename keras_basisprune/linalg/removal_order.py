"""The order in which inputs of a linear map are removed and compensated."""

import numpy as np

_AT_ONCE = 32  # inputs that are removed between two updates of all others


def removal_order(covariance, gram, ridge, units=None) -> tuple[np.ndarray, np.ndarray]:
    """Removes the inputs of a linear map one by one, the most dispensable first.

    When an input is removed, the rows of the others are corrected by least squares, so
    that the outputs change as little as possible. The remaining loss is known in
    advance: with `P = (C + e I)^-1` for the remaining inputs, and `G` the Gram matrix
    of their corrected rows, removing input `i` costs `G_ii / P_ii`, and removing inputs
    `B` together costs `tr(P_BB^-1 G_BB)` (the optimal brain surgeon; Hassibi, Stork
    1993). `P` and `G` are then downdated, not computed again. The next 32 inputs are
    chosen from the 128 that currently cost least, and all others are updated after
    them, in matrix products. Time is `O(n^3)`, memory `O(n^2)`.

    Args:
        covariance: Array `C` of shape `(n, n)`, the covariance of the inputs.
        gram: Array `G = W W^T` of shape `(n, n)`, with `W` the map, `(n, cout)`.
        ridge: Float > 0; `e` relative to the mean variance of the inputs.
        units: Integer array of shape `(n,)`, numbers from 0 on: inputs with the same
            number are removed together. By default, each input is a unit.

    Returns:
        A pair of arrays, one entry per unit: the units in the order of removal, and the
        loss after each removal (expected squared error of the outputs, summed over
        them), which never decreases.

    Example:

    >>> order, loss = removal_order(np.eye(2), np.diag([4.0, 1.0]), 1e-9)
    >>> order, loss.round(6)
    (array([1, 0]), array([1., 5.]))
    """
    covariance = np.asarray(covariance, np.float64)
    gram = np.array(gram, np.float64)
    count = len(covariance)
    units = np.arange(count) if units is None else np.asarray(units)
    largest = np.bincount(units).max(initial=1)
    at_once = max(1, _AT_ONCE // int(largest))
    strength = ridge * (np.trace(covariance) / count or 1.0)
    inverse = np.linalg.inv(covariance + strength * np.eye(count))
    order, losses = [], []
    while len(units):
        names, cost = _costs(inverse, gram, units)
        cheapest = names[np.argsort(cost, kind="stable")[: 4 * at_once]]
        candidates = np.flatnonzero(np.isin(units, cheapest))
        inside = np.ix_(candidates, candidates)
        chosen, loss = _one_by_one(
            inverse[inside], gram[inside], units[candidates], at_once
        )
        order += chosen
        losses += loss
        gone = np.isin(units, chosen)
        inverse, gram = _downdated(inverse, gram, gone)
        units = units[~gone]
    return np.array(order), np.cumsum(np.maximum(losses, 0.0))


def _costs(inverse, gram, units):
    """Returns the units that remain, and the cost of removing each."""
    names, sizes = np.unique(units, return_counts=True)
    if sizes.max() == 1:
        cost = np.empty(len(names))
        cost[np.searchsorted(names, units)] = np.diag(gram) / np.diag(inverse)
        return names, cost
    rows = np.argsort(units, kind="stable")
    starts = np.cumsum(sizes) - sizes
    cost = np.empty(len(names))
    for size in np.unique(sizes):
        which = np.flatnonzero(sizes == size)
        members = rows[starts[which][:, None] + np.arange(size)]
        blocks = members[:, :, None], members[:, None, :]
        solved = np.linalg.solve(inverse[blocks], gram[blocks])
        cost[which] = np.trace(solved, axis1=1, axis2=2)
    return names, cost


def _one_by_one(inverse, gram, units, number):
    """Returns the first few units to remove, exactly, and the cost of each."""
    chosen, losses = [], []
    while len(chosen) < number and len(units):
        names, cost = _costs(inverse, gram, units)
        best = int(np.argmin(cost))
        chosen.append(int(names[best]))
        losses.append(float(cost[best]))
        gone = units == names[best]
        inverse, gram = _downdated(inverse, gram, gone)
        units = units[~gone]
    return chosen, losses


def _downdated(inverse, gram, gone):
    """Returns the inverse and the Gram matrix of the remaining inputs."""
    gone, stays = np.flatnonzero(gone), np.flatnonzero(~gone)
    both, across = np.ix_(gone, gone), np.ix_(gone, stays)
    share = np.linalg.solve(inverse[both], inverse[across]).T
    fixed = share @ gram[across]
    inside = np.ix_(stays, stays)
    gram = gram[inside] - fixed - fixed.T + share @ gram[both] @ share.T
    return inverse[inside] - share @ inverse[across], gram
