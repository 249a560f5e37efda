"""The command `evaluate`: how good a file is on images."""

import math
import os
import pathlib

import numpy as np
from rich.markup import escape

from keras_basisprune.cli._steps import print_line, read_images, read_model
from keras_basisprune.cli.check_inputs import check_inputs
from keras_basisprune.cli.image_shape import image_shape
from keras_basisprune.cli.named_metrics import named_metrics
from keras_basisprune.cli.score_outputs import score_outputs
from keras_basisprune.export.float_operations import float_operations
from keras_basisprune.export.litert_file import open_litert
from keras_basisprune.export.predict_tflite import predict_tflite
from keras_basisprune.export.read_labels import read_labels
from keras_basisprune.graph.running import predict
from keras_basisprune.search.metrics.chosen_metrics import all_custom
from keras_basisprune.search.shipped import ShippedFile

_SPLITS = ("train", "validation", "test")


def evaluate(flags, console):
    """Prints the scores of a `.keras` or `.tflite` file on images."""
    check_inputs(flags)
    metrics = named_metrics(flags)
    is_file = flags.model.endswith(".tflite")
    if is_file:
        shape = _shape_of_file(flags)
        images, labels, names = _images(flags, console, shape)
        model = ShippedFile(None, pathlib.Path(flags.model).read_bytes(), flags.workers)
    else:
        model = read_model(flags, console)
        images, labels, names = _images(flags, console, image_shape(flags, model))
    outputs = None
    if not all_custom(metrics):
        outputs = _outputs(flags, model, images)
        _check_outputs(outputs, names)
    scores = score_outputs(metrics, outputs, model, (images, labels))
    which = "images of all splits" if flags.split == "all" else f"{flags.split} images"
    lines = [f"{flags.model}: {os.path.getsize(flags.model):,} bytes"]
    for score in scores:
        line = f"  {score.name}  {_shown(score.value)} on {len(labels):,} {which} of "
        known = f" (standard error {_shown(score.error)})"
        lines.append(f"{line}{flags.data}{known * math.isfinite(score.error)}")
    if is_file:
        lines += _remarks(flags.model, names)
    if outputs is not None and outputs.shape[1] > max(len(names), 2):
        lines.append(
            f"  The model has {outputs.shape[1]:,} classes, the data have "
            f"{len(names):,}: the first of the model should be these."
        )
    for line in lines:
        print_line(line, console)


def _shown(number) -> str:
    return f"{number:.4g}" if 0 < abs(number) < 0.001 else f"{number:.4f}"


def _remarks(path, names) -> list[str]:
    """Returns what stayed in float in a file, and whether it names other classes."""
    lines, found, labels = [], float_operations(path), read_labels(path)
    if found is not None:
        listed = ", ".join(f"{name} {count}" for name, count in found.ops.items())
        lines.append(f"  in float  {found.share:.1%} of FLOPs: {listed or 'nothing'}")
    differ = [pair for pair in zip(labels, names, strict=False) if pair[0] != pair[1]]
    if differ:
        ours, theirs = differ[0]
        lines.append(
            f"  The file names other classes than the data: {ours!r} where these have "
            f"{theirs!r}. If the order is another one, the accuracy means nothing."
        )
    return lines


def _shape_of_file(flags):
    """Returns the shape of the images that a LiteRT file takes."""
    try:
        file = open_litert("--model", flags.model, flags.workers)
    except ValueError as error:
        raise ValueError(str(error).replace("`", "")) from error
    shapes = [spec.shape[1:] for spec in file.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 3 or None in shapes[0]:
        raise ValueError(
            "Expected --model to take images of shape (height, width, channels), as "
            f"--data holds them. Received: a file with inputs of the shapes {shapes}. "
            "Run it in Python: keras_basisprune.export.predict_tflite."
        )
    return shapes[0]


def _images(flags, console, shape):
    """Returns the images and labels of --split, and the names of all classes."""
    data = read_images(flags, console, shape)
    splits = _SPLITS if flags.split == "all" else (flags.split,)
    parts = [getattr(data, split) for split in splits]
    images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not len(labels):
        raise ValueError(
            f"Expected --split to name images. Received: --split={flags.split}, which "
            f"is empty in {flags.data}. Choose another one of {', '.join(_SPLITS)}."
        )
    return images, labels, data.class_names


def _outputs(flags, model, images):
    """Returns the outputs of a model or file for images."""
    if isinstance(model, ShippedFile):
        return predict_tflite(flags.model, images, workers=flags.workers)
    return predict(model, images, flags.batch_size)


def _check_outputs(outputs, names):
    """Raises unless they answer for each class, or are single numbers for two."""
    several = not isinstance(outputs, np.ndarray)
    shape = [np.shape(x) for x in outputs] if several else outputs.shape[1:]
    if several or len(shape) != 1 or not _fits(shape[0], len(names)):
        listed = escape(", ".join(map(str, names[:5])))
        raise ValueError(
            "Expected --model to have one output with a number for each of the "
            f"{len(names)} classes of --data ({listed}, ...), or one number for two. "
            f"Received: outputs of shape {shape}. Judge others by a function of your "
            "own: --metric=MODULE:NAME."
        )


def _fits(numbers, classes) -> bool:
    return numbers >= max(classes, 2) or (numbers == 1 and classes == 2)
