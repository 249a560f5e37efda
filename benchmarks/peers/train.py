"""Trains the VGG16 or the ResNet-56 that the comparison starts from.

    python -m benchmarks.pack_to_npz --pack=cifar10_jpeg.npz.xz --per_class=1000 \\
        --output=cifar10.npz
    python -m benchmarks.peers.train --network=vgg --width=0.5 --data=cifar10.npz \\
        --output=vgg.keras
"""

import keras
import numpy as np
from absl import app, flags

from benchmarks.peers import keras_networks

_DATA = flags.DEFINE_string("data", None, "The .npz of the data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The .keras to write.", required=True)
_NETWORK = flags.DEFINE_enum("network", None, ["resnet56", "vgg"], "", required=True)
_WIDTH = flags.DEFINE_float("width", 1.0, "Times the channels of the paper's.")
_START = flags.DEFINE_string("start", None, "A .keras file to train further.")
_EPOCHS = flags.DEFINE_integer("epochs", 8, "Epochs.")
_BATCH = flags.DEFINE_integer("batch", 64, "Batch size.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(0)
    with np.load(_DATA.value) as data:
        x, y = data["x_train"], data["y_train"].ravel()
        test = data["x_test"], data["y_test"].ravel()
    build = getattr(keras_networks, _NETWORK.value)
    model = build(_WIDTH.value, x.shape[1:], int(y.max()) + 1)
    if _START.value:
        model = keras.saving.load_model(_START.value)
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
