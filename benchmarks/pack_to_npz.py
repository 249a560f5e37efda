"""Turns a pack of JPEGs into the `.npz` that `keras_basisprune.load_data` reads.

A pack is an xz-compressed `.npz` with `blob` (all JPEG files one after the other),
`off` (where each begins), `y` (labels), `split` (0 train, 1 validation, 2 test) and
`classes`; or `x_train`, `y_train`, `x_test`, `y_test` as arrays. `--per_class` is the
number of training images to keep of each class. `--validation` is the number of further
images of each class for validation. With `--validation_from=test` these are removed
from the test images: for networks that were trained on all training images.

    python -m benchmarks.pack_to_npz --pack=eurosat_64_13k.npz.xz \\
        --per_class=400 --output=eurosat.npz
"""

import io
import lzma
import os

import numpy as np
from absl import app, flags
from PIL import Image

_PACK = flags.DEFINE_string("pack", None, "The pack.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The .npz to write.", required=True)
_PER_CLASS = flags.DEFINE_integer("per_class", None, "Training images per class.")
_VALIDATION = flags.DEFINE_integer("validation", 0, "Validation images per class.")
_FROM = flags.DEFINE_enum("validation_from", "train", ["train", "test"], "Of which.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the choice.")

_SPLITS = {"train": 0, "val": 1, "test": 2}


def read_pack(path, per_class=None, seed=0) -> dict[str, np.ndarray]:
    """Reads a pack.

    Args:
        path: Path of the `.npz.xz` file.
        per_class: Integer, training images to keep per class; `None` for all.
        seed: Integer, seed of that choice.

    Returns:
        A dict of `x_train` (uint8, NHWC), `y_train`, and the same for `val` and
        `test` where the pack has them, and `class_names`.
    """
    rng = np.random.default_rng(seed)
    with np.load(io.BytesIO(lzma.open(path).read())) as pack:
        if "x_train" in pack:
            return _arrays(pack, per_class, rng)
        blob, offsets, labels = pack["blob"], pack["off"], pack["y"]
        split, names = pack["split"], pack["classes"]
    arrays = {"class_names": np.array([str(name) for name in names])}
    for part, code in _SPLITS.items():
        chosen = np.flatnonzero(split == code)
        if part == "train" and per_class:
            chosen = chosen[_some_of_each(labels[chosen], per_class, rng)]
        if chosen.size:
            files = (blob[offsets[i] : offsets[i + 1]].tobytes() for i in chosen)
            images = np.stack([np.asarray(Image.open(io.BytesIO(f))) for f in files])
            arrays[f"x_{part}"] = images.reshape((*images.shape[:3], -1))
            arrays[f"y_{part}"] = labels[chosen].astype(np.int64)
    return arrays


def _arrays(pack, per_class, rng):
    """Reads a pack of arrays; grey images get an axis for their channel."""
    arrays = {}
    for part in ("train", "test"):
        images, labels = pack[f"x_{part}"], pack[f"y_{part}"].astype(np.int64)
        if part == "train" and per_class:
            chosen = _some_of_each(labels, per_class, rng)
            images, labels = images[chosen], labels[chosen]
        arrays[f"x_{part}"] = images.reshape((*images.shape[:3], -1))
        arrays[f"y_{part}"] = labels
    return arrays


def _some_of_each(labels, per_class, rng):
    """Returns positions of a number of random images of each class."""
    groups = [np.flatnonzero(labels == k) for k in range(labels.max() + 1)]
    return np.concatenate([rng.permutation(g)[:per_class] for g in groups])


def split_off(arrays, part, count, seed):
    """Moves a number of images of each class from one part to the validation images."""
    labels = arrays[f"y_{part}"]
    rng = np.random.default_rng((seed, 1))
    chosen = np.sort(_some_of_each(labels, count, rng))
    rest = np.setdiff1d(np.arange(len(labels)), chosen)
    for axis in "xy":
        whole = arrays[f"{axis}_{part}"]
        arrays |= {f"{axis}_val": whole[chosen], f"{axis}_{part}": whole[rest]}


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    count, per_class = _VALIDATION.value, _PER_CLASS.value
    if per_class and _FROM.value == "train":
        per_class += count
    arrays = read_pack(_PACK.value, per_class, _SEED.value)
    if count:
        split_off(arrays, _FROM.value, count, _SEED.value)
    draft = f"{_OUTPUT.value}.part.npz"
    np.savez(draft, **arrays)
    os.replace(draft, _OUTPUT.value)
    for name, array in arrays.items():
        print(f"{name}: {array.dtype} {array.shape}")


if __name__ == "__main__":
    app.run(main)
