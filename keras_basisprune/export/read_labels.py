"""Reads the names of classes from a `.tflite` file."""

import zipfile

from keras_basisprune.export.add_labels import LABELS
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.types import Path


def read_labels(path: Path) -> tuple[str, ...]:
    """Returns the names of the classes that stand in a LiteRT file.

    Args:
        path: A `.tflite` file, such as `export_tflite(..., labels=...)` writes; also
            one with TFLite metadata whose associated file is called `labels.txt`.

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
        if LABELS not in archive.namelist():
            return ()
        return tuple(archive.read(LABELS).decode("utf-8").splitlines())
