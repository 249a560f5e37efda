"""The training of `recover`, after the checks."""

import functools
import math

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.examples.array_examples import ArrayExamples
from keras_basisprune.data.examples.batch import Batch
from keras_basisprune.data.random_crops import random_crops
from keras_basisprune.data.rows import Rows
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.norm_positions import norm_positions
from keras_basisprune.graph.run_examples import outputs_of, run_examples
from keras_basisprune.graph.running import fit
from keras_basisprune.graph.structures import structures
from keras_basisprune.graph.trace import trace
from keras_basisprune.surgery.recalibrate import recalibrate
from keras_basisprune.training.class_weights import class_weights
from keras_basisprune.training.epoch_logs import EpochLogs, Validation
from keras_basisprune.training.epochs import EpochData, Epochs, augmented_images
from keras_basisprune.training.keep_best import KeepBest
from keras_basisprune.training.match_statistics import match_statistics
from keras_basisprune.training.quantization.unrounded_outputs import (
    unrounded_outputs,
)
from keras_basisprune.training.quick_statistics import quick_statistics
from keras_basisprune.training.rising_and_falling import rising_and_falling
from keras_basisprune.training.seeds import set_global_seed, set_seeds
from keras_basisprune.training.set_aside import set_aside
from keras_basisprune.training.stream_epochs import StreamEpochs
from keras_basisprune.training.trained_weights import trained_weights

# The epoch whose random numbers change the images that are set aside, and how often.
_LAST_EPOCH, _VIEWS = 2**31 - 1, 2
_WARMUP = 0.1  # share of the steps
# Number of batches for the statistics of BatchNormalization, and how much better the
# old ones must be, so that chance in few images does not decide.
_BATCHES, _CLEARLY = 4, 0.9
_ASIDE = 300  # samples of a stream that are set aside, and held in memory, at most
_KEPT = 2**30  # bytes of a teacher's outputs that are computed once and kept


def fit_recovered(
    model, train, validation, teacher, config, losses, callbacks, verbose
) -> keras.callbacks.History:
    """Trains as `recover` does, for callers that have checked model and data.

    Args:
        model: As in `recover`, trained in place.
        train: `ArrayExamples` or `StreamExamples`, which need no labels with a teacher.
        validation: The same, or `None`.
        teacher: As in `recover`.
        config: A `Recovery`.
        losses: `OutputLosses`.
        callbacks: A list of Keras callbacks.
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`, with `best_epoch`.
    """
    whole, model = model, unrounded_outputs(model)
    wanted = teacher is not None if config.keep_best is None else config.keep_best
    if validation is not None:
        validation = Validation(validation, losses, teacher)
    elif wanted:
        train, aside = _set_aside(train, config)
        validation = aside and _views(model, aside, teacher, config, losses)
    epochs, best = _epochs(model, train, teacher, config), None
    ours: list = [EpochLogs(epochs, validation)]
    if wanted and validation is not None:
        before = validation.logs(model, config.batch_size)
        best = KeepBest(before, model.get_weights())
        ours.append(best)
    _keep_what_was_fitted(model, train, teacher, losses, config)
    try:
        with (
            trained_weights(model, config.weights),
            quick_statistics(model, config.momentum),
        ):
            history = _fit(model, epochs, losses, config, [*ours, *callbacks], verbose)
    finally:
        if best is not None:
            best.forget(model)
        _compile(whole, config.learning_rate, losses.afterwards())
    history.best_epoch = best and best.epoch
    return history


def _set_aside(train, config):
    """Returns what to train on, and what is set aside.

    Of a stream, at most 300 of the samples that were drawn from it take that place,
    though they train, too.
    """
    share, seed = config.validation_split, config.seed
    if train.in_memory:
        numbers = np.arange(len(train))
        (left, _), aside = set_aside((numbers, None), share, seed)
        return train.part(left), aside and train.part(aside[0])
    if not share:
        return train, None
    count = min(_ASIDE, max(1, round(share * len(train))))
    return train, train.remembered(count, seed)


def _views(model, aside, teacher, config, losses) -> Validation:
    """Returns images that were set aside, changed as training changes images.

    With a teacher, images are changed in any case (cropped), since a network that was
    fitted on these very images knows them by heart.
    """
    labels = aside.whole.targets
    if teacher is not None:
        labels = None  # which need not hold for images that were changed
    augment, images = config.augment, aside.images
    if augment is None and teacher is not None and _are_pictures(images):
        augment = functools.partial(random_crops, flip=False, seed=None)
    if augment is None:
        batch = Batch(aside.whole.inputs, labels)
    else:
        size = fixed_batch(model) or config.batch_size
        made = _changed(images, augment, size, config.seed, model.input_shape)
        batch = Batch([made], labels and [np.concatenate([labels[0]] * _VIEWS)])
    return Validation(ArrayExamples(model, batch), losses, teacher)


def _changed(images, augment, size, seed, shape) -> np.ndarray:
    """Returns images as training changes them, `_VIEWS` times."""
    set_global_seed(seed, _LAST_EPOCH)
    if isinstance(augment, keras.layers.Layer):
        set_seeds(augment, seed, _LAST_EPOCH)
    count = _VIEWS * len(images)
    chosen = np.arange(count) % len(images)
    parts = (
        augmented_images(augment, images[chosen[start : start + size]], shape)
        for start in range(0, count, size)
    )
    first = next(parts)
    # A list of all batches, and then one array of them, would take twice as much.
    changed = np.empty((count, *first.shape[1:]), first.dtype)
    changed[:size] = first
    for start, part in zip(range(size, count, size), parts, strict=True):
        changed[start : start + size] = part
    return changed


def _are_pictures(images) -> bool:
    if not isinstance(images, np.ndarray) or images.dtype.kind in "OSU":
        return False
    return images.ndim == 4 and keras.config.image_data_format() == "channels_last"


def _epochs(model, train, teacher, config):
    """Returns the batches of every epoch."""
    fixed, both = fixed_batch(model), structures(model)
    size, weigh = fixed or config.batch_size, class_weights(config.class_weight)
    if not train.in_memory or (
        teacher is not None and config.augment is None and _bytes(model, train) > _KEPT
    ):
        return StreamEpochs(
            train,
            both,
            teacher,
            config.augment,
            size,
            config.seed,
            config.initial_epoch,
            fixed is not None,
            weigh,
        )
    targets = train.whole.targets
    if teacher is not None:
        # Augmented images are shown to the teacher once they have been made.
        asked = None if config.augment is not None else teacher
        targets = asked and _answers(asked, train, config.batch_size)
    weights = weigh(train.whole)
    data = EpochData(
        train.images,
        targets and _rows(both[1], targets),
        config.augment,
        teacher,
        model.input_shape if len(model.inputs) == 1 else None,
        weights and _rows(both[1], weights),
    )
    return Epochs(data, size, config.seed, config.initial_epoch, fixed is not None)


def _rows(structure, arrays):
    """Returns arrays in a structure; an array for a single one."""
    if len(arrays) == 1 and not isinstance(structure, dict | list | tuple):
        return arrays[0]
    return Rows(keras.tree.pack_sequence_as(structure, arrays))


def _bytes(model, train) -> int:
    """Returns how many bytes a teacher's outputs take."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    if any(None in shape for shape in shapes):
        few = outputs_of(model, train.first[:8].inputs)
        shapes = [x.shape[1:] for x in few]
    return 4 * len(train) * sum(math.prod(shape) for shape in shapes)


def _answers(teacher, examples, batch_size) -> list[np.ndarray]:
    """Returns a teacher's outputs for all examples, one array per output."""
    found = [outputs for _, outputs in run_examples(teacher, examples, batch_size)]
    return [np.concatenate(x).astype("float32") for x in zip(*found, strict=True)]


def _keep_what_was_fitted(model, train, teacher, losses, config):
    """Calls `match_statistics` if the model is better with its old statistics.

    That is, better than with new statistics, and than the same answer for all images:
    an untrained model has nothing to keep.
    """
    if not norm_positions(trace(model)):
        return
    size = samples_at_once(model)
    batch = train.some(_BATCHES * size, config.seed)
    some = ArrayExamples(model, batch)
    targets = batch.targets if teacher is None else _answers(teacher, some, size)
    renewed = recalibrate(model, batch.inputs, verbose=0)
    said, said_then = (_answers(network, some, size) for network in (model, renewed))
    now, then = (losses.total(targets, found) for found in (said, said_then))
    always = losses.total(targets, losses.constant(targets, said))
    if now < _CLEARLY * min(then, always):
        match_statistics(model, batch.inputs)


def _fit(model, epochs, losses, config, callbacks, verbose):
    steps = config.epochs * epochs.num_batches
    warmup = _WARMUP if config.warmup is None else config.warmup
    rate = rising_and_falling(config.learning_rate, steps, warmup)
    _compile(model, rate, losses)
    return fit(
        model,
        epochs,
        initial_epoch=config.initial_epoch,
        epochs=config.initial_epoch + config.epochs,
        shuffle=False,
        callbacks=callbacks,
        verbose=verbose,
    )


def _compile(model, learning_rate, losses):
    _, structure = structures(model)
    weights = losses.weights
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.tree.pack_sequence_as(structure, losses.losses),
        loss_weights=keras.tree.pack_sequence_as(structure, weights)
        if len(weights) > 1
        else None,
        metrics=losses.metrics(),
    )


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
