"""Paths among the arguments."""

import os
import pathlib

from keras_basisprune.utils.shown import shown


def check_path(argument, value, write=None) -> pathlib.Path:
    """Raises `ValueError` unless a value is a path that can be written to.

    A folder is never replaced by a file, nor a file by a folder. Links are followed,
    but broken links are refused.

    Args:
        argument: Name of the argument that it comes from, for the message.
        value: What should be a string or `pathlib.Path`, and not empty.
        write: `"file"` to write a file there (an existing one may be replaced),
            `"folder"` to write files into it, `"either"` for one of these; `None` for
            neither. Nothing is created.

    Returns:
        The `pathlib.Path`.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
    if not (isinstance(text, str) and text and "\0" not in text):
        raise ValueError(
            f"Expected `{argument}` to be a path, a string or `pathlib.Path`. "
            f"Received: {argument}={shown(value)}. Pass one such as 'folder/name'."
        )
    path = pathlib.Path(text)
    if write is not None:
        _check_links(argument, path)
        _check_kind(argument, path, write)
        _check_folders(argument, path)
    return path


def check_paths(argument, folder, names):
    """Raises `ValueError` unless files may be written into a folder.

    Args:
        argument: Name of the argument that the folder comes from, for the message.
        folder: The `pathlib.Path` of the folder, which need not exist yet.
        names: The names of the files; with a `/` at the end for folders.
    """
    check_path(argument, folder, "folder")
    for name in names:
        write = "folder" if name.endswith("/") else "file"
        check_path(argument, folder / name, write)


def _check_links(argument, path):
    for place in (path, *path.parents):
        if place.is_symlink() and not place.exists():
            raise ValueError(
                f"Expected `{argument}` to be no link to nothing. Received: "
                f"{str(place)!r}, a link to {os.readlink(place)!r}, which isn't there. "
                "Remove the link, or choose another place."
            )


def _check_kind(argument, path, write):
    fits = {"file": path.is_file, "folder": path.is_dir, "either": path.exists}[write]
    if path.exists() and not fits():
        kind = "a folder" if path.is_dir() else f"no {write}"
        raise ValueError(
            f"Expected `{argument}` to leave room for a {write}. Received: "
            f"{str(path)!r}, which is {kind} and stays as it is. Rename it, or choose "
            "another place."
        )


def _check_folders(argument, path):
    """Raises `ValueError` unless files can be created and replaced at a path."""
    inside = path if path.is_dir() else path.parent
    place = next(p for p in (inside, *inside.absolute().parents) if p.exists())
    if not place.is_dir():
        raise ValueError(
            f"Expected `{argument}` to be in a folder, or where one can be made. "
            f"Received: {str(path)!r}, where {str(place)!r} is no folder. Choose "
            "another place."
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(
            f"Expected `{argument}` to be where files can be written. Received: "
            f"{str(path)!r}; {str(place)!r} can't be written to. Choose another place."
        )
