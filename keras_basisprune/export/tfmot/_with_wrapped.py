"""Wraps layers of a `tf_keras` model."""

from keras_basisprune.export.tfmot._packages import load_tf_keras


def with_wrapped(model, names, wrap):
    """Returns a copy of a model in which some layers are wrapped.

    Args:
        model: The `tf_keras.Model`.
        names: The names of the layers to wrap.
        wrap: A function of a layer that returns the wrapper.
    """

    def made(layer):
        return wrap(layer) if layer.name in names else layer

    return load_tf_keras().models.clone_model(model, clone_function=made)
