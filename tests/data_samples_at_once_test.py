"""Batch sizes by the size of inputs."""

import keras
import pytest

from keras_basisprune.data.samples_at_once import samples_at_once


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((32, 32, 3), 128),
        ((96, 96, 3), 128),
        ((128, 128, 3), 72),
        ((224, 224, 3), 32),
        ((3, 128, 128), 72),
        ((None, None, 3), 32),
        ((10,), 128),
        ((), 128),
    ],
)
def test_larger_inputs_are_computed_in_smaller_batches(shape, count):
    inputs = keras.Input(shape)
    assert samples_at_once(keras.Model(inputs, keras.layers.ReLU()(inputs))) == count


def test_the_largest_of_several_inputs_counts():
    inputs = [keras.Input((8, 8, 3)), keras.Input((128, 128, 3))]
    flat = [keras.layers.GlobalAveragePooling2D()(x) for x in inputs]
    model = keras.Model(inputs, keras.layers.Add()(flat))
    assert samples_at_once(model) == 72
