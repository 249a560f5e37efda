"""A data set of TensorFlow Datasets as a stream."""

import numpy as np


class TfdsExamples:
    """Reads the images of a prepared data set, in the order of its files.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        split: Name of the split.
        key: Name of the image among the features.
    """

    def __init__(self, builder, split, key):
        self._builder, self._split, self._key = builder, split, key
        self.count = builder.info.splits[split].num_examples

    def read(self, skipped):
        """Yields pairs of a list with an array of one image, and no names."""
        import tensorflow_datasets as tfds

        dataset = self._builder.as_dataset(split=self._split, shuffle_files=False)
        for example in tfds.as_numpy(dataset):
            image = np.asarray(example[self._key])
            if image.dtype != np.uint8:
                image = image.astype(np.float32) / 257
            yield [image[None]], ()

    def fingerprint(self) -> str:
        """Returns the name and version of the data set, its place and split."""
        info = self._builder.info
        return f"{info.full_name} {self._builder.data_dir} {self._split} {self.count}"
