import keras
from keras import layers

from keras_basisprune.graph.free_names import FreeNames


def test_names_that_a_model_has_are_numbered_on():
    inputs = keras.Input((3,), name="images")
    x = layers.Dense(3, name="add")(inputs)
    x = layers.Dense(3, name="add_1")(x)
    free = FreeNames(keras.Model(inputs, x).operations)
    found = [free(n) for n in ("add", "add", "add_1", "images", "sum", "sum")]
    assert found == ["add_2", "add_3", "add_1_1", "images_1", "sum", "sum_1"]
