import keras
import numpy as np
import pytest
from keras import layers
from models import array

from keras_basisprune.graph.output_positions import output_positions

CASES = {
    "dense": (layers.Dense(3), (2, 5)),
    "dense on a sequence": (layers.Dense(3), (2, 7, 5)),
    "causal": (layers.Conv1D(3, 4, padding="causal", dilation_rate=2), (2, 9, 5)),
    "strided": (layers.Conv2D(3, (3, 2), strides=(2, 3)), (2, 10, 13, 5)),
    "same": (layers.Conv2D(3, 3, strides=2, padding="same"), (2, 7, 10, 5)),
    "dilated": (layers.Conv2D(3, 3, dilation_rate=(2, 3)), (2, 9, 11, 5)),
    "volumes": (layers.Conv3D(3, 2, strides=2), (2, 5, 6, 7, 5)),
    "separable": (layers.SeparableConv2D(3, 3, strides=2), (2, 9, 10, 5)),
    "separable 1D": (layers.SeparableConv1D(3, 3, padding="same"), (2, 9, 5)),
}


@pytest.mark.parametrize("case", CASES)
def test_as_many_as_the_layer_makes(case):
    layer, shape = CASES[case]
    made = array(layer(np.zeros(shape, "float32")))
    assert output_positions(layer, shape) == made[0].size // 3


def test_channels_may_come_first():
    last = layers.Conv2D(3, 3, strides=2, data_format="channels_last")
    first = layers.Conv2D(3, 3, strides=2, data_format="channels_first")
    assert output_positions(last, (2, 9, 12, 5)) == 4 * 5
    assert output_positions(first, (2, 5, 9, 12)) == 4 * 5


def test_each_size_has_its_own():
    inputs = keras.Input((None, None, 3))
    layer = layers.Conv2D(4, 3)
    keras.Model(inputs, layer(inputs))
    sizes = [output_positions(layer, (8, *size, 3)) for size in ((40, 40), (24, 32))]
    assert sizes == [38 * 38, 22 * 30]
