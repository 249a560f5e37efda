"""Validation at the end of each epoch of `recover`."""

import keras

from keras_basisprune.graph.run_examples import outputs_of, run_examples
from keras_basisprune.training.seeds import set_seeds

_KEPT = 2**28  # bytes of a teacher's outputs that are kept, not computed again


class Validation:
    """The data that a model is validated on.

    Args:
        examples: `ArrayExamples` or `StreamExamples`.
        losses: `OutputLosses`.
        teacher: The model whose outputs are the targets, or `None` for labels.
    """

    def __init__(self, examples, losses, teacher=None):
        self._examples, self._losses, self._teacher = examples, losses, teacher
        self._answers: dict[int, list] = {}

    def logs(self, model, batch_size) -> dict[str, float]:
        """Runs the model; returns the logs of validation."""
        total, right, agreed, count = 0.0, 0, 0, 0
        labelled, losses = self._examples.labelled, self._losses
        runs = run_examples(model, self._examples, batch_size)
        for number, (batch, found) in enumerate(runs):
            answers = self._known(number, batch)
            targets = batch.targets if answers is None else answers
            total += losses.total(targets, found) * len(batch)
            count += len(batch)
            if losses.classes:
                classes = found[0].argmax(-1)
                places = classes.size // len(classes)
                if labelled:
                    right += (classes == _classes(batch.targets[0], classes)).sum()
                if answers is not None:
                    agreed += (classes == answers[0].argmax(-1)).sum()
        logs = {"val_loss": total / count}
        if losses.classes and labelled:
            logs["val_accuracy"] = float(right / count / places)
        if losses.classes and self._teacher is not None:
            logs["val_agreement"] = float(agreed / count / places)
        return logs

    def _known(self, number, batch):
        """Returns the teacher's outputs; `None` without a teacher."""
        if self._teacher is None:
            return None
        if number not in self._answers:
            size = len(self._answers.get(0, batch.inputs)[0])
            found = outputs_of(self._teacher, batch.inputs, size)
            found = [x.astype("float32") for x in found]
            spent = sum(x.nbytes for known in self._answers.values() for x in known)
            if spent > _KEPT:
                return found
            self._answers[number] = found
        return self._answers[number]


def _classes(labels, like):
    """Returns integer labels for one-hot ones, and without a last axis of 1."""
    if labels.ndim > like.ndim:
        return labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(-1)
    return labels


class EpochLogs(keras.callbacks.Callback):
    """Starts `Epochs`, and writes validation and learning rate into the logs.

    Random layers such as dropout depend on the seed and the number of the epoch, too.

    `keras.Model.fit` validates with the targets and metrics of training; here labels
    and answers of a teacher may be present in any combination. Put this callback before
    those that read the logs.

    Args:
        epochs: The `Epochs` or `StreamEpochs` with which the model is trained.
        validation: A `Validation`, or `None`.
    """

    def __init__(self, epochs, validation):
        super().__init__()
        self._epochs, self._validation = epochs, validation

    def on_epoch_begin(self, epoch, logs=None):
        self._epochs.start(epoch)
        set_seeds(self.model, self._epochs.seed, epoch)

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        if self._validation is not None:
            logs |= self._validation.logs(self.model, self._epochs.batch_size)
        rate = self.model.optimizer.learning_rate
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
