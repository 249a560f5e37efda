"""One sigmoid: is a handwritten digit odd?

    python -m examples.tasks.binary_sigmoid

Needs scikit-learn (extra `demo`).
"""

import keras

import keras_basisprune as kbp
from examples.tasks.told import tell


def network() -> keras.Model:
    """Makes a network that ends in one sigmoid."""
    inputs = keras.Input((8, 8, 1), name="digit")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(32, 3, activation="relu")(x)
    x = keras.layers.Conv2D(64, 3, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    outputs = keras.layers.Dense(1, activation="sigmoid", name="odd")(x)
    model = keras.Model(inputs, outputs, name="odd_or_even")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def run(epochs=12, **options) -> kbp.CompressionResult:
    """Trains the network and makes it smaller; the budget is in points of F1."""
    keras.utils.set_random_seed(0)
    data = kbp.load_data("digits", image_size=8, channels=1)
    train, validation, test = (
        (images, labels % 2)
        for images, labels in (data.train, data.validation, data.test)
    )
    model = network()
    model.fit(*train, epochs=epochs, verbose=0)
    metrics = [keras.metrics.F1Score(threshold=0.5), "accuracy", "auc"]
    return kbp.compress(
        model, train, validation, metric=metrics, max_drop=0.02, test=test, **options
    )


if __name__ == "__main__":
    tell(run())
