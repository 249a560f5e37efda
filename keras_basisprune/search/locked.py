"""Locks a folder, for one search at a time."""

import contextlib
import datetime
import json
import os
import pathlib
import platform

from keras_basisprune.utils.files import write_text
from keras_basisprune.utils.processes import from_first

_OWNER = "owner.json"


class FolderInUse(ValueError):
    """Another search is using the folder."""


@contextlib.contextmanager
def locked(folder):
    """Keeps other processes and threads from working in a folder at the same time.

    The operating system locks the file `.lock`. The lock ends with its process, however
    that ends, so nobody has to remove it. `owner.json` names the process.
    Of several processes that search together, the first holds the lock.

    Args:
        folder: The folder, which is created; `None` for no folder and no lock.

    Raises:
        FolderInUse: If another search is using the folder (a `ValueError`).
    """
    if folder is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        from_first(lambda: stack.enter_context(_locked(folder)) and None)
        yield


@contextlib.contextmanager
def _locked(folder):
    import filelock

    folder = pathlib.Path(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise FolderInUse(
            "Expected `output_dir` to be used by one search at a time. Received: "
            f"{folder}, where {_owner(folder)} is at work. Wait for it, end it, or "
            "choose another folder."
        ) from error
    try:
        write_text(folder / _OWNER, json.dumps(_ourselves()))
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / _OWNER).unlink()
        lock.release()
        if made and {path.name for path in folder.iterdir()} <= {".lock"}:
            _remove(folder, made)


def _ourselves() -> dict:
    now = datetime.datetime.now().astimezone()
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "since": now.isoformat(timespec="seconds"),
    }


def _owner(folder) -> str:
    """Returns who holds the lock, as far as it is known."""
    try:
        found = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
        return f"process {found['process']} on {found['host']} since {found['since']}"
    except (OSError, KeyError, TypeError, ValueError):
        return "another process"


def _remove(folder, made):
    """Removes the lock file and the empty folders that `locked` made."""
    with contextlib.suppress(OSError):
        (folder / ".lock").unlink()
        for path in made:
            path.rmdir()
