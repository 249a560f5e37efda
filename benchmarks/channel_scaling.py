"""Channel scaling on chest X-rays: frozen convolutions, and fewer and fewer of them.

    python -m benchmarks.pack_to_npz --pack=pneumonia_xray_96gray.npz.xz \\
        --output=xrays.npz
    python -m benchmarks.channel_scaling --data=xrays.npz --network=MobileNetV2 \\
        --weights=mobilenet_v2_1.0_224_imagenet_notop.weights.h5
    python -m benchmarks.channel_scaling --data=xrays.npz --network=VGG16 \\
        --weights=vgg16_notop.float16.npz --size=48 --dtype=mixed_bfloat16

The unpruned transfer is a new head on frozen convolutions. Each iteration trains scales
and head and leaves `--keep` of the parameters, until `--least` of the first ones are
left, and the head is trained once more. Beside it, from the same transfer, the same
images and to the same share of the parameters: the rows of METHODS in `--beside`, each
with a head that is trained once more.

Prints, for each network, accuracy and area under the ROC curve (AUC) on validation
images (a seventh of the training images, in stretches of the pack: `xray_baseline`) and
on test images. With `--per_class` so many training images of each class are used, with
`--size` images are made smaller: a check on two cores.
"""

import dataclasses
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.imagenet_vgg16 import vgg16
from benchmarks.in_dtype import in_dtype
from benchmarks.xray_split import split
from keras_basisprune.methods import (
    METHODS,
    Iterations,
    channel_scaling_method,
    prune_iteratively,
)
from keras_basisprune.search.cutter import CutOptions, Cutter

_DATA = flags.DEFINE_string("data", None, "What pack_to_npz wrote.", required=True)
_NETWORK = flags.DEFINE_enum(
    "network", "MobileNetV2", ["MobileNetV2", "VGG16"], "Which Keras Application."
)
_WEIGHTS = flags.DEFINE_string("weights", None, "Weights without the top.")
_SIZE = flags.DEFINE_integer("size", 64, "Height and width of the images.")
_PER_CLASS = flags.DEFINE_integer("per_class", None, "Training images per class.")
_SCALES = flags.DEFINE_list("scales", ["fold", "select"], "What becomes of scales.")
_KEEP = flags.DEFINE_float("keep", 0.6, "Share that each iteration leaves.")
_LEAST = flags.DEFINE_float("least", 0.03, "Share of the first at which it ends.")
_RATE = flags.DEFINE_float("learning_rate", 5e-3, "Of scales and head.")
_L1 = flags.DEFINE_float("l1", 1e-4, "Strength of the regularization.")
_EPOCHS = flags.DEFINE_integer("epochs", 3, "Epochs per iteration.")
_BESIDE = flags.DEFINE_list(
    "beside",
    ["compensated_channels", "basis_regression", "double_pruning"],
    "Rows of METHODS.",
)
_DTYPE = flags.DEFINE_string("dtype", "float32", "In which scales train.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds.")

_HEAD_EPOCHS = 20


def transfer(images, labels, seed):
    """A frozen network with weights of ImageNet, and a head trained on it."""
    keras.utils.set_random_seed(seed)
    size = _SIZE.value
    if _NETWORK.value == "VGG16":
        whole = vgg16(_WEIGHTS.value, 2, images[:100], size)
        features = keras.Model(whole.inputs, whole.layers[-1].input)
    else:
        inputs = keras.Input((size, size, 3))
        inner = keras.applications.MobileNetV2(
            include_top=False, weights=_WEIGHTS.value, input_shape=(size, size, 3)
        )
        x = inner(keras.layers.Rescaling(1 / 127.5, -1.0)(inputs))
        features = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    for layer in features.layers:
        layer.trainable = False
    head = keras.layers.Dense(2, activation="softmax", name="head")
    model = keras.Model(features.inputs, head(features.output))
    train_head(model, images, labels, seed)
    return model


def train_head(model, images, labels, seed):
    """Trains the last layer only, on features that are computed once."""
    keras.utils.set_random_seed(seed)
    head = model.layers[-1]
    before = keras.Model(model.inputs, head.input)
    found = before.predict(images, batch_size=64, verbose=0)
    inputs = keras.Input(found.shape[1:])
    alone = keras.Model(inputs, head(inputs))
    head.trainable = True
    alone.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    alone.fit(found, labels, epochs=_HEAD_EPOCHS, batch_size=32, verbose=0)


def area_under_curve(scores, labels) -> float:
    """The chance that one of class 1 scores above one of class 0."""
    ones, zeros = np.sort(scores[labels == 1]), scores[labels == 0]
    above = len(ones) - np.searchsorted(ones, zeros, "right")
    equal = np.searchsorted(ones, zeros, "right") - np.searchsorted(ones, zeros, "left")
    return float(np.mean((above + equal / 2) / len(ones)))


class Table:
    """Prints a row for each network."""

    def __init__(self, data):
        self._data, self._whole = data, None
        print(
            "| seed | network | parameters | removed | MFLOPs | validation, AUC "
            "| test, AUC | seconds |\n|---|---|---:|---:|---:|---:|---:|---:|"
        )

    def add(self, seed, name, model, start):
        """Judges a network that was begun at a time; the first of a seed is whole."""
        seconds, plain = time.time() - start, kbp.fold(model)
        cost = kbp.measure.cost(plain)
        if name == "transfer":
            self._whole = cost.params
        cells = []
        for part in ("val", "test"):
            images, labels = self._data[f"x_{part}"], self._data[f"y_{part}"]
            answers = plain.predict(images, batch_size=64, verbose=0)
            right = 100 * np.mean(answers.argmax(-1) == labels)
            area = 100 * area_under_curve(answers[:, 1], labels)
            cells.append(f"{right:.2f}, {area:.2f}")
        removed = 1 - cost.params / self._whole
        print(
            f"| {seed} | {name} | {cost.params:,} | {removed:.1%} "
            f"| {cost.flops / 1e6:.1f} | {' | '.join(cells)} | {seconds:.0f} |",
            flush=True,
        )


def resized(images):
    """Grey images as three like channels, at the size that was asked for."""
    images = np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
    images = images.astype("float32")
    if images.shape[1] != _SIZE.value:
        target = (_SIZE.value, _SIZE.value)
        parts = np.array_split(images, max(1, len(images) // 256))
        images = np.concatenate(
            [
                np.asarray(keras.ops.image.resize(part, target, antialias=True))
                for part in parts
            ]
        )
    return images


def some_of_each(labels, seed):
    """Positions of `--per_class` images of each class, or of all, in random order."""
    order = np.random.default_rng(seed).permutation(len(labels))
    if _PER_CLASS.value is None:
        return order
    ranks = [np.flatnonzero(labels[order] == k) for k in np.unique(labels)]
    return order[np.sort(np.concatenate([r[: _PER_CLASS.value] for r in ranks]))]


def in_precision(method):
    """The method, whose scales train in the precision of `--dtype`."""

    def train(prepared, pair, **given):
        copy = in_dtype(prepared, _DTYPE.value)
        method.train(copy, pair, **given)
        prepared.set_weights(copy.get_weights())

    return dataclasses.replace(method, train=train)


def scaled(model, train, table, seed, scales):
    """Channel scaling, iteration by iteration."""
    method = in_precision(
        channel_scaling_method(scales=scales, learning_rate=_RATE.value)
    )
    whole, network = kbp.measure.cost(model).params, model
    for number in range(100):
        start = time.time()
        config = Iterations(
            keep=_KEEP.value,
            least_removed=0.0,
            most=1,
            epochs=_EPOCHS.value,
            l1=_L1.value,
            seed=1000 * seed + number,
        )
        network = prune_iteratively(network, method, train, config=config).model
        table.add(seed, f"{scales} {number + 1}", network, start)
        if kbp.measure.cost(network).params <= _LEAST.value * whole:
            break
    small = kbp.fold(network)
    train_head(small, *train, seed)
    table.add(seed, f"{scales}, head again", small, start)


def beside(model, train, table, seed):
    """Other methods, in one step to the share at which channel scaling ends."""
    for name in _BESIDE.value:
        start = time.time()
        cutter = Cutter(model, train[0], CutOptions(cost="params", seed=seed))
        cut = cutter.cut(_LEAST.value, METHODS[name])
        if cut is None:
            print(f"{name}: {_LEAST.value:.1%} can't be reached.")
            continue
        small = kbp.fold(cut.network)
        train_head(small, *train, seed)
        table.add(seed, f"{name}, head again", small, start)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    with np.load(_DATA.value) as arrays:
        pack = {name: arrays[name] for name in arrays.files}
    chosen, set_aside = split(pack["y_train"])
    data = {
        "x_val": resized(pack["x_train"][set_aside]),
        "y_val": pack["y_train"][set_aside],
        "x_test": resized(pack["x_test"]),
        "y_test": pack["y_test"],
    }
    table = Table(data)
    for seed in map(int, _SEEDS.value):
        some = chosen[some_of_each(pack["y_train"][chosen], seed)]
        train = resized(pack["x_train"][some]), pack["y_train"][some]
        start = time.time()
        model = transfer(*train, seed)
        table.add(seed, "transfer", model, start)
        beside(model, train, table, seed)
        for scales in _SCALES.value:
            scaled(model, train, table, seed, scales)


if __name__ == "__main__":
    app.run(main)
