"""Connected components of a graph, given by its edges."""

import numpy as np


def components(count, edges) -> np.ndarray:
    """Finds which nodes are connected, directly or through others.

    Every node takes the smallest label of its neighbours, and pointers are shortened
    in between, until nothing changes. Time is linear in nodes and edges, times the
    logarithm of the longest chain.

    Args:
        count: Number of nodes.
        edges: Integer array of shape `(edges, 2)` with values in `[0, count)`.

    Returns:
        An int64 array of shape `(count,)`: the number of each node's component.
        Components are numbered from 0, in the order of their smallest nodes.

    Example:

    >>> components(5, np.array([[3, 1], [4, 3]]))
    array([0, 1, 2, 1, 1])
    """
    label = np.arange(count)
    edges = np.asarray(edges, np.int64).reshape(-1, 2)
    while len(edges):
        ends = label[edges]
        edges = edges[ends[:, 0] != ends[:, 1]]
        low, high = np.sort(label[edges], axis=1).T
        np.minimum.at(label, high, low)
        while not np.array_equal(label, shorter := label[label]):
            label = shorter
    return np.unique(label, return_inverse=True)[1]
