"""Basis scaling: trainable scales, and plans by masks or by a budget."""

import keras

from keras_basisprune.methods._halves import is_half_of
from keras_basisprune.methods.convert import convert
from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.training.sparsify import Recipe, sparsify


def scaled_bases(model, *, data=None, l1=0.0):
    """Decomposes a model at full rank, by its weights or by data.

    Layers that were decomposed and folded before are not changed.

    Args:
        model: A `keras.Model`.
        data: Unlabelled samples; `None` for bases of the weights.
        l1: Float, strength of the L1 regularization of the scales.

    Returns:
        The converted `keras.Model`.
    """
    return convert(model, l1=l1, exclude=is_half_of(model), data=data, verbose=0)


def basis_training(
    prepared,
    train,
    *,
    validation=None,
    keep=None,
    cost="flops",
    epochs=None,
    seed=0,
    verbose=0,
):
    """Trains scales, and masks weak bases, by the default recipe.

    Args:
        prepared: What `convert` returned, trained in place.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: The same, or `None`.
        keep: Not needed: the recipe's threshold decides what is masked.
        cost: What scores are divided by: `"flops"`, `"params"`, or a `LatencyTable`,
            which means `"flops"` here.
        epochs: Number of epochs. Defaults to that of `Recipe`.
        seed: Integer, to which the global random seed is set.
        verbose: As in `keras.Model.fit`.
    """
    keras.utils.set_random_seed(seed)
    recipe = Recipe(
        cost=cost if isinstance(cost, str) else "flops",
        epochs=Recipe.epochs if epochs is None else epochs,
    )
    sparsify(prepared, train, validation, config=recipe, verbose=verbose)


def basis_plan(
    prepared, *, keep=None, data=None, cost="flops", scores=None, limits=None
) -> Plan:
    """Chooses bases of a converted model, by its masks or by a budget.

    Args:
        prepared: What `convert` returned, trained or not.
        keep: Float in (0, 1], the share of the model's cost to keep, by energy per
            cost (`select_bases`); `None` for the bases that are not masked.
        data: Not needed.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: Not needed.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of bases.
    """
    if keep is None:
        return Plan.from_masks(prepared)
    return select_bases(prepared, keep=keep, cost=cost, limits=limits)
