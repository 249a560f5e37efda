"""What the inputs and outputs of a `.tflite` file mean, inside of it."""

import pathlib

from keras_basisprune.export._insert_buffer import insert_buffer
from keras_basisprune.export._metadata_buffer import TensorInfo, metadata_buffer
from keras_basisprune.export.add_labels import LABELS
from keras_basisprune.export.reading.metadata import METADATA
from keras_basisprune.export.reading.operations import open_file, subgraphs
from keras_basisprune.export.takes_pixels import takes_pixels


def add_metadata(path, labels, model, specs):
    """Writes TFLite metadata into a file that `add_labels` will be called for.

    Images among the inputs are described by their colours and sizes, and, where the
    model normalizes them itself, by the range of their pixels; outputs with a number
    for each class refer to the file of labels. Standard tools (MediaPipe, Android
    Studio) read this. The model itself remains as it is. Nothing is written into files
    beyond 2 GB.

    Args:
        path: The path of the file, which is changed.
        labels: The names of the classes.
        model: The `keras.Model` that the file was made from.
        specs: The list of `keras.InputSpec` of its inputs, see `fixed_specs`.
    """
    path = pathlib.Path(path)
    file = open_file(path)
    graph, pixels = next(iter(subgraphs(file))), takes_pixels(model)
    pairs = zip(model.inputs, specs, strict=True)
    raw = {
        spec.name
        for tensor, spec in pairs
        if tensor.name in pixels or str(spec.dtype) == "uint8"
    }
    inputs = [
        TensorInfo(name, _image(shape), name in raw and _image(shape) is not None)
        for name, shape in _tensors(file, graph, "Inputs")
    ]
    outputs = [
        TensorInfo(name, labels=LABELS if _has_place(shape, labels) else None)
        for name, shape in _tensors(file, graph, "Outputs")
    ]
    files = [] if any(info.labels for info in outputs) else [LABELS]
    data = metadata_buffer(model.name, inputs, outputs, files)
    content = insert_buffer(path.read_bytes(), METADATA, data)
    if content is not None:
        path.write_bytes(content)


def _tensors(file, graph, what) -> list[tuple]:
    """Returns name and shape of the inputs or outputs, in the order of the file."""
    signature = file.SignatureDefs(0)
    names = {}
    for at in range(getattr(signature, f"{what}Length")()):
        entry = getattr(signature, what)(at)
        names[entry.TensorIndex()] = entry.Name().decode()
    found = []
    for at in range(getattr(graph, f"{what}Length")()):
        index = getattr(graph, what)(at)
        tensor = graph.Tensors(index)
        shape = tensor.ShapeAsNumpy().tolist() if tensor.ShapeLength() else []
        if tensor.ShapeSignatureLength():
            shape = tensor.ShapeSignatureAsNumpy().tolist()
        sizes = tuple(size if size > 0 else None for size in shape)
        found.append((names.get(index) or tensor.Name().decode(), sizes))
    return found


def _image(shape) -> tuple | None:
    """Returns height, width and channels of images; `None` for others."""
    return shape[1:] if len(shape) == 4 and shape[-1] in (1, 3) else None


def _has_place(shape, labels) -> bool:
    return len(shape) > 1 and shape[-1] == len(labels)
