"""Training runs: `python lives.py FOLDER first` kills them, `second` resumes them.

`whole` runs some undisturbed, all but those that the backend can't.
"""

import os
import pathlib
import signal
import sys

import keras
import numpy as np
from diagonal import UNIT_VECTORS, classifier, diagonal, masks

from keras_basisprune import L1Thresholding

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(12, 4)).astype("float32"), np.ones((12, 6), "float32")
LADDER = (0.0, 0.3, 0.6, 0.8)


def regression(**arguments):
    """Scales train under L1 in three steps per epoch."""
    model = diagonal(l1=0.02)
    model.compile(keras.optimizers.Adam(0.03), "mse", run_eagerly=True)
    return model, DATA, L1Thresholding(**arguments)


def ladder(**arguments):
    """One step per epoch masks one basis more, and costs 25 % of the accuracy."""
    callback = L1Thresholding(
        lambda step: LADDER[min(step, 3)], monitor="val_accuracy", **arguments
    )
    return classifier(rate=0.02, l1=1e-3), UNIT_VECTORS, callback


# Name: how to build it, number of epochs, the epoch after which it is killed.
LIVES = {
    "ramp": (lambda: regression(threshold=lambda step: step / 20), 5, 1),
    "steps": (
        lambda: regression(threshold=lambda s: s / 20, unit="step", frequency=4),
        *(5, 2),
    ),
    # Active at the step 4 alone, within the epoch that is killed.
    "active": (lambda: regression(threshold=lambda s: (s == 4, 0.5)), 5, 1),
    "taylor": (lambda: regression(threshold=0.1, score="taylor", frequency=2), 6, 1),
    "guard": (lambda: ladder(max_drop=0.3), 5, 1),
    "guard before masks": (lambda: ladder(max_drop=0.6), 3, 0),
    "guard with baseline": (lambda: ladder(max_drop=0.0, baseline=0.7), 5, 0),
    "guard waits": (lambda: ladder(max_drop=0.3, patience=3), 9, 3),
}

BACKENDS = ("steps", "taylor", "guard waits")


class Die(keras.callbacks.Callback):
    """Ends the run after an epoch, without an end of training."""

    def __init__(self, epoch, kill):
        super().__init__()
        self.epoch = epoch
        self.kill = kill

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise InterruptedError(f"after epoch {epoch}")


def live(name, callbacks=()):
    """Trains until the end; returns weights, masks and the last epoch's logs."""
    keras.utils.set_random_seed(0)
    build, epochs, _ = LIVES[name]
    model, data, thresholding = build()
    history = model.fit(
        *data,
        batch_size=4,
        epochs=epochs,
        validation_data=data,
        callbacks=[thresholding, *callbacks],
        shuffle=False,
        verbose=0,
    )
    return {
        "epochs": np.array(history.epoch),
        "masks": np.array("".join(masks(model).values())),
        "kept": np.array(history.history["kept_bases"]),
        **{f"w{i}": weight for i, weight in enumerate(model.get_weights())},
    }


def main(folder, which):
    if which == "whole":
        for name in BACKENDS:
            if name != "taylor" or keras.backend.backend() != "jax":
                np.savez(folder / f"{name}.npz", **live(name))
        return
    for name, (_, _, epoch) in LIVES.items():
        backup = keras.callbacks.BackupAndRestore(folder / f"{name}.backup")
        if which == "first":
            try:
                live(name, [backup, Die(epoch, kill=name == list(LIVES)[-1])])
            except InterruptedError:
                continue
            raise AssertionError(f"{name} was not interrupted")
        np.savez(folder / f"{name}.npz", **live(name, [backup]))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
