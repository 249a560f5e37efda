"""Tells encoders apart."""

import hashlib
import json

import keras
import numpy as np


def encoder_fingerprint(encoder) -> str:
    """Returns a checksum of a model's weights and architecture.

    It is the same in every process that loads the model: names of layers, which Keras
    counts anew, and states of random layers and metrics are left out. Of a subclassed
    model, the class counts, not its code.

    Args:
        encoder: A built `keras.Model`.

    Returns:
        A string of hexadecimal digits.
    """
    found = hashlib.sha256(_architecture(encoder).encode())
    for variable in encoder.weights:  # without states of random layers and metrics
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _architecture(encoder) -> str:
    place = f"{type(encoder).__module__}.{type(encoder).__qualname__}"
    try:
        config = encoder.get_config()
    except NotImplementedError:
        config = {}
    numbers = {}
    _collect(config, numbers)
    text = json.dumps(_numbered(config, numbers), sort_keys=True, default=str)
    return f"{place} {text}"


def _collect(config, numbers):
    """Numbers the names in a config, in the order in which they come."""
    if isinstance(config, dict):
        if isinstance(name := config.get("name"), str):
            numbers.setdefault(name, f"#{len(numbers)}")
        config = list(config.values())
    if isinstance(config, list | tuple):
        for part in config:
            _collect(part, numbers)


def _numbered(config, numbers):
    if isinstance(config, dict):
        return {str(k): _numbered(v, numbers) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return [_numbered(v, numbers) for v in config]
    return numbers.get(config, config) if isinstance(config, str) else config
