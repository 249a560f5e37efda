"""Channel gates: which channels stay is trained apart from their weights."""

import dataclasses

import keras

from keras_basisprune.layers import ChannelGate
from keras_basisprune.methods._strongest_channels import strongest_channels
from keras_basisprune.methods._with_channel_masks import with_channel_masks
from keras_basisprune.plan import Plan
from keras_basisprune.training.gate_options import GateOptions
from keras_basisprune.training.train_gates import train_gates


def channel_gates(
    model: keras.Model, *, low: float = 0.1, high: float = 1.0
) -> keras.Model:
    """Puts a trainable gate behind each channel that may leave, in a copy.

    Gates stand behind the BatchNormalization and activation that follow a convolution
    or dense layer (`layers.ChannelGate`), and are open at first: until it is trained,
    the copy computes the same function. Channels that the architecture ties together
    (residual sums, depthwise convolutions, squeeze and excitation) share one. A channel
    whose gate is closed is as good as cut out.

    Train it by `training.train_gates`, which makes gates and weights meet a share of
    the cost. `Plan.from_masks` is the architecture that was found: `prune` carries it
    out with the weights, `fresh` with new ones.

    Where channels are activated only after they were joined to others (DenseNet), the
    gates of several convolutions stand in one layer (`layers.JoinedMasks`). Channels
    that can't leave have no gates, nor have those that a layer normalizes across
    (LayerNormalization), or that are tied to others of the same layer (grouped
    convolutions). Nested models are flattened; the given model is not changed. Time
    and memory are those of a copy.

    Source: Colombo, Gao 2021, *Differentiable Architecture Pruning for Transfer
    Learning* (arXiv:2107.03375).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        low: Float > 0, the temperature of the gates that the forward pass sees in
            training. In inference they are binary.
        high: Float >= `low`, the temperature of their gradient.

    Returns:
        A Functional `keras.Model`, not compiled. `fold` gives plain layers.

    Raises:
        ValueError: If a temperature is out of its range, the model is subclassed, not
            built or has such layers already, a weight is not finite, or no channel may
            leave.

    Example:

    >>> gated = keras_basisprune.methods.channel_gates(model)
    >>> keras_basisprune.training.train_gates(gated, (x, y), keep=0.25)
    >>> plan = keras_basisprune.Plan.from_masks(gated)
    >>> new = keras_basisprune.fresh(model, plan, seed=0)
    """
    ChannelGate(low, high)  # which refuses temperatures that are out of range
    gated = with_channel_masks(model, ChannelGate, low=low, high=high)
    if gated is None:
        raise ValueError(
            "Expected `model` to have channels that may leave. Received: "
            f"model={model.name!r}, which has none behind which a gate could stand. "
            "`channel_groups(model)` says which channels stay, and why."
        )
    return gated


def gates_training(
    prepared,
    train,
    *,
    validation=None,
    keep=None,
    cost="flops",
    epochs=None,
    seed=0,
    verbose=0,
    config=None,
):
    """Trains gates and weights until the model costs what it may.

    Args:
        prepared: What `channel_gates` returned, trained in place.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: The same, or `None`.
        keep: Float in (0, 1], the share of the model's cost to keep.
        cost: `"flops"`, `"params"`, or a `LatencyTable`, which stands for `"flops"`.
        epochs: Number of epochs. Defaults to that of the config.
        seed: Integer, for which the global random state is set.
        verbose: As in `keras.Model.fit`.
        config: A `GateOptions`; defaults to `GateOptions()`.

    Raises:
        CannotReach: If so little can't be left. Nothing is trained then.
    """
    config = config or GateOptions()
    if epochs is not None:
        config = dataclasses.replace(config, epochs=epochs)
    gates_plan(prepared, keep=keep, cost=cost)  # which refuses what can't be reached
    train_gates(
        *(prepared, train, validation),
        keep=keep,
        cost=cost if isinstance(cost, str) else "flops",
        config=config,
        seed=seed,
        verbose=verbose,
    )


def gates_plan(
    prepared, *, keep=None, data=None, cost="flops", scores=None, limits=None
) -> Plan:
    """Keeps the channels whose gates are open, or those with the largest logits.

    Args:
        prepared: What `channel_gates` returned, trained.
        keep: Float in (0, 1], the share of the model's cost to keep; `None` for the
            channels whose gates are open.
        data: Not needed.
        cost: `"flops"` or `"params"`.
        scores: Not needed.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of channels.
    """
    return strongest_channels(prepared, keep=keep, cost=cost, limits=limits)
