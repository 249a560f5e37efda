"""Time and result of one, two and eight devices, side by side.

    KERAS_BACKEND=jax python -m benchmarks.devices --images=256 --size=32

Training of scales (`sparsify`), training towards a teacher (`recover`) and statistics
(`convert` with data), each on one device without a distribution, and under
`keras.distribution.DataParallel` on two and on eight. Where there are fewer devices,
JAX makes eight virtual ones of the CPU. These share its cores, so that they show what
dividing costs, and that the result is the same, but no gain beyond the cores. On a
machine with accelerators the same command measures them.

*seconds* are those of the fastest epoch but the first, in which functions are compiled;
of the statistics, those of a second call. *difference* is the largest one of any weight
(of the statistics: of any output) to one device.
"""

import os

_VIRTUAL = "--xla_force_host_platform_device_count=8"  # must be known before JAX starts
if "device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_VIRTUAL}".strip()

import contextlib  # noqa: E402
import time  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402
from absl import app, flags  # noqa: E402

import keras_basisprune as kbp  # noqa: E402

_IMAGES = flags.DEFINE_integer("images", 256, "Random images.")
_SIZE = flags.DEFINE_integer("size", 32, "Width and height of the images.")
_BATCH = flags.DEFINE_integer("batch", 64, "Images per step, of all devices together.")
_EPOCHS = flags.DEFINE_integer("epochs", 3, "Epochs of each training.")
_FILTERS = flags.DEFINE_integer("filters", 32, "Of the first of three convolutions.")
_DEVICES = flags.DEFINE_list("devices", ["1", "2", "8"], "Numbers of devices.")


def network(size, filters) -> keras.Model:
    """Builds a classifier of three convolutions, with random weights."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((size, size, 3))
    for number in range(3):
        x = keras.layers.Conv2D(filters * 2**number, 3, 1 + number % 2)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def samples(count, size):
    """Draws random images with random labels."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, size, size, 3), dtype="float32")
    return images, rng.integers(0, 10, count)


class EpochTimes(keras.callbacks.Callback):
    """Measures the seconds of each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)

    def fastest(self) -> float:
        """Returns the seconds of the fastest epoch after compilation."""
        return min(self.seconds[1:] or self.seconds)


def scales(model, train, options):
    """Trains scales; returns seconds per epoch, and all weights."""
    converted, times = kbp.convert(model, l1=1e-4), EpochTimes()
    config = kbp.Recipe(epochs=options["epochs"], batch_size=options["batch"])
    kbp.sparsify(converted, train, config=config, callbacks=[times], verbose=0)
    return times.fastest(), converted.get_weights()


def recovered(model, train, options):
    """Trains a pruned network towards the original."""
    small, times = kbp.prune(model, kbp.select_channels(model, keep=0.5)), EpochTimes()
    # The last weights, not the best ones, which may be those from before training.
    config = kbp.Recovery(
        epochs=options["epochs"], batch_size=options["batch"], keep_best=False
    )
    given = {"teacher": model, "config": config, "callbacks": [times], "verbose": 0}
    kbp.recover(small, train[0], **given)
    return times.fastest(), small.get_weights()


def statistics(model, train, options):
    """Fits bases to data; returns seconds of a second call, and outputs."""
    for _ in range(2):
        start = time.perf_counter()
        converted = kbp.convert(model, keep=0.5, data=train[0], verbose=0)
        seconds = time.perf_counter() - start
    return seconds, [converted.predict_on_batch(train[0][:64])]


STEPS = {"scales": scales, "recover": recovered, "statistics": statistics}


def rows(counts, make, train, options) -> list[tuple]:
    """Returns `(step, devices, seconds, difference)` for each step and number.

    Args:
        counts: Numbers of devices, the first of which is compared with.
        make: A function that returns the network.
        train: A pair `(x, y)` of arrays.
        options: Dict of `"epochs"` and `"batch"`.
    """
    found = []
    for name, step in STEPS.items():
        first = None
        for count in counts:
            with _on(count):
                seconds, arrays = step(make(), train, options)
            arrays = [np.asarray(array) for array in arrays]
            first = first or arrays
            pairs = zip(arrays, first, strict=True)
            found.append((name, count, seconds, _largest(pairs)))
    return found


def _largest(pairs) -> float:
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def _on(count):
    """A scope of a number of devices; of none for one."""
    if count == 1:
        return contextlib.nullcontext()
    devices = keras.distribution.list_devices()[:count]
    return keras.distribution.DataParallel(devices=devices).scope()


def table(found) -> str:
    """Returns the rows as a Markdown table."""
    lines = ["| step | devices | seconds | difference |", "|---|---|---|---|"]
    for name, count, seconds, difference in found:
        lines.append(f"| {name} | {count} | {seconds:.3f} | {difference:.1e} |")
    return "\n".join(lines)


def main(_):
    counts = [int(count) for count in _DEVICES.value]
    there = keras.distribution.list_devices()
    if max(counts) > len(there):
        raise ValueError(
            f"Expected `devices` of at most {len(there)}. Received: {max(counts)}. "
            "Set KERAS_BACKEND=jax."
        )
    options = {"epochs": _EPOCHS.value, "batch": _BATCH.value}
    train = samples(_IMAGES.value, _SIZE.value)

    def make():
        return network(_SIZE.value, _FILTERS.value)

    print(f"{len(there)} devices ({there[0]}, ...), {os.cpu_count()} cores")
    print(table(rows(counts, make, train, options)))


if __name__ == "__main__":
    app.run(main)
