"""Folders for files that a process needs for itself."""

import pathlib
import tempfile

_OWN: set[str] = set()


class TemporaryFolder(tempfile.TemporaryDirectory):
    """A `tempfile.TemporaryDirectory` into which every process writes.

    Of several processes that work on one model, only the first writes files elsewhere
    (`utils.files.staged`).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        _OWN.add(self.name)

    def cleanup(self):
        _OWN.discard(self.name)
        super().cleanup()


def is_temporary(path) -> bool:
    """Returns whether a path is in a `TemporaryFolder` of this process."""
    return any(str(parent) in _OWN for parent in pathlib.Path(path).parents)
