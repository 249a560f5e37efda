"""A list of arrays that takes no more memory than it may."""

import collections.abc
import dataclasses
import errno
import os

import numpy as np

from keras_basisprune.data.spilling import current_spill


class SpilledList(collections.abc.Sequence):
    """A list of arrays that grows at its end, in memory or in a temporary file.

    Arrays are in memory as long as there is room (`spilling`); all others are written
    to a file, in the order in which they come, and read when they are asked for. The
    file is gone when the list is.

    `one + other` is a list of the arrays of both; nothing is copied.

    Args:
        arrays: Arrays that are in memory anyway, as parts of what a caller holds. They
            do not count.

    Example:

    >>> values = SpilledList()
    >>> values.append(np.arange(3))
    >>> values[0]
    array([0, 1, 2])
    """

    def __init__(self, arrays=()):
        self._items: list = list(arrays)
        self._room = _Room(current_spill())
        self._rooms = [self._room]  # those of all that is in the list

    def append(self, array):
        """Adds an array, which nobody may change any more."""
        size = array.nbytes
        if not self._room.in_memory(size, array.dtype):
            start = self._room.write(array)
            array = _Piece(self._room, start, array.shape, array.dtype)
        self._items.append(array)

    @property
    def shapes(self) -> list[tuple]:
        """The shapes of the arrays; nothing is read."""
        return [item.shape for item in self._items]

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        item = self._items[index]
        return item.room.read(item) if isinstance(item, _Piece) else item

    def __add__(self, other):
        both = SpilledList([*self._items, *other._items])
        both._rooms += [*self._rooms, *other._rooms]
        return both


@dataclasses.dataclass(frozen=True)
class _Piece:
    """An array in a file."""

    room: "_Room"
    start: int
    shape: tuple
    dtype: np.dtype


class _Room:
    """What the arrays of a list take, and the file that holds some of them."""

    def __init__(self, spill):
        self._spill, self._file = spill, None
        self._memory = self._disk = 0  # bytes

    def in_memory(self, size, dtype) -> bool:
        """Takes memory for an array, if there is enough, or it fits nowhere else."""
        spill = self._spill
        if size and not dtype.hasobject and spill.in_memory + size > spill.memory:
            return False
        spill.in_memory += size
        self._memory += size
        return True

    def write(self, array) -> int:
        """Writes an array; returns where."""
        start, size = self._disk, array.nbytes
        self._spill.check_room(size)
        try:
            self._file = self._file or self._spill.file()
            self._file.seek(start)
            self._file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
            self._file.flush()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._spill.full(error) from error
            raise
        self._spill.on_disk += size
        self._disk += size
        return start

    def read(self, piece) -> np.ndarray:
        """Reads an array."""
        array = np.empty(piece.shape, piece.dtype)
        rest, start = array.reshape(-1).view(np.uint8).data, piece.start
        while rest:
            count = self._read(rest, start)
            if not count:
                raise OSError("A temporary file has become shorter while it was read.")
            rest, start = rest[count:], start + count
        return array

    def _read(self, into, start) -> int:
        """Reads some bytes from a place; returns how many."""
        if hasattr(os, "preadv"):  # also if another process has the same file open
            return os.preadv(self._file.fileno(), [into], start)
        self._file.seek(start)
        return self._file.readinto(into)

    def __del__(self):
        self._spill.in_memory -= self._memory
        self._spill.on_disk -= self._disk
        if self._file is not None:
            self._file.close()
