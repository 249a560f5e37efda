"""Milliseconds to switch a network from one task to another.

    python -m benchmarks.task_switching
    python -m benchmarks.task_switching --backends=jax --applications=ResNet50

Ten deltas of random positions and values are written into one network in turns:

- *NumPy scatter*: the same numbers, written into arrays (`array[positions] = values`,
  for the delta and for what stood there);
- *TaskDelta*: `remove` of one and `apply_in_place(check=False)` of the next;
- *put together again*: the same, if nothing of the delta was kept ready;
- *set_weights*: NumPy's scatter, and `set_weights` of the network.

Each backend has a process of its own, which measures all of them: medians over many
switches, in processor time, since other programs on the machine would slow long
switches more than short ones.
"""

import os
import statistics
import subprocess
import sys
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.methods import WeightChange
from keras_basisprune.methods.diff_pruning import _scatter
from keras_basisprune.methods.diff_pruning._fingerprint import array_of, fingerprint
from keras_basisprune.methods.diff_pruning._task_weights import task_weights

_BACKENDS = flags.DEFINE_list("backends", ["tensorflow", "jax"], "Of Keras.")
_APPLICATIONS = flags.DEFINE_list(
    "applications", ["MobileNet", "ResNet50"], "Networks."
)
_SIZE = flags.DEFINE_integer("size", 64, "Height and width of their images.")
_SHARES = flags.DEFINE_list("shares", ["0.005", "0.05"], "Of weights that differ.")
_TASKS = flags.DEFINE_integer("tasks", 10, "Number of deltas.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each is applied.")
_WHOLE = flags.DEFINE_bool("whole", False, "Also BatchNormalization's statistics.")
_HERE = flags.DEFINE_bool("here", False, "Measure the backend of this process.")


def random_delta(model, share, seed, whole=False):
    """A delta of random positions, all over the base, and a random head."""
    rng, weights = np.random.default_rng(seed), task_weights(model)
    changes = []
    for place, variable in enumerate(weights.base):
        shape, value = tuple(variable.shape), array_of(variable)
        if not variable.trainable:
            if whole:
                changes.append(WeightChange(variable.path, place, shape, value + 1))
            continue
        chosen = np.flatnonzero(rng.random(value.size) < share)
        if len(chosen):
            new = rng.standard_normal(len(chosen)).astype(value.dtype)
            changes.append(WeightChange(variable.path, place, shape, new, chosen))
    head = [
        WeightChange(v.path, n, tuple(v.shape), array_of(v) + 1)
        for n, v in zip(weights.places, weights.head, strict=True)
    ]
    size = sum(int(np.prod(v.shape)) for v in weights.base)
    return kbp.TaskDelta(
        changes, head, fingerprint(weights.base), size, len(model.weights)
    )


class InNumPy:
    """The weights of a model as arrays, and writes into these."""

    def __init__(self, model, deltas):
        weights = task_weights(model)
        self.arrays = model.get_weights()
        where = {id(v): n for n, v in enumerate(model.weights)}
        self.writes = []
        for delta in deltas:
            pairs = [(weights.base[c.place], c) for c in delta.changes]
            pairs += zip(weights.head, delta.head, strict=True)
            rows = []
            for variable, change in pairs:
                flat = self.arrays[where[id(variable)]].reshape(-1)
                index = slice(None) if change.positions is None else change.positions
                rows.append(
                    (flat, index, change.values.reshape(-1), flat[index].copy())
                )
            self.writes.append(rows)

    def apply(self, number):
        for flat, index, values, _ in self.writes[number]:
            flat[index] = values

    def remove(self, number):
        for flat, index, _, before in self.writes[number]:
            flat[index] = before


def median(switch, tasks, rounds):
    """Milliseconds of a switch: the median of all."""
    times = []
    for _ in range(rounds):
        for number in range(tasks):
            start = time.process_time()
            switch(number)
            times.append(1e3 * (time.process_time() - start))
    return statistics.median(times)


def measured(model, deltas, rounds) -> dict[str, float]:
    """Milliseconds of a switch, in each way."""
    in_numpy = InNumPy(model, deltas)

    def numpy_switch(number):
        in_numpy.remove(number - 1)
        in_numpy.apply(number)

    def whole_switch(number):
        numpy_switch(number)
        model.set_weights(in_numpy.arrays)

    def delta_switch(number):
        deltas[number - 1].remove(model)
        deltas[number].apply_in_place(model, check=False)

    def new_switch(number):
        _scatter._READY.clear()
        delta_switch(number)

    for delta in deltas:
        delta.apply_in_place(model)
        delta.remove(model)
    found = {"NumPy scatter": median(numpy_switch, len(deltas), rounds)}
    deltas[-1].apply_in_place(model)
    found["TaskDelta"] = median(delta_switch, len(deltas), rounds)
    found["put together again"] = median(new_switch, len(deltas), 1)
    deltas[-1].remove(model)
    found["set_weights"] = median(whole_switch, len(deltas), 1)
    in_numpy.remove(-1)
    model.set_weights(in_numpy.arrays)
    return found


def measure_here():
    """Prints rows for the backend of this process."""
    shape = (_SIZE.value, _SIZE.value, 3)
    for name in _APPLICATIONS.value:
        keras.utils.set_random_seed(0)
        model = kbp.data.application(name, weights=None, input_shape=shape, classes=10)
        for share in map(float, _SHARES.value):
            deltas = [
                random_delta(model, share, seed, _WHOLE.value)
                for seed in range(_TASKS.value)
            ]
            found = measured(model, deltas, _ROUNDS.value)
            ratio = found["TaskDelta"] / found["NumPy scatter"]
            values = " | ".join(f"{value:.2f}" for value in found.values())
            backend = keras.backend.backend()
            row = f"| {backend} | {name} | {share:.1%} | {values} | {ratio:.1f} |"
            print(row, flush=True)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    if _HERE.value:
        measure_here()
        return
    ways = "NumPy scatter | TaskDelta | put together again | set_weights"
    print(f"| backend | network | share | {ways} | TaskDelta / NumPy |")
    print(f"|---|---|{'---:|' * 6}", flush=True)
    for backend in _BACKENDS.value:
        command = [sys.executable, "-m", "benchmarks.task_switching", *sys.argv[1:]]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        subprocess.run([*command, "--here"], env=environment, check=True)


if __name__ == "__main__":
    app.run(main)
