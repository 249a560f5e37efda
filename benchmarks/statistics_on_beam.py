"""Statistics of layers' outputs, and a compensation: in memory and on Apache Beam.

    python -m benchmarks.statistics_on_beam --images=2000

Images are random and in a file that workers read. Seconds are those of the whole call:
with worker processes, each has to import Keras and to load the model first, and the
direct runner divides files into bundles and pickles what it merges. Two sizes of the
source tell that apart from the cost of an image. Seconds of the processor are those of
this process and all workers.
"""

import pathlib
import resource
import tempfile
import time

import keras
import numpy as np
from absl import app, flags, logging

import keras_basisprune as kbp

_IMAGES = flags.DEFINE_integer("images", 2000, "Images of the large source.")
_SIZE = flags.DEFINE_integer("image_size", 64, "Height and width, pixels.")
_ALPHA = flags.DEFINE_float("alpha", 0.25, "Width of the MobileNet.")
_COMPENSATE = flags.DEFINE_bool("compensate", False, "Also fit a compensation.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    model = _network()
    rng = np.random.default_rng(0)
    shape = (_IMAGES.value, _SIZE.value, _SIZE.value, 3)
    images = rng.integers(0, 256, shape, np.uint8)
    print("what, where, images, seconds, of the processor, ms per image, difference")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sizes = len(images) // 4, len(images)
        for count in sizes:
            np.save(folder / f"{count}.npy", images[:count])
        _compare(_statistics, model, images, sizes, folder)
        if _COMPENSATE.value:
            _compare(_compensation, model, images, sizes, folder)


def _compare(what, model, images, sizes, folder):
    known, before = {}, {}
    for where in ("in memory", "one worker", "two workers"):
        for count in sizes:
            begin = time.perf_counter(), _processor()
            if where == "in memory":
                found = what(model, images[:count].astype("float32"))
                known[count] = found
            else:
                found = what(model, folder / f"{count}.npy", folder, where)
            wall, spent = time.perf_counter() - begin[0], _processor() - begin[1]
            slope = ""
            if (where, "wall") in before:
                least, few = before[where, "wall"]
                slope = f"{1000 * (wall - least) / (count - few):.2f}"
            before[where, "wall"] = wall, count
            gap = max(
                np.abs(a - b).max() / np.abs(b).max()
                for a, b in zip(found, known[count], strict=True)
            )
            name = what.__name__.strip("_")
            print(
                f"{name}, {where}, {count}, {wall:.1f}, {spent:.1f}, {slope}, "
                f"{gap:.1e}",
                flush=True,
            )


def _statistics(model, source, folder=None, where=""):
    """Returns covariances, layer by layer."""
    if folder is None:
        found = kbp.scores.summarize_outputs(model, source, verbose=0)
    else:
        found = kbp.scores.summarize_outputs_on_beam(
            model, source, work_dir=folder / "work", **_options(where)
        )
    return [found.covariance(name) for name in found.moments]


def _compensation(model, source, folder=None, where=""):
    """Returns the weights of the network."""
    plan = kbp.select_channels(model, keep=0.7)
    if folder is None:
        return kbp.compensate(model, plan, source, verbose=0).get_weights()
    return kbp.surgery.compensate_on_beam(
        model, plan, source, work_dir=folder / "work", **_options(where)
    ).get_weights()


def _options(where):
    from apache_beam.options.pipeline_options import PipelineOptions

    words = ["--runner=DirectRunner"]
    if where == "two workers":
        words += ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    return {"options": PipelineOptions(words), "shard_size": 256}


def _processor() -> float:
    """Returns the seconds of the processor of this process and those that ended."""
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((_SIZE.value, _SIZE.value, 3))
    base = keras.applications.MobileNet(
        input_shape=inputs.shape[1:], alpha=_ALPHA.value, weights=None, classes=10
    )
    return keras.Model(inputs, base(keras.layers.Rescaling(1 / 127.5, -1)(inputs)))


if __name__ == "__main__":
    app.run(main)
