"""Measures milliseconds of single convolutions by number of filters, on LiteRT.

    python -m benchmarks.layer_times --size=32 --channels=64 \\
        --filters=13,16,17,24,31,32,33,48,64,65

One thread, float32; the best of `--repeat` measurements. Prints a Markdown table.
"""

import keras
from absl import app, flags

from keras_basisprune.measure import LatencyTable

_SIZE = flags.DEFINE_integer("size", 32, "Height and width of the input.")
_CHANNELS = flags.DEFINE_integer("channels", 64, "Channels of the input.")
_KERNELS = flags.DEFINE_list("kernels", ["3", "1"], "Kernel sizes.")
_FILTERS = flags.DEFINE_list(
    "filters", "13,16,17,24,31,32,33,48,64,65".split(","), "Numbers of filters."
)
_REPEAT = flags.DEFINE_integer("repeat", 3, "Measurements of each.")


def milliseconds(kernel, filters) -> float:
    """Returns the best of several measurements."""
    shape = (_SIZE.value, _SIZE.value, _CHANNELS.value)
    layer = keras.layers.Conv2D(filters, kernel, padding="same")
    times = (LatencyTable().milliseconds(layer, shape) for _ in range(_REPEAT.value))
    return min(times)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    print(f"| filters | {' | '.join(_FILTERS.value)} |")
    print(f"|---|{'---:|' * len(_FILTERS.value)}")
    for kernel in map(int, _KERNELS.value):
        times = [f"{milliseconds(kernel, int(k)):.3f}" for k in _FILTERS.value]
        print(f"| {kernel} × {kernel} | {' | '.join(times)} |", flush=True)


if __name__ == "__main__":
    app.run(main)
