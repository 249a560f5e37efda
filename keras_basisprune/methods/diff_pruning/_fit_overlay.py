"""Trains an overlay, with a head, on top of a base."""

import dataclasses
from typing import Any

import keras

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.graph.running import fit
from keras_basisprune.methods.diff_pruning._overlaid_model import OverlaidModel
from keras_basisprune.methods.diff_pruning._task_data import whole
from keras_basisprune.training.epochs import EpochData, Epochs


@dataclasses.dataclass(frozen=True)
class Task:
    """What is learned.

    Attributes:
        train: A pair as `check_task_data` returns it.
        validation: Another one, or `None`.
        loss: As in `keras.Model.compile`.
        labels: Whether targets are integer labels.
        verbose: As in `keras.Model.fit`.
    """

    train: tuple
    validation: tuple | None
    loss: Any
    labels: bool
    verbose: Any


class TwoRates(keras.optimizers.Adam):
    """Adam with another, constant rate for the logits of gates.

    Args:
        learning_rate: Rate or schedule for all other variables.
        logits: List of `keras.Variable`s.
        rate: Float, the rate for these.
        clip: Float, the largest norm of all gradients together.
    """

    def __init__(self, learning_rate, logits, rate, clip):
        super().__init__(learning_rate, global_clipnorm=clip)
        self._logits = {id(v) for logit in logits for v in (logit, logit.value)}
        self._rate = rate

    def update_step(self, gradient, variable, learning_rate):
        chosen = self._rate if id(variable) in self._logits else learning_rate
        super().update_step(gradient, variable, chosen)


def fit_overlay(base, overlay, overlaid, trained, task, config, fixed) -> dict:
    """Trains in place; the base's own variables change where they train, or adapt.

    Args:
        base: A built `keras.Model`.
        overlay: A layer of `_overlays`.
        overlaid: List of variables that it computes.
        trained: List of the base's variables that train themselves.
        task: The `Task`: data, loss, verbosity.
        config: A `DiffOptions`.
        fixed: Whether this is the training of the chosen weights.

    Returns:
        The last value of each number that `fit` logs, a dict.
    """
    x, y = task.train
    epochs, rate, number = config.epochs, config.learning_rate, 0
    if fixed:
        epochs, rate, number = config.fixed_epochs, config.fixed_rate, config.epochs
    bound = fixed_batch(base)
    size = bound or config.batch_size
    shape = getattr(base, "input_shape", None) if config.augment is not None else None
    data = EpochData(x, y, config.augment, None, shape)
    batches = Epochs(data, size, config.seed, number, bound is not None)
    decay = keras.optimizers.schedules.CosineDecay(rate, epochs * batches.num_batches)
    model = OverlaidModel(base, overlay, overlaid, trained)
    optimizer = TwoRates(
        decay, getattr(overlay, "logits", []), config.gate_rate, config.clip
    )
    metrics = ["accuracy"] if task.labels else []
    # On CPUs, TensorFlow's XLA makes depthwise convolutions several times slower.
    compiled = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(optimizer, task.loss, metrics=metrics, jit_compile=compiled)
    optimizer.build(model.trainable_variables)
    validation = task.validation
    if validation is not None:
        validation = whole(validation[0]), validation[1]
    start = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: batches.start(epoch)
    )
    history = fit(
        model,
        batches,
        initial_epoch=number,
        epochs=number + epochs,
        validation_data=validation,
        validation_batch_size=size,
        shuffle=False,
        callbacks=[start],
        verbose=task.verbose,
    )
    return {name: float(values[-1]) for name, values in history.history.items()}
