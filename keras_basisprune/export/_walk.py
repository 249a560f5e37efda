"""Goes through all layers of a model."""

import keras

_WRAPPED = ("layer", "forward_layer", "backward_layer")


def walk(layer):
    """Yields all layers below `layer`, nested models and wrapped layers included."""
    inner = list(getattr(layer, "layers", ()))
    wrapped = [getattr(layer, name, None) for name in _WRAPPED]
    for child in inner + [one for one in wrapped if isinstance(one, keras.Layer)]:
        yield child
        yield from walk(child)
