"""Makes a small LiteRT file from a trained network, on real handwritten digits.

A convolutional network is trained on the digits 0 to 4 of scikit-learn's scans (no
download) and transferred to the digits 5 to 9. Then `compress` looks for the smallest
network that is at most two points less accurate: channels and bases are removed, and
the rest is trained towards the outputs of the original, until nothing more can be
removed. Takes some minutes on two cores. Called again, it continues where it was
interrupted.

    python -m examples.digits_demo --output_dir=demo_output
"""

import logging
import pathlib

import keras
from absl import app, flags

import keras_basisprune as kbp

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", "demo_output", "Where the files go.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_float("max_drop", 0.02, "Accuracy that may be lost on validation.")
flags.DEFINE_integer("epochs", 20, "Epochs of training after each cut.")

EPOCHS = 12


def backbone(batch_norm=True):
    """Builds five convolutions, far more than ten digits need."""
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
    """Returns the backbone with a new head for five classes."""
    inputs = keras.Input((16, 16, 1))
    outputs = keras.layers.Dense(5, activation="softmax", name="head")(base(inputs))
    return keras.Model(inputs, outputs)


def half(data, first):
    """Returns images of five digits from `first` on: train, validation, test."""
    parts = []
    for images, labels in (data.train, data.validation, data.test):
        chosen = (labels >= first) & (labels < first + 5)
        parts.append((images[chosen], labels[chosen] - first))
    return parts


def train(model, train_data, validation_data):
    """Trains as usual in Keras."""
    steps = EPOCHS * -(-len(train_data[1]) // 32)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(*train_data, validation_data=validation_data, epochs=EPOCHS, verbose=2)


def transferred(batch_norm=True, validation_split=0.2):
    """Returns a classifier of the digits 5 to 9, and its data."""
    data = kbp.load_data(
        "digits",
        image_size=16,
        channels=1,
        validation_split=validation_split,
        test_split=0.25,
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
    logging.getLogger("tensorflow").setLevel("ERROR")  # quiet compiling
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    # So few images can judge two points, not one: one image is a quarter of a point.
    model, (train_data, validation_data, test_data) = transferred(validation_split=0.4)

    print("3. Look for the smallest network within the budget. No labels.")
    result = kbp.compress(
        model,
        train_data[0],
        validation_data,
        max_drop=FLAGS.max_drop,
        # Shifted digits are the same digits, so a few hundred are enough.
        recover=kbp.Recovery(
            epochs=FLAGS.epochs,
            augment=keras.layers.RandomTranslation(0.1, 0.1, name="shift"),
            seed=FLAGS.seed,
        ),
        output_dir=folder,
        seed=FLAGS.seed,
        test=test_data,
    )

    print("4. Export.")
    samples = {"samples": test_data[0], "representative_data": train_data[0]}
    for kind in ("float16", "int8"):
        path = folder / f"small_{kind}.tflite"
        print(kbp.export_tflite(result.model, path, quantization=kind, **samples))
    kbp.export_saved_model(result.model, folder / "saved_model", overwrite=True)
    kbp.measure.plot_comparison(
        result.report,
        folder / "before_after.png",
        title="Digits, before and after double pruning",
    )
    print(f"\n{result.report}\n\nFiles in {folder}:")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}")
    print(f"\nOpen {folder / 'report.html'} in a browser: all trials, and the result.")


if __name__ == "__main__":
    app.run(main)
