"""What rules are made of: how a layer class is given one, and asked for it."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_basisprune.graph.trace import is_kerases


class Rule:
    """How channels pass through a layer, and how it is cut. Base of all rules.

    Attributes:
        free: Whether calls of one layer have nothing to do with each other: it has
            neither weights nor a config that depends on channels.
    """

    free = False

    def propagate(self, layer: Any, inputs: list[Any], flow: Any) -> Any:
        """Says what channels come out. By default, those that came in.

        Args:
            layer: The layer or operation.
            inputs: A list of `Channels`, one per input tensor.
            flow: The `Flow`, which makes, ties and pins channels.

        Returns:
            The `Channels` of the output, or a list of them for several outputs; `None`
            for an output without channels; `flow.stop(inputs, reason)` where channels
            can't be followed.
        """
        return inputs[0]

    def cut(
        self, layer: Any, kept_in: list[Any], kept_out: list[Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Says what a layer is when some of its channels have left.

        Args:
            layer: The layer or operation.
            kept_in: A list of `KeptChannels`, one per input tensor.
            kept_out: The same for its outputs.

        Returns:
            A pair of dicts: changes of its config, and NumPy arrays by the names of the
            layer's attributes that hold weights. What is not named stays.
        """
        return {}, {}

    def weights(self, layer: Any) -> Sequence[str] | None:
        """Which weights the rule knows: those that `cut` names, or that may stay.

        Channels of a layer that has others are not followed, since these might have to
        be cut too: quantized layers have scales, others adapters, or an activation with
        weights. Weights of a single number don't matter.

        Args:
            layer: The layer or operation.

        Returns:
            Names of the layer's attributes, such as `"kernel"` or `"cell.kernel"`;
            those that it lacks don't matter. `None`, the default, for all that it has.
        """
        return () if self.free and is_kerases(type(layer)) else None

    def arguments(self, call: Any, kept_in: list[Any], kept_out: list[Any]) -> Any:
        """What a call's arguments are then: a pair of args and kwargs."""
        return call.args, call.kwargs


_RULES: dict[type | str, Rule] = {}


def channel_rule(*kinds: type | str) -> Callable:
    """Registers a rule for the channels of a layer class.

    The decorated class has the methods of `Rule` (and may inherit them): `propagate`
    says how channels pass, `cut` what remains of the weights. It is asked for layers
    of exactly this class. A layer without a rule pins its channels: they are never
    pruned. Later rules replace earlier ones.

    A rule makes channels prunable; parameters are counted by what `cut` leaves. What
    the layer computes is not known by it: its FLOPs count as 0 (`cost(model).uncounted`
    names it), and channels that it makes or reads are scored by `activation` and
    `taylor` only. Other criteria warn of those that they can't score.

    Args:
        *kinds: Layer classes; or names of classes that Keras itself defines, for those
            behind `keras.ops` functions and operators, which have no public name.

    Returns:
        A decorator that returns the class as it is.

    Raises:
        ValueError: If a kind is not a class or a string, or the class has not both
            methods.

    Example:

    >>> class ChannelGain(keras.layers.Layer):
    ...     def build(self, shape):
    ...         self.gain = self.add_weight(shape=shape[-1:], name="gain")
    ...     def call(self, inputs):
    ...         return inputs * self.gain
    >>> @keras_basisprune.channel_rule(ChannelGain)
    ... class ChannelGainRule:
    ...     def propagate(self, layer, inputs, flow):
    ...         return inputs[0]
    ...     def cut(self, layer, kept_in, kept_out):
    ...         return {}, {"gain": kept_in[0].take(layer.gain)}
    """
    for kind in kinds:
        if not isinstance(kind, type | str):
            raise ValueError(
                "Expected `kinds` to be layer classes, or names of classes of Keras. "
                f"Received: {kind!r} (of type {type(kind).__name__}). Pass the class, "
                "not a layer."
            )

    def register(rule):
        missing = [n for n in ("propagate", "cut") if not hasattr(rule, n)]
        if missing:
            raise ValueError(
                "Expected a rule to have the methods `propagate` and `cut`. Received: "
                f"{getattr(rule, '__name__', rule)} without {' and '.join(missing)}. "
                "Inherit from `keras_basisprune.Rule`, which has both."
            )
        made = rule if issubclass(rule, Rule) else type(rule.__name__, (rule, Rule), {})
        for kind in kinds:
            _RULES[kind] = made()
        return rule

    return register


def rule_of(op) -> Rule | None:
    """The rule for a layer or operation, if there is one."""
    kind = type(op)
    if kind in _RULES:
        return _RULES[kind]
    return _RULES.get(kind.__name__) if is_kerases(kind) else None


def unknown_weights(layer, rule) -> str | None:
    """Why channels of a layer can't be followed: weights that its rule doesn't know."""
    names = rule.weights(layer)
    if names is None or not isinstance(layer, keras.layers.Layer):
        return None
    inside = getattr(layer, "layer", layer)  # what is called in each time step
    if _is_learned(getattr(inside, "activation", None)):
        return f"the activation of `{layer.name}` has weights"
    known = {id(_attribute(layer, name)) for name in names}
    others = [w for w in layer.weights if id(w) not in known and math.prod(w.shape) > 1]
    if not others:
        return None
    if mode := getattr(inside, "quantization_mode", None):
        return f"`{layer.name}` is quantized to {mode}: prune before quantizing"
    if getattr(inside, "lora_enabled", False):
        return f"LoRA is enabled in `{layer.name}`: merge it first ({_MERGE})"
    found = ", ".join(dict.fromkeys(weight.name for weight in others))
    return f"`{layer.name}` has weights that its rule does not know: {found}"


def _is_learned(activation):
    """Whether an activation has weights (a slope per channel, say)."""
    if isinstance(activation, keras.layers.PReLU):
        return True  # which it is only built with when it is called on numbers
    weights = getattr(activation, "weights", ())
    return any(math.prod(weight.shape) > 1 for weight in weights)


def _attribute(layer, path):
    try:
        return operator.attrgetter(path)(layer)
    except AttributeError:
        return None


_MERGE = "`fold(model, batch_norm=False)`"


def pointwise(function) -> bool:
    """Whether a function treats each channel (last axis) by itself.

    Tried on random numbers: the function of some channels has to be some channels of
    the function.
    """
    x = np.random.default_rng(0).normal(size=(7, 6)).astype("float32") * 3
    kept = [0, 2, 5]
    try:
        if isinstance(function, keras.layers.Layer):  # it might be built for `x`
            function = type(function).from_config(function.get_config())
        whole, part = (keras.ops.convert_to_numpy(function(v)) for v in (x, x[:, kept]))
    except Exception:
        return False
    same = whole.shape == x.shape and part.shape == (7, 3)
    return same and np.allclose(whole[:, kept], part, rtol=1e-4, atol=1e-5)


def no_mixing(layer, ids, flow):
    """Pins the output channels of a layer whose activation reads across them."""
    function = getattr(layer, "activation", None)
    if function is not None and not pointwise(function):
        name = getattr(function, "__name__", type(function).__name__)
        flow.pin(ids, f"activation {name} of `{layer.name}` reads across channels")
    return ids


def axes_of(axis, rank) -> list[int]:
    """The axes that an `axis` argument names, counted from the batch axis on."""
    if axis is None:
        return list(range(rank))
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return [a % rank for a in axes]
