"""What rules are made of: the channels of a tensor, and what ties them."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from keras_basisprune.trace import Call, is_kerases


@dataclasses.dataclass(frozen=True)
class Channels:
    """The channels of one tensor.

    Attributes:
        ids: Integer array of shape `(channels,)`: the identity of each channel. What
            has the same identity lives or dies together.
        axis: The tensor's channel axis, counted from the batch axis (0) on.
    """

    ids: np.ndarray
    axis: int

    def __len__(self):
        return len(self.ids)


@dataclasses.dataclass(frozen=True)
class KeptChannels:
    """Which channels of one tensor are kept.

    Attributes:
        indices: Integer array, their positions along `axis`, ascending.
        total: How many there were.
        axis: The tensor's channel axis, counted from the batch axis (0) on.
    """

    indices: np.ndarray
    total: int
    axis: int

    def __len__(self):
        return len(self.indices)

    def take(self, weight, axis=-1) -> np.ndarray:
        """The kept part of a weight (or any array) along one of its axes."""
        weight = keras.ops.convert_to_numpy(weight)
        if len(self) == self.total:
            return weight
        return np.take(weight, self.indices, axis)


class Flow:
    """What `propagate` of a rule does with channels beside passing them on.

    Attributes:
        call: The `Call` that channels pass through at the moment.
    """

    def __init__(self):
        self.call: Call | None = None
        self.count = 0
        self.pins: list[tuple[np.ndarray, str]] = []
        self.mixing: dict[str, None] = {}
        self._edges: list[np.ndarray] = []
        self._made: dict[tuple, np.ndarray] = {}

    @property
    def edges(self) -> np.ndarray:
        """Integer array of shape `(edges, 2)`: the identities that were united."""
        return np.concatenate([np.empty((0, 2), np.int64), *self._edges])

    def make(self, size, key="") -> np.ndarray:
        """Identities of `size` new channels, the same whenever a layer is called."""
        own = (id(self.call.op), key)
        if own not in self._made:
            self._made[own] = self.fresh(size)
        return self._made[own]

    def fresh(self, size) -> np.ndarray:
        """Identities of `size` new channels, others with each call."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def unite(self, some, others):
        """Ties two arrays of identities, position by position."""
        pairs = np.stack(np.broadcast_arrays(some, others), axis=-1)
        self._edges.append(pairs.reshape(-1, 2))

    def pin(self, ids, reason):
        """Makes channels stay, whatever a plan says."""
        self.pins.append((np.asarray(ids), reason))

    def normalizes(self):
        """Notes that the layer computes statistics across channels.

        What it makes of a channel depends on the others, so that removing channels is
        not the same as no longer reading them.
        """
        self.mixing[self.call.op.name] = None

    def axis_size(self, axis) -> int | None:
        """Size of the (first) output along an axis."""
        return self.call.output_tensors[0].shape[axis]

    def channel_axis(self, tensor) -> int:
        """The axis that the layer's own `data_format` names."""
        first = getattr(self.call.op, "data_format", None) == "channels_first"
        return 1 if first else len(tensor.shape) - 1


class Rule:
    """How channels pass through a layer, and how it is cut. Base of all rules.

    Attributes:
        free: Whether calls of one layer have nothing to do with each other: it has
            neither weights nor a config that depends on channels.
    """

    free = False

    def propagate(self, layer, inputs, flow):
        """Says what channels come out. By default, those that came in.

        Args:
            layer: The layer or operation.
            inputs: A list of `Channels`, one per input tensor.
            flow: The `Flow`, which makes, ties and pins channels.

        Returns:
            The `Channels` of the output, or a list of them for several outputs; `None`
            for an output without channels.
        """
        return inputs[0]

    def cut(self, layer, kept_in, kept_out):
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

    def arguments(self, call, kept_in, kept_out):
        """What a call's arguments are then: a pair of args and kwargs."""
        return call.args, call.kwargs


_RULES: dict[type | str, Rule] = {}


def channel_rule(*kinds) -> Callable:
    """Registers a rule for the channels of a layer class.

    The decorated class has the methods of `Rule` (and may inherit them): `propagate`
    says how channels pass, `cut` what remains of the weights. It is asked for layers
    of exactly this class. A layer without a rule pins its channels: they are never
    pruned. Later rules replace earlier ones.

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


def pointwise(function) -> bool:
    """Whether a function treats each channel (last axis) by itself.

    Tried on random numbers: the function of some channels has to be some channels of
    the function.
    """
    x = np.random.default_rng(0).normal(size=(7, 6)).astype("float32") * 3
    kept = [0, 2, 5]
    try:
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
