"""Loads images from a built-in set, TFDS, a folder or an archive."""

import dataclasses
import os
import warnings

import numpy as np

from keras_basisprune.data.checked_image_size import checked_image_size
from keras_basisprune.data.readers.check_labels import check_labels
from keras_basisprune.data.readers.fit_image import fit_image
from keras_basisprune.data.readers.read_digits import read_digits
from keras_basisprune.data.readers.read_folder import read_folder
from keras_basisprune.data.readers.read_npz import read_npz
from keras_basisprune.data.readers.read_tfds import read_tfds
from keras_basisprune.data.readers.split_indices import SPLITS, split_indices
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Path


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ImageData:
    """Images with labels, divided into three disjoint splits.

    Each split is a pair `(images, labels)`, as `model.fit(*data.train)` takes it:
    float32 of shape `(n, height, width, channels)` in [0, 255], and int64 of shape
    `(n,)`. Its first `m` images are a stratified sample of it, for any `m`.

    `preprocess_input` of `keras.applications` writes into the float32 array that it is
    given; pass a copy: `preprocess_input(data.train[0].copy())`.

    Attributes:
        train: pair of arrays to train on.
        validation: pair of arrays to choose by; may be empty (`validation_split=0`).
        test: pair of arrays to report on; may be empty (`test_split=0`).
        class_names: tuple of str, the class of label `i` at position `i`.
        source: str, where the images are from.
        description: str, what the images are, and their licence if the source states
            one.
        skipped: tuple of str, the image files that could not be read, with reasons.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    class_names: tuple[str, ...]
    source: str
    description: str
    skipped: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Tuple `(height, width, channels)` of every image."""
        return self.train[0].shape[1:]

    def __repr__(self):
        counts = ", ".join(f"{s}={len(getattr(self, s)[1])}" for s in SPLITS)
        return (
            f"ImageData(source={self.source!r}, {counts}, "
            f"image_shape={self.image_shape}, classes={len(self.class_names)})"
        )


def load_data(
    spec: Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int = 3,
    seed: int = 0,
    validation_split: float = 0.15,
    test_split: float = 0.15,
    max_images: int | None = None,
) -> ImageData:
    """Loads images for classification into memory.

    Pixels are float32 in [0, 255] whatever the source, since that is what
    `keras.applications.*.preprocess_input` expects. A validation or test split of the
    source is used unchanged; a missing one is taken from the training images, class by
    class. The same seed gives the same splits in the same order.

    Memory: the result takes `4 * n * height * width * channels` bytes, 0.6 GB for
    1,000 images of 224 x 224 x 3, allocated once. While loading, the arrays of an
    archive or the encoded images of a TFDS data set are held in addition; of a folder,
    only one image at a time.

    Args:
        spec: what to load:
            - `"digits"`: the 1,797 handwritten digits of 8 x 8 pixels in scikit-learn
              (extra `demo`);
            - `"tfds:NAME"`: a data set of TensorFlow Datasets (extra `tfds`), from
              the folder in the environment variable `TFDS_DATA_DIR`, or downloaded;
            - the path of a folder with a sub-folder of images per class, or with such
              folders under `train` and, optionally, `validation` (`val`) and `test`.
              Unreadable images are left out with one warning that counts them;
            - the path of an `.npz` file with `x_train`, `y_train` (or `x`, `y`) and,
              optionally, `x_val`, `y_val`, `x_test`, `y_test`, `class_names`.
        image_size: `(height, width)`, or an int for squares, to resize to (bilinear,
            antialiased, without cropping, 8-bit images to whole numbers); `None`
            keeps the size, which must be the same for all images.
        channels: int; grey images are repeated to this number, RGB becomes grey for 1.
        seed: int, 0 or more.
        validation_split: float in [0, 1), the share of the training images to use for
            validation if the source has no such split; 0 leaves it empty.
        test_split: float in [0, 1), likewise for the test split.
        max_images: int, at least the number of classes, the most images per split (a
            stratified sample; a larger number only adds images); `None` for all.

    Returns:
        An `ImageData`.

    Raises:
        ImportError: a package for this source is missing; the message says which.
        OSError: a TFDS data set is not prepared and cannot be downloaded.
        ValueError: an argument, a label, a class or a pixel is not valid.

    Example:

    >>> data = load_data("digits", image_size=32)
    >>> data.train[0].shape, data.validation[0].shape, data.test[0].shape
    ((1259, 32, 32, 3), (269, 32, 32, 3), (269, 32, 32, 3))
    >>> model.fit(*data.train, validation_data=data.validation)
    """
    size = checked_image_size(image_size)
    channels = check_whole("channels", channels, 1, 2**10)
    seed = check_whole("seed", seed, 0)
    _check_shares(validation_split, test_split)
    splits, decode, names, description = _read(spec)
    labels, names = check_labels(splits, names, spec)
    if max_images is not None:
        max_images = check_whole("max_images", max_images, len(names))
    chosen = split_indices(labels, seed, validation_split, test_split, max_images)
    fit = {"size": size, "channels": channels}
    loaded, skipped, shape = {}, [], None
    for split, (pool, indices) in chosen.items():
        items = [splits[pool][0][index] for index in indices]
        images, kept = _load(items, decode, fit, shape, skipped)
        loaded[split] = images, labels[pool][indices][kept]
        shape = images.shape[1:] if len(images) else shape
    _report_skipped(skipped, spec, loaded["train"][1], names)
    return ImageData(
        **loaded,
        class_names=names,
        source=os.fspath(spec),
        description=description,
        skipped=tuple(skipped),
    )


def _read(spec):
    if isinstance(spec, str | os.PathLike):
        name = os.fspath(spec)
        if name == "digits":
            return read_digits()
        if str(name).startswith("tfds:") and name != "tfds:":
            return read_tfds(name.removeprefix("tfds:"))
        if os.path.isdir(name):
            return read_folder(name)
        if os.path.isfile(name) and str(name).lower().endswith(".npz"):
            return read_npz(name)
    named = isinstance(spec, str | os.PathLike)
    link = named and os.path.islink(spec) and not os.path.exists(spec)
    where = f"a link to {os.readlink(spec)!r}, which isn't there" if link else ""
    raise ValueError(
        "Expected `spec` to be 'digits', 'tfds:NAME', the path of a folder with a "
        "sub-folder of images per class, or the path of an .npz file. Received: "
        f"spec={spec!r}, {where or 'which is none of these'}. Check the spelling and "
        "the path."
    )


def _load(items, decode, fit, shape, skipped):
    """Loads the images of `items` into one array; also returns the readable items."""
    images, kept = None, []
    for place, item in enumerate(items):
        try:
            image = decode(item)
        except OSError as error:
            skipped.append(str(error))
            continue
        image = fit_image(image, **fit)
        shape = shape or image.shape
        if images is None:
            images = np.empty((len(items), *shape), np.float32)
        if image.shape != shape:
            where = f" ('{item}')" if isinstance(item, os.PathLike) else ""
            raise ValueError(
                "Expected images of one size where `image_size` is None. Received: "
                f"images of {shape[:2]} and of {image.shape[:2]} pixels{where}. Pass "
                "image_size=(height, width)."
            )
        images[len(kept)] = image
        kept.append(place)
    if images is None:
        images = np.empty((0, *(shape or (0, 0, fit["channels"]))), np.float32)
    return images[: len(kept)], np.array(kept, np.int64)


def _report_skipped(skipped, spec, train_labels, class_names):
    if not skipped:
        return
    lost = np.flatnonzero(np.bincount(train_labels, minlength=len(class_names)) == 0)
    if len(lost):
        raise ValueError(
            "Expected `spec` to hold readable images of every class. Received: "
            f"spec='{spec}' with no readable training image of class "
            f"'{class_names[lost[0]]}', for example {skipped[0]}. Replace the files."
        )
    warnings.warn(
        f"Unreadable images in '{spec}' that were left out: {len(skipped)}, for "
        f"example {skipped[0]}. The field `skipped` of the result names all of them.",
        stacklevel=3,
    )


def _check_shares(validation_split, test_split):
    shares = {"validation_split": validation_split, "test_split": test_split}
    for argument, share in shares.items():
        remedy = f"Pass for example {argument}=0.15."
        check_number(argument, share, "[0, 1)", "a float in [0, 1)", remedy)
    if sum(shares.values()) >= 1:
        raise ValueError(
            "Expected `validation_split` + `test_split` to be less than 1. Received: "
            f"{validation_split} + {test_split}. Leave images to train on."
        )
