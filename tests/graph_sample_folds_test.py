"""Folds of samples: of one size, and the same in any order and batches."""

import numpy as np

from keras_basisprune.graph.sample_folds import sample_folds


def test_sizes_differ_by_one_at_most():
    x = np.random.default_rng(0).random((23, 4, 4, 1), "f")
    (folds,) = sample_folds([[x]], 5)
    assert sorted(np.bincount(folds)) == [4, 4, 5, 5, 5]


def test_order_and_batches_do_not_matter():
    rng = np.random.default_rng(1)
    x, z = rng.random((30, 5), "f"), rng.random((30, 2), "f")
    whole = sample_folds([[x, z]], 5)[0]
    order = rng.permutation(30)
    parts = [order[:7], order[7:8], order[8:]]
    found = sample_folds([[x[p], z[p]] for p in parts], 5)
    assert [len(part) for part in found] == [7, 1, 22]
    np.testing.assert_array_equal(np.concatenate(found), whole[order])


def test_equal_samples_are_neighbours():
    x = np.random.default_rng(2).random((20, 3), "f")
    (folds,) = sample_folds([[np.concatenate([x, x])]], 5)
    assert (folds[:20] == folds[20:]).mean() >= 0.8


def test_fewer_samples_than_folds():
    x = np.random.default_rng(3).random((3, 3), "f")
    (folds,) = sample_folds([[x]], 5)
    assert len(set(folds)) == 3
