"""NumPy archives of images and labels."""

import functools
import pathlib
import zipfile
import zlib

import numpy as np

KEYS = {
    "train": (("x_train", "y_train"), ("x", "y")),
    "validation": (("x_val", "y_val"), ("x_validation", "y_validation")),
    "test": (("x_test", "y_test"),),
}
# RuntimeError: encrypted, or compressed in a way that Python does not support.
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_npz(path):
    """Reads an `.npz` file; pickled objects are refused, never run.

    Keys: `x_train`, `y_train` (or `x`, `y`) and optionally `x_val`, `y_val`, `x_test`,
    `y_test`; `class_names` may name the classes. Images are `(n, height, width)` or
    `(n, height, width, channels)`. Pixels of the whole file are either in [0, 255],
    or floats or booleans in [0, 1], which are multiplied by 255, or 16-bit, which are
    divided by 257. All arrays of the file are held in memory as they are stored.

    Args:
        path: path of the file.

    Returns:
        `(splits, decode, class_names, description)`, see `readers`.

    Raises:
        ValueError: the file is damaged, keys are missing, or pixels do not fit.
    """
    arrays, keys = _arrays(path)
    splits, images = {}, {}
    for split, choices in KEYS.items():
        for x, y in choices:
            if x in arrays and split not in splits:
                if y not in arrays:
                    raise _error(path, f"to hold `{y}` beside `{x}`", f"keys {keys}")
                splits[split] = arrays[x], arrays[y]
                images[x] = arrays[x]
    if "train" not in splits:
        raise _error(path, "to hold `x_train` and `y_train`", f"keys {keys}")
    decode = functools.partial(_decode, scale=_scale(path, images))
    names = arrays.get("class_names")
    names = None if names is None else tuple(str(name) for name in names.ravel())
    description = f"Arrays from {pathlib.Path(path).resolve()}; no licence is stated"
    return splits, decode, names, description


def _arrays(path):
    wanted = {key for pairs in KEYS.values() for pair in pairs for key in pair}
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = sorted(archive.files)
            known = (wanted | {"class_names"}).intersection(keys)
            return {key: archive[key] for key in known}, keys
    except (*DAMAGE, AttributeError, TypeError) as error:  # the last two: a bare array
        raise _error(
            path, "to be a readable .npz file of plain arrays", f"{error}"
        ) from error


def _scale(path, images):
    """Returns the factor that scales the pixels of all arrays to [0, 255]."""
    ranges = [_pixel_range(path, key, array) for key, array in images.items()]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    kinds = {array.dtype.kind for array in images.values()}
    if low >= 0 and high <= 1 and kinds <= {"b", "f"}:
        return 255.0
    if low >= 0 and high <= 255:
        return 1.0
    if all(array.dtype == np.uint16 for array in images.values()):
        return 1 / 257
    raise _error(
        path, "to hold pixels in [0, 255] or in [0, 1]", f"pixels from {low} to {high}"
    )


def _pixel_range(path, key, array):
    if array.ndim not in (3, 4) or array.dtype.kind not in "buif" or not array.size:
        raise _error(
            path,
            f"to hold numbers of shape (n, height, width) or (n, height, width, "
            f"channels) in `{key}`",
            f"shape {array.shape}, dtype {array.dtype}",
        )
    low, high = float(array.min()), float(array.max())  # both pass NaN on
    if not np.isfinite([low, high]).all():
        first = next(i for i, image in enumerate(array) if not np.isfinite(image).all())
        raise _error(
            path,
            f"to hold finite pixels in `{key}`",
            f"NaN or infinity in image {first}",
        )
    return low, high


def _decode(image, scale):
    keep = scale == 1 and image.dtype == np.uint8
    return image if keep else image.astype(np.float32) * np.float32(scale)


def _error(path, expected, received):
    return ValueError(
        f"Expected the file of `spec` {expected}. Received: spec='{path}' with "
        f"{received}. Write the file with np.savez(path, x_train=images, "
        "y_train=labels), pixels in [0, 255]."
    )
