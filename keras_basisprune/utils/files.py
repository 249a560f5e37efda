"""Files and folders that appear whole or not at all."""

import contextlib
import fnmatch
import os
import pathlib
import re
import shutil
import tempfile

_REPLACED = "replaced"
_STAGE = re.compile(r"\.(.+)\.[a-z0-9_]{8}")  # what `mkdtemp` makes of a prefix


@contextlib.contextmanager
def staged(path):
    """Yields a path to write to, and moves what was written to `path` at the end.

    The yielded path lies in a fresh hidden folder beside `path`, so that the move is
    one rename on one file system. If the block raises, nothing is left behind: not
    the half-written file, not the parent folders made for it, and whatever stood at
    `path` before still stands there. A file never takes the place of a folder, nor a
    folder that of a file; a link stays a link, and what it points to is replaced.

    Args:
        path: The `pathlib.Path` of the file or folder that shall appear. A folder that
            stands there is replaced by a folder: whether it may be is for the caller.

    Yields:
        The `pathlib.Path` to write to; its last part is that of `path`.

    Raises:
        ValueError: If `path` is a link to nothing, or a file shall take the place of a
            folder, or a folder that of a file.
    """
    check_link(path)
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
    """Renames `new` to `path`; a folder in the way is put aside until that is done."""
    if not new.is_dir():
        if new.exists():
            check_file(path)
        os.replace(new, path)
        return
    if not path.exists():
        os.rename(new, path)
        return
    if not path.is_dir():
        raise ValueError(
            "Expected `path` to be a folder, or not to exist. "
            f"Received: {str(path)!r}, which is none. Pass another path."
        )
    os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(aside, path)
        raise


def check_file(path, argument="path"):
    """Raises `ValueError` unless a file may be written at `path`.

    That is where there is a file, a link to one, or nothing. A folder that bears the
    name of a file that is to be written is its owner's.

    Args:
        path: The `pathlib.Path` of the file.
        argument: Name of the argument that it comes from, for the message.
    """
    check_link(path, argument)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no file"
        raise ValueError(
            f"Expected `{argument}` to leave room for a file. Received: {str(path)!r}, "
            f"which is {kind} and stays as it is. Rename it, or choose another place."
        )


def check_files(folder, names, argument):
    """Raises `ValueError` unless files may be written into a folder.

    Args:
        folder: The `pathlib.Path` of the folder, which need not be there yet.
        names: The names of the files; with a `/` at the end for folders.
        argument: Name of the argument that the folder comes from, for the message.
    """
    check_link(folder, argument)
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir():
        raise ValueError(
            f"Expected `{argument}` to be a folder, or not to exist. Received: "
            f"{str(folder)!r}, where {str(there)!r} is no folder. Choose another place."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f"Expected `{argument}` to be a folder that can be written to. Received: "
            f"{str(folder)!r}; {str(there)!r} is read-only. Choose another place."
        )
    for name in names:
        path = folder / name
        if not name.endswith("/"):
            check_file(path, argument)
            continue
        check_link(path, argument)
        if path.exists() and not path.is_dir():
            raise ValueError(
                f"Expected `{argument}` to leave room for a folder. Received: "
                f"{str(path)!r}, which is no folder and stays as it is. Rename it, or "
                "choose another place."
            )


def check_link(path, argument="path"):
    """Raises `ValueError` if a `pathlib.Path` is a link to nothing."""
    if path.is_symlink() and not path.exists():
        raise ValueError(
            f"Expected `{argument}` to be no link to nothing. Received: {str(path)!r}, "
            f"a link to {os.readlink(path)!r}, which isn't there. Remove the link, or "
            "choose another place."
        )


def sweep(folder, names):
    """Removes what killed processes have left of files that were being written.

    Args:
        folder: The `pathlib.Path` of the folder, which need not be there. No one else
            may be writing these files now.
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
    """Writes a text file, whole or not at all."""
    check_file(pathlib.Path(path))
    with staged(pathlib.Path(path)) as stage:
        stage.write_text(text, encoding="utf-8")


def save_model(model, path):
    """Writes a `.keras` file, whole or not at all."""
    check_file(pathlib.Path(path))
    with staged(pathlib.Path(path)) as stage:
        model.save(stage)
