"""Measures time and memory of `convert` with data, against `model.predict`.

    python -m benchmarks.basis_cost
    python -m benchmarks.basis_cost --cases=MobileNet:64:600 --basis=regression

Each case is a Keras Application with random weights, an input size and a number of
random images; it runs in a separate process. 600 images are a common number for bases.
With a few dozen, costs that do not depend on the number dominate: building two
networks, compiling, and the decompositions. Times are wall seconds of the first call
(which compiles) and of the second; memory is the largest growth of the process.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

from benchmarks.peak_memory import PeakMemory, resident

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_CASES = flags.DEFINE_list(
    "cases",
    ["MobileNet:64:600", "ResNet50:224:600", "VGG16:224:600"],
    "NAME:SIZE:IMAGES of each case.",
)
_BASIS = flags.DEFINE_enum(
    "basis", "activations", ["activations", "regression"], "Which bases to take."
)
_RANK = flags.DEFINE_float("rank", 0.9, "Energy to keep.")
_ONE = flags.DEFINE_bool("one", False, "Measure the only case and print JSON.")

COLUMNS = (
    "case | images | predict, first | predict, again | convert | x first | x again | "
    "predict adds | convert adds"
)


def measure(case, basis, rank):
    """Returns times and bytes of one case, as a dict."""
    import keras

    import keras_basisprune as kbp

    name, size, count = case.split(":")
    size, count = int(size), int(count)
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )
    images = np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3))
    images = images.astype("float32")
    row = {"case": f"{name}, {size} px", "images": count}
    with PeakMemory() as peak:
        before = resident()
        for call in ("first", "again"):
            start = time.perf_counter()
            model.predict(images, batch_size=32, verbose=0)
            row[call] = time.perf_counter() - start
    row["predict_bytes"] = peak.bytes - before
    with PeakMemory() as peak:
        before = resident()
        start = time.perf_counter()
        kbp.convert(model, rank, basis=basis, data=images, verbose=0)
        row["convert"] = time.perf_counter() - start
    row["convert_bytes"] = peak.bytes - before
    return row


def measured_apart(case):
    """Returns what `measure` returns, from a separate process."""
    command = [sys.executable, "-m", "benchmarks.basis_cost", f"--cases={case}"]
    command += ["--one", f"--basis={_BASIS.value}", f"--rank={_RANK.value}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{case} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def line(row) -> str:
    """Returns one row of the Markdown table."""
    first, again, convert = row["first"], row["again"], row["convert"]
    return (
        f"| {row['case']} | {row['images']} | {first:.1f} s | {again:.1f} s | "
        f"{convert:.1f} s | {convert / first:.1f} | {convert / again:.1f} | "
        f"{row['predict_bytes'] / 1e6:,.0f} MB | {row['convert_bytes'] / 1e6:,.0f} MB |"
    )


def main(_):
    if _ONE.value:
        print(json.dumps(measure(_CASES.value[0], _BASIS.value, _RANK.value)))
        return
    print(f"| {COLUMNS} |\n| --- |{' ---: |' * COLUMNS.count('|')}", flush=True)
    for case in _CASES.value:
        print(line(measured_apart(case)), flush=True)


if __name__ == "__main__":
    app.run(main)
