"""Puts a named buffer into a `.tflite` file without touching what is in it."""

_ALIGNMENT = 16  # of the buffers of a file
_LARGEST = 2**31 - 2**20  # bytes that offsets reach
_KNOWN = 10  # fields of the table Model; the first is a number, the others are offsets
_BUFFERS, _METADATA = 4, 6  # their numbers


def insert_buffer(content, name, data) -> bytes | None:
    """Adds a buffer to a file, under a name in the model's metadata.

    In a flatbuffer all offsets point forward. So a new root, whose lists of buffers and
    of metadata are longer by one, is written in front of the file, and the file stands
    behind it as it was, weights and their alignment included.

    Time and memory grow with the size of the file.

    Args:
        content: Bytes of the file, without anything behind the flatbuffer.
        name: The name.
        data: Bytes.

    Returns:
        The bytes of the new file; `None` for a file that is too large, or of a kind
        that can't be extended so.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = content + bytes(-len(content) % _ALIGNMENT)
    model = schema.Model.GetRootAs(content, 0)
    root = model._tab
    if len(content) + len(data) > _LARGEST or _is_spread(model):
        return None
    build = flatbuffers.Builder(len(content) + len(data) + 2**16)
    build.Prep(_ALIGNMENT, 0)
    build.CreateByteVector(content)  # ends the new file

    def behind(place):
        """Where something in the old file is, as the builder counts: from the end."""
        return len(content) - place

    def tables(field):
        """The tables of a list of the old root."""
        at = root.Offset(4 + 2 * field)
        if not at:
            return []
        first, count = root.Vector(at), root.VectorLen(at)
        return [behind(root.Indirect(first + 4 * i)) for i in range(count)]

    buffers, metadata = tables(_BUFFERS), tables(_METADATA)
    build.Prep(_ALIGNMENT, len(data))
    held = build.CreateByteVector(data)
    schema.BufferStart(build)
    schema.BufferAddData(build, held)
    added = schema.BufferEnd(build)
    label = build.CreateString(name)
    schema.MetadataStart(build)
    schema.MetadataAddName(build, label)
    schema.MetadataAddBuffer(build, len(buffers))
    entry = schema.MetadataEnd(build)
    lists = {
        _BUFFERS: _vector(build, [*buffers, added]),
        _METADATA: _vector(build, [*metadata, entry]),
    }
    build.StartObject(_KNOWN)
    build.PrependUint32Slot(0, model.Version(), 0)
    for field in range(1, _KNOWN):
        at = root.Offset(4 + 2 * field)
        old = behind(root.Indirect(root.Pos + at)) if at else 0
        build.PrependUOffsetTRelativeSlot(field, lists.get(field, old), 0)
    build.Finish(build.EndObject(), b"TFL3")
    return bytes(build.Output())


def _is_spread(model) -> bool:
    """Returns whether weights stand outside the flatbuffer, or fields are unknown."""
    root = model._tab
    vtable = root.Pos - root.Get(_signed(), root.Pos)
    size = int.from_bytes(root.Bytes[vtable : vtable + 2], "little")
    unknown = any(root.Offset(at) for at in range(4 + 2 * _KNOWN, size, 2))
    buffers = map(model.Buffers, range(model.BuffersLength()))
    return unknown or any(buffer.Offset() > 1 for buffer in buffers)


def _signed():
    from flatbuffers import number_types

    return number_types.SOffsetTFlags


def _vector(build, tables) -> int:
    build.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        build.PrependUOffsetTRelative(table)
    return build.EndVector()
