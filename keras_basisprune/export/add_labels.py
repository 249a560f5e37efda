"""Names of classes inside a `.tflite` file."""

import zipfile

import keras

from keras_basisprune.utils.shown import shown

LABELS = "labels.txt"


def add_labels(path, labels):
    """Appends the names of classes to a `.tflite` file, one per line.

    They are the file `labels.txt`, which TFLite metadata call an associated file (see
    `add_metadata`), in a zip archive behind the model: runtimes ignore it, and `unzip`
    or any zip library reads it from the file.

    Args:
        path: The path of the file, which is changed.
        labels: The names, in the order of the outputs.
    """
    # A fixed date, so that the same network gives the same bytes.
    entry = zipfile.ZipInfo(LABELS, date_time=(1980, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "".join(f"{label}\n" for label in labels))


def check_labels(argument, labels, model) -> tuple[str, ...] | None:
    """Raises `ValueError` unless labels name the classes of one output of a model.

    Args:
        argument: Name of the argument that they come from, for the message.
        labels: What should be a sequence of strings of one line, or `None`.
        model: The `keras.Model`.

    Returns:
        A tuple of the names, or `None`.
    """
    if labels is None:
        return None
    fits = not isinstance(labels, str | bytes) and hasattr(labels, "__iter__")
    names = tuple(labels) if fits else ()
    if not names or not all(_is_line(name) for name in names):
        raise ValueError(
            f"Expected `{argument}` to hold the names of the classes, strings of one "
            f"line each. Received: {argument}={shown(labels)}. Pass "
            "('cat', 'dog'), say."
        )
    outputs = [tensor.shape for tensor in keras.tree.flatten(model.outputs)]
    sizes = {shape[-1] for shape in outputs if len(shape) > 1}
    if len(names) not in sizes and not (len(names) == 2 and 1 in sizes):
        raise ValueError(
            f"Expected `{argument}` to hold a name for each class of an output. "
            f"Received: {len(names)} names for outputs of the shapes {outputs}. Pass "
            "them in the order of the outputs."
        )
    return tuple(map(str, names))


def _is_line(name) -> bool:
    return isinstance(name, str) and name.strip() != "" and name.splitlines() == [name]
