"""Folders with one sub-folder of image files per class."""

import pathlib

import numpy as np

from keras_basisprune.data.readers.decode_image import decode_image
from keras_basisprune.data.readers.list_images import class_folders, list_images

SPLITS = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
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
    names = class_folders(homes["train"])
    if not names:
        raise ValueError(
            "Expected `spec` to be a folder with one sub-folder of images per class. "
            f"Received: spec='{path}', without sub-folders in '{homes['train']}'. Move "
            "the images of each class into a folder with the name of the class."
        )
    splits = {split: _files(home, names) for split, home in homes.items()}
    description = f"Images from {root.resolve()}; no licence is stated"
    return splits, decode_image, tuple(names), description


def _homes(root):
    if not (root / "train").is_dir() or not class_folders(root / "train"):
        return {"train": root}
    found = {}
    for split, choices in SPLITS.items():
        for name in choices:
            if (root / name).is_dir() and split not in found:
                found[split] = root / name
    return found


def _files(home, names):
    unknown = sorted(set(class_folders(home)) - set(names))
    if unknown:
        raise ValueError(
            "Expected every split of `spec` to have the classes of its train folder. "
            f"Received: '{home}' with the further class folders {unknown}. Rename or "
            "remove them, or add them to the train folder."
        )
    paths, labels = [], []
    for label, name in enumerate(names):
        found = list_images(home / name)
        paths += found
        labels += [label] * len(found)
    return paths, np.array(labels, np.int64)
