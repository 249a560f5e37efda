"""Divides a source into parts that workers can read by themselves."""

import dataclasses
import os
from typing import Any

from keras_basisprune.data.relevance.streams.open_stream import open_stream


@dataclasses.dataclass(frozen=True)
class Shard:
    """A part of a source.

    Attributes:
        number: Integer, its position among the shards.
        stream: What reads it; can be pickled.
        prefix: Text to put before names.
    """

    number: int
    stream: Any
    prefix: str = ""


def shards_of(source, encoder, size) -> list[Shard]:
    """Returns the shards of a source, in its order.

    Args:
        source: A path, or a list of paths, as for `select_relevant_on_beam`.
        encoder: The `keras.Model` that will read it.
        size: Integer, images per shard. TFRecord files are not divided.

    Raises:
        ValueError: If `source` is something else.
    """
    paths = [source] if isinstance(source, str | os.PathLike) else source
    named = isinstance(paths, list | tuple) and paths
    if not named or not all(isinstance(path, str | os.PathLike) for path in paths):
        raise ValueError(
            "Expected `source` to be a path, or a list of paths, of folders of images "
            "or of .npz, .npy or .tfrecord files that every worker can read. Received: "
            f"{type(source).__name__}. Write arrays by `numpy.save`."
        )
    found = []
    for path in paths:
        stream = open_stream("source", path, encoder)
        prefix = f"{os.fspath(path)}/" if len(paths) > 1 else ""
        parts = [stream]
        if hasattr(stream, "part"):
            starts = range(0, stream.count, size)
            parts = [stream.part(start, start + size) for start in starts]
        found += [Shard(len(found) + i, part, prefix) for i, part in enumerate(parts)]
    return found
