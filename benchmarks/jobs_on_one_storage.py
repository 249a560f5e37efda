"""Searches as jobs: one process, and two on one storage.

    python -m benchmarks.jobs_on_one_storage

A small network learns the embedded digits; the jobs are `compress` by two methods, with
two margins. Each process is a fresh one: its seconds include importing Keras. What they
find must be the same.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
from absl import app, flags, logging

import keras_basisprune as kbp

_FOLDER = flags.DEFINE_string("folder", None, "Used for each process.")
_PROCESSES = flags.DEFINE_list("processes", ["1", "2"], "Numbers of processes.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    logging.set_verbosity(logging.ERROR)
    if _FOLDER.value:
        _take_part(pathlib.Path(_FOLDER.value))
        return
    for count in map(int, _PROCESSES.value):
        with tempfile.TemporaryDirectory() as folder:
            _network(pathlib.Path(folder))
            begin = time.perf_counter()
            words = [sys.executable, "-m", "benchmarks.jobs_on_one_storage"]
            words.append(f"--folder={folder}")
            running = [subprocess.Popen(words) for _ in range(count)]
            codes = [process.wait() for process in running]
            seconds = time.perf_counter() - begin
            found = _take_part(pathlib.Path(folder), quiet=True)
            print(
                f"{count} processes, codes {codes}: {seconds:.0f} s, "
                f"{len(found.jobs)} jobs of {_mean(found):.0f} s, "
                f"best {found.best.left:.2%} of the FLOPs",
                flush=True,
            )
            print(found)


def _mean(found) -> float:
    return float(np.mean([job.seconds for job in found.jobs]))


def _take_part(folder, quiet=False):
    data = kbp.load_data("digits", image_size=8, channels=1)
    model = keras.models.load_model(folder / "model.keras")
    begin = time.perf_counter()
    found = kbp.search.search_jobs(
        model,
        data.train,
        data.validation,
        choices={"methods": [["basis"], ["channels"]], "config.margin": [0.0, 1.0]},
        output_dir=folder,
        max_drop=0.03,
        config=kbp.SearchOptions(samples=100, trial_samples=None, rounds=1),
    )
    if not quiet:
        print(f"a process: {time.perf_counter() - begin:.0f} s in the search")
    return found


def _network(folder):
    keras.utils.set_random_seed(0)
    data = kbp.load_data("digits", image_size=8, channels=1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(*data.train, epochs=5, verbose=0)
    model.save(folder / "model.keras")


if __name__ == "__main__":
    app.run(main)
