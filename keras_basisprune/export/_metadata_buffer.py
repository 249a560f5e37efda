"""Writes TFLite metadata: what the inputs and outputs of a file mean.

The tables are those of `metadata_schema.fbs` (tensorflow/tflite-support, 1.5.0), by the
numbers of their fields. Only what this package knows is written, all of which readers
have understood since version 1.0.0.
"""

import dataclasses

import numpy as np

IDENTIFIER = b"M001"
_PARSER = "1.0.0"
_AXIS_LABELS, _UNKNOWN = 2, 0  # of AssociatedFileType
_IMAGE, _FEATURES = 2, 1  # of ContentProperties
_NORMALIZATION = 1  # of ProcessUnitOptions
_COLORS = {3: 1, 1: 2}  # of ColorSpaceType, by channels: RGB and GRAYSCALE


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """What is known of an input or output.

    Attributes:
        name: Its name in the signature of the file.
        image: `(height, width, channels)` of an image, of which the sizes may be
            `None`; `None` for another tensor.
        pixels: Whether the model takes pixels of 0 to 255 and normalizes them itself.
        labels: Name of the associated file with a name for each place of the last
            axis, or `None`.
    """

    name: str
    image: tuple | None = None
    pixels: bool = False
    labels: str | None = None


def metadata_buffer(name, inputs, outputs, files) -> bytes:
    """Returns the metadata of a model.

    Args:
        name: Its name.
        inputs: List of `TensorInfo`, in the order of the file.
        outputs: The same.
        files: Names of associated files that belong to no axis of an output.
    """
    import flatbuffers

    build = flatbuffers.Builder(1024)
    groups = [
        _several(build, [_tensor(build, one) for one in x]) for x in (inputs, outputs)
    ]
    graph = _table(build, 10, offsets={2: groups[0], 3: groups[1]})
    graphs = _several(build, [graph])
    others = [_file(build, one, _UNKNOWN) for one in files]
    texts = {0: build.CreateString(name), 7: build.CreateString(_PARSER)}
    own = {6: _several(build, others)} if others else {}
    root = _table(build, 8, offsets={**texts, 3: graphs, **own})
    build.Finish(root, IDENTIFIER)
    return bytes(build.Output())


def _tensor(build, info) -> int:
    """Writes a TensorMetadata."""
    parts = {0: build.CreateString(info.name), 3: _content(build, info)}
    if info.pixels:
        numbers = [_floats(build, value) for value in (0.0, 1.0)]  # mean, deviation
        options = _table(build, 2, offsets={0: numbers[0], 1: numbers[1]})
        unit = _table(build, 2, small={0: _NORMALIZATION}, offsets={1: options})
        parts[4] = _several(build, [unit])
        ends = [_floats(build, value) for value in (255.0, 0.0)]  # largest, smallest
        parts[5] = _table(build, 2, offsets={0: ends[0], 1: ends[1]})
    if info.labels:
        parts[6] = _several(build, [_file(build, info.labels, _AXIS_LABELS)])
    return _table(build, 7, offsets=parts)


def _content(build, info) -> int:
    if info.image is None:
        kind, properties = _FEATURES, _table(build, 0)
    else:
        height, width, channels = info.image
        size = {}
        if height and width:
            size[1] = _table(build, 2, whole={0: width, 1: height})
        color = {0: _COLORS[channels]}
        kind, properties = _IMAGE, _table(build, 2, small=color, offsets=size)
    return _table(build, 3, small={0: kind}, offsets={1: properties})


def _file(build, name, kind) -> int:
    """Writes an AssociatedFile."""
    return _table(build, 5, offsets={0: build.CreateString(name)}, small={2: kind})


def _floats(build, value) -> int:
    return build.CreateNumpyVector(np.array([value], "float32"))


def _several(build, tables) -> int:
    """Writes a vector of tables."""
    build.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        build.PrependUOffsetTRelative(table)
    return build.EndVector()


def _table(build, fields, *, offsets=None, whole=None, small=None) -> int:
    """Writes a table.

    Args:
        build: A `flatbuffers.Builder`.
        fields: How many fields it has in the schema.
        offsets: Dict by the number of a field of what was written before.
        whole: The same of unsigned integers of 32 bits.
        small: The same of those of 8 bits.
    """
    build.StartObject(fields)
    for field, value in (offsets or {}).items():
        build.PrependUOffsetTRelativeSlot(field, value, 0)
    for field, value in (whole or {}).items():
        build.PrependUint32Slot(field, value, 0)
    for field, value in (small or {}).items():
        build.PrependUint8Slot(field, value, 0)
    return build.EndObject()
