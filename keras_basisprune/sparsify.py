"""The default recipe: train a converted model's scales until few bases are left."""

import contextlib
import dataclasses

import keras
import numpy as np

from keras_basisprune.training.l1_thresholding import L1Thresholding


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How `sparsify` trains.

    Attributes:
        threshold: Final threshold of the relative score, in [0, 1).
        score: Which score, as in `L1Thresholding`.
        scope: `"local"` or `"global"`, as in `L1Thresholding`.
        cost: `"flops"`, `"params"` or `None`, as in `L1Thresholding`.
        epochs: Number of epochs.
        ramp: Share of the epochs over which the threshold rises linearly from 0.
        learning_rate: Initial rate of Adam; it falls to zero by a cosine.
        batch_size: Samples per training step.
        momentum: Highest momentum of BatchNormalization's moving statistics while the
            scales train. Masking changes the statistics at once; with the 0.999 of
            MobileNetV2 they would lag behind for epochs.
        round_to: Ranks are rounded up to a multiple of this.
        max_drop: Stop, and take the last step back, when the validation accuracy
            falls by more; `None` doesn't guard.
        baseline: Accuracy from which `max_drop` counts; `None`: the best before
            anything was masked.
        patience: Epochs for which a broken budget is tolerated.
    """

    threshold: float = 1e-3
    score: str = "energy"
    scope: str = "global"
    cost: str | None = "params"
    epochs: int = 10
    ramp: float = 0.5
    learning_rate: float = 3e-3
    batch_size: int = 32
    momentum: float = 0.9
    round_to: int = 1
    max_drop: float | None = None
    baseline: float | None = None
    patience: int = 2


def sparsify(
    model, train, validation=None, recipe=None, callbacks=(), verbose="auto"
) -> keras.callbacks.History:
    """Trains the scales of a converted classifier, and masks what is weak.

    What trains is what is trainable: the scales, and every layer that was not
    decomposed by its own `trainable` flag (BatchNormalization, the head). L1 strength
    is that given to `convert`. The model is compiled and trained in place.

    Args:
        model: A converted classifier with softmax outputs.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: A pair of the same kind; needed for `recipe.max_drop`.
        recipe: A `Recipe`; defaults to `Recipe()`.
        callbacks: Further Keras callbacks; they see `kept_bases`, `params_ratio` and
            `flops_ratio` in the logs.
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.

    Raises:
        ValueError: If the model is not converted, or the data do not fit it.

    Example:

    >>> converted = keras_basisprune.convert(model, l1=1e-4)
    >>> keras_basisprune.sparsify(converted, (x, y), (x_val, y_val))
    >>> small = keras_basisprune.fold(keras_basisprune.prune(converted))
    """
    recipe = recipe or Recipe()
    check_data("train", model, train)
    if validation is not None:
        check_data("validation", model, validation)
    elif recipe.max_drop is not None:
        raise ValueError(
            "Expected `validation` when `recipe.max_drop` is given. Received: "
            f"validation=None, max_drop={recipe.max_drop}. Pass a pair (x, y)."
        )
    steps = recipe.epochs * -(-len(train[0]) // recipe.batch_size)
    decay = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    model.compile(
        keras.optimizers.Adam(decay),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rise = keras.optimizers.schedules.PolynomialDecay(
        0.0, max(1, round(recipe.ramp * steps)), recipe.threshold, power=1.0
    )
    thresholding = L1Thresholding(
        rise,
        score=recipe.score,
        scope=recipe.scope,
        cost=recipe.cost,
        round_to=recipe.round_to,
        monitor=None if recipe.max_drop is None else "val_accuracy",
        max_drop=recipe.max_drop or 0.0,
        baseline=recipe.baseline,
        patience=recipe.patience,
    )
    with _quick_statistics(model, recipe.momentum):
        return model.fit(
            *train,
            validation_data=validation,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            callbacks=[thresholding, *callbacks],
            verbose=verbose,
        )


@contextlib.contextmanager
def _quick_statistics(model, most):
    """Lowers the momentum of BatchNormalization for a while."""
    kind = keras.layers.BatchNormalization
    norms = [layer for layer in model.layers if isinstance(layer, kind)]
    own = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = min(norm.momentum, most)
        yield
    finally:
        for norm, momentum in zip(norms, own, strict=True):
            norm.momentum = momentum


def check_data(argument, model, data):
    """Raises `ValueError` unless images and labels fit a classifier.

    Args:
        argument: Name of the argument, for the message.
        model: A classifier with one input and one output of shape `(batch, classes)`.
        data: What should be a pair `(x, y)` of arrays.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(
            f"Expected `{argument}` to be a pair (x, y) of arrays. "
            f"Received: {type(data).__name__}. Pass images and integer labels."
        )
    images, labels = data
    shape, classes = model.input_shape[1:], model.output_shape[-1]
    sizes = np.shape(images)[1:]
    fits = len(sizes) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, sizes, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected `{argument}` to hold images of shape {shape}. Received: "
            f"x of shape {np.shape(images)}. Resize them, or the model's input."
        )
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected `{argument}` to hold one integer label per image. Received: "
            f"{len(images)} images and y of shape {labels.shape}, dtype "
            f"{labels.dtype}. Turn one-hot labels into integers by `argmax(-1)`."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"Expected `{argument}` to hold labels in [0, {classes}), as the model "
            f"has {classes} outputs. Received: labels from {labels.min()} to "
            f"{labels.max()}. Give the model a head for these classes."
        )
