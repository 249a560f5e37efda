"""Regression of landmarks: where are the eyes and the mouth?

python -m examples.tasks.landmarks
"""

import keras

import keras_basisprune as kbp
from examples.tasks.made_images import draw_faces
from examples.tasks.told import tell


def network() -> keras.Model:
    """Makes a network with six numbers as outputs: x and y of three points."""
    x = inputs = keras.Input((32, 32, 1), name="face")
    for width in (16, 32, 48):
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    outputs = keras.layers.Dense(6, name="points")(x)
    model = keras.Model(inputs, outputs, name="landmarks")
    model.compile(keras.optimizers.Adam(2e-3), "mse")
    return model


def run(count=1500, epochs=15, **options) -> kbp.CompressionResult:
    """Trains the network and makes it smaller; the error may grow by a tenth."""
    keras.utils.set_random_seed(0)
    train, validation, test = (
        draw_faces(number, seed=seed) for seed, number in enumerate((count, 400, 400))
    )
    model = network()
    model.fit(*train, epochs=epochs, verbose=0)
    config = kbp.SearchOptions(rounds=2)
    options = {"recover": "all", "epochs": 5, "config": config, **options}
    metrics = ["mae", "mse"]
    return kbp.compress(
        model, train, validation, metric=metrics, max_drop="10%", test=test, **options
    )


if __name__ == "__main__":
    tell(run())
