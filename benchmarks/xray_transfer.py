"""Looks for a baseline for chest X-rays, and makes small networks of it.

    python -m benchmarks.pack_to_npz --pack=pneumonia_xray_96gray.npz.xz \\
        --output=xray.npz
    python -m benchmarks.xray_transfer --data=xray.npz \\
        --weights=mobilenet_1.0_224_imagenet_notop.weights.h5 --output_dir=xray

Training and test images come from different patients, and networks do much better on
images of the former. So:

- validation images are whole stretches of the pack, a seventh of each class: files of
  one patient lie next to each other there;
- each image is standardized by a layer of the network itself, so that exposure and
  contrast of another camera matter less;
- the trunk is MobileNet up to `--last`, with statistics of BatchNormalization as they
  came; each epoch sees as many images of one class as of the other, mirrored, shifted,
  zoomed, brighter or darker, of more or less contrast;
- first the head alone is trained, on the frozen trunk's features of images as they are
  and changed; then, with `--epochs`, all but BatchNormalization, and of all epochs the
  one is kept that is best on the validation images, as they are and changed at random,
  where both classes count alike.

Test images are looked at once for each row that is printed: the baseline, and what is
left of it at each share of its parameters in `--keep` (channels, then bases, fitted to
changed images), as cut and trained.
"""

import pathlib
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.search.cutter import CutOptions, Cutter
from keras_basisprune.training.augmentation import augmentation

_DATA = flags.DEFINE_string("data", None, "Of pack_to_npz.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "Of MobileNet without its top.")
_LAST = flags.DEFINE_string("last", "conv_pw_7_relu", "Last layer of the trunk.")
_OUTPUT = flags.DEFINE_string("output_dir", "xray_transfer", "Where networks go.")
_EPOCHS = flags.DEFINE_integer("epochs", 6, "Of the baseline.")
_RATE = flags.DEFINE_float("rate", 3e-4, "Initial rate of Adam.")
_AFTER = flags.DEFINE_integer("after", 6, "Epochs after each cut.")
_SAMPLES = flags.DEFINE_integer("samples", 1000, "Images that cuts are fitted to.")
_KEEP = flags.DEFINE_list("keep", ["0.2"], "Shares of the baseline's parameters.")
_CHANNELS = flags.DEFINE_list("to_channels", ["0.333"], "1: channels alone; 0: bases.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")

CHANGES = {"flip": "horizontal", "shift": 0.1, "zoom": 0.1}
LIGHT = {"contrast": 0.4, "brightness": 0.15}


def by_patients(images, labels, parts=7, length=60):
    """Divides each class by stretches of its files: `(rest, a seventh)`."""
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        chosen[places[np.arange(len(places)) // length % parts == parts // 2]] = True
    return (images[~chosen], labels[~chosen]), (images[chosen], labels[chosen])


def network(weights, last, shape):
    """MobileNet up to a layer, on standardized images, with a new head."""
    trunk = keras.applications.MobileNet(
        include_top=False, weights=weights, input_shape=shape
    )
    trunk = keras.Model(trunk.inputs, trunk.get_layer(last).output, name="trunk")
    for layer in trunk.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # statistics, factors and shifts
    inputs = keras.Input(shape)
    x = keras.layers.LayerNormalization(
        axis=(1, 2, 3), center=False, scale=False, name="standardize"
    )(inputs)
    x = trunk(keras.layers.Rescaling(0.5, name="spread")(x))
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dropout(0.3, name="head_dropout")(x)
    outputs = keras.layers.Dense(2, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="xray")


def balanced(labels, rng):
    """As many places of each class, in an order of chance."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    least = min(map(len, groups))
    return rng.permutation(np.concatenate([rng.permutation(g)[:least] for g in groups]))


def judge(model, images, labels):
    """Mean of the recalls of the classes, their recalls, and accuracy."""
    said = model.predict(images, batch_size=64, verbose=0).argmax(-1)
    recalls = [np.mean(said[labels == label] == label) for label in np.unique(labels)]
    return np.mean(recalls), recalls, np.mean(said == labels)


def fit_head(model, data):
    """Trains the last layer on standardized features; both classes weigh alike."""
    images, labels = data
    changed = np.asarray(augmentation(**CHANGES, **LIGHT)(images, training=True))
    trunk = keras.Model(model.inputs, model.layers[-1].input)
    features = np.concatenate(
        [trunk.predict(part, batch_size=64, verbose=0) for part in (images, changed)]
    )
    mean, spread = features.mean(0), features.std(0) + 1e-3
    last = keras.layers.Dense(
        2, activation="softmax", kernel_regularizer=keras.regularizers.L2(1e-3)
    )
    linear = keras.Sequential([keras.Input(features.shape[1:]), last])
    linear.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    shares = np.bincount(labels) / len(labels)
    linear.fit(
        (features - mean) / spread,
        np.tile(labels, 2),
        batch_size=128,
        epochs=15,
        class_weight=dict(enumerate(0.5 / shares)),
        verbose=0,
    )
    kernel, bias = (np.asarray(weight) for weight in (last.kernel, last.bias))
    kernel = kernel / spread[:, None]
    model.layers[-1].set_weights([kernel, bias - mean @ kernel])


def train(model, data, validations, epochs, rate, seed):
    """Trains on balanced epochs of changed images; the best epoch's weights stay."""
    images, labels = data
    rng, change = np.random.default_rng(seed), augmentation(**CHANGES, **LIGHT)
    keras.utils.set_random_seed(seed)
    steps = epochs * -(-2 * np.bincount(labels).min() // 32)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(rate, steps)
    )
    model.compile(optimizer, "sparse_categorical_crossentropy")
    best = (-1.0, None)
    for epoch in range(epochs):
        places = balanced(labels, rng)
        changed = np.asarray(change(images[places], training=True))
        model.fit(changed, labels[places], batch_size=32, verbose=0)
        scores = [judge(model, *part)[0] for part in validations]
        print(f"epoch {epoch}: {scores}", flush=True)
        if np.mean(scores) >= best[0]:
            best = (np.mean(scores), model.get_weights())
    model.set_weights(best[1])


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(_SEED.value)
    arrays, folder = np.load(_DATA.value), pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    images, tests = (
        np.repeat(arrays[name], 3, -1).astype("float32")
        for name in ("x_train", "x_test")
    )
    data, validation = by_patients(images, arrays["y_train"])
    test = tests, arrays["y_test"]
    light = augmentation(**LIGHT)
    changed = np.asarray(light(validation[0], training=True)), validation[1]
    experiment(data, [validation, changed], test, folder)


def experiment(data, validations, test, folder):
    """The baseline, or that of the folder; and each cut of it."""
    path, start = folder / "baseline.keras", time.time()
    if not path.exists():
        model = network(_WEIGHTS.value, _LAST.value, data[0].shape[1:])
        fit_head(model, data)
        if _EPOCHS.value:
            train(model, data, validations, _EPOCHS.value, _RATE.value, _SEED.value)
        model.save(path)
    model = keras.models.load_model(path)
    whole = kbp.cost(model).params
    show("baseline", model, validations[0], test, start)
    rng = np.random.default_rng(_SEED.value)
    few = data[0][balanced(data[1], rng)[: _SAMPLES.value]]
    few = np.asarray(augmentation(**CHANGES, **LIGHT)(few, training=True))
    small = kbp.fold(model, batch_norm=False)
    for keep, channels in zip(_KEEP.value, _CHANNELS.value, strict=True):
        start, share = time.time(), float(keep) * whole / kbp.cost(small).params
        cut = Cutter(small, few, CutOptions(counted="params"))
        small = kbp.fold(cut.cut(share, float(channels)).network, batch_norm=False)
        show(f"{keep} kept, as cut", small, validations[0], test, start)
        if not _AFTER.value:
            continue
        for layer in small.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        train(small, data, validations, _AFTER.value, 1e-3, _SEED.value + 1)
        show(f"{keep} kept, trained", small, validations[0], test, start)
        small.save(folder / f"keep_{keep}.keras")


def show(name, model, validation, test, start):
    """Prints a row."""
    seconds, plain = time.time() - start, kbp.fold(model)
    cost, cells = kbp.cost(plain), []
    for part in (validation, test):
        _, recalls, accuracy = judge(plain, *part)
        cells.append(
            f"{100 * accuracy:.2f} ({' / '.join(f'{100 * r:.1f}' for r in recalls)})"
        )
    print(
        f"| {name} | {' | '.join(cells)} | {cost.params:,} | {cost.flops / 1e6:.1f} M "
        f"| {seconds:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    app.run(main)
