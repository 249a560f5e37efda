"""A Keras Application with a new head, for transfer learning."""

import importlib
import inspect
import operator
import os
from collections.abc import Sequence

import keras

from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole


def application(
    name: str,
    *,
    weights: str | None,
    input_shape: Sequence[int],
    classes: int,
    dropout: float = 0.2,
) -> keras.Model:
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
        ValueError: If the application does not exist, or the weights don't fit.
        OSError: If ImageNet weights can't be downloaded.

    Example:

    >>> model = keras_basisprune.data.application(
    ...     "MobileNet", weights="imagenet", input_shape=(96, 96, 3), classes=10)
    """
    build = getattr(keras.applications, name, None) if isinstance(name, str) else None
    if not inspect.isfunction(build):
        raise ValueError(
            "Expected `name` to be a model of `keras.applications`. Received: "
            f"name={name!r}; there are {application_names()}."
        )
    check_whole("classes", classes, 2, remedy="Pass the number of classes.")
    check_number("dropout", dropout, "[0, 1)", remedy="0 leaves nothing out.")
    input_shape = _checked_shape(input_shape)
    if not (weights is None or isinstance(weights, str | os.PathLike)):
        raise ValueError(
            "Expected `weights` to be 'imagenet', the path of a file or None. "
            f"Received: weights of type {type(weights).__name__}. None starts from "
            "random weights."
        )
    if weights not in (None, "imagenet") and not os.path.isfile(weights):
        raise ValueError(
            "Expected `weights` to be 'imagenet', the path of a file or None. "
            f"Received: weights={os.fspath(weights)!r}, where there is no file. Check "
            "the path."
        )
    try:
        base = build(include_top=False, weights=weights, input_shape=input_shape)
    except Exception as error:
        if weights != "imagenet" or isinstance(error, ValueError):
            raise ValueError(
                f"Expected `weights` and `input_shape` to fit {name}. Received: "
                f"weights={weights!r}, input_shape={input_shape}, refused with "
                f"{type(error).__name__}: {error} Pass a file of `save_weights` of "
                f"keras.applications.{name}(include_top=False), and a size it takes."
            ) from error
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


def _checked_shape(shape) -> tuple:
    try:
        sizes = tuple(size if size is None else operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    known = [size for size in sizes if size is not None]
    if len(sizes) != 3 or sizes[-1] != 3 or min(known) < 1:
        raise ValueError(
            "Expected `input_shape` to be (height, width, 3), positive integers. "
            f"Received: input_shape={shape!r}. Pass (96, 96, 3), say."
        )
    return sizes


def application_names() -> list[str]:
    """Returns the names of all models in `keras.applications`."""
    return [
        name
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value)
    ]


def _preprocess(name):
    """Returns the `preprocess_input` of an application."""
    for module in vars(keras.applications).values():
        if inspect.ismodule(module) and hasattr(module, name):
            return module.preprocess_input
    return importlib.import_module("keras.applications.imagenet_utils").preprocess_input
