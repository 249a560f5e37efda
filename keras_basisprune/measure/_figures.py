"""Figures by matplotlib, without a screen or global state."""

import os
import pathlib
import tempfile


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = os.path.join(folder, path.name)
        canvas.savefig(draft, dpi=120)
        os.replace(draft, path)
    return path
