"""Channel scaling: trained scales choose the channels that a new task needs."""

import keras
import numpy as np

from keras_basisprune.graph.convolutions import convolutions
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import ChannelScaling, TrainedMask
from keras_basisprune.methods._head_layers import head_layers
from keras_basisprune.methods._strongest_channels import (
    strongest_channels,
    without_channel_masks,
)
from keras_basisprune.methods._with_channel_masks import with_channel_masks
from keras_basisprune.plan import Plan
from keras_basisprune.surgery import prune
from keras_basisprune.surgery.fold_channel_masks import fold_channel_masks
from keras_basisprune.training.fit_classifier import fit_classifier
from keras_basisprune.training.sparsify import Recipe, sparsify
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number

_L1 = 1e-4
THRESHOLD, LEARNING_RATE = 0.5, 1e-2


def channel_scaling(
    model: keras.Model, *, data=None, l1: float | None = None
) -> keras.Model:
    """Puts trainable scales behind the convolutions of a copy, and freezes these.

    Behind the BatchNormalization and activation that follow a convolution, each channel
    is multiplied by a scale (`layers.ChannelScaling`), 1 at first: until it is trained,
    the copy computes the same function. Channels that the architecture ties together
    (residual sums, depthwise convolutions, squeeze and excitation) share one scale. It
    stands wherever they are read by weights, not within the sums, so that it acts once
    on every path, and a channel that is masked is as good as cut out.

    All layers are frozen but these and the head: what comes after the last
    convolution. BatchNormalization that is frozen runs in inference. Training the copy
    under L1, with `L1Thresholding`, masks the channels that the task does not need.

    Where channels are activated only after they were joined to others (DenseNet), the
    scales of several convolutions stand in one layer (`layers.JoinedMasks`). Channels
    that can't leave have no scales, nor have those that a layer normalizes across
    (LayerNormalization), or that are tied to others of the same layer (grouped
    convolutions). Nested models are flattened; the given model is not changed. Time
    and memory are those of a copy, and of the channels' graph.

    Source: Wong, Kashyap, Moradi 2021, *Channel Scaling: A Scale-and-Select Approach
    for Efficient Transfer Learning* (arXiv:2103.12228), section 2.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        data: Not needed.
        l1: Float >= 0, strength of the regularization of each scale. Defaults to 1e-4.

    Returns:
        A Functional `keras.Model`, not compiled. `fold` gives plain layers.

    Raises:
        ValueError: If `l1` is not a finite number >= 0, the model is subclassed, not
            built or prepared already, a weight is not finite, or there is no
            convolution whose channels may leave.

    Example:

    >>> prepared = keras_basisprune.methods.channel_scaling(model, l1=1e-4)
    >>> prepared.compile("adam", "sparse_categorical_crossentropy")
    >>> prepared.fit(x, y, callbacks=[keras_basisprune.L1Thresholding(0.5)])
    >>> small = keras_basisprune.fold(keras_basisprune.prune(prepared))
    """
    remedy = "Pass, for example, `l1=1e-4`."
    expected = "a finite number >= 0"
    l1 = check_number("l1", _L1 if l1 is None else l1, "[0, inf)", expected, remedy)
    prepared = with_channel_masks(
        model, ChannelScaling, _made_by_convolutions, l1=l1 or None
    )
    if prepared is None:
        has = "none of these" if convolutions(trace(model)) else "no convolution"
        raise ValueError(
            "Expected `model` to have convolutions whose channels may leave. "
            f"Received: model={model.name!r}, which has {has}. "
            "`channel_groups(model)` says which channels stay, and why."
        )
    heads = {x.name for x in head_layers(trace(prepared)) if x.trainable}
    for layer in prepared.layers:
        layer.trainable = isinstance(layer, TrainedMask) or layer.name in heads
    return prepared


def _made_by_convolutions(traced, channels) -> np.ndarray:
    """Boolean array of the groups of channels that convolutions make."""
    made = np.zeros(channels.count, bool)
    for call in convolutions(traced):
        of = channels.of(call.output_tensors[0])
        if of is not None:
            made[of] = True
    return made


def channel_scaling_training(
    prepared,
    train,
    *,
    validation=None,
    keep=None,
    cost="flops",
    epochs=None,
    seed=0,
    verbose=0,
    threshold=THRESHOLD,
    learning_rate=LEARNING_RATE,
):
    """Trains scales and head, and masks channels whose scale has become small.

    With `keep` these are the smallest by which that share of the cost is reached. They
    are masked after two thirds of the epochs, so that the others learn to do without.

    Args:
        prepared: What `channel_scaling` returned, trained in place.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: The same, or `None`.
        keep: Float in (0, 1], the share of the cost to keep; `None` for what the
            threshold leaves.
        cost: `"flops"` or `"params"`.
        epochs: Number of epochs. Defaults to that of `Recipe`.
        seed: Integer, for which the global random state is set.
        verbose: As in `keras.Model.fit`.
        threshold: Float in [0, 1): scales under this share of the largest of all are
            masked. It rises to this over the first half of the epochs. Not used with
            `keep`.
        learning_rate: Initial rate of Adam; it falls to zero by a cosine.
    """
    keras.utils.set_random_seed(seed)
    epochs = Recipe.epochs if epochs is None else epochs
    if keep is not None:
        rest = {"learning_rate": learning_rate, "verbose": verbose}
        later = epochs // 3
        fit_classifier(prepared, train, validation, epochs=epochs - later, **rest)
        _mask(prepared, channel_scaling_plan(prepared, keep=keep, cost=cost))
        if later:
            fit_classifier(prepared, train, validation, epochs=later, **rest)
        return
    recipe = Recipe(
        threshold=threshold,
        score="magnitude",
        scope="global",
        cost=None,
        epochs=epochs,
        learning_rate=learning_rate,
    )
    sparsify(prepared, train, validation, config=recipe, verbose=verbose)


def _mask(prepared, plan):
    """Masks all channels that a plan removes."""
    for part in trained_masks(trace(prepared)).values():
        if part.kind == "channels":
            mask = np.zeros(part.layer.mask.shape)
            kept = plan.channels.get(part.name)
            mask[slice(None) if kept is None else list(kept.indices)] = 1.0
            part.layer.mask.assign(mask)


def channel_scaling_plan(
    prepared, *, keep=None, data=None, cost="flops", scores=None, limits=None
) -> Plan:
    """Chooses the channels with the largest scales, by the masks or by a budget.

    Args:
        prepared: What `channel_scaling` returned, trained.
        keep: Float in (0, 1], the share of the model's cost to keep; `None` for the
            channels that are not masked.
        data: Not needed.
        cost: `"flops"` or `"params"`.
        scores: Not needed.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of channels.
    """
    return strongest_channels(prepared, keep=keep, cost=cost, limits=limits)


def channel_scaling_network(prepared, plan, *, data=None, scales="fold"):
    """Cuts channels out, and takes the scales of the others away.

    Args:
        prepared: What `channel_scaling` returned, trained.
        plan: A `Plan` of channels.
        data: Not needed.
        scales: `"fold"`: scales are multiplied into what reads them, so that the
            function is kept; or `"select"`, as published: they are taken out, and all
            weights are what they were. The head has to be trained anew then.

    Returns:
        A smaller `keras.Model` without scales. Layers that were frozen still are.

    Raises:
        ValueError: If `scales` is neither, or the plan does not fit.
    """
    check_choice("scales", scales, ("fold", "select"))
    small = prune(prepared, plan)
    if scales == "fold":
        return fold_channel_masks(small)
    return without_channel_masks(small)
