"""Matplotlib figures without a screen or global state."""

import pathlib

from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.files import staged


def figure(width, height):
    """Returns an empty figure of `width` x `height` inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib: pip install 'keras-basisprune[plots]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def check_picture(argument, path) -> pathlib.Path:
    """Raises `ValueError` unless a picture can be written at a path."""
    path = check_path(argument, path, "file")
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(
            f"Expected `{argument}` to end with '.png', '.svg' or '.pdf'. Received: "
            f"{argument}={str(path)!r}. Pass {str(path.with_suffix('.png'))!r}, for "
            "example."
        )
    return path


def save(canvas, path) -> pathlib.Path:
    """Writes a figure, whole or not at all."""
    path = check_picture("path", path)
    with staged(path) as stage:
        canvas.savefig(stage, dpi=120)
    return path
