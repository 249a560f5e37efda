"""Statistics of outputs, a compensation, and a regression: in memory and on Beam.

    python -m benchmarks.statistics_on_beam --images=2000
    python -m benchmarks.statistics_on_beam --what=convert --workers=1

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
_WHAT = flags.DEFINE_multi_enum(
    "what", ["statistics"], ["statistics", "compensate", "convert"], "What to compute."
)
_WORKERS = flags.DEFINE_integer("workers", 2, "Most workers.", 1, 2)


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
        for what in _WHAT.value:
            _compare(what, model, images, sizes, folder)


def _compare(what, model, images, sizes, folder):
    known, before = {}, {}
    places = ("in memory", "one worker", "two workers")[: 1 + _WORKERS.value]
    for where in places:
        for count in sizes:
            begin = time.perf_counter(), _processor()
            if where == "in memory":
                data = images[:count].astype("float32")
            else:
                path, work = folder / f"{count}.npy", folder / "work"
                data = kbp.data.BeamSource(path, work_dir=work, **_options(where))
            found = _arrays(what, model, data)
            known.setdefault(count, found)
            wall, spent = time.perf_counter() - begin[0], _processor() - begin[1]
            slope = ""
            if (where, "wall") in before:
                least, few = before[where, "wall"]
                slope = f"{1000 * (wall - least) / (count - few):.2f}"
            before[where, "wall"] = wall, count
            gap = max(
                np.abs(a - b).max() / (np.abs(b).max() or 1.0)
                for a, b in zip(found, known[count], strict=True)
            )
            print(
                f"{what}, {where}, {count}, {wall:.1f}, {spent:.1f}, {slope}, "
                f"{gap:.1e}",
                flush=True,
            )


def _arrays(what, model, data):
    """Returns covariances, layer by layer, or the weights of the network."""
    if what == "statistics":
        found = kbp.scores.summarize_outputs(model, data, verbose=0)
        return [found.covariance(name) for name in found.moments]
    if what == "compensate":
        plan = kbp.select_channels(model, keep=0.7)
        return kbp.compensate(model, plan, data, verbose=0).get_weights()
    return kbp.convert(model, keep=0.5, data=data, verbose=0).get_weights()


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
