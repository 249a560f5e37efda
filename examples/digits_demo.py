"""From a trained network to a small LiteRT file, on real handwritten digits.

A convolutional network is trained on the digits 0 to 4 of scikit-learn's scans (no
download) and transferred to the digits 5 to 9. Then, double pruning: channels leave and
those that stay make up for them; bases are taken of what each layer puts out, ranks are
chosen, layer after layer is fitted. Train the scales, prune, fold, export. Takes some
minutes on two cores.

    python -m examples.digits_demo --output_dir=demo_output
"""

import logging
import pathlib

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", "demo_output", "Where the files go.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_float("keep_channels", 0.3, "Share of the parameters to keep at first.")
flags.DEFINE_float("keep_bases", 0.083, "Share of those to keep then.")
flags.DEFINE_float("threshold", 1e-4, "Final threshold; higher removes more.")

EPOCHS = 12


def backbone(batch_norm=True):
    """Five convolutions, far more than ten digits need."""
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    widths = ((32, 1), (64, 2), (128, 1), (256, 2), (256, 1))
    for number, (filters, strides) in enumerate(widths, start=1):
        convolution = keras.layers.Conv2D(
            filters,
            3,
            strides=strides,
            padding="same",
            use_bias=not batch_norm,
            name=f"conv{number}",
        )
        x = convolution(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    outputs = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, outputs, name="backbone")


def classifier(base):
    """The backbone with a new head for five classes."""
    inputs = keras.Input((16, 16, 1))
    outputs = keras.layers.Dense(5, activation="softmax", name="head")(base(inputs))
    return keras.Model(inputs, outputs)


def half(data, first):
    """Images of five digits from `first` on: train, validation, test."""
    parts = []
    for images, labels in (data.train, data.validation, data.test):
        chosen = (labels >= first) & (labels < first + 5)
        parts.append((images[chosen], labels[chosen] - first))
    return parts


def train(model, train_data, validation_data):
    """Ordinary Keras training."""
    steps = EPOCHS * -(-len(train_data[1]) // 32)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(*train_data, validation_data=validation_data, epochs=EPOCHS, verbose=2)


def transferred(batch_norm=True):
    """A classifier of the digits 5 to 9, and its data: train, validation, test."""
    data = kbp.load_data(
        "digits", image_size=16, channels=1, validation_split=0.2, test_split=0.25
    )
    print("1. Pre-train on the digits 0 to 4.")
    base = backbone(batch_norm)
    source_train, source_validation, _ = half(data, 0)
    train(classifier(base), source_train, source_validation)

    print("2. Transfer to the digits 5 to 9.")
    parts = half(data, 5)
    model = classifier(base)
    train(model, parts[0], parts[1])
    return model, parts


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(FLAGS.seed)
    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns of many small models
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    model, (train_data, validation_data, test_data) = transferred()

    print("3. Channels leave, and those that stay make up for them. No labels.")
    images = train_data[0]
    scores = kbp.scores.channels.compensated(model, images)
    plan = kbp.select_channels(model, scores, FLAGS.keep_channels, of="params")
    slim = kbp.compensate(model, plan, images)
    print(f"{kbp.cost(slim)}; accuracy on test {kbp.accuracy(slim, test_data):.4f}")

    print("4. Bases of the data: choose ranks, then fit layer after layer. No labels.")
    whole = kbp.convert(slim, data=images)
    plan = kbp.allocate(whole, FLAGS.keep_bases)
    kbp.plot_bases(whole, folder / "bases.png", plan)
    converted = kbp.convert(slim, plan, "regression", l1=1e-3, data=images)
    print(f"Accuracy on test so far: {kbp.accuracy(converted, test_data):.4f}")

    print("5. Train the scales under L1, mask weak bases.")
    recipe = kbp.Recipe(threshold=FLAGS.threshold, epochs=10)
    kbp.sparsify(converted, train_data, validation_data, recipe, verbose=2)

    print("6. Prune, fold, export.")
    small = kbp.fold(kbp.prune(converted))
    small.save(folder / "small.keras")
    before = kbp.export_tflite(model, folder / "original_float32.tflite")
    samples = {"samples": test_data[0], "representative_data": train_data[0]}
    for kind in ("float32", "float16", "int8"):
        path = folder / f"small_{kind}.tflite"
        print(kbp.export_tflite(small, path, kind, **samples))
    kbp.export_saved_model(small, folder / "saved_model", overwrite=True)

    report = kbp.compare(
        model,
        small,
        accuracy_on_test=(
            kbp.accuracy(model, test_data),
            kbp.accuracy(small, test_data),
        ),
        LiteRT_bytes=(before.path, folder / "small_float32.tflite"),
        milliseconds=_milliseconds(before.path, folder / "small_float32.tflite"),
    )
    kbp.plot_comparison(
        report, folder / "before_after.png", "Digits, before and after double pruning"
    )
    print(kbp.describe(converted))
    print(f"\n{report}\n\nFiles in {folder}:")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}")


def _milliseconds(*paths):
    """Median time of one inference on one thread, of each file."""
    times = [kbp.latency(path, threads=(1,), runs=200).litert[1] for path in paths]
    return tuple(float(np.round(time.median_ms, 4)) for time in times)


if __name__ == "__main__":
    app.run(main)
