"""Times the steps from a network to one of half the FLOPs by bases.

    python -m benchmarks.peers.ratio_time --keep=0.5 --images=500

The network is VGG16 with BatchNormalization at 32 x 32, with random weights and images:
only times of ranks and fits matter here. An evaluation on as many images is timed for
comparison: a search that evaluates each layer at each of ten ranks needs 130 of them.
"""

import time

import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.peers import keras_networks

_KEEP = flags.DEFINE_float("keep", 0.5, "Share of the FLOPs.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Times the channels of VGG16.")
_IMAGES = flags.DEFINE_integer("images", 500, "Images, for fitting and evaluation.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (_IMAGES.value, 32, 32, 3)).astype("float32")
    labels = rng.integers(0, 10, len(images))
    model = keras_networks.vgg(_WIDTH.value, (32, 32, 3), 10)
    print(kbp.measure.cost(model))
    print("| step | seconds |\n|---|---:|")

    def timed(name, make):
        start = time.perf_counter()
        made = make()
        print(f"| {name} | {time.perf_counter() - start:.1f} |", flush=True)
        return made

    whole = timed(
        "bases of all layers", lambda: kbp.convert(model, data=images, verbose=0)
    )
    plan = timed(
        "ranks", lambda: kbp.select_bases(whole, keep=_KEEP.value, cost="flops")
    )
    fitted = timed(
        "fit, layer after layer",
        lambda: kbp.convert(model, plan, basis="regression", data=images, verbose=0),
    )
    small = timed("fold", lambda: kbp.fold(fitted))
    timed(
        "one evaluation of the original",
        lambda: kbp.measure.accuracy(model, (images, labels)),
    )
    timed(
        "one evaluation of the result",
        lambda: kbp.measure.accuracy(small, (images, labels)),
    )
    print(kbp.measure.cost(small))


if __name__ == "__main__":
    app.run(main)
