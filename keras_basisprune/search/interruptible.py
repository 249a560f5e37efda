"""Says whether an interrupted search can go on."""

import contextlib


@contextlib.contextmanager
def interruptible(folder):
    """Adds a note to a `KeyboardInterrupt`: whether the same call goes on from there.

    Args:
        folder: The folder of the search's state, or `None`.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        if folder is None:
            note = "Nothing was kept. With an `output_dir`, the same call could go on."
        else:
            note = f"The same call goes on where it was, from the state in {folder}."
        stop.add_note(note)
        raise
