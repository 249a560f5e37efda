"""How much the smallest network that passed loses on images that did not choose it.

    python -m benchmarks.chance_in_choosing --start=fashion.keras --data=fashion.npz \\
        --output_dir=chance

First the network is cut to `--shares` sizes by each method of `compress` without
training, for two draws of the images that are fitted on, and every answer on the test
images is kept in `--output_dir` (the same call again goes on). Then many searches are
played through with these answers: some test images are drawn as validation images, the
search of `compress` (`smallest_share`) asks for shares, between those that were cut the
answers change over one image after the other, and what is chosen is judged by the rest
of the test images. So thousands of searches cost no more than a few dozen cuts, and the
truth is known to a fraction of a point.

Prints a table: for numbers of validation images and margins (in standard errors), the
share of searches whose loss is within the budget on other images, mean losses, and the
share of FLOPs that is kept (geometric mean).
"""

import functools
import math
import pathlib

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.methods import METHODS
from keras_basisprune.methods.apply_method import apply_method
from keras_basisprune.search.smallest_share import smallest_share

_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_START = flags.DEFINE_string("start", None, "A trained .keras.", required=True)
_SHARES = flags.DEFINE_integer("shares", 14, "Sizes that are cut.")
_RANGE = flags.DEFINE_list("range", ["0.03", "0.7"], "The smallest and the largest.")
_FIT = flags.DEFINE_integer("fit", 500, "Images that are fitted on.")
_IMAGES = flags.DEFINE_list("images", ["200", "400", "800", "1600"], "Validation.")
_MARGINS = flags.DEFINE_list("margins", ["0", "0.5", "1", "1.3"], "In SearchOptions.")
_SEARCHES = flags.DEFINE_integer("searches", 200, "Of each kind.")
_DROP = flags.DEFINE_float("max_drop", 0.01, "The budget.")
_OUTPUT = flags.DEFINE_string("output_dir", "chance", "Where answers are kept.")

ORDER = ("double_pruning", "compensated_channels", "basis_regression")
DRAWS = 2
_LEAST_ERROR = 1e-4  # where no answer is another one


def answers_of_cuts(model, data, folder) -> dict[str, np.ndarray]:
    """Returns which answers are right, by draw, method and share; `"whole"` for all."""
    path = pathlib.Path(folder) / "answers.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = dict(np.load(path)) if path.exists() else {}
    images, labels = data.test

    def right(network):
        said = network.predict(images, batch_size=200, verbose=0).argmax(-1)
        return said == labels

    if "whole" not in found:
        found["whole"] = right(model)
    low, high = map(math.log, map(float, _RANGE.value))
    shares = np.exp(np.linspace(low, high, _SHARES.value))
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(data.train[0]))
        fitted = data.train[0][order[: _FIT.value]]
        for name in ORDER:
            wanted = [f"{draw} {name} {share:.6f}" for share in shares]
            if all(key in found for key in wanted):
                continue
            method = METHODS[name]
            scores = method.scores and method.scores(model, data=fitted)
            for share, key in zip(shares, wanted, strict=True):
                given = {"keep": float(share), "data": fitted, "scores": scores}
                network = kbp.fold(apply_method(method, model, **given)[1])
                found[key] = right(network)
                print(key, f"{found[key].mean():.4f}", flush=True)
            np.savez_compressed(path, **found)
    return found


class Curve:
    """The answers of one method at any share, between those that were cut."""

    def __init__(self, shares, answers, places):
        order = np.argsort(shares)
        self._shares = np.log(np.array(shares)[order])
        self._answers, self._places = [answers[i] for i in order], places

    def __call__(self, share) -> np.ndarray:
        at = np.interp(math.log(share), self._shares, range(len(self._shares)))
        low = min(int(at), len(self._shares) - 2)
        return np.where(
            self._places < at - low, self._answers[low + 1], self._answers[low]
        )


def search(found, seed, images, margin, max_drop):
    """Plays one search.

    Returns:
        The loss on the validation images and on the others, the share that is kept, and
        how much more the others lose, in standard errors.
    """
    whole, rng = found["whole"], np.random.default_rng(seed)
    places, order = rng.random(len(whole)), rng.permutation(len(whole))
    mine, others = order[:images], order[images:]
    curves = {}
    for name in ORDER:
        start = f"{seed % DRAWS} {name} "
        keys = [key for key in found if key.startswith(start)]
        shares = [float(key.removeprefix(start)) for key in keys] + [1.0]
        curves[name] = Curve(shares, [*(found[key] for key in keys), whole], places)
    tried = {}

    def attempt(share, name):
        lost = whole[mine].astype(float) - curves[name](share)[mine]
        # As `Judge.lower_bound`: one answer more than was seen counts as changed.
        chance = math.hypot(lost.std() / images**0.5, 1 / images)
        tried[share, name] = -lost.mean() - margin * chance
        return tried[share, name]

    smallest_share(attempt, -max_drop, ORDER)
    good = [key for key, score in tried.items() if score >= -max_drop]
    if not good:
        return 0.0, 0.0, 1.0, 0.0
    share, name = min(good)
    lost = whole.astype(float) - curves[name](share)
    more = lost[others].mean() - lost[mine].mean()
    error = max(lost[mine].std() / images**0.5, _LEAST_ERROR)
    return lost[mine].mean(), lost[others].mean(), share, more / error


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    model = flatten(keras.models.load_model(_START.value, compile=False))
    size, channels = model.input_shape[1], model.input_shape[-1]
    data = kbp.load_data(_DATA.value, image_size=size, channels=channels)
    found = answers_of_cuts(model, data, _OUTPUT.value)
    print(
        f"The original: {found['whole'].mean():.4f} on {len(found['whole'])} images\n"
    )
    print(
        "| images | margin | within the budget on others | lost on validation | "
        "lost on others | in standard errors more | a tenth loses more than | "
        "FLOPs kept |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for images in map(int, _IMAGES.value):
        for margin in map(float, _MARGINS.value):
            play = functools.partial(
                search, found, images=images, margin=margin, max_drop=_DROP.value
            )
            rows = np.array([play(seed) for seed in range(_SEARCHES.value)])
            mine, others, shares, more = rows.T
            print(
                f"| {images:,} | {margin:g} | {np.mean(others <= _DROP.value):.0%} | "
                f"{100 * mine.mean():.2f} | {100 * others.mean():.2f} | "
                f"{more.mean():.2f} | {100 * np.quantile(others, 0.9):.2f} | "
                f"{np.exp(np.log(shares).mean()):.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
