"""Deltas on one backend; run by `task_delta_backends_test.py` in its own process.

KERAS_BACKEND=jax python tests/delta_backend_steps.py numbers.json folder
"""

import json
import pathlib
import sys

import keras
import numpy as np
from deltas_in_use import in_use
from families import FAMILIES
from models import identical, outputs
from task_networks import custom, fixed, made_delta, state, subclassed

import keras_basisprune as kbp
from keras_basisprune.methods import DiffOptions, diff_pruning

KINDS = {"residual": FAMILIES["residual"], "subclassed": subclassed, "custom": custom}


def exact(model, path):
    """Whether files, `apply`, `apply_in_place` and `remove` keep every bit."""
    x = np.ones((2, 6, 6, 3), "float32")
    before, said = state(model), outputs(model, x)
    delta, wanted = made_delta(model)
    delta.save(path)
    loaded = kbp.TaskDelta.load(path)
    network = loaded.apply(model)
    found = [loaded == delta, identical(state(network), wanted)]
    for _ in range(2):
        loaded.apply_in_place(model, check=False)
        found.append(identical(state(model), wanted))
        loaded.remove(model)
        found.append(identical(state(model), before))
    return [*found, identical(outputs(model, x), said)]


def trained(model, structured):
    """What training has left of the base, and how its result agrees with its logs."""
    rng, y = np.random.default_rng(0), np.arange(24) % 2
    x = (rng.standard_normal((24, 6, 6, 3)) + 2 * y[:, None, None, None]).astype("f4")
    before = state(model)
    config = DiffOptions(
        epochs=1,
        fixed_epochs=1,
        batch_size=8,
        structured=structured,
        fixed_rate=1e-2,
        batch_norm="statistics",
    )
    delta = diff_pruning(model, (x, y), (x, y), share=0.2, config=config, verbose=0)
    said = outputs(delta.apply(model), x)[0]
    loss = float(-np.mean(np.log(said[np.arange(24), y])))
    return {
        "untouched": identical(before, state(model)),
        "share": delta.share,
        "statistics": delta.whole,
        "loss": loss,
        "logged": delta.metadata["logs"]["val_loss"],
    }


def main(path, folder):
    keras.utils.set_random_seed(0)
    folder = pathlib.Path(folder)
    model = fixed()
    made_delta(model)[0].save(folder / f"{keras.backend.backend()}.npz")
    numbers = {
        "backend": keras.backend.backend(),
        "exact": {n: exact(make(), folder / "task.npz") for n, make in KINDS.items()},
        "in use": {
            "residual": in_use(FAMILIES["residual"]()),
            "subclassed": in_use(subclassed()),
        },
        "trained": {
            "residual": trained(FAMILIES["residual"](), "channel"),
            "subclassed": trained(subclassed(), None),
        },
    }
    pathlib.Path(path).write_text(json.dumps(numbers), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
