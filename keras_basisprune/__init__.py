"""Makes large pre-trained Keras networks small: basis pruning for Keras 3.

The public names are those of `api.py`.
"""

import importlib.util
import pathlib
import sys
from typing import TYPE_CHECKING


def _is_command_line() -> bool:
    """Returns whether this process runs the command line of this package.

    That is `keras-basisprune` or `python -m keras_basisprune.cli`. Importing Keras
    takes seconds and starts TensorFlow, which logs; the command line shows help and
    errors in flags without it, and silences TensorFlow first.
    """
    program = pathlib.PurePath((getattr(sys, "argv", None) or [""])[0])
    if program.name == "-m":  # until Python has found the module to run
        return "keras_basisprune.cli" in sys.orig_argv
    return program.stem == "keras-basisprune"


if TYPE_CHECKING or not _is_command_line():
    from keras_basisprune.api import *  # noqa: F403
    from keras_basisprune.api import __all__ as __all__
    from keras_basisprune.version import __version__ as __version__
else:

    def __getattr__(name):
        """Returns public names and subpackages, for modules that `--import` names."""
        if importlib.util.find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
        if name.startswith("_") and name not in ("__all__", "__version__"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.api"), name)
