"""MapPositions: the positions of maps that layers are fitted on."""

import keras
import numpy as np
import pytest

from keras_basisprune.graph import map_positions
from keras_basisprune.graph.map_positions import MapPositions, take_positions


@pytest.fixture(scope="module")
def arrays():
    return [np.random.default_rng(0).standard_normal((6, 9, 9, 2), "float32")]


def test_small_maps_are_taken_whole(arrays):
    positions = MapPositions(arrays, 20).of_map(15)
    assert positions.tolist() == list(range(15))
    maps = np.random.default_rng(1).standard_normal((6, 15, 3))
    np.testing.assert_array_equal(take_positions(maps, positions), maps)


def test_of_large_ones_each_stretch_gives_one(arrays):
    positions = MapPositions(arrays, 4).of_map(80)
    assert positions.shape == (6, 4)
    assert (positions // 20 == np.arange(4)).all()
    maps = np.random.default_rng(1).standard_normal((6, 80, 3))
    found = take_positions(maps, positions)
    for sample in range(6):
        np.testing.assert_array_equal(found[sample], maps[sample, positions[sample]])


def test_a_sample_has_the_same_ones_in_any_batch(arrays):
    whole = MapPositions(arrays, 4).of_map(81)
    for index in range(6):
        alone = MapPositions([arrays[0][index : index + 1]], 4).of_map(81)
        np.testing.assert_array_equal(alone[0], whole[index])


@pytest.mark.parametrize(("samples", "count"), [(12, 2), (13, 3), (5, 1), (600, 49)])
def test_batches_share_what_is_fitted_on(arrays, samples, count, monkeypatch):
    monkeypatch.setattr(map_positions, "SAMPLES", samples)
    first, second = MapPositions.for_fitting([[arrays[0][:4]], [arrays[0][4:]]])
    layer = keras.layers.Conv2D(5, 3)
    sizes = [(4, count), (2, count)] if count < 49 else [(49,)] * 2
    assert first.of_outputs(layer, arrays[0][:4]).shape == sizes[0]
    assert second.of_outputs(layer, arrays[0][4:]).shape == sizes[1]
