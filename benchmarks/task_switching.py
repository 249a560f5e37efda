"""Milliseconds to switch a network from one task to another.

    python -m benchmarks.task_switching
    KERAS_BACKEND=jax python -m benchmarks.task_switching --application=ResNet50

Ten deltas of random positions and values are written into one network in turns
(`apply_in_place(check=False)` and `remove`), against the same numbers of weights that
NumPy writes into arrays (`array[positions] = values`, for the delta and for what stood
there), and against writing into copies of the weights and handing these to the network
(`set_weights`). All in one process, medians over many switches; in processor
time, since other programs on the machine would slow long switches more than short ones.
"""

import statistics
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from keras_basisprune.methods import WeightChange
from keras_basisprune.methods.diff_pruning._fingerprint import array_of, fingerprint
from keras_basisprune.methods.diff_pruning._task_weights import task_weights

_APPLICATION = flags.DEFINE_string("application", "MobileNet", "The network.")
_SIZE = flags.DEFINE_integer("size", 64, "Height and width of its images.")
_SHARE = flags.DEFINE_float("share", 0.005, "Share of the weights that differ.")
_TASKS = flags.DEFINE_integer("tasks", 10, "Number of deltas.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each is applied.")
_WHOLE = flags.DEFINE_bool("whole", False, "Also BatchNormalization's statistics.")


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
    """Milliseconds of a switch, in three ways."""
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

    for delta in deltas:
        delta.apply_in_place(model)
        delta.remove(model)
    found = {"NumPy scatter": median(numpy_switch, len(deltas), rounds)}
    deltas[-1].apply_in_place(model)
    found["TaskDelta"] = median(delta_switch, len(deltas), rounds)
    deltas[-1].remove(model)
    found["NumPy scatter, set_weights"] = median(whole_switch, len(deltas), 1)
    in_numpy.remove(-1)
    model.set_weights(in_numpy.arrays)
    return found


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(0)
    shape = (_SIZE.value, _SIZE.value, 3)
    model = kbp.data.application(
        _APPLICATION.value, weights=None, input_shape=shape, classes=10
    )
    deltas = [
        random_delta(model, _SHARE.value, seed, _WHOLE.value)
        for seed in range(_TASKS.value)
    ]
    print(f"{keras.backend.backend()}: {_APPLICATION.value}, {deltas[0]}")
    found = measured(model, deltas, _ROUNDS.value)
    print("| way | milliseconds per switch | × NumPy |\n|---|---:|---:|")
    for name, value in found.items():
        ratio = value / found["NumPy scatter"]
        print(f"| {name} | {value:.3f} | {ratio:.2f} |")


if __name__ == "__main__":
    app.run(main)
