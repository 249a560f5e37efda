"""Restores the best weights of a training run, also of one that was killed."""

import keras
import numpy as np

from keras_basisprune.training._memory import Memory


class KeepBest(keras.callbacks.Callback):
    """Remembers the weights with the best validation, and restores them at the end.

    Better is a higher `val_accuracy`, and of equals a lower `val_loss`; without labels
    a lower `val_loss`. Of full equals the last is kept. One copy of the weights is
    held. `keras.callbacks.BackupAndRestore` saves it with the model. Put this callback
    behind the one that writes the logs, and before those that save the model.

    Args:
        logs: Dict of the validation logs before training.
        weights: The weights before training, a list of arrays.

    Attributes:
        epoch: The number of the best epoch; `None` for the weights before training.
    """

    def __init__(self, logs, weights):
        super().__init__()
        self._score, self._weights, self.epoch = _score(logs), weights, None
        self._memory = None

    def on_train_begin(self, logs=None):
        self._memory = Memory(self.model, self._state, "keep_best_memory")

    def on_epoch_begin(self, epoch, logs=None):
        if self._memory.loaded:
            self._restore(self._memory.loaded)
            self._memory.loaded = {}

    def on_epoch_end(self, epoch, logs=None):
        score = _score(logs)
        if score >= self._score:
            self._score, self.epoch = score, epoch
            self._weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self._weights)

    def forget(self, model):
        """Removes what `BackupAndRestore` has saved from the model."""
        if self._memory is not None:
            self._memory.remove(model)

    def _state(self) -> dict:
        now = self.model.get_weights()
        changed = {
            f"best_{i}": best
            for i, (best, new) in enumerate(zip(self._weights, now, strict=True))
            if not np.array_equal(best, new)
        }
        epoch = -1 if self.epoch is None else self.epoch
        return {"score": np.array(self._score), "epoch": np.array(epoch), **changed}

    def _restore(self, state):
        self._score = tuple(state["score"].tolist())
        epoch = int(state["epoch"])
        self.epoch = None if epoch < 0 else epoch
        now = self.model.get_weights()
        self._weights = [state.get(f"best_{i}", new) for i, new in enumerate(now)]


def _score(logs) -> tuple[float, ...]:
    """Returns numbers of which the first counts most, and more is better."""
    loss = -float(logs["val_loss"])
    found = (float(logs["val_accuracy"]), loss) if "val_accuracy" in logs else (loss,)
    return tuple(-np.inf if np.isnan(number) else number for number in found)
