"""Measures the peak memory of what is fitted to data, by the number of images.

    python -m benchmarks.fit_memory --images=400,1600,6400

Images are made batch by batch as they are read (a `PyDataset`), so that they take no
memory themselves. Each step and each number of images has a process of its own: the
figures are the peak of that process, minus what it held before the first image.
With `--network=ResNet50 --image_size=224 --images=2000 --memory=512` it also shows how
much a large network needs; to train it, `--steps=recovery --batch_size=8`.
"""

import gc
import subprocess
import sys
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.peak_memory import PeakMemory, resident

_NETWORK = flags.DEFINE_string("network", "MobileNet", "Of `keras.applications`.")
_ALPHA = flags.DEFINE_float("alpha", 0.25, "Width of a MobileNet.")
_SIZE = flags.DEFINE_integer("image_size", 64, "Height and width, pixels.")
_IMAGES = flags.DEFINE_list("images", ["400", "1600", "6400"], "Numbers of images.")
_MEMORY = flags.DEFINE_integer("memory", 64, "MiB of values in memory: `spilling`.")
_STEPS = flags.DEFINE_list("steps", None, "Which steps; all by default.")
_ONE = flags.DEFINE_bool("in_this_process", False, "Used for each single step.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images at a time.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    for step in _STEPS.value or STEPS:
        if _ONE.value:
            _measure(step, int(_IMAGES.value[0]))
            continue
        for count in _IMAGES.value:
            options = [f"--steps={step}", f"--images={count}", "--in_this_process"]
            command = [sys.executable, "-m", "benchmarks.fit_memory", *sys.argv[1:]]
            subprocess.run([*command, *options], check=True)


def _measure(step, count):
    model = network()
    model.predict(next(iter(Images(_BATCH.value)))[0], verbose=0)
    before, start = resident(), time.process_time()
    with kbp.data.spilling(memory=_MEMORY.value * 2**20), PeakMemory() as peak:
        STEPS[step](model, Images(count))
    seconds = time.process_time() - start
    mib, total = (peak.bytes - before) / 2**20, peak.bytes / 2**20
    row = f"{step:14}{count:6} images {mib:6.0f} MiB (of {total:.0f}) {seconds:5.0f} s"
    print(row, flush=True)


def scores(model, data):
    """Scores channels by what remains after compensation."""
    kbp.scores.channels.compensated(model, data)


def activations(model, data):
    """Bases of the outputs."""
    kbp.scores.bases(model, data, verbose=0)


def regression(model, data):
    """Bases that are fitted layer after layer."""
    kbp.convert(model, keep=0.5, data=data, verbose=0)


def compensation(model, data):
    """Channels that the others make up for."""
    plan = kbp.select_channels(model, keep=0.5)
    kbp.compensate(model, plan, data, verbose=0)


def recalibration(model, data):
    """Statistics of BatchNormalization."""
    kbp.surgery.recalibrate(model, data, verbose=0)


def recovery(model, data):
    """An epoch of training all weights, towards the outputs of the original."""
    small = kbp.prune(model, kbp.select_channels(model, keep=0.5))
    config = kbp.Recovery(epochs=1, batch_size=_BATCH.value)
    kbp.recover(small, data, teacher=model, config=config, verbose=0)


def trainings(model, data):
    """A training of a network of its own for every 400 images, as in a search."""
    for _ in range(0, data.count, 400):
        recovery(model, Images(400))
        gc.collect()


STEPS = {
    step.__name__: step
    for step in (
        *(scores, activations, regression),
        *(compensation, recalibration, recovery, trainings),
    )
}


def network() -> keras.Model:
    """Makes a network of random weights."""
    keras.utils.set_random_seed(0)
    options = {"alpha": _ALPHA.value} if _NETWORK.value.startswith("MobileNet") else {}
    make, size = getattr(keras.applications, _NETWORK.value), _SIZE.value
    return make(weights=None, input_shape=(size, size, 3), classes=10, **options)


class Images(keras.utils.PyDataset):
    """Random images, the same at each reading."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def __len__(self):
        return -(-self.count // _BATCH.value)

    def __getitem__(self, index):
        count = min(_BATCH.value, self.count - index * _BATCH.value)
        shape = (count, _SIZE.value, _SIZE.value, 3)
        rng = np.random.default_rng(index)
        return rng.standard_normal(shape, np.float32), np.zeros(count, int)


if __name__ == "__main__":
    app.run(main)
