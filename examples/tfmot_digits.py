"""Int8, zeros and clusters by TensorFlow Model Optimization, on scikit-learn's digits.

    pip install "keras-basisprune[demo,tfmot]"
    python -m examples.tfmot_digits

Prints a table: accuracy on test images, the size of the LiteRT file, and its size after
`gzip`. It takes about a minute; nothing is downloaded.
"""

import gzip
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import sklearn.datasets  # noqa: E402

import keras_basisprune as kbp  # noqa: E402
from keras_basisprune.export import tfmot  # noqa: E402

TRAINING = 1300  # of 1,797 images


def load():
    """Returns images (1797, 8, 8, 1) in [0, 1], shuffled, and labels 0..9."""
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images = images.reshape(-1, 8, 8, 1).astype("float32") / 16
    return images[order], labels[order]


def network():
    """Returns a small network of depthwise and 1x1 convolutions."""
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for filters in (64, 128, 128):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def row(name, path, images, labels):
    """Returns a line of the table for a LiteRT file."""
    data = path.read_bytes()
    right = kbp.export.predict_tflite(path, images, verbose=0).argmax(-1) == labels
    zipped = len(gzip.compress(data, mtime=0))
    return f"| {name} | {right.mean():.1%} | {len(data):,} | {zipped:,} |"


def main(epochs=15):
    """Trains the network, makes four files of it, and prints the table."""
    keras.utils.set_random_seed(0)
    images, labels = load()
    train = images[:TRAINING], labels[:TRAINING]
    test = images[TRAINING:], labels[TRAINING:]
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*train, batch_size=32, epochs=epochs, verbose=0)
    again = {"epochs": max(1, epochs // 3), "learning_rate": 1e-3, "verbose": 0}
    folder = pathlib.Path(tempfile.mkdtemp())
    files = {
        name: folder / f"{i}.tflite"
        for i, name in enumerate(("float32", "int8, trained", "sparse", "clustered"))
    }
    kbp.export_tflite(model, files["float32"], samples=test[0][:32])
    tfmot.export_quantize_aware(model, files["int8, trained"], train, **again)
    sparse = tfmot.prune_low_magnitude(model, train, sparsity=0.8, **again)
    kbp.export_tflite(sparse, files["sparse"], samples=test[0][:32])
    clustered = tfmot.cluster_weights(model, train, clusters=16, **again)
    kbp.export_tflite(clustered, files["clustered"], samples=test[0][:32])
    print("| file | accuracy | bytes | after gzip |")
    print("|---|---|---|---|")
    for name, path in files.items():
        print(row(name, path, *test))


if __name__ == "__main__":
    main()
