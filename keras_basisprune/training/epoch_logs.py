"""Validation at the end of each epoch of `recover`."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.running import predict
from keras_basisprune.training.seeds import set_seeds


@dataclasses.dataclass(frozen=True)
class Validation:
    """The data that a model is validated on.

    Attributes:
        images: Array of images.
        labels: Integer labels, or `None`.
        answers: The teacher's probabilities, or `None` (then there are labels).
    """

    images: np.ndarray
    labels: np.ndarray | None
    answers: np.ndarray | None

    def logs(self, model, loss, batch_size) -> dict[str, float]:
        """Runs the model; returns the logs of validation."""
        found = predict(model, self.images, batch_size)
        targets = self.labels if self.answers is None else self.answers
        logs = {"val_loss": float(keras.ops.convert_to_numpy(loss(targets, found)))}
        classes = found.argmax(-1)
        if self.labels is not None:
            logs["val_accuracy"] = float(np.mean(classes == self.labels))
        if self.answers is not None:
            agreed = classes == self.answers.argmax(-1)
            logs["val_agreement"] = float(np.mean(agreed))
        return logs


class EpochLogs(keras.callbacks.Callback):
    """Starts `Epochs`, and writes validation and learning rate into the logs.

    Random layers such as dropout depend on the seed and the number of the epoch, too.

    `keras.Model.fit` validates with the targets and metrics of training; here labels
    and answers of a teacher may be present in any combination. Put this callback before
    those that read the logs.

    Args:
        epochs: The `Epochs` with which the model is trained.
        validation: A `Validation`, or `None`.
        loss: A `keras.losses.Loss`, for `val_loss`.
    """

    def __init__(self, epochs, validation, loss):
        super().__init__()
        self._epochs, self._validation, self._loss = epochs, validation, loss

    def on_epoch_begin(self, epoch, logs=None):
        self._epochs.start(epoch)
        set_seeds(self.model, self._epochs.seed, epoch)

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        if self._validation is not None:
            logs |= self._validation.logs(
                self.model, self._loss, self._epochs.batch_size
            )
        rate = self.model.optimizer.learning_rate
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
