"""Where to cut a network that is not too large for its task: ways side by side.

    python -m benchmarks.pack_to_npz --pack=imagenet500_224.npz.xz --output=some.npz
    python -m benchmarks.where_to_cut --data=some.npz --output_dir=where \\
        --weights=mobilenet_0.25_224_imagenet.weights.h5 --application=MobileNet \\
        --alpha=0.25

Of the images, `--fit` are drawn to fit on (their labels are not used), and the network
is judged on the others. Nothing is trained. Ways, by `--ways`:

- *same*: `select_channels`, the same share of each layer, in the order of
  `compensated`.
- *measured*: `select_channels(sensitivity=...)`.
- *steps*: `select_in_steps`, measured again on the way.
- *bases*: `convert(keep=...)`.
- *search*: what `compress` makes of channels: measured again at each half of the FLOPs,
  on few images.
- *greedy_channels*, *greedy_bases*: how AIMET chooses ratios (its *greedy selection*):
  each layer alone at nine ratios, then for all layers the same tolerated loss, and the
  smallest ratio of each that keeps within it. Losses, corrections and the regression
  are those of this package (theirs is a score with labels, and bases of the weights).
- *double_same*, *double*: channels and then bases (the row `double_pruning` of
  `METHODS`): with channels as in *same*, cut to the share to the power of a third; and
  with channels as in *search*, and the power that is predicted to lose least.

All channels are removed by `compensate`. Printed are accuracy and agreement with the
original's answers, on other images and on those that were fitted. Each row is kept in
`--output_dir`: the same call again goes on (`--only` makes one draw, so that several
can run at the same time). In the end there is a table of means and standard deviations
over the draws.

Quick, in a few minutes on one core: `--draws=1 --shares=0.7 --fit=100
--ways=same,measured`.
"""

import bisect
import dataclasses
import json
import pathlib
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.methods import METHODS
from keras_basisprune.methods.apply_method import apply_method

_DATA = flags.DEFINE_string("data", None, "An .npz of pack_to_npz.", required=True)
_START = flags.DEFINE_string("start", None, "A .keras file, instead of the next ones.")
_APPLICATION = flags.DEFINE_string("application", "MobileNet", "With its own head.")
_ALPHA = flags.DEFINE_float("alpha", None, "Width of the network.")
_WEIGHTS = flags.DEFINE_string("weights", None, "A file of weights, or random ones.")
_RANGE = flags.DEFINE_list("range", ["-1", "1"], "What black and white become.")
_SHARES = flags.DEFINE_list("shares", ["0.9", "0.8", "0.7", "0.5"], "Of FLOPs, kept.")
_WAYS = flags.DEFINE_list("ways", ["same", "measured", "steps", "bases"], "See above.")
_DRAWS = flags.DEFINE_integer("draws", 3, "How often images are drawn, by seeds 0, ...")
_ONLY = flags.DEFINE_integer("only", None, "Make rows of this draw alone, and no more.")
_FIT = flags.DEFINE_integer("fit", 250, "Images to fit on.")
_STEP = flags.DEFINE_float("step", 0.15, "As in select_in_steps.")
_OUTPUT = flags.DEFINE_string("output_dir", "where_to_cut", "Where rows are kept.")


@dataclasses.dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        way: One of `WAYS`.
        keep: Float, the share of FLOPs that was asked for.
        draw: Integer, the seed by which images were drawn.
        accuracy: In percent, on other images.
        agreement: Images on which its answer is the original's, in percent.
        fitted_accuracy: On the images that were fitted.
        fitted_agreement: On these.
        flops: Float, the share that is left.
        seconds: To choose and to cut.
    """

    way: str
    keep: float
    draw: int
    accuracy: float
    agreement: float
    fitted_accuracy: float
    fitted_agreement: float
    flops: float
    seconds: float


def _channels(model, images, plan):
    if not plan.channels:
        return model
    return kbp.compensate(model, plan, images, verbose=0)


class Ways:
    """Cuts one network by any way; what does not depend on the share is kept."""

    def __init__(self, model, images, step):
        self._model, self._images, self._step = model, images, step
        self._scores = self._found = self._measured = None
        self._records = {}

    def same(self, keep):
        """The same share of each layer."""
        if self._scores is None:
            found = kbp.scores.channels.compensated(self._model, self._images)
            self._scores = found
        plan = kbp.select_channels(self._model, keep=keep, scores=self._scores)
        return _channels(self._model, self._images, plan)

    def measured(self, keep):
        """Shares by sensitivity."""
        if self._found is None:
            self._found = kbp.sensitivity(self._model, self._images, verbose=0)
        plan = kbp.select_channels(self._model, keep=keep, sensitivity=self._found)
        return _channels(self._model, self._images, plan)

    def steps(self, keep):
        """Shares by sensitivity, measured again on the way."""
        plan = kbp.plans.select_in_steps(
            self._model, self._images, keep=keep, step=self._step, verbose=0
        )
        return _channels(self._model, self._images, plan)

    def search(self, keep):
        """Shares as in a search."""
        return self._by("compensated_channels", keep, self._path())

    def double(self, keep):
        """Channels as in a search, and then bases."""
        return self._by("double_pruning", keep, self._path())

    def double_same(self, keep):
        """The same share of each layer's channels, and then bases."""
        if self._scores is None:
            found = kbp.scores.channels.compensated(self._model, self._images)
            self._scores = found
        return self._by("double_pruning", keep, self._scores)

    def greedy_channels(self, keep):
        """One tolerated loss for all layers, channels."""
        plan = self._greedy("channels", kbp.prune, keep)
        return _channels(self._model, self._images, plan)

    def greedy_bases(self, keep):
        """One tolerated loss for all layers, bases."""
        plan = self._greedy("bases", kbp.convert, keep)
        return kbp.convert(self._model, plan, data=self._images, verbose=0)

    def _greedy(self, what, cut, keep):
        if what not in self._records:
            given = {"what": what, "shares": np.arange(9, 0, -1) / 10, "verbose": 0}
            found = kbp.sensitivity(self._model, self._images, **given)
            self._records[what] = found.curves
        whole = kbp.measure.cost(self._model).flops
        curves = self._records[what]

        def fits(loss):
            small = kbp.fold(cut(self._model, tolerated(curves, loss)))
            return kbp.measure.cost(small).flops <= keep * whole

        losses = sorted({loss for curve in curves for loss in curve.losses})
        first = bisect.bisect_left(losses, True, hi=len(losses) - 1, key=fits)
        return tolerated(curves, losses[first])

    def _path(self):
        if self._measured is None:
            scores = METHODS["compensated_channels"].scores
            self._measured = scores(self._model, data=self._images)
        return self._measured

    def _by(self, name, keep, scores):
        given = {"keep": keep, "data": self._images, "scores": scores}
        return apply_method(METHODS[name], self._model, **given)[1]

    def bases(self, keep):
        """Bases of the outputs, by energy."""
        return kbp.convert(self._model, keep=keep, data=self._images, verbose=0)


def tolerated(curves, loss) -> kbp.Plan:
    """Cuts each layer as far as was measured to lose no more, each layer alone."""
    parts = {"bases": {}, "channels": {}}
    for curve in curves:
        pairs = zip(curve.removed, curve.losses, strict=True)
        count = max((number for number, lost in pairs if lost <= loss), default=0)
        gone = set(curve.order[:count])
        kept = tuple(place for place in range(curve.total) if place not in gone)
        if count or curve.kind == "bases":
            parts[curve.kind][curve.layer] = kbp.plans.Kept(kept, curve.total)
    return kbp.Plan(**parts)


def answers(model, images) -> np.ndarray:
    """The most likely class of each image."""
    return model.predict(images, batch_size=50, verbose=0).argmax(axis=-1)


def rows_of(model, data, draw, fit, ways, shares, step, known=()):
    """Yields the rows of one draw that are not known.

    Args:
        model: A classifier.
        data: A pair of images and labels.
        draw: Integer.
        fit: Integer, how many images are fitted on.
        ways: Names of methods of `Ways`.
        shares: List of floats.
        step: As in `select_in_steps`.
        known: Pairs of a way and a share to leave out.
    """
    order = np.random.RandomState(draw).permutation(len(data[0]))
    parts = [[array[places] for array in data] for places in np.split(order, [fit])]
    wanted = [answers(model, images) for images, _ in parts]
    cut, before = Ways(model, parts[0][0], step), kbp.measure.cost(model).flops
    for way in ways:
        for keep in shares:
            if (way, keep) in known:
                continue
            start = time.time()
            small = getattr(cut, way)(keep)
            seconds = round(time.time() - start, 1)
            figures = []
            for (images, labels), own in zip(parts, wanted, strict=True):
                found = answers(small, images)
                pair = np.mean(found == labels), np.mean(found == own)
                figures.append([round(100 * float(share), 2) for share in pair])
            flops = kbp.measure.cost(kbp.fold(small)).flops / before
            yield Row(
                way, keep, draw, *figures[1], *figures[0], round(flops, 4), seconds
            )


def experiment_of(draw, model, data, fit, ways, shares, step, folder):
    """Makes the rows of one draw that are not in the folder."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = {(row.way, row.keep) for row in rows_in(folder) if row.draw == draw}
    for row in rows_of(model, data, draw, fit, ways, shares, step, known):
        line = json.dumps(dataclasses.asdict(row))
        with (folder / f"rows_{draw}.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def rows_in(folder) -> list[Row]:
    """The rows that are in a folder."""
    paths = sorted(pathlib.Path(folder).glob("rows*.jsonl"))
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return [Row(**json.loads(line)) for line in lines]


def experiment(model, data, fit, ways, shares, draws, step, folder) -> list[Row]:
    """All rows; those that are in the folder already are taken from there."""
    for draw in range(draws):
        experiment_of(draw, model, data, fit, ways, shares, step, folder)
    return [
        row
        for row in rows_in(folder)
        if row.way in ways and row.keep in shares and row.draw < draws
    ]


def table(rows) -> str:
    """Means and standard deviations over the draws: a table in Markdown."""
    columns = ("accuracy", "agreement", "fitted_accuracy", "fitted_agreement")
    lines = [
        "| FLOPs kept | way | accuracy, others | agreement, others | "
        "accuracy, fitted | agreement, fitted | seconds |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    groups: dict[tuple, list[Row]] = {}
    for row in sorted(rows, key=lambda row: -row.keep):
        groups.setdefault((row.keep, row.way), []).append(row)
    for (keep, way), found in groups.items():
        cells = []
        for column in columns:
            values = [getattr(row, column) for row in found]
            cells.append(f"{np.mean(values):.1f} ± {np.std(values):.1f}")
        seconds = np.mean([row.seconds for row in found])
        lines.append(f"| {keep:.0%} | {way} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """Returns all images of `--data` as the network takes them, and their labels."""
    with np.load(_DATA.value) as arrays:
        parts = [part for part in ("train", "val", "test") if f"x_{part}" in arrays]
        images, labels = (
            np.concatenate([arrays[f"{axis}_{part}"] for part in parts])
            for axis in "xy"
        )
    low, high = map(float, _RANGE.value)
    return (images * ((high - low) / 255) + low).astype("float32"), labels


def start_network() -> keras.Model:
    """Returns the network of `--start`, or of `--application`."""
    if _START.value:
        return keras.models.load_model(_START.value, compile=False)
    given = {"weights": _WEIGHTS.value or None}
    given |= {"alpha": _ALPHA.value} if _ALPHA.value else {}
    return getattr(keras.applications, _APPLICATION.value)(**given)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    images, labels = images_and_labels()
    model = start_network()
    shares = list(map(float, _SHARES.value))
    right = np.mean(answers(model, images) == labels)
    print(f"The original, on all {len(images)} images: {right:.1%}", flush=True)
    if _ONLY.value is not None:
        options = _FIT.value, _WAYS.value, shares, _STEP.value, _OUTPUT.value
        experiment_of(_ONLY.value, model, (images, labels), *options)
        return
    options = _WAYS.value, shares, _DRAWS.value, _STEP.value, _OUTPUT.value
    print(table(experiment(model, (images, labels), _FIT.value, *options)))


if __name__ == "__main__":
    app.run(main)
