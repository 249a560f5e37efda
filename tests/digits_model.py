"""A small classifier of real digits, for tests of the whole job."""

import keras

import keras_basisprune as kbp


def load():
    """The digits of scikit-learn at 8 x 8, pixels in [0, 255]."""
    return kbp.load_data("digits", image_size=8, channels=1)


def trained(data, epochs=5):
    """A network far larger than the task needs, always the same."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="images")
    x = keras.layers.Rescaling(1 / 255, name="scaled")(inputs)
    x = keras.layers.Conv2D(32, 3, activation="relu", name="conv1")(x)
    x = keras.layers.Conv2D(64, 3, use_bias=False, name="conv2")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm2")(x)
    x = keras.layers.ReLU(name="relu2")(x)
    x = keras.layers.GlobalMaxPooling2D(name="pool")(x)
    outputs = keras.layers.Dense(10, activation="softmax", name="head")(x)
    model = keras.Model(inputs, outputs, name="digits")
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(*data.train, epochs=epochs, verbose=0)
    return model
