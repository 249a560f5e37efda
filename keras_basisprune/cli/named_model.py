"""The model that --model names: a Keras Application, or a file."""

import os

import keras

from keras_basisprune.cli._import_modules import import_modules
from keras_basisprune.cli._load_model import load_model
from keras_basisprune.data.application import application_names


def named_model(flags, weights=None) -> keras.Model:
    """Builds a Keras Application without its top, or loads a file.

    Modules that `--import` names are imported first, and Keras then knows the classes
    and functions that they define.

    Args:
        flags: The parsed `absl.flags.FlagValues`.
        weights: Weights of an Application: `"imagenet"`, a path, `"none"` or `None`.

    Returns:
        The `keras.Model`.

    Raises:
        ValueError: If there is no such model, or it can't be loaded.
        OSError: If weights can't be downloaded.
    """
    name = flags.model
    if name in application_names():
        weights = None if weights in (None, "none") else weights
        return _built(name, flags.input_size or 96, weights)
    if not os.path.lexists(name):
        raise ValueError(
            "Expected --model to be a .keras file or a Keras Application. Received: "
            f"{name}, which is neither a file nor one of {application_names()}."
        )
    own = import_modules(flags["import"].value or ())
    keras.saving.get_custom_objects().update(own)
    return load_model(name)


def _built(name, size, weights):
    build = getattr(keras.applications, name)
    try:
        return build(include_top=False, weights=weights, input_shape=(size, size, 3))
    except (ValueError, OSError):
        raise
    except Exception as error:  # a failed download, for example
        raise OSError(
            f"{name} could not be built with --weights={weights} "
            f"({type(error).__name__}: {error})."
        ) from error
