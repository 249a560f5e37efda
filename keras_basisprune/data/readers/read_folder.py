"""Folders with one sub-folder of image files per class."""

import os
import pathlib

import numpy as np

EXTENSIONS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
SPLITS = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}
# Hidden are names with these prefixes, and the folders of operating systems below.
_HIDDEN = (".", "__")
_SYSTEMS = {
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
}


def read_folder(path):
    """Lists the images of `path/<class>/` or `path/train/<class>/`; opens none yet.

    Classes are the sub-folders in alphabetical order, as in
    `keras.utils.image_dataset_from_directory`; images may lie in deeper folders.
    With `path/train`, the splits `path/validation` (or `val`, `valid`) and `path/test`
    are used if they exist, and all else in `path` is ignored. Also ignored are, at any
    depth, hidden files and folders (`.name`, `__name`, and system folders such as
    `@eaDir`), files without an image extension, and links to folders within a class (a
    class may be a link). A pipe or device with the name of an image counts as
    unreadable, and is not opened. Images are rotated by their EXIF data, transparency
    is dropped, and the first frame of an animation is used. Grey images have one
    channel, 16-bit ones are divided by 257.

    Args:
        path: path of the folder.

    Returns:
        `(splits, decode, class_names, description)`, see `readers`.

    Raises:
        ImportError: Pillow is not installed.
        ValueError: there are no class folders, a split has a class that the training
            images lack, or a folder can't be listed.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "A folder of images needs Pillow, which is not installed. "
            "Run: pip install pillow"
        ) from error
    root = pathlib.Path(path)
    homes = _homes(root)
    names = _classes(homes["train"])
    if not names:
        raise ValueError(
            "Expected `spec` to be a folder with one sub-folder of images per class. "
            f"Received: spec='{path}', without sub-folders in '{homes['train']}'. Move "
            "the images of each class into a folder with the name of the class."
        )
    splits = {split: _files(home, names) for split, home in homes.items()}
    description = f"Images from {root.resolve()}; no licence is stated"
    return splits, _decode, tuple(names), description


def _homes(root):
    if not (root / "train").is_dir() or not _classes(root / "train"):
        return {"train": root}
    found = {}
    for split, choices in SPLITS.items():
        for name in choices:
            if (root / name).is_dir() and split not in found:
                found[split] = root / name
    return found


def _classes(home):
    return sorted(
        entry.name
        for entry in home.iterdir()
        if entry.is_dir()
        and not _is_hidden(entry.name)
        and not home.resolve().is_relative_to(entry.resolve())  # a link upward
    )


def _is_hidden(name):
    return name.startswith(_HIDDEN) or name in _SYSTEMS


def _files(home, names):
    unknown = sorted(set(_classes(home)) - set(names))
    if unknown:
        raise ValueError(
            "Expected every split of `spec` to have the classes of its train folder. "
            f"Received: '{home}' with the further class folders {unknown}. Rename or "
            "remove them, or add them to the train folder."
        )
    paths, labels = [], []
    for label, name in enumerate(names):
        found = sorted(_images(home / name))
        paths += found
        labels += [label] * len(found)
    return paths, np.array(labels, np.int64)


def _images(folder):
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for name in files:
            path = pathlib.Path(place, name)
            if path.suffix.lower() in EXTENSIONS and not name.startswith("."):
                yield path


def _refuse(error):
    raise ValueError(
        "Expected `spec` to hold folders that can be read. Received: "
        f"'{error.filename}', which can't ({error.strerror}). Change its permissions, "
        "or remove it."
    ) from error


def _decode(path):
    import PIL.Image
    import PIL.ImageOps

    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise OSError(f"{path}: no regular file")
    try:
        with PIL.Image.open(path) as image:
            image = PIL.ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16"):
                return np.asarray(image).astype(np.float32) / np.float32(257)
            if image.mode in ("I", "F"):
                raise OSError(f"32-bit pixels (mode {image.mode}) have no known range")
            grey = image.mode in ("1", "L", "LA", "La")
            return np.asarray(image.convert("L" if grey else "RGB"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen different classes
        raise OSError(f"{path}: {error}") from error
