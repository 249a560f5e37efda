"""Removes the bases and channels that a plan does not keep."""

import dataclasses

import keras

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trace import Call, Trace, trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.graph.whole_calls import whole_calls
from keras_basisprune.layers import TrainedMask
from keras_basisprune.plan import Plan
from keras_basisprune.surgery._kept_groups import kept_groups
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.check_whole import check_whole


def prune(
    model: keras.Model,
    plan: Plan | None = None,
    *,
    round_to: int = 1,
) -> keras.Model:
    """Removes the bases and channels that a plan does not keep.

    *Bases*: columns of the basis filters, scales, and rows of the scaling kernel are
    removed. Numbers of input and output channels stay the same. Outputs equal those of
    the masked model up to rounding.

    *Channels*: output channels are removed, together with everything that the
    architecture ties to them (`channel_groups`): filters, biases, statistics, and the
    weights of all layers that read them. Outputs equal, up to rounding, those of the
    model in which the weights by which other layers read those channels are zero,
    unless a layer computes statistics across channels (`ChannelGroups.mixing`).

    The result can be trained further, and folded. The given model is not changed. Time
    and memory are linear in calls and weights.

    Source: Wong, Kashyap, Moradi 2021, *Basis Scaling and Double Pruning for
    Efficient Transfer Learning* (arXiv:2108.02893), section 3.2.

    Args:
        model: A converted model; any model, if the plan names channels only.
        plan: A `Plan` whose `bases` name decomposed layers and whose `channels` name
            layers that output channels. Channels that are tied to removed ones need not
            be named. Defaults to `Plan.from_masks(model, round_to)`, which removes
            masked bases (and channels that a `layers.TrainedMask` has masked).
        round_to: Rank (or width) per layer is rounded up to a multiple of this (at most
            to the full number), since some runtimes are fastest at multiples of 8.
            Masked bases that are kept for this are unmasked. Only without a `plan`.

    Returns:
        A smaller Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the model is not converted (and the plan names no channels), the
            plan does not fit it, keeps some of several tied channels and removes
            others, removes a channel that must be kept, or all channels of a layer.

    Example:

    >>> small = keras_basisprune.prune(model)
    >>> plain = keras_basisprune.fold(small)
    """
    return pruned_calls(model, plan, round_to).model


@dataclasses.dataclass(frozen=True)
class PrunedCalls:
    """A pruned model, and its calls by those of the original.

    Attributes:
        model: The smaller `keras.Model`.
        traced: The original's `Trace`.
        calls: Maps the `id` of each call of `traced` to the `Call` that corresponds to
            it in `model`.
        kept: Maps the `id` of each tensor of `traced` to its `KeptChannels`, or to
            `None` if its channels are not known.
    """

    model: keras.Model
    traced: Trace
    calls: dict[int, Call]
    kept: dict


def pruned_calls(model, plan=None, round_to=1) -> PrunedCalls:
    """Prunes as `prune` does, and returns how calls of both models correspond."""
    traced = trace(model)
    masked = plan is None
    if not masked:
        remedy = "Make one with `select_bases`, or leave it out to remove masked bases."
        check_kind("plan", plan, Plan, remedy)
    round_to = check_whole("round_to", round_to)
    needed = masked or plan.bases or not plan.channels
    masks = trained_masks(traced, model.name if needed else None)
    if not masked and round_to != 1:
        raise ValueError(
            "Expected `round_to=1` together with `plan`, which decides what is kept. "
            f"Received: round_to={round_to}. Make the plan with "
            "`Plan.from_masks(model, round_to)` or `Limits(round_to=...)`."
        )
    plan = Plan.from_masks(model, round_to) if masked else plan
    channels = channel_map(traced)
    alive = kept_groups(traced, channels, plan, basis_pairs(traced))
    unmask = masks if masked and round_to > 1 else ()
    return _Surgery(traced, channels, alive, unmask).cut(model)


class _Surgery:
    """Cuts a traced model down to the channels that are kept."""

    def __init__(self, traced, channels, alive, unmask):
        self._traced, self._unmask = traced, unmask
        self._kept = {
            id(tensor): channels.kept(tensor, alive)
            for tensor in [
                *keras.tree.flatten(traced.inputs),
                *(t for call in traced.calls for t in call.output_tensors),
            ]
        }
        self._calls = whole_calls(traced)

    def cut(self, model) -> PrunedCalls:
        """Returns the smaller model, and its calls."""
        for call in self._traced.calls:
            for kept in filter(None, self._sides(call)[1]):
                if kept.total and not len(kept):
                    raise ValueError(
                        "Expected `plan` to keep a channel of every layer. Received: "
                        f"none of `{call.op.name}`. Keep at least one."
                    )
        became: dict[int, list[Call]] = {}
        small = rewrite(model, self._replace, self._traced, self._arguments, became)
        calls = {key: call for key, (call,) in became.items()}
        return PrunedCalls(small, self._traced, calls, self._kept)

    def _sides(self, call):
        sides = call.input_tensors, call.output_tensors
        return [[self._kept[id(t)] for t in tensors] for tensors in sides]

    def _changed(self, call):
        return any(
            k is not None and len(k) < k.total
            for side in self._sides(call)
            for k in side
        )

    def _replace(self, op, name):
        call = self._calls[id(op)]
        unmask = self._unmask and isinstance(op, TrainedMask)
        if not (unmask or self._changed(call)):
            return None
        config, weights = rule_of(op).cut(op, *self._sides(call))
        if unmask:
            weights = {**weights, **_unmasked(op, weights)}
        if not (config or weights):
            return None
        return [NewLayer(clone(op, name, **config), weights)]

    def _arguments(self, call):
        if not self._changed(call):
            return call.args, call.kwargs
        return rule_of(call.op).arguments(call, *self._sides(call))


def _unmasked(op, weights) -> dict:
    """Masks in which all that is left passes, unless nothing did."""
    found = {}
    for number, part in enumerate(op.parts()):
        key = "mask" if part is op else f"part_{number}.mask"
        mask = weights.get(key, keras.ops.convert_to_numpy(part.mask))
        alive = bool(mask.any())  # otherwise the layer outputs only its bias
        found[key] = mask * 0 + alive
    return found
