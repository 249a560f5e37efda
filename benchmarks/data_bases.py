"""Measures accuracy without training: bases of weights, activations, regression.

    python -m benchmarks.data_bases --model=a.keras,b.keras,c.keras \\
        --data=eurosat.npz --keep=0.5,0.35,0.25,0.15,0.08,0.05 --images=300,1000,3000

The models are trained classifiers that differ only in the seed of their training. For
each share of the decomposed layers' parameters to keep, ranks are chosen by energy per
parameter (`select_bases`). No label is used and nothing is trained, unless `--recover`
names shares: for these, the network of the last row is trained for five more epochs,
all weights, on all training images: towards the labels, or (`--recovery=distilled`)
towards the outputs of the original network for the images and their mirror images,
without labels. Each model has its own seed (with one model, `--seeds` of them), which
draws other images (and another order in recovery). `--mirrored=4000` adds rows for
which 4,000 images are drawn and their mirror images added. Prints a Markdown table:
test accuracy in percent, mean over the seeds and, after ±, half the difference of
highest and lowest.
"""

import itertools
import logging
import math
import pathlib
import time

import keras
import numpy as np
from absl import app, flags
from rich.console import Console

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.fold_costs import FoldCosts

_MODELS = flags.DEFINE_list("model", None, ".keras files.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_KEEP = flags.DEFINE_list("keep", ["0.5", "0.25", "0.15", "0.08"], "Shares to keep.")
_IMAGES = flags.DEFINE_list("images", ["300", "1000", "3000"], "Numbers of images.")
_MIRRORED = flags.DEFINE_list("mirrored", [], "Numbers of images, mirrored too.")
_RECOVER = flags.DEFINE_list("recover", [], "Shares to train on for five epochs.")
_EPOCHS = flags.DEFINE_integer("epochs", 5, "Epochs of recovery.")
_RATE = flags.DEFINE_float("rate", 1e-3, "Initial rate of Adam in recovery.")
_RECOVERY = flags.DEFINE_enum(
    "recovery", "distilled", ["labels", "distilled"], "What recovery trains towards."
)
_FLIPS = flags.DEFINE_enum(
    "flips", "both", ["none", "horizontal", "both"], "Axes along which to mirror."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of the only model.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "", "File for the table, if any.")


class Table:
    """Accuracies by row and share, one per seed."""

    def __init__(self, keep):
        self._keep = keep
        self._cells: dict[tuple[str, float], list[float]] = {}
        self._kept: dict[float, list[float]] = {}
        self._rows: dict[str, list[float]] = {}  # seconds per network
        self._baselines: list[float] = []

    def start(self, model, test):
        """Prints the network from which the next ones are made."""
        self._params = kbp.measure.cost(model).params
        self._baselines.append(100 * kbp.measure.accuracy(model, test))
        print(f"baseline: {self._baselines[-1]:.2f}", flush=True)

    def add(self, row, keep, small, test, seconds):
        """Adds a network, with the seconds that it took."""
        accuracy = kbp.measure.accuracy(small, test)
        self._cells.setdefault((row, keep), []).append(100 * accuracy)
        self._rows.setdefault(row, []).append(seconds)
        share = 100 * kbp.measure.cost(small).params / self._params
        self._kept.setdefault(keep, []).append(share)
        Console().print(f"{row}, {keep:g}: {accuracy:.4f} ({seconds:.0f} s)")

    def __str__(self):
        shares = [f"{100 * k:g} % ({np.mean(self._kept[k]):.1f} %)" for k in self._keep]
        lines = [
            f"Baseline {_mean(self._baselines)}.",
            "",
            f"| parameters kept in decomposed layers (in all) | {' | '.join(shares)} "
            "| seconds |",
            f"|---|{'---:|' * (len(shares) + 1)}",
        ]
        for row, seconds in self._rows.items():
            cells = [self._cell(row, keep) for keep in self._keep]
            lines.append(f"| {row} | {' | '.join(cells)} | {np.mean(seconds):.0f} |")
        return "\n".join(lines)

    def _cell(self, row, keep):
        values = self._cells.get((row, keep))
        return "" if values is None else _mean(values)


def _mean(values) -> str:
    half = (max(values) - min(values)) / 2
    return f"{np.mean(values):.2f}" + (f" ± {half:.2f}" if len(values) > 1 else "")


def ranks(converted, keep):
    """Returns the plan for a share of the decomposed layers' parameters."""
    traced = trace(converted)
    costs = FoldCosts(converted, basis_pairs(traced), traced)
    inside, rest = sum(map(math.prod, costs.sizes().values())), costs.rest("params")
    share = (keep * inside + rest) / (inside + rest)
    return kbp.select_bases(converted, keep=share, cost="params")


def plain(model, table, test, keeps):
    """Adds rows of the weights' SVD, which need no images and no seeds."""
    start = time.time()
    converted = kbp.convert(model)
    for keep in keeps:
        small = kbp.fold(kbp.prune(converted, ranks(converted, keep)))
        table.add("weights (SVD)", keep, small, test, time.time() - start)
        start = time.time()


def from_data(model, table, images, label, test, keeps):
    """Adds rows of one choice of images; returns the last conversions."""
    made = {}
    start = time.time()
    converted = kbp.convert(model, data=images, verbose=0)
    for keep in keeps:
        plan = ranks(converted, keep)
        small = kbp.fold(kbp.prune(converted, plan))
        table.add(f"activations, {label}", keep, small, test, time.time() - start)
        start = time.time()
        made[keep] = kbp.convert(
            model, plan, basis="regression", data=images, verbose=0
        )
        seconds = time.time() - start
        small = kbp.fold(made[keep])
        table.add(f"regression, {label}", keep, small, test, seconds)
        start = time.time()
    return made


def axes() -> tuple[int, ...]:
    """Returns the axes along which images are mirrored."""
    return {"none": (), "horizontal": (2,), "both": (1, 2)}[_FLIPS.value]


def with_mirrored(images):
    """Returns the images and all their mirror images."""
    for axis in axes():
        images = np.concatenate([images, np.flip(images, axis)])
    return images


class Mirrored(keras.utils.PyDataset):
    """Batches of images, mirrored at random, with the outputs of a network."""

    def __init__(self, network, images, seed):
        super().__init__()
        self._network, self._images = network, images
        self._rng = np.random.default_rng(seed)
        self.on_epoch_end()

    @property
    def num_batches(self):
        return -(-len(self._images) // 32)

    def on_epoch_end(self):
        self._order = self._rng.permutation(len(self._images))

    def __getitem__(self, index):
        batch = self._images[self._order[32 * index : 32 * index + 32]].copy()
        for axis in axes():
            chosen = self._rng.random(len(batch)) < 0.5
            batch[chosen] = np.flip(batch[chosen], axis)
        return batch, self._network.predict_on_batch(batch)


def recovered(model, converted, train, seed):
    """Trains all weights of a network for some epochs."""
    keras.utils.set_random_seed(seed)
    small = kbp.fold(converted, batch_norm=False)
    steps = _EPOCHS.value * -(-len(train[0]) // 32)
    rate = keras.optimizers.schedules.CosineDecay(_RATE.value, steps)
    optimizer = keras.optimizers.Adam(rate)
    if _RECOVERY.value == "labels":
        small.compile(optimizer, "sparse_categorical_crossentropy")
        small.fit(*train, epochs=_EPOCHS.value, batch_size=32, verbose=0)
    else:
        small.compile(optimizer, "kl_divergence")
        batches = Mirrored(model, train[0], seed)
        small.fit(batches, epochs=_EPOCHS.value, verbose=0)
    return kbp.fold(small)


def measure(model, table, data, keeps, seed):
    """Adds all rows for the images that one seed draws."""
    train, test = data.train, data.test
    order = np.random.default_rng(seed).permutation(len(train[0]))
    for count in map(int, _IMAGES.value):
        label, images = f"{count:,}", train[0][order[:count]]
        made = from_data(model, table, images, label, test, keeps)
    for count in map(int, _MIRRORED.value):
        label, images = f"{count:,} mirrored", with_mirrored(train[0][order[:count]])
        made = from_data(model, table, images, label, test, keeps)
    for keep in map(float, _RECOVER.value):
        start = time.time()
        small = recovered(model, made[keep], train, seed)
        row = f"regression, {label}, {_EPOCHS.value} epochs, {_RECOVERY.value}"
        table.add(row, keep, small, test, time.time() - start)
    if _OUTPUT.value:
        pathlib.Path(_OUTPUT.value).write_text(f"{table}\n")


def main(_):
    models = [keras.models.load_model(path) for path in _MODELS.value]
    size, channels = models[0].input_shape[1], models[0].input_shape[-1]
    data = kbp.load_data(_DATA.value, image_size=size, channels=channels)
    print(data, flush=True)
    keeps = sorted({float(k) for k in (*_KEEP.value, *_RECOVER.value)}, reverse=True)
    table, seeds = Table(keeps), itertools.count()
    logging.getLogger("tensorflow").setLevel("ERROR")  # quiet compiling
    for model in models:
        table.start(model, data.test)
        plain(model, table, data.test, keeps)
        for _ in range(_SEEDS.value if len(models) == 1 else 1):
            measure(model, table, data, keeps, next(seeds))
    print(table)


if __name__ == "__main__":
    app.run(main)
