"""Paths among the arguments."""

import os
import pathlib

from keras_basisprune.utils.shown import shown


def check_path(argument, value, write=None) -> pathlib.Path:
    """Raises `ValueError` unless a value can be a path.

    Args:
        argument: Name of the argument, for the message.
        value: What should be a string or `pathlib.Path`, and not empty.
        write: `"file"` if a file is to be written there (what is there may be
            replaced, if it is no folder), `"folder"` if files are to be written into
            it; `None` for neither. Nothing is made.

    Returns:
        The `pathlib.Path`.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
    if not (isinstance(text, str) and text and "\0" not in text):
        raise ValueError(
            f"Expected `{argument}` to be a path, a string or `pathlib.Path`. "
            f"Received: {argument}={shown(value)}. Pass one such as 'folder/name'."
        )
    path, reason = pathlib.Path(text), ""
    if write == "folder":
        reason = _obstacle(path)
    elif write == "file":
        reason = "it is a folder" if path.is_dir() else _obstacle(path.parent)
    if reason:
        what = "a folder" if write == "folder" else "a file"
        raise ValueError(
            f"Expected `{argument}` to be {what} that can be written. Received: "
            f"{argument}={str(path)!r}; {reason}. Pass another path."
        )
    return path


def _obstacle(path) -> str:
    """Why no folder can be at a path, or be made there; nothing if one can."""
    for place in (path, *path.parents):
        if place.is_dir():
            able = os.access(place, os.W_OK | os.X_OK)
            return "" if able else f"{str(place)!r} can't be written to"
        if place.is_symlink():
            target = os.readlink(place)
            return f"{str(place)!r} is a link to {target!r}, which is no folder"
        if place.exists():
            return f"{str(place)!r} is no folder"
    return ""
