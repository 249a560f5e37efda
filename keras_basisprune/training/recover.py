"""Training after pruning: what is left learns to do without what has left."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.check_data import check_data
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.norm_positions import norm_positions
from keras_basisprune.graph.running import predict
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.surgery.recalibrate import recalibrate
from keras_basisprune.training.as_callbacks import as_callbacks
from keras_basisprune.training.check_classifier import check_classifier
from keras_basisprune.training.check_probabilities import check_probabilities
from keras_basisprune.training.distillation import Distillation
from keras_basisprune.training.epoch_logs import EpochLogs, Validation
from keras_basisprune.training.epochs import Epochs, Material
from keras_basisprune.training.match_statistics import match_statistics
from keras_basisprune.training.quick_statistics import quick_statistics
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.training.trained_weights import trained_weights
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose

# How many batches statistics of BatchNormalization are taken of, and how much better
# the old ones must be: chance in few images is not to decide.
_BATCHES, _CLEARLY = 4, 0.9


def recover(
    model: keras.Model,
    train: Data,
    validation: Data = None,
    teacher: keras.Model | None = None,
    config: Recovery | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Verbose = "auto",
) -> keras.callbacks.History:
    """Trains a classifier that was pruned, with labels or after a teacher.

    With a teacher, such as the network before it was pruned, the loss is the
    Kullback-Leibler divergence to the teacher's probabilities (`Distillation`), and no
    label is used. They are computed once, or on the augmented images of each epoch.
    Regularizers of the layers count in both cases.

    In training, BatchNormalization goes by the batch, whose statistics pruning has
    changed. That mends what was only cut, and spoils what was fitted. So if the loss on
    some training images is lower with the old statistics than with new ones
    (`recalibrate`), and than that of one answer to all images, the old ones become part
    of `gamma` and `beta`, and training begins where the model is (`match_statistics`).

    The model is trained in place, and compiled anew: before, for this run; afterwards,
    with its own `trainable` flags and momenta again, with a fresh Adam, sparse
    categorical cross-entropy and accuracy. The same seed, weights and data give the
    same weights again on the same machine: what is drawn follows from the seed and the
    epoch's number, for which the global random state is set at the beginning of each
    epoch (`keras.utils.set_random_seed`). A run with
    `keras.callbacks.BackupAndRestore` that was killed goes on as if nothing had been.
    On a GPU, Keras' backend must be told to be deterministic.

    Args:
        model: A Functional or Sequential classifier with softmax outputs, converted or
            not.
        train: A pair `(x, y)` of arrays, `y` integer labels. With a teacher, images
            alone or `(x, None)` will do.
        validation: The same.
        teacher: A classifier with the same classes, for the same images.
        config: A `Recovery`; defaults to `Recovery()`.
        callbacks: Keras callbacks. They see one `fit`, without `on_test_*`, with these
            logs: `loss`; `accuracy`, or, with a teacher, `agreement` (share of images
            to which it gives the same class); `learning_rate` at the end of the epoch;
            with validation `val_loss`, `val_accuracy` (if there are labels) and
            `val_agreement` (if there is a teacher).
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.

    Raises:
        ValueError: If an argument is out of its range, or model, teacher and data do
            not fit each other. Nothing is trained then.

    Example:

    >>> small = keras_basisprune.prune(converted, plan)
    >>> keras_basisprune.recover(small, images, teacher=model)
    """
    config = check_record("config", config, Recovery)
    callbacks = as_callbacks(callbacks)
    check_verbose(verbose)
    if config.keep_best and validation is None:
        raise ValueError(
            "Expected `validation` when `config.keep_best` is true. Received: "
            "validation=None. Pass a pair (x, y)."
        )
    check_model("model", model)
    _check_trainable(model, config.weights)
    check_classifier("model", model)
    check_finite_weights(model)
    labels = "needed" if teacher is None else "optional"
    train = check_data("train", model, train, labels)
    check_probabilities("model", _first_answer(model, train[0]))
    if validation is not None:
        validation = check_data("validation", model, validation, labels)
    if teacher is not None:
        _check_teacher(teacher, model, train[0])
    lesson = _lesson(model, train, teacher, config)
    if validation is not None:
        answers = _answers(teacher, validation[0], config)
        validation = Validation(validation[0], validation[1], answers)
    logs = EpochLogs(lesson.epochs, validation, lesson.loss, config.keep_best)
    _keep_what_was_fitted(model, train, teacher, lesson.loss, config)
    try:
        with (
            trained_weights(model, config.weights),
            quick_statistics(model, config.momentum),
        ):
            return _fit(model, lesson, config, [logs, *callbacks], verbose)
    finally:
        _compile(model, config.learning_rate)


@dataclasses.dataclass(frozen=True)
class _Lesson:
    """What is taught, and how mistakes are counted."""

    epochs: Epochs
    loss: keras.losses.Loss
    metric: keras.metrics.Metric | str


def _lesson(model, train, teacher, config) -> _Lesson:
    images, targets = train
    if teacher is not None:
        # Of augmented images the teacher is asked when they have been made.
        asked = None if config.augment is not None else teacher
        targets = _answers(asked, images, config)
    material = Material(images, targets, config.augment, teacher, model.input_shape)
    size, fixed = config.batch_size, fixed_batch(model)
    epochs = Epochs(
        material, fixed or size, config.seed, config.initial_epoch, fixed is not None
    )
    if teacher is None:
        loss = keras.losses.SparseCategoricalCrossentropy()
        return _Lesson(epochs, loss, "accuracy")
    metric = keras.metrics.CategoricalAccuracy(name="agreement")
    return _Lesson(epochs, Distillation(config.temperature), metric)


def _keep_what_was_fitted(model, train, teacher, loss, config):
    """`match_statistics`, if the model is better with the statistics that it has.

    That is, than with new ones, and than the same answer to all images: a model that
    was never trained has nothing to keep.
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


def _fit(model, lesson, config, callbacks, verbose):
    steps = config.epochs * lesson.epochs.num_batches
    decay = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    _compile(model, decay, lesson.loss, lesson.metric)
    return model.fit(
        lesson.epochs,
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


def _check_trainable(model, weights):
    with trained_weights(model, weights):
        if model.trainable_weights:
            return
    raise ValueError(
        f"Expected `model` to have weights that train with weights={weights!r}. "
        f"Received: model={model.name!r}, without any. Pass `config.weights='all'`, or "
        "a model with layers that have weights."
    )


def _check_teacher(teacher, model, images):
    check_model("teacher", teacher, readable=not hasattr(teacher, "output_shape"))
    check_classifier("teacher", teacher)
    wanted, given = model.output_shape[1:], teacher.output_shape[1:]
    if wanted != given:
        raise ValueError(
            f"Expected `teacher` to have outputs of shape {wanted}, as the model has. "
            f"Received: {given}. Pass the model that was pruned."
        )
    shared = {id(v) for v in model.weights} & {id(v) for v in teacher.weights}
    if shared:
        raise ValueError(
            "Expected `teacher` to have weights of its own. Received: a teacher that "
            f"shares {len(shared)} with the model, and would change as it trains. Pass "
            "a copy: `keras.models.clone_model`, then `set_weights`."
        )
    check_data("train", teacher, images, "optional")
    check_probabilities("teacher", _first_answer(teacher, images))


def _first_answer(model, images):
    """What a model makes of the first image."""
    return model(fill_up(images[:1], fixed_batch(model)), training=False)
