"""A Keras Application with a new head, ready to be transferred."""

import importlib
import inspect

import keras


def application(name, weights, input_shape, classes, dropout=0.2) -> keras.Model:
    """Builds a Keras Application for a small target task.

    The model takes raw pixels in [0, 255]: the application's own `preprocess_input` is
    part of it. The head is global average pooling, dropout and a softmax layer.

    Args:
        name: Name in `keras.applications`, such as `"MobileNetV2"`.
        weights: `"imagenet"` (downloaded), the path of a weights file of the
            application without its top, or `None` for random weights.
        input_shape: `(height, width, 3)`.
        classes: Integer, number of classes of the target task.
        dropout: Float in [0, 1), rate before the softmax layer.

    Returns:
        A Functional `keras.Model`, not compiled, with the application inside as a
        nested model.

    Raises:
        ValueError: If there is no such application, or the weights don't fit.
        OSError: If ImageNet weights can't be downloaded.

    Example:

    >>> model = application("MobileNet", "imagenet", (96, 96, 3), classes=10)
    """
    build = getattr(keras.applications, str(name), None)
    if not inspect.isfunction(build):
        raise ValueError(
            "Expected `name` to be a model of `keras.applications`. Received: "
            f"name={name!r}; there are {application_names()}."
        )
    try:
        base = build(include_top=False, weights=weights, input_shape=input_shape)
    except Exception as error:
        if weights != "imagenet" or isinstance(error, ValueError):
            raise
        raise OSError(
            f"The ImageNet weights of {name} could not be downloaded ({error}). On a "
            "machine with a network, run keras.applications."
            f"{name}(include_top=False, weights='imagenet').save_weights("
            "'NAME.weights.h5'), and pass that file as `weights`."
        ) from error
    inputs = keras.Input(input_shape)
    x = base(_preprocess(name)(inputs))
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name=f"{name.lower()}_transfer")


def application_names() -> list[str]:
    """Names of all models in `keras.applications`."""
    return [
        name
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value)
    ]


def _preprocess(name):
    """The `preprocess_input` that goes with an application."""
    for module in vars(keras.applications).values():
        if inspect.ismodule(module) and hasattr(module, name):
            return module.preprocess_input
    return importlib.import_module("keras.applications.imagenet_utils").preprocess_input
