"""What Keras has to know to load a network with layers of one's own."""

import types

from keras_basisprune.graph.trace import is_from_keras


def layer_objects(model) -> dict:
    """Returns layer classes, functions, regularizers, ... of a model by name.

    Args:
        model: A `keras.Model`; `None` for nothing.

    Returns:
        A dict for `keras.models.load_model(custom_objects=...)`.
    """
    layers = [] if model is None else model.layers
    known = {type(layer).__name__: type(layer) for layer in layers}
    for layer in layers:
        known |= _custom(vars(layer).values())
    return known


def _custom(values) -> dict:
    """Returns those that Keras would not find by name."""
    found = {}
    for value in values:
        own = isinstance(value, types.FunctionType)
        kind = value if own or isinstance(value, type) else type(value)
        if callable(value) and not is_from_keras(kind):
            found[kind.__name__] = kind
    return found
