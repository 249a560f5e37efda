"""Images of an `.npz` or `.npy` file as a stream."""

import hashlib
import math
import os
import pathlib
import zipfile

import numpy as np

from keras_basisprune.data.readers.read_npz import DAMAGE

_KEYS = ("x_train", "x")
_AT_ONCE = 256


class NpzRows:
    """Reads the images of a file in pieces; the file is never in memory as a whole.

    Pixels are scaled as by `load_data`: floats and booleans in [0, 1] by 255, 16-bit
    ones by 1 / 257.

    Args:
        path: Path of an `.npz` file with `x_train` or `x`, of shape `(n, height,
            width)` or `(n, height, width, channels)`; or of an `.npy` file with such
            an array.
        start: Integer, the first image to read.
        stop: Integer, the end of the images to read; `None` for all.
        scale: Float, the factor of the pixels; `None` to find it out, for which an
            array of floats is read.

    Raises:
        ValueError: If the file is damaged or holds something else.
    """

    def __init__(self, path, start=0, stop=None, scale=None):
        self._path = pathlib.Path(path)
        self._key = _key(self._path)
        with _opened(self._path, self._key) as file:
            shape, dtype = _header(self._path, file)
        stop = shape[0] if stop is None else min(stop, shape[0])
        self._start, self._stop = start, max(start, stop)
        self.count = self._stop - self._start
        self._scale = self._found_scale(dtype) if scale is None else scale

    def read(self, skipped):
        """Yields pairs of a list with an array of images, and no names."""
        for images in self._rows():
            if self._scale != 1 or images.dtype != np.uint8:
                images = images.astype(np.float32) * np.float32(self._scale)
            yield [images if images.ndim == 4 else images[..., None]], ()

    def part(self, start, stop):
        """Returns a stream of some of the images."""
        ends = self._start + start, min(self._start + stop, self._stop)
        return NpzRows(self._path, *ends, scale=self._scale)

    def fingerprint(self) -> str:
        """Returns a checksum of path, size and time of change."""
        stat = os.stat(self._path)
        place = f"{self._path.resolve()} {stat.st_size} {stat.st_mtime_ns} {self._key}"
        text = f"{place} {self._start} {self._stop}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _rows(self):
        """Yields arrays of some images, as they are stored."""
        try:
            with _opened(self._path, self._key) as file:
                shape, dtype = _header(self._path, file)
                row = math.prod(shape[1:]) * dtype.itemsize
                file.seek(self._start * row, os.SEEK_CUR)
                for start in range(self._start, self._stop, _AT_ONCE):
                    count = min(_AT_ONCE, self._stop - start)
                    found = np.frombuffer(file.read(count * row), dtype)
                    yield found.reshape(count, *shape[1:])
        except DAMAGE as error:
            raise _error(self._path, "to be readable", f"{error}") from error

    def _found_scale(self, dtype):
        if dtype == np.uint8:
            return 1.0
        low, high = math.inf, -math.inf
        for images in self._rows():
            ends = float(images.min()), float(images.max())
            if not np.isfinite(ends).all():
                raise _error(self._path, "to hold finite pixels", "NaN or infinity")
            low, high = min(low, ends[0]), max(high, ends[1])
        if low >= 0 and high <= 1 and dtype.kind in "bf":
            return 255.0
        if low >= 0 and high <= 255:
            return 1.0
        if dtype == np.uint16:
            return 1 / 257
        received = f"pixels from {low} to {high}"
        raise _error(self._path, "to hold pixels in [0, 255] or in [0, 1]", received)


def _key(path):
    """Returns the name of the array of images in an archive; `None` for an `.npy`."""
    if path.suffix.lower() == ".npy":
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGE as error:
        raise _error(path, "to be an .npz file", f"{error}") from error
    for key in _KEYS:
        if f"{key}.npy" in names:
            return f"{key}.npy"
    keys = sorted(name.removesuffix(".npy") for name in names)
    raise _error(path, "to hold `x_train` or `x`", f"keys {keys}")


def _opened(path, key):
    if key is None:
        return open(path, "rb")
    with zipfile.ZipFile(path) as archive:  # what is opened keeps the file open
        return archive.open(key)


def _header(path, file):
    """Returns shape and dtype of an array, and moves to the begin of its values."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, columns_first, dtype = read(file)
    except DAMAGE as error:
        raise _error(path, "to hold an array", f"{error}") from error
    fits = len(shape) in (3, 4) and dtype.kind in "buif" and math.prod(shape)
    if not fits or columns_first:
        order = ", columns first" if columns_first else ""
        received = f"an array of shape {shape}, dtype {dtype}{order}"
        raise _error(
            path, "to hold images of shape (n, height, width, channels)", received
        )
    return shape, dtype


def _error(path, expected, received):
    return ValueError(
        f"Expected '{path}' {expected}. Received: {received}. Write it with "
        "np.savez(path, x_train=images), pixels in [0, 255]."
    )
