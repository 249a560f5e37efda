"""Seconds of the processor that a search takes, without training.

    python -m benchmarks.search_time --start=mobilenet_96.keras --data=eurosat.npz

Runs `compress` once, and prints its trials, the seconds of all threads, the size that
was found and the accuracy on the test images. To compare two versions of the package,
run both at the same time, each from its own checkout.
"""

import time

import keras
from absl import app, flags

import keras_basisprune as kbp

_START = flags.DEFINE_string("start", None, "A trained .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_SAMPLES = flags.DEFINE_integer("samples", 1000, "As in SearchOptions.")
_VALIDATION = flags.DEFINE_integer("validation", 1000, "Validation images, at most.")
_MARGIN = flags.DEFINE_float("margin", 0.0, "As in SearchOptions.")
_DROP = flags.DEFINE_float("max_drop", 0.01, "As in compress.")
_METHODS = flags.DEFINE_list("methods", ["basis", "channels"], "As in compress.")
_SEED = flags.DEFINE_integer("seed", 0, "As in compress.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    model = keras.models.load_model(_START.value, compile=False)
    size, channels = model.input_shape[1], model.input_shape[-1]
    data = kbp.load_data(_DATA.value, image_size=size, channels=channels)
    validation = tuple(part[: _VALIDATION.value] for part in data.validation)
    start, wall = time.process_time(), time.perf_counter()
    result = kbp.compress(
        model,
        data.train[0],
        validation,
        max_drop=_DROP.value,
        methods=_METHODS.value,
        seed=_SEED.value,
        config=kbp.SearchOptions(samples=_SAMPLES.value, margin=_MARGIN.value),
        verbose=0,
    )
    spent, wall = time.process_time() - start, time.perf_counter() - wall
    for trial in result.trials:
        print(
            f"{trial.method}: {trial.kept:.1%} kept, score {trial.score:.4f}, "
            f"{sum(trial.seconds.values()):.0f} s"
        )
    before, after = (kbp.measure.accuracy(m, data.test) for m in (model, result.model))
    print(
        f"{spent:.0f} s of the processor, {wall:.0f} s, {len(result.trials)} networks, "
        f"{result.report.flops_ratio:.1%} of the FLOPs kept, test {before:.4f} -> "
        f"{after:.4f}"
    )


if __name__ == "__main__":
    app.run(main)
