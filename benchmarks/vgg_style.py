"""Trains a VGG-style network with BatchNormalization on any data, from scratch.

    python -m benchmarks.vgg_style --data=fashion.npz --image_size=28 --channels=1 \\
        --output=fashion_vgg.keras

Six 3x3 convolutions of 32 to 128 channels in three stages with max pooling, as a
baseline for benchmarks.
"""

import keras
from absl import app, flags

import keras_basisprune as kbp

_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The .keras to write.", required=True)
_SIZE = flags.DEFINE_integer("image_size", 28, "Height and width.")
_CHANNELS = flags.DEFINE_integer("channels", 1, "1 for grey images, 3 for colour.")
_WIDTHS = flags.DEFINE_list("widths", ["32", "64", "128"], "Channels of the stages.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs of training.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")


def network(shape, widths, classes):
    """Builds two convolutions with BatchNormalization and ReLU per stage."""
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for stage, width in enumerate(widths, start=1):
        for number in (1, 2):
            name = f"conv{stage}_{number}"
            x = keras.layers.Conv2D(
                width, 3, padding="same", use_bias=False, name=name
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{stage}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="vgg_style")


def main(_):
    keras.utils.set_random_seed(_SEED.value)
    data = kbp.load_data(_DATA.value, image_size=_SIZE.value, channels=_CHANNELS.value)
    print(data)
    widths = [int(width) for width in _WIDTHS.value]
    model = network(data.train[0].shape[1:], widths, len(data.class_names))
    steps = _EPOCHS.value * -(-len(data.train[0]) // 64)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(*data.train, epochs=_EPOCHS.value, batch_size=64, verbose=2)
    reached = kbp.measure.accuracy(model, data.test)
    print(f"{kbp.measure.cost(model)}; test accuracy {reached:.4f}")
    model.save(_OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
