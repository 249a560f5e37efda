"""Accuracy against the share of weights that a task may change, and the controls.

    python -m benchmarks.pack_to_npz --pack=eurosat_64_13k.npz.xz --per_class=400 \\
        --validation=50 --output=eurosat.npz
    python -m benchmarks.diff_pruning --data=eurosat.npz --size=32 \\
        --weights=mobilenet_1.0_224_imagenet_notop.weights.h5 --output_dir=diff_eurosat

The network is MobileNet (or another `--application`) with a new head; every row starts
from the same one, of its seed. Rows, by `--ways`:

- *head*: the head alone; BatchNormalization as it is.
- *norm*: BatchNormalization (statistics, factors, offsets) and head.
- *full*: all weights, and BatchNormalization's statistics; *frozen*: not these.
- *magnitude*: all weights are trained, the largest differences kept, and these trained
  on: the control.
- *gates*: diff pruning. *channel*, *tensor*: with structured gates.

All rows train for `--epochs` and then `--fixed_epochs`; rates are those of
`--rates`, of which the best on the validation images is taken, for each row and seed.
The difference is trained once for all shares.
Each row is printed as it comes and kept in `--output_dir`: the same call again goes on.
In the end there are tables of mean and standard deviation over the seeds. What is
stored whole (BatchNormalization's statistics) is not in the share; the column *stored*
counts all numbers but those of the head.

Quick, in a few minutes on one core: `--per_class=40 --shares=0.005 --seeds=1
--epochs=3 --fixed_epochs=2 --max_test=500 --ways=head,full,magnitude,gates`.
"""

import dataclasses

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.delta_rows import experiment, table

_WEIGHTS = flags.DEFINE_string("weights", None, "Weights without top; or random ones.")
_APPLICATION = flags.DEFINE_string("application", "MobileNet", "The network.")
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_SIZE = flags.DEFINE_integer("size", 32, "Height and width of images.")
_PER_CLASS = flags.DEFINE_integer("per_class", None, "Training images per class.")
_MAX_TEST = flags.DEFINE_integer("max_test", None, "At most so many test images.")
_OUTPUT = flags.DEFINE_string("output_dir", "diff_pruning", "Where rows are kept.")
_SHARES = flags.DEFINE_list(
    "shares", ["0.001", "0.0025", "0.005", "0.01", "0.02", "0.05"], "Of the base."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "How often, with seeds 0, 1, ...")
_WAYS = flags.DEFINE_list(
    "ways", ["head", "norm", "full", "magnitude", "gates", "channel"], "Which rows."
)
_RATES = flags.DEFINE_list("rates", ["1e-3"], "Learning rates to choose from.")
_OPTIONS = {
    "epochs": flags.DEFINE_integer("epochs", 10, "Of the whole difference."),
    "fixed_epochs": flags.DEFINE_integer("fixed_epochs", 10, "Of chosen weights."),
    "gate_rate": flags.DEFINE_float("gate_rate", None, "As in DiffOptions."),
    "fixed_rate": flags.DEFINE_float("fixed_rate", None, "Default: the learning rate."),
    "l0": flags.DEFINE_float("l0", None, "As in DiffOptions."),
    "batch_norm": flags.DEFINE_string("batch_norm", None, "As in DiffOptions."),
}


def some_of_each(pair, per_class, seed=0):
    """The first images of each class, in a random order."""
    images, labels = pair
    rng = np.random.default_rng(seed)
    classes = [rng.permutation(np.flatnonzero(labels == k)) for k in np.unique(labels)]
    chosen = rng.permutation(np.concatenate([c[:per_class] for c in classes]))
    return images[chosen], labels[chosen]


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    data = kbp.load_data(_DATA.value, image_size=_SIZE.value, channels=3, seed=0)
    few = tuple(part[: _MAX_TEST.value] for part in data.test)
    data = dataclasses.replace(data, test=few)
    if _PER_CLASS.value:
        data = dataclasses.replace(
            data, train=some_of_each(data.train, _PER_CLASS.value)
        )
    print(data)

    def make(seed):
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        return kbp.data.application(
            _APPLICATION.value,
            weights=_WEIGHTS.value,
            input_shape=(_SIZE.value, _SIZE.value, 3),
            classes=len(data.class_names),
        )

    rows = experiment(
        make,
        data,
        _WAYS.value,
        [float(share) for share in _SHARES.value],
        _SEEDS.value,
        [float(rate) for rate in _RATES.value],
        {k: f.value for k, f in _OPTIONS.items() if f.value is not None},
        _OUTPUT.value,
    )
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    app.run(main)
