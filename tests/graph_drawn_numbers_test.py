"""Samples that several machines draw are in the folds of those in memory."""

import pickle

import numpy as np

from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.on_beam.drawn_numbers import DrawnNumbers
from keras_basisprune.graph.sample_folds import sample_folds

IMAGES = np.random.default_rng(0).integers(0, 256, (230, 8, 8, 3)).astype("float32")


def test_positions_and_folds_are_those_of_samples_in_memory():
    batches = [[part] for part in np.split(IMAGES, [10, 100])]
    last, *rest = [DrawnNumbers(arrays) for arrays in batches[::-1]]
    sampling = pickle.loads(pickle.dumps(sum(rest, start=last))).sampling()
    folds = sample_folds(batches)
    positions = MapPositions.for_fitting(batches)
    for arrays, expected, places in zip(batches, folds, positions, strict=True):
        (drawn,), (found,) = sampling.of(arrays)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(drawn.of_map(500), places.of_map(500))
    assert np.bincount(np.concatenate(folds)).tolist() == [46] * 5
