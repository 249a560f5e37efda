"""Turns a pack of JPEGs into the `.npz` that `keras_basisprune.load_data` reads.

A pack is an xz-compressed `.npz` with `blob` (all JPEG files one after the other),
`off` (where each begins), `y` (labels), `split` (0 train, 1 validation, 2 test) and
`classes`. `--per_class` keeps so many training images of each class.

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
    with np.load(io.BytesIO(lzma.open(path).read())) as pack:
        blob, offsets, labels = pack["blob"], pack["off"], pack["y"]
        split, names = pack["split"], pack["classes"]
    rng = np.random.default_rng(seed)
    arrays = {"class_names": np.array([str(name) for name in names])}
    for part, code in _SPLITS.items():
        chosen = np.flatnonzero(split == code)
        if part == "train" and per_class:
            groups = [chosen[labels[chosen] == k] for k in range(len(names))]
            chosen = np.concatenate([rng.permutation(g)[:per_class] for g in groups])
        if chosen.size:
            files = (blob[offsets[i] : offsets[i + 1]].tobytes() for i in chosen)
            images = np.stack([np.asarray(Image.open(io.BytesIO(f))) for f in files])
            arrays[f"x_{part}"] = images.reshape((*images.shape[:3], -1))
            arrays[f"y_{part}"] = labels[chosen].astype(np.int64)
    return arrays


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    arrays = read_pack(_PACK.value, _PER_CLASS.value, _SEED.value)
    draft = f"{_OUTPUT.value}.part.npz"
    np.savez(draft, **arrays)
    os.replace(draft, _OUTPUT.value)
    for name, array in arrays.items():
        print(f"{name}: {array.dtype} {array.shape}")


if __name__ == "__main__":
    app.run(main)
