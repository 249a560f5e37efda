"""Chest X-rays: a network to start from, chosen without the test images.

    python -m benchmarks.pack_to_npz --pack=pneumonia_xray_96gray.npz.xz \\
        --output=xrays.npz
    python -m benchmarks.xray_baseline --data=xrays.npz --network=MobileNet \\
        --weights=mobilenet_1.0_224_imagenet_notop.weights.h5 --until=conv_pw_7_relu \\
        --flip=horizontal --shift=0.1 --zoom=0.15 --contrast=0.4 --brightness=0.2 \\
        --gamma=0.5 --output=xray_0.keras --write_data=xrays_split.npz

A seventh of each class is set aside for validation, in stretches of 60 files: files of
a patient lie next to each other in the pack. Each epoch sees as many healthy as ill
images. The network that is kept averages its weights over the steps. Prints the mean
recall of both classes on validation images, as they are and changed at random, and on
test images. `--seeds` trains once with each. With `--write_data` the three parts are
also written in the form that `load_data` reads.
"""

import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.augment_flags import augment
from benchmarks.xray_split import split

_DATA = flags.DEFINE_string("data", None, "What pack_to_npz wrote.", required=True)
_NETWORK = flags.DEFINE_enum(
    "network", "MobileNet", ["MobileNet", "MobileNetV2", "plain"], "Which trunk."
)
_WEIGHTS = flags.DEFINE_string("weights", None, "Weights without the top.")
_ALPHA = flags.DEFINE_float("alpha", 1.0, "Width of the trunk.")
_UNTIL = flags.DEFINE_string(
    "until", None, "The trunk's last layer; left out: its own."
)
_SIZE = flags.DEFINE_integer("size", 96, "Height and width of the images.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Of as many healthy images as there are.")
_RATE = flags.DEFINE_float("rate", 3e-4, "Initial rate of AdamW.")
_DECAY = flags.DEFINE_float("decay", 1e-3, "Weight decay.")
_SMOOTHING = flags.DEFINE_float("smoothing", 0.0, "Of labels.")
_DROPOUT = flags.DEFINE_float("dropout", 0.3, "Before the head.")
_GAMMA = flags.DEFINE_float("gamma", 0.0, "Deviation of the logarithm of gamma.")
_NOISE = flags.DEFINE_float("noise", 0.0, "Deviation of noise at most, of 255.")
_MIX = flags.DEFINE_float("mix", 0.0, "Alpha of mixed images (mixup); 0: none.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds.")
_OUTPUT = flags.DEFINE_string("output", None, "The .keras to write.")
_WRITE = flags.DEFINE_string("write_data", None, "An .npz with the three parts.")


def network(size):
    """The trunk up to the chosen layer, averaged over positions, and a new head."""
    inputs = keras.Input((size, size, 1))
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
    if _NETWORK.value == "plain":
        for number, filters in enumerate((32, 64, 96, 128, 160)):
            conv = keras.layers.Conv2D(
                filters, 3, padding="same", use_bias=False, name=f"conv{number}"
            )
            x = keras.layers.BatchNormalization(momentum=0.9)(conv(x))
            x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    else:
        build = getattr(keras.applications, _NETWORK.value)
        inner = build(
            include_top=False,
            weights=_WEIGHTS.value,
            input_shape=(size, size, 3),
            alpha=_ALPHA.value,
        )
        if _UNTIL.value:
            inner = keras.Model(inner.inputs, inner.get_layer(_UNTIL.value).output)
        x = inner(keras.layers.Concatenate()([x, x, x]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(_DROPOUT.value)(x)
    head = keras.layers.Dense(2, activation="softmax", name="head")
    return keras.Model(inputs, head(x))


def changed(images, rng):
    """Images changed at random: by the flags of augmentation, gamma and noise."""
    images, change = images.astype("float32"), augment()
    if change is not None:
        parts = np.array_split(images, max(1, len(images) // 256))
        images = np.concatenate([np.asarray(change(part)) for part in parts])
    shape = (len(images), 1, 1, 1)
    if _GAMMA.value:
        gamma = np.exp(_GAMMA.value * rng.standard_normal(shape)).astype("float32")
        images = 255 * np.clip(images / 255, 0, 1) ** gamma
    if _NOISE.value:
        spread = 255 * _NOISE.value * rng.random(shape, "float32")
        images = images + spread * rng.standard_normal(images.shape, "float32")
    return np.clip(images, 0, 255)


def epoch(images, labels, rng):
    """As many of each class, in random order, changed, with labels as shares."""
    ranks = [rng.permutation(np.flatnonzero(labels == k)) for k in (0, 1)]
    few = min(map(len, ranks))
    chosen = rng.permutation(np.concatenate([rank[:few] for rank in ranks]))
    x, y = changed(images[chosen], rng), np.eye(2, dtype="float32")[labels[chosen]]
    if _MIX.value:
        share = rng.beta(_MIX.value, _MIX.value, len(x)).astype("float32")
        other = rng.permutation(len(x))
        y = share[:, None] * y + (1 - share[:, None]) * y[other]
        share = share[:, None, None, None]
        x = share * x + (1 - share) * x[other]
    return x, y


def trained(images, labels, seed):
    """A network trained on as many healthy as ill images."""
    keras.utils.set_random_seed(seed)
    model, rng = network(images.shape[1]), np.random.default_rng(seed)
    few = 2 * min(np.bincount(labels))
    steps = -(-few // 32) * _EPOCHS.value
    rate = keras.optimizers.schedules.CosineDecay(_RATE.value, steps)
    model.compile(
        keras.optimizers.AdamW(
            rate,
            weight_decay=_DECAY.value,
            use_ema=True,
            ema_momentum=0.99,
            ema_overwrite_frequency=None,
        ),
        keras.losses.CategoricalCrossentropy(label_smoothing=_SMOOTHING.value),
        jit_compile=False,
    )
    for number in range(_EPOCHS.value):
        x, y = epoch(images, labels, rng)
        loss = model.fit(x, y, batch_size=32, shuffle=False, verbose=0).history["loss"]
        print(f"epoch {number + 1}: loss {loss[0]:.4f}", flush=True)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def recalls(model, images, labels):
    """Shares of healthy and of ill images that are recognised, and accuracy."""
    right = model.predict(images, verbose=0, batch_size=64).argmax(-1) == labels
    return right[labels == 0].mean(), right[labels == 1].mean(), right.mean()


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    with np.load(_DATA.value) as arrays:
        pack = {name: arrays[name] for name in arrays.files}
    if _SIZE.value != pack["x_train"].shape[1]:
        resize = keras.layers.Resizing(_SIZE.value, _SIZE.value, antialias=True)
        for part in ("x_train", "x_test"):
            parts = np.array_split(pack[part], max(1, len(pack[part]) // 256))
            pack[part] = np.concatenate([np.asarray(resize(p)) for p in parts])
    train, validation = split(pack["y_train"])
    x, y = pack["x_train"], pack["y_train"]
    if _WRITE.value:
        parts = {"x_val": x[validation], "y_val": y[validation]}
        names = {k: pack[k] for k in ("class_names",) if k in pack}
        np.savez(
            _WRITE.value,
            x_train=x[train],
            y_train=y[train],
            x_test=pack["x_test"],
            y_test=pack["y_test"],
            **parts,
            **names,
        )
    keras.utils.set_random_seed(0)
    altered = changed(x[validation], np.random.default_rng(0))
    for seed in map(int, _SEEDS.value):
        start = time.time()
        model = trained(x[train], y[train], seed)
        seconds = time.time() - start
        found = [
            recalls(model, images, labels)
            for images, labels in (
                (x[validation], y[validation]),
                (altered, y[validation]),
                (pack["x_test"], pack["y_test"]),
            )
        ]
        shown = " | ".join(
            f"{50 * (a + b):.2f} ({100 * a:.1f} / {100 * b:.1f}), {100 * c:.2f}"
            for a, b, c in found
        )
        print(
            f"| seed {seed} | {shown} | {kbp.measure.cost(model).params:,} | "
            f"{seconds:.0f} s |",
            flush=True,
        )
        if _OUTPUT.value and seed == int(_SEEDS.value[0]):
            model.save(_OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
