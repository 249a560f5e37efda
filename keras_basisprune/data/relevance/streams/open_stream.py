"""Finds the right way to read data."""

import os
import pathlib

import keras
import numpy as np

from keras_basisprune.data.readers.list_images import class_folders, list_images
from keras_basisprune.data.readers.read_digits import read_digits
from keras_basisprune.data.readers.read_tfds import prepared_builder
from keras_basisprune.data.relevance.streams.array_rows import ArrayRows
from keras_basisprune.data.relevance.streams.batch_stream import BatchStream
from keras_basisprune.data.relevance.streams.image_files import ImageFiles
from keras_basisprune.data.relevance.streams.npz_rows import NpzRows
from keras_basisprune.data.relevance.streams.tfds_examples import TfdsExamples
from keras_basisprune.data.relevance.streams.tfrecord_images import TFRecordImages
from keras_basisprune.data.sources import ImageData
from keras_basisprune.utils.shown import shown


def open_stream(argument, data, encoder):
    """Returns a stream of data (see `streams`).

    Args:
        argument: Name of the argument, for messages.
        data: As for `select_relevant`.
        encoder: The `keras.Model` that will read it.

    Returns:
        A stream.

    Raises:
        ValueError: If the data are of none of these kinds, empty, or known to be
            endless.
    """
    if isinstance(data, str | os.PathLike):
        return _named(argument, os.fspath(data))
    if isinstance(data, ImageData):
        data = data.train
    if hasattr(data, "as_dataset") and hasattr(data, "info"):
        return TfdsExamples(data, *_split_and_key(argument, data))
    model, specs = _inputs(encoder, data)
    arrays = _arrays(model, data)
    if arrays is None:
        if hasattr(data, "__iter__") or isinstance(data, keras.utils.PyDataset):
            return BatchStream(argument, model, specs, data)
        raise _refusal(argument, shown(data))
    lengths = [len(array) for array in arrays]
    if 0 in lengths or len(set(lengths)) > 1:
        raise ValueError(
            f"Expected `{argument}` to hold samples, as many in each array. Received: "
            f"arrays of the lengths {lengths}. Pass arrays of one length."
        )
    if len(specs[0].shape) == 4 and arrays[0].ndim == 3 and arrays[0].shape[-1] < 5:
        raise ValueError(
            f"Expected `{argument}` to hold several images. Received: an array of "
            f"shape {tuple(arrays[0].shape)}. Pass one of shape (n, height, width, "
            "channels)."
        )
    return ArrayRows(argument, specs, arrays)


def first_arrays(stream):
    """Returns the first arrays of a stream, which can be read as a whole afterwards.

    Raises:
        ValueError: If nothing of it can be read.
    """
    if isinstance(stream, BatchStream):
        return stream.peek()
    skipped = []
    pairs = stream.read(skipped)
    for arrays, _ in pairs:
        pairs.close()
        return arrays
    first = f", for example {skipped[0]}" if skipped else ""
    raise ValueError(
        f"Expected `target` to hold at least one image. Received: {len(skipped)} that "
        f"can't be read{first}. Check the data."
    )


def takes_images(encoder) -> bool:
    """Returns whether a model has one input of images (or doesn't say)."""
    inputs = getattr(encoder, "inputs", None)
    return not inputs or (len(inputs) == 1 and len(inputs[0].shape) == 4)


def _named(argument, name):
    if name == "digits":
        splits, decode, *_ = read_digits()
        images = decode(splits["train"][0])[..., None]
        return ArrayRows(argument, [_ANY_IMAGES], [images])
    if name.startswith("tfds:") and name != "tfds:":
        builder = prepared_builder(name.removeprefix("tfds:"))
        return TfdsExamples(builder, *_split_and_key(argument, builder))
    path = pathlib.Path(name)
    if path.is_dir():
        return ImageFiles(path, _image_names(argument, path))
    if path.is_file() and path.suffix.lower() in (".npz", ".npy"):
        return NpzRows(path)
    if path.is_file() and ".tfrecord" in path.name.lower():
        return TFRecordImages(path)
    raise _refusal(argument, repr(name))


def _image_names(argument, root):
    """Returns the images of a folder, or of its train folder, relative to it."""
    home = root
    if (root / "train").is_dir() and class_folders(root / "train"):
        home = root / "train"
    found = set(list_images(home, argument))
    for folder in class_folders(home):  # which may be links
        found.update(list_images(home / folder, argument))
    if not found:
        raise ValueError(
            f"Expected `{argument}` to be a folder of images. Received: '{root}', "
            "without image files in it or in the folders below. Check the path."
        )
    return tuple(sorted(path.relative_to(root).as_posix() for path in found))


def _split_and_key(argument, builder):
    """Returns the split of a data set to train on, and the name of its image."""
    splits, features = builder.info.splits, builder.info.features
    keys = [key for key, feature in features.items() if len(feature.shape or ()) == 3]
    if not splits or not keys:
        raise ValueError(
            f"Expected `{argument}` to be a prepared data set of images. Received: "
            f"{builder.info.full_name} with the splits {sorted(splits)} and the "
            f"features {sorted(features)}. Call `download_and_prepare()` first."
        )
    split = "train" if "train" in splits else next(iter(splits))
    return split, "image" if "image" in keys else keys[0]


_ANY_IMAGES = keras.InputSpec(shape=(None, None, None, None))


class _Inputs:
    """Stands for a model without known inputs."""

    inputs = input = (keras.KerasTensor((None, None, None, None), name="images"),)


def _inputs(encoder, data):
    """Returns what has the inputs of a model, and their specs, images of any size."""
    if takes_images(encoder):
        known = getattr(encoder, "inputs", None)
        return (encoder if known else _Inputs), [_ANY_IMAGES]
    return encoder, [
        keras.InputSpec(shape=t.shape, dtype=t.dtype, name=t.name)
        for t in encoder.inputs
    ]


def _arrays(model, data):
    """Returns a list with one array per input; `None` if data are something else."""
    wanted = len(model.inputs)
    if isinstance(data, tuple) and not (_all_arrays(data) and len(data) == wanted):
        data = data[0] if 1 <= len(data) <= 3 else data
    if isinstance(data, dict):
        names = [tensor.name for tensor in model.inputs]
        if wanted > 1 and set(data) == set(names):
            data = [data[name] for name in names]
        elif wanted == 1 and "image" in data:
            data = [data["image"]]
        else:
            data = list(data.values())
    if _is_array(data):
        data = [data]
    if isinstance(data, tuple | list) and len(data) == wanted and _all_arrays(data):
        return [
            array if hasattr(array, "ndim") else np.asarray(array) for array in data
        ]
    return None


def _all_arrays(data) -> bool:
    return all(map(_is_array, data))


def _is_array(data) -> bool:
    shape = getattr(data, "shape", None)
    return hasattr(data, "dtype") and shape is not None and len(shape) > 0


def _refusal(argument, received):
    return ValueError(
        f"Expected `{argument}` to be arrays, a dataset, a `keras.utils.PyDataset`, a "
        "data set of TensorFlow Datasets or 'tfds:NAME', the path of a folder of "
        "images or of an .npz, .npy or .tfrecord file, or 'digits'. Received: "
        f"{argument}={received}. "
        "Check its kind, or the path."
    )
