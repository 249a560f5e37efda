"""Explains what was passed instead of a model, and how to get one."""

import os

import keras

_UNBUILT = (
    "A Sequential model is built by a leading `keras.Input(shape)` or by "
    "`model.build(input_shape)`."
)
_KERAS_2 = (
    "That is Keras 2 (`tf_keras`). Build the same architecture with `keras` and carry "
    "the weights over: `new.set_weights(old.get_weights())`, or with a file "
    "`old.save_weights('old.weights.h5')` and `new.load_weights('old.weights.h5')`. "
    "(`keras.models.load_model` reads a `.h5` file of Keras 2 if it has only plain "
    "layers, no depthwise or recurrent ones and no operators.)"
)
_TENSORFLOW = (
    "What TensorFlow makes or loads, a SavedModel say, has no layers that can be read. "
    "Load the `.keras` file of the model by `keras.models.load_model`, or build its "
    "architecture with `keras` and carry the weights over."
)
_PYTORCH = (
    "That is a module of PyTorch. Build the same architecture with `keras` and carry "
    "the weights over."
)
_MODULES = {
    "tf_keras": _KERAS_2,
    "tensorflow.python.keras": _KERAS_2,
    "torch": _PYTORCH,
    "tensorflow": _TENSORFLOW,
}


def describe_non_model(model) -> str:
    """Describes an object that is not a readable model, and says what to do.

    Args:
        model: Anything but a built Functional or Sequential `keras.Model`.

    Returns:
        A sentence or two.
    """
    if isinstance(model, str | os.PathLike):
        return "Load the model first: `keras.models.load_model(path)`."
    if isinstance(model, type):
        return f"That is a class. Make a model of it: `{model.__name__}(...)`."
    if isinstance(model, keras.layers.TFSMLayer):
        return _TENSORFLOW
    if isinstance(model, keras.Sequential):
        return _UNBUILT
    if isinstance(model, keras.Model):
        return (
            "A subclassed model hides its layers inside `call()`: build a Functional "
            f"one with `keras.Model(inputs, outputs)`. {_UNBUILT}"
        )
    if isinstance(model, keras.layers.Layer):
        return (
            "That is a layer. Make a model of it: "
            "`keras.Sequential([keras.Input(shape), layer])`."
        )
    if isinstance(model, keras.Function):
        return "Build a model: `keras.Model(function.inputs, function.outputs)`."
    if isinstance(getattr(model, "model", None), keras.Model):
        return "Pass its `.model`."
    return _by_origin(model)


def _by_origin(model):
    """Returns the sentence for the package of an object's class or its bases."""
    for kind in type(model).__mro__:
        for module, sentence in _MODULES.items():
            if f"{kind.__module__}.".startswith(f"{module}."):
                return sentence
    return (
        "Build one with `keras.Model(inputs, outputs)` or `keras.Sequential`, or load "
        "one with `keras.models.load_model`."
    )
