"""Reasons why a layer with a matrix can't be decomposed."""

import keras


def obstacle_at_the_output(layer) -> str | None:
    """Returns the reason: it is quantized, has LoRA, or its activation has weights."""
    if mode := getattr(layer, "quantization_mode", None):
        return f"quantized to {mode}: decompose before quantizing"
    if getattr(layer, "lora_enabled", False):
        return "LoRA is enabled: merge it first (`fold(model, batch_norm=False)`)"
    activation = getattr(layer, "activation", None)
    prelu = isinstance(activation, keras.layers.PReLU)  # built when it is called
    if prelu or list(getattr(activation, "variables", [])):
        return f"its activation `{activation.name}` has weights: not supported"
    return None
