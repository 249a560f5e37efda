"""Files and folders that appear whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def staged(path):
    """Yields a path to write to, and moves what was written to `path` at the end.

    The yielded path lies in a fresh hidden folder beside `path`, so that the move is
    one rename on one file system. If the block raises, nothing is left behind: not
    the half-written file, not the parent folders made for it, and whatever stood at
    `path` before still stands there.

    Args:
        path: The `pathlib.Path` of the file or folder that shall appear.

    Yields:
        The `pathlib.Path` to write to; its last part is that of `path`.
    """
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    stage = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield stage / path.name
        _move(stage / path.name, path, aside=stage / "replaced")
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise
    shutil.rmtree(stage, ignore_errors=True)


def _move(new, path, aside):
    """Renames `new` to `path`; a folder in the way is put aside until that is done."""
    if not path.is_dir():
        os.replace(new, path)
        return
    os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(aside, path)
        raise


def write_text(path, text):
    """Writes a text file, whole or not at all."""
    with staged(pathlib.Path(path)) as stage:
        stage.write_text(text, encoding="utf-8")


def save_model(model, path):
    """Writes a `.keras` file, whole or not at all."""
    with staged(pathlib.Path(path)) as stage:
        model.save(stage)
