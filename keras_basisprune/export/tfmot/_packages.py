"""Imports Keras 2 (`tf_keras`) and TensorFlow Model Optimization, of the extra `tfmot`.

TensorFlow Model Optimization sets the environment variable `TF_USE_LEGACY_KERAS` on
import. From then on, `tf.keras` would be Keras 2, in this process if nobody has read it
yet, and in all processes that this one starts. So TensorFlow's lazy names are read
before, and the variable is set back after.
"""

import contextlib
import importlib
import os

_SWITCH = "TF_USE_LEGACY_KERAS"
_LAZY = ("keras", "losses", "metrics", "optimizers", "initializers")


def load_tf_keras():
    """Returns the module `tf_keras`.

    Raises:
        ValueError: If it is not installed.
    """
    return _load("tf_keras", "tf_keras")


def load_tfmot():
    """Returns the module `tensorflow_model_optimization`.

    Raises:
        ValueError: If it or `tf_keras` is not installed.
    """
    load_tf_keras()
    with _environment_kept():
        return _load("tensorflow_model_optimization", "tensorflow-model-optimization")


def _load(module, package):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"Expected the package `{package}` to be installed. Received: "
            f"{type(error).__name__}: {error}. Run `pip install "
            '"keras-basisprune[tfmot]"`.'
        ) from error


@contextlib.contextmanager
def _environment_kept():
    """Keeps `tf.keras` and the environment as they are while something is imported."""
    import tensorflow as tf

    for name in _LAZY:
        dir(getattr(tf, name))  # decides which Keras it is
    before = os.environ.get(_SWITCH)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = before
