"""Reads the names of classes from a `.tflite` file."""

import zipfile

from keras_basisprune.export.add_labels import LABELS
from keras_basisprune.export.reading.metadata import read_metadata
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.types import Path


def read_labels(path: Path) -> tuple[str, ...]:
    """Returns the names of the classes that stand in a LiteRT file.

    Args:
        path: A `.tflite` file, such as `export_tflite(..., labels=...)` writes, or any
            with TFLite metadata that name the labels of an output.

    Returns:
        A tuple of strings, in the order of the outputs; empty if there are none.

    Raises:
        ValueError: If there is no such file.

    Example:

    >>> names = read_labels("small_int8.tflite")
    >>> print(names[predict_tflite("small_int8.tflite", image[None]).argmax()])
    """
    path = check_path("path", path)
    if not path.is_file():
        raise ValueError(
            "Expected `path` to be an existing '.tflite' file. Received: "
            f"path={str(path)!r}. Write one with `export_tflite`."
        )
    if not zipfile.is_zipfile(path):
        return ()
    with zipfile.ZipFile(path) as archive:
        held = archive.namelist()
        name = LABELS if LABELS in held else _named(path)
        if name not in held:
            return ()
        return tuple(archive.read(name).decode("utf-8").splitlines())


def _named(path) -> str | None:
    """Returns the file that TFLite metadata name as the labels of an output."""
    try:
        found = read_metadata(path)
    except Exception:  # no LiteRT file: flatbuffers raises many classes
        return None
    outputs = found.outputs if found else ()
    return next((name for one in outputs for name in one.labels), None)
