"""Data sets of TensorFlow Datasets that are made from files on this machine.

Importing this registers them: `tfds:local_shapes`, `tfds:local_depths`.
"""

import os
import pathlib

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

NAMES = ("circle", "square")
COUNTS = {"train": 30, "validation": 10, "test": 8}


def write_files(folder):
    """Writes PNG files, named by split and class, and returns their arrays.

    Returns:
        A dict by split of `(images, labels)`.
    """
    rng, found = np.random.default_rng(0), {}
    y, x = np.mgrid[:12, :12] - 5.5
    shapes = (x**2 + y**2 < 16, (abs(x) < 4) & (abs(y) < 4))
    for split, count in COUNTS.items():
        labels = np.arange(count) % 2
        images = rng.integers(0, 60, (count, 12, 12, 3)).astype("uint8")
        for number, label in enumerate(labels):
            images[number][shapes[label]] += 180
            name = f"{split}_{number:02d}_{NAMES[label]}.png"
            PIL.Image.fromarray(images[number]).save(pathlib.Path(folder) / name)
        found[split] = images, labels
    return found


class LocalShapes(tfds.core.GeneratorBasedBuilder):
    """Images of the folder that the environment variable `LOCAL_SHAPES` names."""

    VERSION = tfds.core.Version("1.2.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="all"),
        tfds.core.BuilderConfig(name="few"),
    ]

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(12, 12, 3)),
                    "label": tfds.features.ClassLabel(names=NAMES),
                }
            ),
            supervised_keys=("image", "label"),
            license="CC BY 4.0",
        )

    def _split_generators(self, manager):
        if self.builder_config.name == "few":
            return {"train": self._generate_examples("train")}
        splits = {"train": "train", "valid": "validation", "test": "test"}
        return {ours: self._generate_examples(name) for ours, name in splits.items()}

    def _generate_examples(self, split):
        for path in sorted(pathlib.Path(os.environ["LOCAL_SHAPES"]).glob("*.png")):
            if path.name.startswith(f"{split}_"):
                label = path.stem.split("_")[-1]
                yield path.name, {"name": path.name, "image": path, "label": label}


class LocalDepths(tfds.core.GeneratorBasedBuilder):
    """Grey images of 16 bits; those of the test have no labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "scan": tfds.features.Image(
                        shape=(4, 6, 1), dtype=np.uint16, encoding_format="png"
                    ),
                    "kind": tfds.features.ClassLabel(names=["near", "far"]),
                }
            ),
            supervised_keys=("scan", "kind"),
        )

    def _split_generators(self, manager):
        return {
            "train": self._generate_examples(20),
            "test": self._generate_examples(6),
        }

    def _generate_examples(self, count):
        for number in range(count):
            scan = np.full((4, 6, 1), 257 * number, "uint16")
            yield number, {"scan": scan, "kind": number % 2 if count == 20 else -1}
