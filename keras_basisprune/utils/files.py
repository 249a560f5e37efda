"""Writes files and folders that appear complete or not at all."""

import contextlib
import fnmatch
import os
import pathlib
import re
import shutil
import tempfile

from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.processes import alone, is_first_process
from keras_basisprune.utils.temporary_folder import is_temporary

_REPLACED = "replaced"
_STAGE = re.compile(r"\.(.+)\.[a-z0-9_]{8}")  # names that `mkdtemp` makes of a prefix


@contextlib.contextmanager
def staged(path):
    """Yields a path to write to, and moves what was written to `path` at the end.

    The yielded path is in a new hidden folder beside `path`, so that the move is one
    rename on one file system. If the block raises, nothing is left behind, neither the
    half-written file nor the parent folders created for it, and `path` is unchanged. A
    file never replaces a folder, nor a folder a file. If `path` is a link, its target
    is replaced. Of several processes that work on one model, only the first writes; the
    others write into a temporary folder, unless `path` is in a `TemporaryFolder`.

    Args:
        path: The `pathlib.Path` of the file or folder to write. A folder there is
            replaced by a folder; the caller decides whether it may be.

    Yields:
        The `pathlib.Path` to write to; its last part is that of `path`.

    Raises:
        ValueError: If `path` can't be written to or is a broken link, or if a file
            would replace a folder, or a folder a file.
    """
    if not (is_first_process() or is_temporary(path)):
        with tempfile.TemporaryDirectory() as elsewhere:
            yield pathlib.Path(elsewhere) / pathlib.Path(path).name
        return
    path = check_path("path", path, "either")
    place = path.resolve() if path.is_symlink() else path
    made = [parent for parent in place.parents if not parent.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    stage = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=place.parent))
    try:
        yield stage / path.name
        _move(stage / path.name, place, aside=stage / _REPLACED)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise
    shutil.rmtree(stage, ignore_errors=True)


def _move(new, path, aside):
    """Renames `new` to `path`; an existing folder is put aside until that is done."""
    if not new.is_dir():
        if new.exists():
            check_path("path", path, "file")
        os.replace(new, path)
        return
    if not path.exists():
        os.rename(new, path)
        return
    check_path("path", path, "folder")
    os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(aside, path)
        raise


def sweep(folder, names):
    """Removes unfinished files of killed processes.

    Args:
        folder: The `pathlib.Path` of the folder, which need not exist. No other process
            may be writing these files.
        names: Patterns of the names of files and folders that `staged` wrote there.
    """
    for path in folder.glob(".*"):
        found = _STAGE.fullmatch(path.name)
        name = found and found[1]
        if not name or not any(fnmatch.fnmatchcase(name, known) for known in names):
            continue
        ours = path.is_dir() and not path.is_symlink()
        if not ours or set(os.listdir(path)) - {name, _REPLACED}:
            continue
        if (path / _REPLACED).exists() and not os.path.lexists(folder / name):
            os.rename(path / _REPLACED, folder / name)  # killed between two renames
        shutil.rmtree(path, ignore_errors=True)


def write_text(path, text):
    """Writes a text file, complete or not at all."""
    with staged(check_path("path", path, "file")) as stage:
        stage.write_text(text, encoding="utf-8")


def save_model(model, path):
    """Writes a `.keras` file, complete or not at all."""
    with staged(check_path("path", path, "file")) as stage, alone():
        model.save(stage)
