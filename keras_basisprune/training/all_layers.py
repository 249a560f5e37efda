"""Every layer of a model, at any depth."""


def all_layers(model) -> list:
    """Returns the model itself and all its layers, layers inside layers included.

    This is the only place that uses a private name of Keras for it: `model.layers`
    stops at nested models and wrappers, and `trainable` and `momentum` are attributes
    of the layers inside them.

    Args:
        model: A `keras.Model` or another `keras.layers.Layer`.

    Returns:
        A list of layers, each once, `model` first.
    """
    return model._flatten_layers()
