"""The default recipe: trains a converted model's scales, and masks weak bases."""

import dataclasses
from collections.abc import Sequence

import keras

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.shares import check_shares
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.training.check_classifier import check_classifier
from keras_basisprune.training.check_splits import check_splits
from keras_basisprune.training.fit_classifier import fit_classifier
from keras_basisprune.training.l1_thresholding import L1Thresholding
from keras_basisprune.training.on_first_process import on_first_process
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data, Verbose


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Options of `sparsify`.

    Attributes:
        threshold: Final threshold of the relative score, in [0, 1).
        score: The score, as in `L1Thresholding`.
        scope: `"local"` or `"global"`, as in `L1Thresholding`.
        cost: `"flops"`, `"params"` or `None`, as in `L1Thresholding`.
        epochs: Number of epochs.
        ramp: Share of the epochs over which the threshold rises linearly from 0.
        learning_rate: Initial rate of Adam; it falls to zero by a cosine.
        batch_size: Samples per training step. A model with a fixed batch size gets
            batches of that size, the last one filled up with the first samples.
        momentum: Highest momentum of BatchNormalization's moving statistics while the
            scales train. Masking changes the statistics at once; with the 0.999 of
            MobileNetV2 they would lag behind for epochs.
        round_to: Ranks are rounded up to a multiple of this.
        max_drop: Training stops, and the last step is undone, when the validation
            accuracy falls by more; `None` for no limit.
        baseline: Accuracy from which `max_drop` counts; `None`: the best one before
            anything is masked.
        patience: Epochs for which an exceeded budget is tolerated.
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

    def __post_init__(self):
        check_number("threshold", self.threshold, "[0, 1)", remedy="Start with 1e-3.")
        L1Thresholding(
            self.threshold,
            score=self.score,
            scope=self.scope,
            cost=self.cost,
            round_to=self.round_to,
            max_drop=0.0 if self.max_drop is None else self.max_drop,
            baseline=self.baseline,
            patience=self.patience,
        )  # raises if one of these is out of its range
        for name, least in (("epochs", 1), ("batch_size", 1)):
            check_whole(name, getattr(self, name), least)
        check_number("ramp", self.ramp, "[0, 1]", remedy="Start with 0.5.")
        check_number("momentum", self.momentum, "[0, 1]", remedy="Start with 0.9.")
        remedy = "Start with 3e-3."
        check_number("learning_rate", self.learning_rate, "(0, inf)", remedy=remedy)


def sparsify(
    model: keras.Model,
    train: Data,
    validation: Data = None,
    *,
    config: Recipe | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Verbose = "auto",
) -> keras.callbacks.History:
    """Trains the scales of a converted classifier, and masks weak bases.

    All trainable weights train: the scales, and the weights of layers that were not
    decomposed, as their `trainable` flags say (BatchNormalization, the head). The L1
    strength is the one passed to `convert`. The model is compiled and trained in place.

    Args:
        model: A converted classifier with softmax outputs.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: A pair of the same kind; needed for `config.max_drop`.
        config: A `Recipe`; defaults to `Recipe()`.
        callbacks: Further Keras callbacks; they see `kept_bases`, `params_ratio` and
            `flops_ratio` in the logs.
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`.

    Raises:
        ValueError: If an argument is out of its range, the model is not a converted
            classifier, or the data do not fit it. Nothing is trained or compiled then.

    Example:

    >>> converted = keras_basisprune.convert(model, l1=1e-4)
    >>> keras_basisprune.sparsify(converted, (x, y), (x_val, y_val))
    >>> small = keras_basisprune.fold(keras_basisprune.prune(converted))
    """
    config = check_record("config", config, Recipe)
    callbacks = on_first_process(callbacks)
    check_verbose(verbose)
    check_classifier("model", model)
    trained_masks(trace(model), model.name)  # refuses what is not converted
    check_finite_weights(model)
    check_shares("config.batch_size", config.batch_size, fixed_batch(model))
    train, validation = check_splits(model, train, validation, config.max_drop)

    def all_callbacks(steps):
        return [_thresholding(config, steps), *callbacks]

    return fit_classifier(
        model,
        train,
        validation,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        momentum=config.momentum,
        callbacks=all_callbacks,
        verbose=verbose,
    )


def _thresholding(config, steps) -> L1Thresholding:
    """Returns the callback, with a threshold that rises over a share of the steps."""
    rise = keras.optimizers.schedules.PolynomialDecay(
        0.0, max(1, round(config.ramp * steps)), config.threshold, power=1.0
    )
    return L1Thresholding(
        rise,
        score=config.score,
        scope=config.scope,
        cost=config.cost,
        round_to=config.round_to,
        monitor=None if config.max_drop is None else "val_accuracy",
        max_drop=config.max_drop or 0.0,
        baseline=config.baseline,
        patience=config.patience,
    )
