"""Figures by matplotlib, without a screen or global state."""

import pathlib

from keras_basisprune.files import check_file, staged


def figure(width, height):
    """An empty figure of `width` x `height` inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib: pip install 'keras-basisprune[plots]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save(canvas, path) -> pathlib.Path:
    """Writes a figure, whole or not at all."""
    path = pathlib.Path(path)
    check_file(path)
    with staged(path) as stage:
        canvas.savefig(stage, dpi=120)
    return path
