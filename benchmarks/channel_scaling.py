"""Channel scaling on chest X-rays: frozen convolutions, and fewer and fewer of them.

    python -m benchmarks.pack_to_npz --pack=pneumonia_xray_96gray.npz.xz \\
        --output=xrays.npz
    python -m benchmarks.channel_scaling --data=xrays.npz --network=MobileNetV2 \\
        --weights=mobilenet_v2_1.0_224_imagenet_notop.weights.h5
    python -m benchmarks.channel_scaling --data=xrays.npz --network=VGG16 \\
        --weights=vgg16_notop.float16.npz

Prints accuracy and area under the ROC curve (AUC) on the test images before, after each
iteration, and after the head has been trained once more on the features that are left.
With `--per_class` so many training images of each class are used, with `--size` images
are made smaller: a check on two cores.
"""

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.methods import (
    Iterations,
    channel_scaling_method,
    prune_iteratively,
)

_DATA = flags.DEFINE_string("data", None, "What pack_to_npz wrote.", required=True)
_NETWORK = flags.DEFINE_enum(
    "network", "MobileNetV2", ["MobileNetV2", "VGG16"], "Which Keras Application."
)
_WEIGHTS = flags.DEFINE_string("weights", None, "Weights without the top.")
_SIZE = flags.DEFINE_integer("size", 96, "Height and width of the images.")
_PER_CLASS = flags.DEFINE_integer("per_class", None, "Training images per class.")
_SCALES = flags.DEFINE_list("scales", ["fold", "select"], "What becomes of scales.")
_THRESHOLD = flags.DEFINE_float("threshold", 0.5, "Share of the largest scale.")
_RATE = flags.DEFINE_float("learning_rate", 1e-2, "Of scales and head.")
_L1 = flags.DEFINE_float("l1", 1e-4, "Strength of the regularization.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Epochs per iteration.")
_MOST = flags.DEFINE_integer("most", 8, "Iterations at most.")
_LEAST = flags.DEFINE_float("least_removed", 0.05, "Share that an iteration removes.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds.")

_HEAD_EPOCHS = 20


def base(name, weights, size):
    """Convolutions with weights of ImageNet, from pixels in [0, 255] to features."""
    inputs = keras.Input((size, size, 3))
    if name == "MobileNetV2":
        x = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
        inner = keras.applications.MobileNetV2(
            include_top=False, weights=weights, input_shape=(size, size, 3)
        )
    else:  # its three channels are alike: BGR or RGB does not matter
        x = keras.layers.Rescaling(1.0, [-103.939, -116.779, -123.68])(inputs)
        inner = keras.applications.VGG16(
            include_top=False, weights=None, input_shape=(size, size, 3)
        )
        if weights:
            with np.load(weights) as arrays:
                for layer in inner.layers:
                    if layer.weights:
                        names = (f"{layer.name}/{part}" for part in ("kernel", "bias"))
                        layer.set_weights([arrays[n].astype("float32") for n in names])
    inner.trainable = False
    x = keras.layers.GlobalAveragePooling2D(name="features")(inner(x))
    return keras.Model(inputs, x)


def with_head(features, classes=2):
    """A new softmax head."""
    head = keras.layers.Dense(classes, activation="softmax", name="head")
    return keras.Model(features.inputs, head(features.output))


def train_head(model, images, labels, seed):
    """Trains the last layer only, on features that are computed once."""
    keras.utils.set_random_seed(seed)
    head = model.get_layer("head")
    before = keras.Model(model.inputs, head.input)
    found = before.predict(images, batch_size=64, verbose=0)
    inputs = keras.Input(found.shape[1:])
    alone = keras.Model(inputs, head(inputs))
    alone.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    alone.fit(found, labels, epochs=_HEAD_EPOCHS, batch_size=32, verbose=0)


def area_under_curve(scores, labels) -> float:
    """The chance that one of class 1 scores above one of class 0."""
    ones, zeros = np.sort(scores[labels == 1]), scores[labels == 0]
    above = len(ones) - np.searchsorted(ones, zeros, "right")
    equal = np.searchsorted(ones, zeros, "right") - np.searchsorted(ones, zeros, "left")
    return float(np.mean((above + equal / 2) / len(ones)))


def judged(model, images, labels) -> str:
    """Parameters, FLOPs, accuracy and AUC in a line."""
    answers = model.predict(images, batch_size=64, verbose=0)
    cost = kbp.measure.cost(model)
    right = np.mean(answers.argmax(-1) == labels)
    area = area_under_curve(answers[:, 1], labels)
    return (
        f"{cost.params:>10,} parameters, {cost.flops / 1e6:8.1f} MFLOPs, "
        f"accuracy {right:.4f}, AUC {area:.4f}"
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


def run(seed, pack):
    """One seed: the transfer, and what is left of it by each choice."""
    labels, truth = pack["y_train"], pack["y_test"]
    chosen = some_of_each(labels, seed)
    train, labels = resized(pack["x_train"][chosen]), labels[chosen]
    test = resized(pack["x_test"])
    keras.utils.set_random_seed(seed)
    model = with_head(base(_NETWORK.value, _WEIGHTS.value, _SIZE.value))
    train_head(model, train, labels, seed)
    print(f"seed {seed}, transfer:   {judged(model, test, truth)}", flush=True)
    config = Iterations(
        least_removed=_LEAST.value,
        most=_MOST.value,
        epochs=_EPOCHS.value,
        l1=_L1.value,
        seed=1000 * seed,
    )
    whole = kbp.measure.cost(model).params
    for scales in _SCALES.value:
        method = channel_scaling_method(
            scales=scales, threshold=_THRESHOLD.value, learning_rate=_RATE.value
        )
        result = prune_iteratively(model, method, (train, labels), config=config)
        for number, iteration in enumerate(result.iterations, 1):
            print(f"  {scales} {number}: {iteration.params:,} parameters", flush=True)
        small = kbp.fold(result.model)
        print(f"seed {seed}, {scales}:  {judged(small, test, truth)}")
        train_head(small, train, labels, seed)
        gone = 1 - kbp.measure.cost(small).params / whole
        print(f"seed {seed}, {scales}, head again:  {judged(small, test, truth)}")
        print(f"seed {seed}, {scales}: {100 * gone:.1f} % removed", flush=True)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    with np.load(_DATA.value) as arrays:
        pack = {name: arrays[name] for name in arrays.files}
    for seed in _SEEDS.value:
        run(int(seed), pack)


if __name__ == "__main__":
    app.run(main)
