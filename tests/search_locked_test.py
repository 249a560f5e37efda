"""One search at a time in a folder, whoever dies."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from keras_basisprune.search.locked import locked
from keras_basisprune.search.resume_note import resume_note

HERE = pathlib.Path(__file__).resolve().parent
WORKER = """
import sys, time
from keras_basisprune.search.locked import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_search_is_refused_while_the_first_is_at_work(tmp_path):
    with locked(tmp_path / "state"):
        owner = json.loads((tmp_path / "state" / "owner.json").read_text())
        assert owner["process"] == os.getpid()
        text = rf"`output_dir` to be used by one .*state, where process {os.getpid()} "
        with pytest.raises(ValueError, match=text), locked(tmp_path / "state"):
            raise AssertionError
        with locked(tmp_path / "other"):
            pass
        assert json.loads((tmp_path / "state" / "owner.json").read_text()) == owner
    with locked(tmp_path / "state"):
        pass


def test_another_thread_is_refused(tmp_path):
    found = []

    def work():
        try:
            with locked(tmp_path):
                found.append("locked")
        except ValueError as error:
            found.append(str(error))

    def once():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    with locked(tmp_path):
        once()
    once()
    assert "is at work" in found[0]
    assert found[1] == "locked"


def test_a_folder_in_which_nothing_was_done_is_not_left_behind(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "a" / "state"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError), locked(tmp_path / "a" / "state"):
        (tmp_path / "a" / "state" / "state.json").write_text("{}")
        raise KeyError
    names = {path.name for path in (tmp_path / "a" / "state").iterdir()}
    assert names == {".lock", "state.json"}
    with locked(None):
        pass


def test_the_lock_of_a_killed_process_is_none(tmp_path):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    try:
        assert worker.stdout.readline() == "locked\n"
        text = f"process {worker.pid} on .* is at work"
        with pytest.raises(ValueError, match=text), locked(tmp_path):
            raise AssertionError
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    left = json.loads((tmp_path / "owner.json").read_text())
    assert left["process"] == worker.pid  # what a process of another kind may bear now
    with locked(tmp_path):
        now = json.loads((tmp_path / "owner.json").read_text())
        assert now["process"] == os.getpid()
    (tmp_path / "owner.json").write_text('{"process": 1')
    with locked(tmp_path), pytest.raises(ValueError, match="is at work"):
        with locked(tmp_path):
            raise AssertionError


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("out/state", "continues where it stopped: state in out/state"),
        (None, "kept"),
    ],
)
def test_an_interrupt_says_whether_the_call_goes_on(folder, text):
    with pytest.raises(KeyboardInterrupt) as stop, resume_note(folder):
        raise KeyboardInterrupt
    (note,) = stop.value.__notes__
    assert text in note
