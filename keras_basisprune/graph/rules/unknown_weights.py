"""Weights that prevent the channels of a layer from being followed."""

import math
import operator

import keras

_MERGE = "`fold(model, batch_norm=False)`"


def unknown_weights(layer, rule) -> str | None:
    """Returns a reason if a layer has weights unknown to its rule, or `None`."""
    names = rule.weights(layer)
    if names is None or not isinstance(layer, keras.layers.Layer):
        return None
    inside = getattr(layer, "layer", layer)  # the layer called in each time step
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
    """Returns whether an activation has weights (for example a slope per channel)."""
    if isinstance(activation, keras.layers.PReLU):
        return True  # it gets its weights only when it is called on real inputs
    weights = getattr(activation, "weights", ())
    return any(math.prod(weight.shape) > 1 for weight in weights)


def _attribute(layer, path):
    try:
        return operator.attrgetter(path)(layer)
    except AttributeError:
        return None
