"""Says whether an interrupted search can continue."""

import contextlib


@contextlib.contextmanager
def resume_note(folder):
    """Adds a note to a `KeyboardInterrupt`: whether the same call can continue.

    Args:
        folder: The folder of the search's state, or `None`.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        if folder is None:
            note = "No state was kept. With an `output_dir`, the call could be resumed."
        else:
            note = f"The same call continues where it stopped: state in {folder}."
        stop.add_note(note)
        raise
