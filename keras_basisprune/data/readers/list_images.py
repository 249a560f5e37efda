"""Finds the image files in a folder."""

import os
import pathlib

EXTENSIONS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
# Hidden are names with these prefixes, and the folders of operating systems below.
_HIDDEN = (".", "__")
_SYSTEMS = {
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
}


def list_images(folder, argument="spec") -> list[pathlib.Path]:
    """Returns the image files in a folder and the folders below it, sorted.

    Hidden files and folders, files without an image extension, and links to folders are
    left out.

    Args:
        folder: The `pathlib.Path` of the folder.
        argument: Name of the argument, for the message.

    Returns:
        A list of `pathlib.Path`.

    Raises:
        ValueError: A folder can't be listed.
    """
    return sorted(_images(folder, argument))


def class_folders(home) -> list[str]:
    """Returns the names of the folders in a folder, sorted, without hidden ones."""
    return sorted(
        entry.name
        for entry in home.iterdir()
        if entry.is_dir()
        and not _is_hidden(entry.name)
        and not home.resolve().is_relative_to(entry.resolve())  # a link upward
    )


def _is_hidden(name) -> bool:
    return name.startswith(_HIDDEN) or name in _SYSTEMS


def _images(folder, argument):
    def refuse(error):
        raise ValueError(
            f"Expected `{argument}` to hold folders that can be read. Received: "
            f"'{error.filename}', which can't ({error.strerror}). Change its "
            "permissions, or remove it."
        ) from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for name in files:
            path = pathlib.Path(place, name)
            if path.suffix.lower() in EXTENSIONS and not name.startswith("."):
                yield path
