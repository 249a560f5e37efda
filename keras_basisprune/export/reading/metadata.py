"""Reads the TFLite metadata of a `.tflite` file."""

import dataclasses

import numpy as np

from keras_basisprune.export.reading.operations import open_file

METADATA = "TFLITE_METADATA"  # the name of its buffer
_IMAGE = 2  # of ContentProperties
_AXIS_LABELS = 2  # of AssociatedFileType
_COLORS = {1: "RGB", 2: "GRAYSCALE"}  # of ColorSpaceType
_NORMALIZATION = 1  # of ProcessUnitOptions


@dataclasses.dataclass(frozen=True)
class TensorMetadata:
    """What a file says of an input or output.

    Attributes:
        name: Its name.
        color: `"RGB"`, `"GRAYSCALE"`, or `None` for what is no image.
        size: `(height, width)` of an image; `None` if it is not said.
        normalization: `(mean, standard deviation)` by which pixels are to be
            normalized, tuples of a number for all or for each channel; `None` if it is
            not said.
        labels: Names of the files with names for the places of an axis.
    """

    name: str
    color: str | None
    size: tuple[int, int] | None
    normalization: tuple[tuple, tuple] | None
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a file says of itself.

    Attributes:
        name: Name of the model.
        inputs: Tuple of `TensorMetadata`, in the order of the file.
        outputs: The same.
        files: Names of associated files that belong to no tensor.
    """

    name: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    files: tuple[str, ...]


def read_metadata(path) -> Metadata | None:
    """Returns the TFLite metadata of a file; `None` if there are none.

    Args:
        path: The path of the file.
    """
    model = open_file(path)
    for at in range(model.MetadataLength()):
        entry = model.Metadata(at)
        if (entry.Name() or b"").decode() == METADATA:
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return _metadata(_Table.root(bytes(data)))
    return None


class _Table:
    """A table of a flatbuffer, read by the numbers of its fields."""

    def __init__(self, data, place):
        from flatbuffers.table import Table

        self._table, self._data = Table(data, place), data

    @classmethod
    def root(cls, data):
        return cls(data, int.from_bytes(data[:4], "little"))

    def _at(self, field) -> int:
        offset = self._table.Offset(4 + 2 * field)
        return offset and offset + self._table.Pos

    def number(self, field, dtype="uint8") -> int:
        at = self._at(field)
        return int(np.frombuffer(self._data, dtype, 1, at)[0]) if at else 0

    def text(self, field) -> str:
        at = self._at(field)
        return self._table.String(at).decode() if at else ""

    def table(self, field):
        at = self._at(field)
        return _Table(self._data, self._table.Indirect(at)) if at else None

    def tables(self, field) -> list:
        first, count = self._vector(field)
        places = [self._table.Indirect(first + 4 * i) for i in range(count)]
        return [_Table(self._data, place) for place in places]

    def floats(self, field) -> tuple:
        first, count = self._vector(field)
        return tuple(np.frombuffer(self._data, "float32", count, first).tolist())

    def _vector(self, field) -> tuple[int, int]:
        offset = self._table.Offset(4 + 2 * field)
        if not offset:
            return 0, 0
        return self._table.Vector(offset), self._table.VectorLen(offset)


def _metadata(root) -> Metadata:
    graph = (root.tables(3) or [None])[0]
    inputs, outputs = (
        tuple(map(_tensor, graph.tables(field))) if graph else () for field in (2, 3)
    )
    files = tuple(one.text(0) for one in root.tables(6))
    return Metadata(root.text(0), inputs, outputs, files)


def _tensor(table) -> TensorMetadata:
    content, color, size = table.table(3), None, None
    if content is not None and content.number(0) == _IMAGE:
        properties = content.table(1)
        color = _COLORS.get(properties.number(0))
        sizes = properties.table(1)
        if sizes is not None:
            size = sizes.number(1, "uint32"), sizes.number(0, "uint32")
    normalization = None
    for unit in table.tables(4):
        if unit.number(0) == _NORMALIZATION:
            options = unit.table(1)
            normalization = options.floats(0), options.floats(1)
    labels = [one.text(0) for one in table.tables(6) if one.number(2) == _AXIS_LABELS]
    return TensorMetadata(table.text(0), color, size, normalization, tuple(labels))
