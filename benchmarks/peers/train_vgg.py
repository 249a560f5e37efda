"""Trains the VGG16 with BatchNormalization that the comparison starts from.

    python -m benchmarks.pack_to_npz --pack=cifar10_jpeg.npz.xz --per_class=1000 \\
        --output=cifar10.npz
    python -m benchmarks.peers.train_vgg --data=cifar10.npz --output=vgg.keras
"""

import keras
import numpy as np
from absl import app, flags

_DATA = flags.DEFINE_string("data", None, "The .npz of the data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The .keras to write.", required=True)
_WIDTH = flags.DEFINE_float("width", 0.5, "Times the channels of VGG16.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs.")
_BATCH = flags.DEFINE_integer("batch", 64, "Batch size.")

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def vgg(width: float, image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Builds VGG16 with BatchNormalization and one dense layer behind it."""
    inputs = keras.Input(image_shape)
    x, number = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs), 0
    for depth, channels in STAGES:
        for _ in range(depth):
            number += 1
            x = keras.layers.Conv2D(
                round(channels * width),
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"conv_{number}",
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"bn_{number}")(x)
            x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(0)
    with np.load(_DATA.value) as data:
        x, y = data["x_train"], data["y_train"].ravel()
        test = data["x_test"], data["y_test"].ravel()
    model = vgg(_WIDTH.value, x.shape[1:], int(y.max()) + 1)
    steps = _EPOCHS.value * -(-len(x) // _BATCH.value)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=1e-3, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rng = np.random.default_rng(0)
    for _ in range(_EPOCHS.value):
        order = rng.permutation(len(x))
        images = x[order]
        flipped = rng.random(len(x)) < 0.5
        images[flipped] = images[flipped, :, ::-1]
        model.fit(images, y[order], _BATCH.value, shuffle=False, verbose=2)
    print("test:", model.evaluate(*test, verbose=0, return_dict=True))
    model.save(_OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
