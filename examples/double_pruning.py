"""Compares double pruning (bases, then channels) with either alone, at equal FLOPs.

    python -m examples.double_pruning --model=baseline.keras --data=tfds:eurosat \\
        --keep=0.5,0.25,0.1

The model is a trained classifier. For each share of its FLOPs, it is made small by
bases alone, by channels alone, and by both: first by one of them, to the square root of
the share, then by the other. Nothing is trained and no label is used, unless with
`--recover_epochs` (all weights, Adam with cosine decay, labels). Prints a Markdown
table and writes it with the networks.
"""

import pathlib
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "A .keras file.", required=True)
flags.DEFINE_string("data", None, "As in load_data.", required=True)
flags.DEFINE_list("keep", ["0.5", "0.25", "0.1"], "Shares of the FLOPs to keep.")
flags.DEFINE_integer("images", 1000, "Unlabelled training images.")
flags.DEFINE_enum("scope", "local", ["local", "global"], "How channels are ranked.")
flags.DEFINE_integer("recover_epochs", 0, "Epochs of training all weights afterwards.")
flags.DEFINE_float("recover_rate", 1e-3, "Initial learning rate of these.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_string("output_dir", "double_output", "Where the files go.")

COLUMNS = (
    "to keep | how | after the first pass | FLOPs | parameters | test accuracy | "
    "after recovery | seconds"
)


def by_bases(model, images, flops):
    """Cuts to a number of FLOPs by bases: regression, ranks by energy."""
    keep = flops / kbp.measure.cost(model).flops
    small = kbp.convert(model, keep=keep, data=images, verbose=0)
    return kbp.fold(small, batch_norm=False)


def by_channels(model, images, flops):
    """Cuts to a number of FLOPs by channels: those that others can best replace."""
    keep = flops / kbp.measure.cost(model).flops
    plan = kbp.select_channels(model, keep=keep, data=images, scope=FLAGS.scope)
    return kbp.compensate(model, plan, images, verbose=0)


WAYS = {
    "bases": [by_bases],
    "channels": [by_channels],
    "bases, then channels": [by_bases, by_channels],
    "channels, then bases": [by_channels, by_bases],
}


def recover(model, train):
    """Trains all weights for some epochs."""
    if not FLAGS.recover_epochs:
        return model
    keras.utils.set_random_seed(FLAGS.seed)
    steps = FLAGS.recover_epochs * -(-len(train[0]) // 32)
    rate = keras.optimizers.schedules.CosineDecay(FLAGS.recover_rate, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(*train, epochs=FLAGS.recover_epochs, batch_size=32, verbose=0)
    return model


def _summary(model, before, test):
    """Returns FLOPs, parameters and accuracy as a short text."""
    after = kbp.measure.cost(model)
    return (
        f"{after.flops / before.flops:.0%} of the FLOPs, "
        f"{after.params / before.params:.0%} of the parameters, "
        f"{kbp.measure.accuracy(model, test):.4f}"
    )


def row(how, keep, model, data, images):
    """Returns one line of the table, and the small network."""
    before = kbp.measure.cost(model)
    small, first, seconds = model, "", 0.0
    for passed, step in enumerate(WAYS[how], start=1):
        start = time.time()
        small = step(small, images, before.flops * keep ** (passed / len(WAYS[how])))
        seconds += time.time() - start
        if passed < len(WAYS[how]):
            first = _summary(kbp.fold(small), before, data.test)
    accuracy, plain = kbp.measure.accuracy(small, data.test), kbp.fold(small)
    after = kbp.measure.cost(plain)
    recovered = ""
    if FLAGS.recover_epochs:
        plain = kbp.fold(recover(small, data.train))
        recovered = f"{kbp.measure.accuracy(plain, data.test):.4f}"
    line = (
        f"{keep:.0%} | {how} | {first} | {after.flops / before.flops:.1%} | "
        f"{after.params / before.params:.1%} | {accuracy:.4f} | {recovered} | "
        f"{seconds:.0f}"
    )
    return line, plain


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(FLAGS.seed)
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    model = keras.models.load_model(FLAGS.model)
    data = kbp.load_data(
        FLAGS.data, image_size=model.input_shape[1], channels=model.input_shape[-1]
    )
    order = np.random.default_rng(FLAGS.seed).permutation(len(data.train[0]))
    images = data.train[0][order[: FLAGS.images]]
    reached = kbp.measure.accuracy(model, data.test)
    print(f"{data}\nbaseline: {reached:.4f}, {kbp.measure.cost(model)}")
    rows = [COLUMNS, "|".join(["---"] * (COLUMNS.count("|") + 1))]
    for keep in map(float, FLAGS.keep):
        for how in WAYS:
            line, small = row(how, keep, model, data, images)
            print(line, flush=True)
            small.save(folder / f"{keep:g}_{how.replace(', then ', '_')}.keras")
            rows.append(line)
            table = "\n".join(f"| {line} |" for line in rows)
            (folder / "table.md").write_text(f"{table}\n")
    print(table)


if __name__ == "__main__":
    app.run(main)
