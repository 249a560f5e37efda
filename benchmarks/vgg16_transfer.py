"""VGG16 with ImageNet weights, transferred to a small task and made small.

    python -m benchmarks.pack_to_npz --pack=mnist.npz.xz --per_class=200 \\
        --validation=100 --output=mnist_2000.npz
    python -m benchmarks.vgg16_transfer --weights=vgg16_notop.float16.npz \\
        --data=mnist_2000.npz --max_test=2000 --output_dir=vgg16_mnist

First the transfer, at 32 px and full width: a new head on frozen convolutions, and all
weights fine-tuned from there. Then

- *paper*: bases of the weights of the frozen network; only scales and head train;
  what lies under a threshold of the Taylor score leaves; and again, once for each of
  `--thresholds`;
- *closed form*: the better of the two is cut by channels and bases that are fitted to
  training images, to each share of `--keep` in turn, and trained after each cut.

Each row is a network, folded: accuracy on validation and test images, what was removed
of parameters and FLOPs, and seconds. `--ways` leaves rows out; the networks that were
transferred are kept in `--output_dir` and taken from there by the next call. With
`--dtype=mixed_bfloat16` all weights train in that precision, twice as fast on a CPU
that has it; cuts and results are computed in float32.

The weights are an `.npz` with arrays `<layer>/kernel` and `<layer>/bias`.
"""

import dataclasses
import pathlib
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.augment_flags import augment
from benchmarks.imagenet_vgg16 import vgg16
from benchmarks.in_dtype import in_dtype
from keras_basisprune.methods import METHODS
from keras_basisprune.search.cutter import CutOptions, Cutter

_WEIGHTS = flags.DEFINE_string("weights", None, "An .npz; left out: random weights.")
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_MAX_TEST = flags.DEFINE_integer("max_test", None, "At most so many test images.")
_WAYS = flags.DEFINE_list("ways", ["paper", "closed_form"], "Which rows.")
_OUTPUT = flags.DEFINE_string("output_dir", "vgg16_transfer", "Where networks go.")
_NUMBERS = {
    "tune_epochs": flags.DEFINE_integer("tune_epochs", 4, "Of fine-tuning."),
    "rate": flags.DEFINE_float("rate", 3e-5, "Initial rate of Adam at full size."),
    "scale_rate": flags.DEFINE_float("scale_rate", 1e-3, "Initial rate of scales."),
    "scale_epochs": flags.DEFINE_integer("scale_epochs", 2, "For each threshold."),
    "samples": flags.DEFINE_integer("samples", 500, "Images that cuts are fitted to."),
    "epochs": flags.DEFINE_integer("epochs", 10, "After each cut."),
    "seed": flags.DEFINE_integer("seed", 0, "Seed of everything random."),
}
_DTYPE = flags.DEFINE_string("dtype", "float32", "In which all weights train.")
_THRESHOLDS = flags.DEFINE_list("thresholds", ["1e-3", "1e-2", "1e-1"], "In turn.")
_KEEP = flags.DEFINE_list("keep", ["0.1", "0.03", "0.01"], "Shares of the original.")
_METHODS = flags.DEFINE_list(
    "methods",
    ["compensated_channels", "compensated_channels", "double_pruning"],
    "Names of METHODS, one for each share.",
)
_COUNTED = flags.DEFINE_enum(
    "counted", "params", ["flops", "params"], "Shares of what."
)

SIZE = 32


@dataclasses.dataclass(frozen=True)
class Config:
    """What the flags say, for callers without flags."""

    tune_epochs: int = 4
    rate: float = 3e-5
    scale_rate: float = 1e-3
    scale_epochs: int = 2
    samples: int = 500
    epochs: int = 10
    seed: int = 0
    thresholds: tuple = (1e-3, 1e-2, 1e-1)
    keep: tuple = (0.1, 0.03, 0.01)
    methods: tuple = (*["compensated_channels"] * 2, "double_pruning")
    counted: str = "params"
    dtype: str = "float32"
    ways: tuple = ("paper", "closed_form")
    augment: object = None


class Table:
    """Prints a row for each network, with what is left of the original."""

    def __init__(self, original, data):
        self._whole, self._data, self.rows = kbp.measure.cost(original), data, []
        print(
            "| network | validation | test | parameters removed | FLOPs removed "
            "| parameters | seconds |\n|---|---:|---:|---:|---:|---:|---:|"
        )

    def add(self, name, network, start):
        """Takes in a network that was begun at a time; returns its validation score."""
        seconds, plain = time.time() - start, kbp.fold(network)
        cost = kbp.measure.cost(plain)
        scores = [
            kbp.measure.accuracy(plain, part)
            for part in (self._data.validation, self._data.test)
        ]
        removed = [
            1 - getattr(cost, part) / getattr(self._whole, part)
            for part in ("params", "flops")
        ]
        self.rows.append((name, *scores, *removed, cost.params))
        print(
            f"| {name} | {100 * scores[0]:.2f} | {100 * scores[1]:.2f} | "
            f"{removed[0]:.2%} | {removed[1]:.2%} | {cost.params:,} | {seconds:.0f} |",
            flush=True,
        )
        return scores[0]


def frozen(model, data):
    """Trains the last layer alone, on what the layers before it say of each image."""
    head = model.layers[-1]
    trunk = keras.Model(model.inputs, head.input)
    features = trunk.predict(data.train[0], verbose=0)
    mean, spread = features.mean(0), features.std(0) + 1e-3
    last = keras.layers.Dense(
        head.units, activation="softmax", kernel_initializer="zeros"
    )
    linear = keras.Sequential([keras.Input(features.shape[1:]), last])
    linear.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    linear.fit((features - mean) / spread, data.train[1], epochs=50, verbose=0)
    kernel, bias = (np.asarray(weight) for weight in (last.kernel, last.bias))
    kernel = kernel / spread[:, None]
    head.set_weights([kernel, bias - mean @ kernel])
    return model


def train_all(network, data, config, epochs, rate, number=0):
    """Trains all weights in place, in the dtype of `--dtype`."""
    plan = kbp.Recovery(
        epochs=epochs,
        learning_rate=rate,
        augment=config.augment,
        seed=config.seed + number,
    )
    copy = in_dtype(network, config.dtype)
    kbp.recover(copy, data.train, config=plan, verbose=2)
    network.set_weights(copy.get_weights())


def transferred(name, folder, make):
    """A network from the folder, or made and kept there."""
    path = pathlib.Path(folder) / f"{name}.keras"
    if not path.exists():
        make().save(path)
    return keras.models.load_model(path)


def paper(model, data, table, config):
    """The scales of the bases of the weights train; the weak leave, and again."""
    keras.utils.set_random_seed(config.seed)
    network = kbp.convert(model, l1=1e-4)
    for threshold in config.thresholds:
        start = time.time()
        recipe = kbp.Recipe(
            threshold=threshold,
            score="taylor",
            scope="local",
            cost=None,
            epochs=config.scale_epochs,
            learning_rate=config.scale_rate,
        )
        kbp.sparsify(network, data.train, config=recipe, verbose=2)
        network = kbp.prune(network)
        table.add(f"paper, threshold {threshold:g}", network, start)


def closed_form(model, data, table, config):
    """Cut by channels and bases in closed form and trained, to each share in turn."""
    network, whole = kbp.fold(model, batch_norm=False), kbp.measure.cost(model)
    order = np.random.default_rng(config.seed).permutation(len(data.train[0]))
    images = data.train[0][np.sort(order[: config.samples])]
    shares = zip(config.keep, config.methods, strict=True)
    for number, (keep, name) in enumerate(shares):
        start, counted = time.time(), config.counted
        now = kbp.measure.cost(network)
        share = keep * getattr(whole, counted) / getattr(now, counted)
        cutter = Cutter(network, images, CutOptions(cost=counted))
        cut = cutter.cut(share, METHODS[name])
        if cut is None:
            raise SystemExit(f"{keep} can't be reached by {name}.")
        network = kbp.fold(cut.network, batch_norm=False)
        table.add(f"closed form, {keep:.1%} kept, as cut", network, start)
        start = time.time()
        rate = config.rate / keep**0.5  # small layers bear larger steps
        train_all(network, data, config, config.epochs, rate, number)
        table.add(f"closed form, {keep:.1%} kept, trained", network, start)


def experiment(model, data, config, folder):
    """All rows, of a network with a new head that nobody has trained yet."""
    table, start = Table(model, data), time.time()
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    plain = transferred("frozen", folder, lambda: frozen(model, data))
    scores = {"frozen": table.add("frozen convolutions", plain, start)}
    start = time.time()

    def tuned():
        network = kbp.graph.flatten(plain)
        train_all(network, data, config, config.tune_epochs, config.rate)
        return network

    fine = transferred("tuned", folder, tuned)
    scores["tuned"] = table.add("all weights fine-tuned", fine, start)
    if "closed_form" in config.ways:
        better = fine if scores["tuned"] >= scores["frozen"] else plain
        closed_form(better, data, table, config)
    if "paper" in config.ways:
        paper(plain, data, table, config)
    return table.rows


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(_NUMBERS["seed"].value)
    data = kbp.load_data(_DATA.value, image_size=SIZE, seed=0)
    few = tuple(part[: _MAX_TEST.value] for part in data.test)  # of each class alike
    data = dataclasses.replace(data, test=few)
    print(data)
    config = Config(
        **{name: flag.value for name, flag in _NUMBERS.items()},
        thresholds=tuple(map(float, _THRESHOLDS.value)),
        keep=tuple(map(float, _KEEP.value)),
        methods=tuple(_METHODS.value),
        counted=_COUNTED.value,
        dtype=_DTYPE.value,
        ways=tuple(_WAYS.value),
        augment=augment(),
    )
    model = vgg16(_WEIGHTS.value, len(data.class_names), data.train[0][:100])
    experiment(model, data, config, _OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
