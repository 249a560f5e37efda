"""The training of `recover`, after the checks."""

import dataclasses
import functools

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.random_crops import random_crops
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.norm_positions import norm_positions
from keras_basisprune.graph.running import predict
from keras_basisprune.graph.trace import trace
from keras_basisprune.surgery.recalibrate import recalibrate
from keras_basisprune.training.distillation import Distillation
from keras_basisprune.training.epoch_logs import EpochLogs, Validation
from keras_basisprune.training.epochs import EpochData, Epochs
from keras_basisprune.training.keep_best import KeepBest
from keras_basisprune.training.match_statistics import match_statistics
from keras_basisprune.training.quick_statistics import quick_statistics
from keras_basisprune.training.rising_and_falling import rising_and_falling
from keras_basisprune.training.set_aside import set_aside
from keras_basisprune.training.trained_weights import trained_weights

# The epoch whose random numbers change the images that are set aside, and how often.
_LAST_EPOCH, _VIEWS = 2**31 - 1, 2
_WARMUP = 0.1  # share of the steps
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
        The `keras.callbacks.History` of `fit`, with `best_epoch`.
    """
    wanted = teacher is not None if config.keep_best is None else config.keep_best
    if validation is not None:
        images, labels = validation
        answers = _answers(teacher, images, config)
        validation = Validation(images, labels, answers)
    elif wanted:
        train, aside = set_aside(train, config.validation_split, config.seed)
        validation = aside and _views(model, aside, teacher, config)
    supervision = _supervision(model, train, teacher, config)
    loss, best = supervision.loss, None
    ours: list = [EpochLogs(supervision.epochs, validation, loss)]
    if wanted and validation is not None:
        before = validation.logs(model, loss, config.batch_size)
        best = KeepBest(before, model.get_weights())
        ours.append(best)
    _keep_what_was_fitted(model, train, teacher, loss, config)
    try:
        with (
            trained_weights(model, config.weights),
            quick_statistics(model, config.momentum),
        ):
            history = _fit(model, supervision, config, [*ours, *callbacks], verbose)
    finally:
        if best is not None:
            best.forget(model)
        _compile(model, config.learning_rate)
    history.best_epoch = best and best.epoch
    return history


def _views(model, aside, teacher, config) -> Validation:
    """Returns images that were set aside, changed as training changes images.

    With a teacher, images are changed in any case (cropped), since a network that was
    fitted on these very images knows them by heart.
    """
    images, labels = aside
    if teacher is not None:
        labels = None  # which need not hold for images that were changed
    augment = config.augment
    if augment is None and teacher is not None and _are_pictures(images):
        augment = functools.partial(random_crops, flip=False, seed=None)
    if augment is not None:
        many = np.concatenate([images] * _VIEWS)
        answers = None if labels is None else np.concatenate([labels] * _VIEWS)
        data = EpochData(many, answers, augment, teacher, model.input_shape)
        size = fixed_batch(model) or config.batch_size
        batches = Epochs(data, size, config.seed, _LAST_EPOCH)
        pairs = [batches[index] for index in range(batches.num_batches)]
        images, labels = (np.concatenate(part) for part in zip(*pairs, strict=True))
        if teacher is not None:
            return Validation(images, None, labels)
    return Validation(images, labels, _answers(teacher, images, config))


def _are_pictures(images) -> bool:
    return images.ndim == 4 and keras.config.image_data_format() == "channels_last"


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
    warmup = _WARMUP if config.warmup is None else config.warmup
    rate = rising_and_falling(config.learning_rate, steps, warmup)
    _compile(model, rate, supervision.loss, supervision.metric)
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
