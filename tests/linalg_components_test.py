import numpy as np
import pytest

from keras_basisprune.linalg import components


def union_find(count, edges):
    """The same, one edge after the other."""
    parent = list(range(count))

    def root(node):
        while parent[node] != node:
            node = parent[node]
        return node

    for one, other in edges:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    numbers = {}
    return [numbers.setdefault(root(node), len(numbers)) for node in range(count)]


@pytest.mark.parametrize("count", [1, 2, 7, 60, 400])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0, 3.0])
def test_random_graphs(count, share):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        edges = rng.integers(0, count, (int(count * share), 2))
        found = components(count, edges)
        assert found.tolist() == union_find(count, edges.tolist())
        assert found.dtype == np.int64


def test_long_chains_in_any_order():
    order = np.random.default_rng(0).permutation(3000)
    chain = np.stack([order[:-1], order[1:]], axis=1)
    for edges in (chain, chain[::-1], chain[:, ::-1], np.sort(chain, axis=1)):
        assert not components(3000, edges).any()
        assert components(3001, edges).tolist() == [0] * 3000 + [1]


def test_nothing_to_unite():
    assert components(0, np.empty((0, 2), int)).tolist() == []
    assert components(3, []).tolist() == [0, 1, 2]
    assert components(3, np.array([[1, 1], [2, 2]])).tolist() == [0, 1, 2]


def test_the_edges_stay_as_they_are():
    edges = np.array([[3, 1], [4, 3]])
    assert components(5, edges).tolist() == [0, 1, 2, 1, 1]
    assert edges.tolist() == [[3, 1], [4, 3]]
