"""The whole job: decompose, train the scales, prune, fold."""

import dataclasses
import warnings

import keras
import numpy as np

from keras_basisprune.measure import Comparison, compare
from keras_basisprune.methods import convert
from keras_basisprune.plan import Plan
from keras_basisprune.sparsify import Recipe, check_data, sparsify
from keras_basisprune.surgery import fold, prune


@dataclasses.dataclass(frozen=True)
class CompressionResult:
    """What `compress` made.

    Attributes:
        model: The small model; plain Keras layers only.
        plan: The bases that were kept.
        history: The logs of training, a list of values per name.
        report: A `Comparison` of original and small model, accuracy included.
        met_budget: Whether the validation accuracy fell by no more than `max_drop`.
            If not, `model` is the original, folded.
    """

    model: keras.Model
    plan: Plan
    history: dict[str, list[float]]
    report: Comparison
    met_budget: bool


def compress(
    model, train, validation, max_drop=0.01, recipe=None, l1=1e-4, verbose="auto"
) -> CompressionResult:
    """Makes a trained classifier small within an accuracy budget.

    `convert` (bases of the weights), `sparsify` by the recipe with a guard on the
    validation accuracy, `prune`, `fold`. The given model is not changed. Time is that
    of `recipe.epochs` training epochs, plus the decomposition.

    Args:
        model: A trained Functional or Sequential classifier with softmax outputs.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: A pair of the same kind, on which the budget is judged.
        max_drop: Float, how much accuracy may be lost on `validation`.
        recipe: A `Recipe`; its `max_drop` and `baseline` are set here. Defaults to
            `Recipe()`.
        l1: Float, strength of the L1 regularization of the scales.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `CompressionResult`.

    Raises:
        ValueError: If the model can't be decomposed, or the data do not fit it.

    Example:

    >>> result = keras_basisprune.compress(model, (x, y), (x_val, y_val))
    >>> print(result.report)
    >>> result.model.save("small.keras")
    """
    check_data("train", model, train)
    check_data("validation", model, validation)
    baseline = accuracy(model, validation)
    recipe = dataclasses.replace(
        recipe or Recipe(), max_drop=max_drop, baseline=baseline
    )
    converted = convert(model, data=train[0], l1=l1, verbose=0)
    history = sparsify(converted, train, validation, recipe, (), verbose).history
    plan = Plan.from_masks(converted)
    small = fold(prune(converted, plan))
    reached = accuracy(small, validation)
    met_budget = reached >= baseline - max_drop
    if not met_budget:
        warnings.warn(
            f"The budget of max_drop={max_drop} could not be met: accuracy fell from "
            f"{baseline:.4f} to {reached:.4f}. The original model is returned, folded. "
            "Train for more epochs, or lower `recipe.threshold`.",
            stacklevel=2,
        )
        small, reached = fold(model), baseline
    report = compare(model, small, accuracy_on_validation=(baseline, reached))
    return CompressionResult(small, plan, history, report, bool(met_budget))


def accuracy(model, data, batch_size=64) -> float:
    """Share of images whose most probable class is their label.

    Args:
        model: A classifier; it need not be compiled.
        data: A pair `(x, y)` of arrays, `y` integer labels.
        batch_size: Integer.

    Returns:
        A float in [0, 1].
    """
    images, labels = data
    predicted = model.predict(images, batch_size=batch_size, verbose=0)
    return float(np.mean(np.argmax(predicted, axis=-1) == labels))
