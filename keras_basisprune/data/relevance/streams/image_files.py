"""A folder of image files as a stream."""

import hashlib
import os
import pathlib

from keras_basisprune.data.readers.decode_image import decode_image


class ImageFiles:
    """Reads image files, one at a time, in the order of their names.

    Args:
        root: Path of the folder.
        names: Tuple of str, paths of the files relative to `root`, with `/`.
    """

    def __init__(self, root, names):
        self._root, self._names = pathlib.Path(root), names
        self.count = len(names)

    def read(self, skipped):
        """Yields pairs of a list with an array of one image, and its name."""
        for name in self._names:
            try:
                image = self.image(name)
            except OSError as error:
                skipped.append(str(error))
                continue
            yield [image[None]], (name,)

    def image(self, name):
        """Returns the image of one file, of shape `(height, width, channels)`.

        Raises:
            OSError: If it can't be read.
        """
        image = decode_image(self._root / name)
        return image[..., None] if image.ndim == 2 else image

    def part(self, start, stop):
        """Returns a stream of some of the files."""
        return ImageFiles(self._root, self._names[start:stop])

    def fingerprint(self) -> str:
        """Returns a checksum of names, sizes and times of change."""
        found = hashlib.sha256()
        for name in self._names:
            try:
                stat = os.stat(self._root / name)
            except OSError:
                continue
            found.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return found.hexdigest()
