"""Transfers a Keras Application to a small task, then makes it small.

Trains the application with a new head on the data (the baseline), and then makes a
small network for

- each share in `--keep` of the decomposed layers' parameters: choose ranks, fit layer
  after layer by regression on at most 3,000 training images, fold; no training and no
  labels, unless all weights are then trained for `--recover_epochs`;
- each threshold in `--thresholds`, as in the paper: bases of the weights, train scales,
  BatchNormalization and head, prune, fold.

Each is exported to LiteRT and measured. Either list may be empty. Prints a Markdown
table and writes it with all files.

    python -m examples.transfer_application --application=MobileNet \\
        --weights=imagenet --data=tfds:eurosat --input_size=64
    python -m examples.transfer_application --application=MobileNet \\
        --weights=imagenet --data=tfds:eurosat --input_size=64 --keep= \\
        --thresholds=3e-4,1e-3
"""

import functools
import math
import pathlib
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

FLAGS = flags.FLAGS
flags.DEFINE_string("application", "MobileNet", "A model of keras.applications.")
flags.DEFINE_string("weights", "imagenet", "imagenet, or a weights file without top.")
flags.DEFINE_string("data", None, "tfds:NAME, a folder of images per class, an .npz.")
flags.DEFINE_integer("input_size", 64, "Height and width of the input.")
flags.DEFINE_integer("max_images", None, "At most so many images per split.")
flags.DEFINE_integer("finetune_epochs", 8, "Epochs of training the baseline.")
flags.DEFINE_float("finetune_rate", 1e-3, "Initial learning rate of the baseline.")
flags.DEFINE_list(
    "keep",
    ["0.35", "0.15", "0.08", "0.05"],
    "Shares of the decomposed layers' parameters, by bases of the data.",
)
flags.DEFINE_integer(
    "recover_epochs", 0, "Epochs of training all weights after that.", lower_bound=0
)
flags.DEFINE_list("thresholds", [], "Final thresholds, by bases of the weights.")
flags.DEFINE_integer("epochs", 6, "Epochs of training the scales of the latter.")
flags.DEFINE_float("l1", 1e-4, "L1 strength on the scales of the latter.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_string("output_dir", "transfer_output", "Where the files go.")
flags.mark_flag_as_required("data")

IMAGES = 3000  # the most images that bases are fitted on
RECOVER_RATE = 1e-3
COLUMNS = (
    "network | test accuracy | validation | parameters | FLOPs | "
    "LiteRT float32 bytes | float16 | int8 (top-1 agreement) | ms, 1 thread | "
    "ms, 2 threads"
)


def train(model, data, epochs, rate):
    """Trains all weights as usual in Keras, towards the labels."""
    steps = epochs * -(-len(data.train[1]) // 32)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(*data.train, validation_data=data.validation, epochs=epochs, verbose=2)


def baseline(data, folder):
    """Returns the application with a new head, trained; stores it for the next run."""
    path = folder / "baseline.keras"
    if path.exists():
        return keras.models.load_model(path)
    size = FLAGS.input_size
    model = kbp.data.application(
        FLAGS.application,
        weights=FLAGS.weights,
        input_shape=(size, size, 3),
        classes=len(data.class_names),
    )
    train(model, data, FLAGS.finetune_epochs, FLAGS.finetune_rate)
    model.save(path)
    return model


def makers(model, data):
    """Maps labels to functions without arguments that make the small networks."""
    found = {}
    if FLAGS.keep:
        order = np.random.default_rng(FLAGS.seed).permutation(len(data.train[0]))
        images = data.train[0][order[:IMAGES]]
        for keep in FLAGS.keep:
            share = share_of_all(model, float(keep))
            plan = kbp.select_bases(model, keep=share, data=images, cost="params")
            found[f"keep {keep}"] = functools.partial(
                of_data, model, data, images, plan
            )
    for threshold in FLAGS.thresholds:
        found[f"threshold {threshold}"] = functools.partial(
            of_weights, model, data, float(threshold)
        )
    return found


def share_of_all(model, keep):
    """Converts a share of the convolutions' parameters to one of the whole model."""
    layers = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    inside = sum(math.prod(layer.kernel.shape) for layer in layers)
    gained = sum(layer.filters for layer in layers if not layer.use_bias)
    whole = model.count_params() + gained  # bases of data add a bias, for the means
    return 1 - (1 - keep) * inside / whole


def of_data(model, data, images, plan):
    """Returns the small network with the bases of a plan, fitted on images."""
    converted = kbp.convert(model, plan, basis="regression", data=images)
    if FLAGS.recover_epochs:
        keras.utils.set_random_seed(FLAGS.seed)
        converted = kbp.fold(converted, batch_norm=False)
        train(converted, data, FLAGS.recover_epochs, RECOVER_RATE)
    return kbp.fold(converted)


def of_weights(model, data, threshold):
    """Returns the small network by a threshold on the scales of the SVD's bases."""
    keras.utils.set_random_seed(FLAGS.seed)
    converted = kbp.convert(model, l1=FLAGS.l1)
    recipe = kbp.Recipe(threshold=threshold, epochs=FLAGS.epochs)
    kbp.sparsify(converted, data.train, data.validation, config=recipe, verbose=2)
    return kbp.fold(kbp.prune(converted))


def file_name(label):
    """Returns the start of the names of a network's files."""
    return label.replace(" ", "_")


def row(label, model, before, data, folder):
    """Returns one line of the table: accuracy and costs of a network."""
    cost = kbp.measure.cost(model)
    files = {
        kind: kbp.export_tflite(
            model,
            folder / f"{file_name(label)}_{kind}.tflite",
            quantization=kind,
            representative_data=data.train[0][:200] if kind == "int8" else None,
            samples=data.test[0][:100],
            tolerance=None if kind == "int8" else "auto",  # reported in the table
        )
        for kind in ("float32", "float16", "int8")
    }
    times = kbp.measure.latency(files["float32"].path).litert
    return (
        f"{label} | {kbp.measure.accuracy(model, data.test):.4f} | "
        f"{kbp.measure.accuracy(model, data.validation):.4f} | "
        f"{cost.params:,} ({cost.params / before.params:.1%}) | "
        f"{cost.flops / 1e6:.1f} M ({cost.flops / before.flops:.1%}) | "
        f"{files['float32'].bytes:,} | {files['float16'].bytes:,} | "
        f"{files['int8'].bytes:,} ({files['int8'].top1_agreement:.0%}) | "
        f"{times[1].median_ms:.2f} | {times[2].median_ms:.2f}"
    )


def write(rows, folder):
    """Writes the lines of the table so far."""
    table = "\n".join(f"| {line} |" for line in rows)
    (folder / "table.md").write_text(f"{table}\n", encoding="utf-8")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(FLAGS.seed)
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    size = FLAGS.input_size
    data = kbp.load_data(
        FLAGS.data, image_size=size, seed=FLAGS.seed, max_images=FLAGS.max_images
    )
    print(data)
    model = baseline(data, folder)
    before = kbp.measure.cost(model)
    rows = [COLUMNS, " | ".join(["---"] * (COLUMNS.count("|") + 1))]
    rows.append(row("baseline", model, before, data, folder))
    write(rows, folder)
    for label, make in makers(model, data).items():
        start = time.time()
        small = make()
        print(f"{label}: {time.time() - start:.0f} s")
        small.save(folder / f"{file_name(label)}.keras")
        rows.append(row(label, small, before, data, folder))
        write(rows, folder)
    print((folder / "table.md").read_text())


if __name__ == "__main__":
    app.run(main)
