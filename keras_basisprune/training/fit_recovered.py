"""The training of `recover`, after the checks."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.norm_positions import norm_positions
from keras_basisprune.graph.running import predict
from keras_basisprune.graph.trace import trace
from keras_basisprune.surgery.recalibrate import recalibrate
from keras_basisprune.training.distillation import Distillation
from keras_basisprune.training.epoch_logs import EpochLogs, Validation
from keras_basisprune.training.epochs import EpochData, Epochs
from keras_basisprune.training.match_statistics import match_statistics
from keras_basisprune.training.quick_statistics import quick_statistics
from keras_basisprune.training.trained_weights import trained_weights

# Number of batches for the statistics of BatchNormalization, and how much better the
# old ones must be, so that chance in few images does not decide.
_BATCHES, _CLEARLY = 4, 0.9


def fit_recovered(
    model, train, validation, teacher, config, callbacks, verbose
) -> keras.callbacks.History:
    """Trains as `recover` does, for callers that have checked model and data.

    Args:
        model: As in `recover`, trained in place.
        train: A pair `(x, y)` of arrays; `y` may be `None` with a teacher.
        validation: The same, or `None`.
        teacher: As in `recover`.
        config: A `Recovery`.
        callbacks: A list of Keras callbacks.
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.
    """
    supervision = _supervision(model, train, teacher, config)
    if validation is not None:
        images, labels = validation
        answers = _answers(teacher, images, config)
        validation = Validation(images, labels, answers)
    logs = EpochLogs(supervision.epochs, validation, supervision.loss, config.keep_best)
    _keep_what_was_fitted(model, train, teacher, supervision.loss, config)
    try:
        with (
            trained_weights(model, config.weights),
            quick_statistics(model, config.momentum),
        ):
            return _fit(model, supervision, config, [logs, *callbacks], verbose)
    finally:
        _compile(model, config.learning_rate)


@dataclasses.dataclass(frozen=True)
class _Supervision:
    """The batches of every epoch, with loss and metric."""

    epochs: Epochs
    loss: keras.losses.Loss
    metric: keras.metrics.Metric | str


def _supervision(model, train, teacher, config) -> _Supervision:
    images, targets = train
    if teacher is not None:
        # Augmented images are shown to the teacher once they have been made.
        asked = None if config.augment is not None else teacher
        targets = _answers(asked, images, config)
    data = EpochData(images, targets, config.augment, teacher, model.input_shape)
    size, fixed = config.batch_size, fixed_batch(model)
    epochs = Epochs(
        data, fixed or size, config.seed, config.initial_epoch, fixed is not None
    )
    if teacher is None:
        loss = keras.losses.SparseCategoricalCrossentropy()
        return _Supervision(epochs, loss, "accuracy")
    metric = keras.metrics.CategoricalAccuracy(name="agreement")
    return _Supervision(epochs, Distillation(config.temperature), metric)


def _keep_what_was_fitted(model, train, teacher, loss, config):
    """Calls `match_statistics` if the model is better with its old statistics.

    That is, better than with new statistics, and than the same answer for all images:
    an untrained model has nothing to keep.
    """
    if not norm_positions(trace(model)):
        return
    count = _BATCHES * samples_at_once(model)
    images, labels = train
    chosen = np.random.default_rng(config.seed).permutation(len(images))[:count]
    images = images[chosen]
    targets = labels[chosen] if teacher is None else _answers(teacher, images, config)
    renewed = recalibrate(model, images, verbose=0)
    said, said_then = (
        predict(network, images, samples_at_once(model)) for network in (model, renewed)
    )
    shares = np.eye(said.shape[-1])[targets] if teacher is None else targets
    same = np.broadcast_to(shares.mean(0, keepdims=True), said.shape)
    now, then, always = (float(loss(targets, p)) for p in (said, said_then, same))
    if now < _CLEARLY * min(then, always):
        match_statistics(model, images)


def _answers(teacher, images, config) -> np.ndarray | None:
    if teacher is None:
        return None
    found = predict(teacher, images, config.batch_size)
    return np.asarray(found, "float32")


def _fit(model, supervision, config, callbacks, verbose):
    steps = config.epochs * supervision.epochs.num_batches
    decay = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    _compile(model, decay, supervision.loss, supervision.metric)
    return model.fit(
        supervision.epochs,
        initial_epoch=config.initial_epoch,
        epochs=config.initial_epoch + config.epochs,
        shuffle=False,
        callbacks=callbacks,
        verbose=verbose,
    )


def _compile(
    model, learning_rate, loss="sparse_categorical_crossentropy", metric="accuracy"
):
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer, loss, metrics=[metric])


def check_trainable(model, weights):
    """Raises `ValueError` unless a model has weights that train.

    Args:
        model: A `keras.Model`.
        weights: Which weights train, as in `Recovery`.
    """
    with trained_weights(model, weights):
        if model.trainable_weights:
            return
    raise ValueError(
        f"Expected `model` to have weights that train with weights={weights!r}. "
        f"Received: model={model.name!r}, without any. Pass `config.weights='all'`, or "
        "a model with layers that have weights."
    )
