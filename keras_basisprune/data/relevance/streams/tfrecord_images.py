"""Encoded images in a TFRecord file as a stream."""

import hashlib
import os
import pathlib

_KEYS = ("image", "image/encoded")


class TFRecordImages:
    """Reads the images of a file of `tf.train.Example`s, one at a time.

    Args:
        path: Path of a file whose examples hold an encoded image (JPEG, PNG, BMP or
            GIF) as `image`, as TensorFlow Datasets writes it, or as `image/encoded`.
    """

    count = None

    def __init__(self, path):
        self._path = pathlib.Path(path)

    def read(self, skipped):
        """Yields pairs of a list with an array of one image, and no names.

        Raises:
            ValueError: If the file is damaged or holds something else.
        """
        import tensorflow as tf

        features = {key: tf.io.FixedLenFeature([], tf.string, "") for key in _KEYS}
        number = 0
        try:
            for record in tf.data.TFRecordDataset(str(self._path)):
                example = tf.io.parse_single_example(record, features)
                encoded = next((example[k] for k in _KEYS if example[k] != b""), b"")
                image = tf.io.decode_image(encoded, expand_animations=False)
                yield [image.numpy()[None]], ()
                number += 1
        except tf.errors.OpError as error:
            raise ValueError(
                f"Expected '{self._path}' to be a TFRecord file of examples with an "
                f"encoded `image`. Received: an error after {number} of them "
                f"({type(error).__name__}: {str(error)[:200]}). Check the file."
            ) from error

    def fingerprint(self) -> str:
        """Returns a checksum of path, size and time of change."""
        stat = os.stat(self._path)
        text = f"{self._path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        return hashlib.sha256(text.encode()).hexdigest()
