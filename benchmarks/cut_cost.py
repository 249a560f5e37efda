"""Measures the time of a cut in a search, in units of predicting the same images.

    python -m benchmarks.cut_cost --networks=MobileNet,ResNet50,EfficientNetB0

Random weights and synthetic images. Whatever a search computes once per network is
computed by a first cut; a second one, to another share, is measured against a second
`predict` of the same images: in seconds of the CPU, in one run, on the same threads.
Cuts are fitted on `--trial_samples` of the images, as in a search; `--again` also fits
the second one on all images, as a search does with the best.
"""

import cProfile
import pstats
import time

import keras
import numpy as np
from absl import app, flags

from keras_basisprune.methods.table import METHODS
from keras_basisprune.search.cutter import CutOptions, Cutter
from keras_basisprune.search.search_options import SearchOptions

_NETWORKS = flags.DEFINE_list("networks", ["MobileNet"], "Of `keras.applications`.")
_METHODS = flags.DEFINE_list(
    "methods",
    ["compensated_channels", "basis_regression", "double_pruning"],
    "Rows of the table of methods.",
)
_SIZE = flags.DEFINE_integer("image_size", 96, "Height and width, pixels.")
_IMAGES = flags.DEFINE_integer("images", 1000, "Number of images.")
_TRIAL = flags.DEFINE_integer(
    "trial_samples", SearchOptions().trial_samples, "Images that cuts are fitted on."
)
_AGAIN = flags.DEFINE_bool("again", False, "Whether to fit on all images too.")
_KEEP = flags.DEFINE_list("keep", ["0.6", "0.5"], "Shares of the two cuts.")
_PROFILE = flags.DEFINE_bool("profile", False, "Whether to show where time goes.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    images = synthetic_images(_IMAGES.value, _SIZE.value)
    print(f"{'network':15} {'method':22} {'CPU s':>7} {'x predict':>9} {'wall s':>7}")
    for name in _NETWORKS.value:
        model = network(name, _SIZE.value)
        model.predict(images[:64], verbose=0)
        _, unit, wall = _timed(model.predict, images, verbose=0)
        _show(name, "predict", unit, unit, wall)
        for method in _METHODS.value:
            row, options = METHODS[method], CutOptions(samples=_TRIAL.value)
            cutter = Cutter(model, images, options)
            first, second = map(float, _KEEP.value)
            cutter.cut(first, row)
            cut, *spent = _timed(cutter.cut, second, row)
            _show(name, method, unit, *spent)
            if _AGAIN.value:
                _, *spent = _timed(cutter.fit_again, second, row, cut.plan)
                _show(name, "  again, on all", unit, *spent)


def _show(name, method, unit, cpu, wall):
    line = f"{name:15} {method:22} {cpu:7.2f} {cpu / unit:9.2f} {wall:7.2f}"
    print(line, flush=True)


def network(name, size) -> keras.Model:
    """Makes a network of random weights, with statistics as if it were trained."""
    keras.utils.set_random_seed(0)
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classes=10)
    images = synthetic_images(64, size)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    return model


def synthetic_images(count, size) -> np.ndarray:
    """Makes images of smooth random patterns, float32."""
    rng = np.random.default_rng(0)
    coarse = rng.standard_normal((count, 8, 8, 3)).astype(np.float32)
    fine = rng.standard_normal((count, size, size, 3)).astype(np.float32)
    smooth = keras.ops.image.resize(coarse, (size, size))
    return keras.ops.convert_to_numpy(smooth) + 0.3 * fine


def _timed(run, *args, **kwargs):
    profile = cProfile.Profile() if _PROFILE.value else None
    start, wall = time.process_time(), time.perf_counter()
    call = (run,) if profile is None else (profile.runcall, run)
    found = call[0](*call[1:], *args, **kwargs)
    spent = time.process_time() - start, time.perf_counter() - wall
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    return found, *spent


if __name__ == "__main__":
    app.run(main)
