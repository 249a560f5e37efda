"""How much of what is computed layer after layer is kept in memory."""

import contextlib
import contextvars
import os
import pathlib
import tempfile

from keras_basisprune.utils.check_number import check_number

MEMORY = 2**29  # bytes


class Spill:
    """Bytes that are kept in memory and in temporary files, and how many may be.

    Attributes:
        memory: The most bytes in memory.
        disk: The most bytes in temporary files; `None` for as many as there is room.
        folder: Where these files are made; `None` for Python's temporary folder.
        in_memory: Bytes that are kept in memory now.
        on_disk: Bytes that are in files now.
    """

    def __init__(self, memory=MEMORY, disk=None, folder=None):
        self.memory, self.disk, self.folder = memory, disk, folder
        self.in_memory = self.on_disk = 0

    def file(self):
        """Opens a file without a name: it is gone as soon as nobody holds it open."""
        return tempfile.TemporaryFile(dir=self.folder)

    def check_room(self, count):
        """Raises a `ValueError` if so many more bytes may not be in files."""
        if self.disk is not None and self.on_disk + count > self.disk:
            raise ValueError(
                "Expected values of all layers to fit into `disk`. Received: disk="
                f"{self.disk:,.0f} bytes, of which {self.on_disk:,} are taken, and "
                f"{count:,} more. Pass fewer samples, or allow more by "
                "`keras_basisprune.data.spilling(disk=...)`."
            )

    def full(self, error) -> OSError:
        """Returns the error for a disk without room."""
        where = self.folder or tempfile.gettempdir()
        return OSError(
            error.errno,
            f"{os.strerror(error.errno)}: values of layers that don't fit into memory "
            f"are kept in {where}, {self.on_disk:,} bytes so far. Pass fewer samples, "
            "or name another folder by `keras_basisprune.data.spilling(folder=...)`",
        )


_ALWAYS = Spill()
_CURRENT: contextvars.ContextVar[Spill | None] = contextvars.ContextVar(
    "spill", default=None
)


def current_spill() -> Spill:
    """Returns the `Spill` that holds here."""
    return _CURRENT.get() or _ALWAYS


@contextlib.contextmanager
def spilling(
    *,
    memory: float = MEMORY,
    disk: float | None = None,
    folder: str | os.PathLike | None = None,
):
    """Says how much memory layers that are fitted one after the other may take.

    `compensate`, `convert(basis="regression")`, `sensitivity` and `recalibrate` fit a
    layer on all samples before the next one is computed, so what the layers to come
    read has to be kept for all samples. Beyond `memory`, that goes to temporary files.
    They have no name: they vanish with the process too, however it ends. So memory does
    not grow with the number of samples; disk space does, by the largest maps of one
    or two layers.

    Args:
        memory: Bytes of such values that are kept in memory. Less is hardly slower.
        disk: Bytes that may be in files at one time, or `None` for as many as there is
            room.
        folder: Where the files are made, or `None` for Python's temporary folder.

    Returns:
        A context manager. It holds for this thread.

    Raises:
        ValueError: If a number is negative, `folder` is no folder, or, when layers are
            fitted, more than `disk` bytes are needed.

    Example:

    >>> with keras_basisprune.data.spilling(memory=2**27, folder="/scratch"):
    ...     small = keras_basisprune.compensate(model, plan, dataset)
    """
    remedy = "It is in bytes: pass 2**30 for a GiB."
    memory = check_number("memory", memory, "[0, inf)", "a number >= 0", remedy)
    if disk is not None:
        disk = check_number("disk", disk, "[0, inf)", "None or a number >= 0", remedy)
    if folder is not None and not pathlib.Path(folder).is_dir():
        raise ValueError(
            "Expected `folder` to be a folder. Received: "
            f"folder={str(folder)!r}. Make it first, or leave it out."
        )
    token = _CURRENT.set(Spill(memory, disk, folder))
    try:
        yield
    finally:
        _CURRENT.reset(token)
