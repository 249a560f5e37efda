"""Registers rules for layer classes, and finds them."""

from collections.abc import Callable, Iterator

from keras_basisprune.graph.rules.rule import Rule
from keras_basisprune.graph.trace import is_from_keras
from keras_basisprune.layers import TrainedMask

_RULES: dict[type | str, Rule] = {}
# Rules of layers whose channels are not followed, but whose cost is known.
_UNFOLLOWED: dict[type, Rule] = {}


def channel_rule(*kinds: type | str) -> Callable:
    """Registers a rule: all that the package has to know of a layer class.

    The decorated class has the methods of `Rule` (and may inherit them): `propagate`
    follows channels through the layer, `cut` returns the remaining weights. It is used
    for layers of exactly this class. A layer without a rule pins its channels: they are
    never pruned. Later rules replace earlier ones.

    These two make channels prunable; parameters are counted from the result of `cut`.
    The other methods of `Rule` describe what the layer computes, and all have a
    default. Without `flops`, it counts as 0 (`cost(model).uncounted` names it); without
    `filters` and `rows`, channels that it outputs or reads are scored by `activation`
    and `taylor` only, and other criteria warn of those that they can't score; without
    `fold` and `matrix`, it is not folded and not decomposed.

    Args:
        *kinds: Layer classes; or names of classes that Keras itself defines, for
            `keras.ops` functions and operators, whose classes have no public name.

    Returns:
        A decorator that returns the class as it is.

    Raises:
        ValueError: If a kind is not a class or a string, or the class lacks one of the
            two methods.

    Example:

    >>> class ChannelGain(keras.layers.Layer):
    ...     def build(self, shape):
    ...         self.gain = self.add_weight(shape=shape[-1:], name="gain")
    ...     def call(self, inputs):
    ...         return inputs * self.gain
    >>> @keras_basisprune.graph.channel_rule(ChannelGain)
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
                "Inherit from `keras_basisprune.graph.Rule`, which has both."
            )
        made = rule if issubclass(rule, Rule) else type(rule.__name__, (rule, Rule), {})
        for kind in kinds:
            _RULES[kind] = made()
        return rule

    return register


def rule_of(op) -> Rule | None:
    """Returns the rule for a layer or operation, or `None`."""
    kind = type(op)
    if kind in _RULES:
        return _RULES[kind]
    if issubclass(kind, TrainedMask):
        return _RULES[TrainedMask]  # its protocol says all that the rule needs
    return _RULES.get(kind.__name__) if is_from_keras(kind) else None


def unfollowed_rule(*kinds) -> Callable:
    """Registers a rule for layer classes whose channels are not followed."""

    def register(rule):
        _UNFOLLOWED.update(dict.fromkeys(kinds, rule()))
        return rule

    return register


def rules_of(op) -> Iterator[Rule]:
    """Yields the rules that hold for a layer: its own, and inherited ones."""
    kind = type(op)
    own = rule_of(op) or _UNFOLLOWED.get(kind)
    if own is not None:
        yield own
    for base in kind.__mro__[1:]:
        rule = _RULES.get(base)
        if rule is not None and rule.inherited:
            yield rule


def known(op, fact, *args):
    """Returns the first known answer of the rules that hold for a layer.

    Args:
        op: A layer or operation.
        fact: Name of a method of `Rule` that returns `None` where nothing is known.
        *args: The arguments of the method.

    Returns:
        The answer, or `None`; the default of `Rule` if there is no rule.
    """
    for rule in list(rules_of(op)) or [_NOTHING_KNOWN]:
        answer = getattr(rule, fact)(*args)
        if answer is not None:
            return answer
    return None


_NOTHING_KNOWN = Rule()
