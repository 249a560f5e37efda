"""Files in a SavedModel's folder that TensorFlow did not write."""

import pathlib

_PARTS = {"saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "assets"}
_PARTS |= {"assets.extra", "debug", "variables"}


def foreign_files(path) -> list[str]:
    """Names the files and folders in a folder that are not part of a SavedModel.

    Args:
        path: A folder, a string or `pathlib.Path`; it need not exist.

    Returns:
        A sorted list of strings, relative to `path`: what would be lost if a SavedModel
        replaced the folder. Everything counts if the folder is not a SavedModel.

    Example:

    >>> foreign_files("out/saved_model")
    []
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return []
    names = {entry.name for entry in path.iterdir()}
    if "saved_model.pb" not in names:
        return sorted(names)
    inner = path / "variables"
    variables = {entry.name for entry in inner.iterdir()} if inner.is_dir() else set()
    own = {f"variables/{n}" for n in variables if not n.startswith("variables.")}
    return sorted((names - _PARTS) | own)
