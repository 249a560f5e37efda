"""Checks before a model is loaded, and before it is changed."""

import importlib.util
import os
import pathlib

from keras_basisprune.cli._exporters import asked_for
from keras_basisprune.export.prepare import prepare


def check_inputs(flags):
    """Raises unless the files and folders that flags name exist and fit.

    Args:
        flags: The parsed `absl.flags.FlagValues`.

    Raises:
        ValueError: If one does not exist, or is of another kind.
        ImportError: If TensorBoard is needed and not installed.
    """
    data, weights = flags.data, flags.weights
    built_in = data in (None, "digits") or data.startswith("tfds:")
    if not built_in and not os.path.exists(data):
        raise ValueError(
            "Expected --data to be digits, tfds:NAME, a folder of images per class, or "
            f"an .npz file. Received: {data}, which doesn't exist."
        )
    if weights not in (None, "none", "imagenet") and not os.path.isfile(weights):
        raise ValueError(
            "Expected --weights to be imagenet, none, or the path of a weights file. "
            f"Received: {weights}, which is not a file."
        )
    if flags.tensorboard is not None:
        _check_tensorboard(flags.tensorboard)


def check_exports(flags, model):
    """Raises `ValueError` if a model can't be exported as flags ask for.

    Args:
        flags: The parsed `absl.flags.FlagValues`.
        model: The `keras.Model`.
    """
    if not flags.formats:
        return
    try:
        prepare(model, float32=False)
    except ValueError as error:
        remedy = "Or pass --formats= to write no files."
        raise ValueError(f"{error} {remedy}") from error
    for row in asked_for(flags):
        if row.check is not None:
            row.check(model)


def _check_tensorboard(folder):
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "--tensorboard needs TensorBoard, which is not installed. "
            "Run: pip install tensorboard"
        )
    if "://" in folder:
        return
    path = pathlib.Path(folder).absolute()
    place = next(p for p in (path, *path.parents) if os.path.lexists(p))
    if not place.is_dir():
        reason = f"{place} is not a folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = f"{place} can't be written to"
    else:
        return
    raise ValueError(
        f"Expected --tensorboard to be a folder for logs. Received: {folder}, but "
        f"{reason}. Choose another one."
    )
