"""Transfer a Keras Application to a small task, then make it small.

Trains the application with a new head on the data (the baseline), and from there, for
each threshold: decompose, train scales + BatchNormalization + head, prune, fold,
export to LiteRT, measure. Prints a Markdown table and writes it with all files.

    python -m examples.transfer_application --application=MobileNet \\
        --weights=imagenet --data=tfds:eurosat --input_size=64 --thresholds=3e-4,1e-3
"""

import pathlib
import time

import keras
from absl import app, flags

import keras_basisprune as kbp

FLAGS = flags.FLAGS
flags.DEFINE_string("application", "MobileNet", "A model of keras.applications.")
flags.DEFINE_string("weights", "imagenet", "imagenet, or a weights file without top.")
flags.DEFINE_string("data", None, "tfds:NAME, a folder of images per class, an .npz.")
flags.DEFINE_integer("input_size", 64, "Height and width of the input.")
flags.DEFINE_integer("max_images", None, "At most so many images per split.")
flags.DEFINE_list("thresholds", ["3e-4", "1e-3", "3e-3"], "Final thresholds.")
flags.DEFINE_integer("finetune_epochs", 8, "Epochs of training the baseline.")
flags.DEFINE_float("finetune_rate", 1e-3, "Initial learning rate of the baseline.")
flags.DEFINE_integer("epochs", 6, "Epochs of training the scales.")
flags.DEFINE_float("l1", 1e-4, "L1 strength on the scales.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_string("output_dir", "transfer_output", "Where the files go.")
flags.mark_flag_as_required("data")

COLUMNS = (
    "threshold | test accuracy | validation | parameters | FLOPs | "
    "LiteRT float32 bytes | float16 | int8 (top-1 agreement) | ms, 1 thread | "
    "ms, 2 threads"
)


def baseline(data, folder):
    """The application with a new head, trained on the data; kept for the next run."""
    path = folder / "baseline.keras"
    if path.exists():
        return keras.models.load_model(path)
    size = FLAGS.input_size
    model = kbp.application(
        FLAGS.application, FLAGS.weights, (size, size, 3), len(data.class_names)
    )
    steps = FLAGS.finetune_epochs * -(-len(data.train[1]) // 32)
    rate = keras.optimizers.schedules.CosineDecay(FLAGS.finetune_rate, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        *data.train,
        validation_data=data.validation,
        epochs=FLAGS.finetune_epochs,
        verbose=2,
    )
    model.save(path)
    return model


def shrink(model, data, threshold):
    """The small network that one threshold gives."""
    keras.utils.set_random_seed(FLAGS.seed)
    converted = kbp.convert(model, l1=FLAGS.l1)
    recipe = kbp.Recipe(threshold=threshold, epochs=FLAGS.epochs)
    kbp.sparsify(converted, data.train, data.validation, recipe, verbose=2)
    return kbp.fold(kbp.prune(converted))


def row(label, model, before, data, folder):
    """One line of the table: what a network can do and what it costs."""
    cost = kbp.cost(model)
    files = {
        kind: kbp.export_tflite(
            model,
            folder / f"{label}_{kind}.tflite",
            kind,
            representative_data=data.train[0][:200] if kind == "int8" else None,
            samples=data.test[0][:100],
            tolerance=None if kind == "int8" else "auto",  # reported in the table
        )
        for kind in ("float32", "float16", "int8")
    }
    times = kbp.latency(files["float32"].path).litert
    return (
        f"{label} | {kbp.accuracy(model, data.test):.4f} | "
        f"{kbp.accuracy(model, data.validation):.4f} | "
        f"{cost.params:,} ({cost.params / before.params:.1%}) | "
        f"{cost.flops / 1e6:.1f} M ({cost.flops / before.flops:.1%}) | "
        f"{files['float32'].bytes:,} | {files['float16'].bytes:,} | "
        f"{files['int8'].bytes:,} ({files['int8'].top1_agreement:.0%}) | "
        f"{times[1].median_ms:.2f} | {times[2].median_ms:.2f}"
    )


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(FLAGS.seed)
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    size = FLAGS.input_size
    data = kbp.load_data(FLAGS.data, size, seed=FLAGS.seed, max_images=FLAGS.max_images)
    print(data)
    model = baseline(data, folder)
    before = kbp.cost(model)
    rows = [COLUMNS, " | ".join(["---"] * (COLUMNS.count("|") + 1))]
    rows.append(row("baseline", model, before, data, folder))
    for threshold in FLAGS.thresholds:
        start = time.time()
        small = shrink(model, data, float(threshold))
        print(f"threshold {threshold}: {time.time() - start:.0f} s")
        small.save(folder / f"{threshold}.keras")
        rows.append(row(threshold, small, before, data, folder))
        table = "\n".join(f"| {line} |" for line in rows)
        (folder / "table.md").write_text(f"{table}\n")
    print(table)


if __name__ == "__main__":
    app.run(main)
