"""Files appear whole or not at all."""

import os
import pathlib

import keras
import numpy as np
import pytest

from keras_basisprune.utils.check_path import check_paths
from keras_basisprune.utils.files import (
    save_model,
    staged,
    sweep,
    write_text,
)


class Stop(Exception):
    """What a block raises."""


def everything(folder):
    """Maps the paths of all files below a folder to their bytes."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        found[name] = path.read_bytes() if path.is_file() else None
    return found


def write_folder(stage, text):
    (stage / "variables").mkdir(parents=True)
    (stage / "variables" / "data").write_text(text)


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_appears_at_the_end(tmp_path, before):
    path = tmp_path / "file.txt"
    if before:
        path.write_text(before)
    with staged(path) as stage:
        assert stage.name == "file.txt"
        assert stage.parent.parent == tmp_path
        assert stage.parent.name.startswith(".file.txt.")
        assert not stage.exists()
        stage.write_text("new")
        assert (path.read_text() if before else path.exists()) == (before or False)
    assert everything(tmp_path) == {"file.txt": b"new"}


@pytest.mark.parametrize("before", [None, "old"])
def test_a_folder_appears_at_the_end(tmp_path, before):
    path = tmp_path / "model"
    if before:
        write_folder(path, before)
        (path / "assets").mkdir()
    with staged(path) as stage:
        write_folder(stage, "new")
    found = {"model": None, "model/variables": None, "model/variables/data": b"new"}
    assert everything(tmp_path) == found


def test_parents_are_made(tmp_path):
    with staged(tmp_path / "a" / "b" / "file") as stage:
        stage.write_text("new")
    assert everything(tmp_path) == {"a": None, "a/b": None, "a/b/file": b"new"}


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_nothing_is_left_of_a_block_that_raises(tmp_path, error):
    (tmp_path / "file").write_text("old")
    write_folder(tmp_path / "model", "old")
    (tmp_path / "a").mkdir()
    before = everything(tmp_path)
    for name in ("file", "a/b/c/file", "b/file"):
        with pytest.raises(error), staged(tmp_path / name) as stage:
            stage.write_text("half")
            raise error
        assert everything(tmp_path) == before
    with pytest.raises(error), staged(tmp_path / "model") as stage:
        write_folder(stage, "half")
        raise error
    assert everything(tmp_path) == before


def test_a_parent_that_others_have_used_stays(tmp_path):
    with pytest.raises(Stop), staged(tmp_path / "a" / "b" / "file"):
        (tmp_path / "a" / "other").write_text("mine")
        raise Stop
    assert everything(tmp_path) == {"a": None, "a/other": b"mine"}


@pytest.mark.parametrize("name", ["file", "model", "new/file"])
def test_a_block_that_writes_nothing_is_an_error(tmp_path, name):
    (tmp_path / "file").write_text("old")
    write_folder(tmp_path / "model", "old")
    before = everything(tmp_path)
    with pytest.raises(FileNotFoundError), staged(tmp_path / name):
        pass
    assert everything(tmp_path) == before


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(ValueError, match="`path` to be in a folder.*is no folder"):
        write_text(tmp_path / "file" / "deeper" / "text", "new")
    assert everything(tmp_path) == {"file": b"old"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_is_read_only(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ValueError, match="can't be written to"):
        write_text(tmp_path / "locked" / "text", "new")
    assert everything(tmp_path) == {"locked": None}


def test_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "one"), pathlib.Path("two"), "a/three"):
        write_text(path, "first")
        write_text(path, "1 – ü\n")
    text = "1 – ü\n".encode()
    expected = {"one": text, "two": text, "a": None, "a/three": text}
    assert everything(tmp_path) == expected


def test_text_that_can_not_be_written(tmp_path):
    write_text(tmp_path / "text", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "text", "half \ud800")
    assert everything(tmp_path) == {"text": b"old"}


def test_models(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    path = tmp_path / "a" / "model.keras"
    for scale in (1, 2):
        model.set_weights([np.full(w.shape, scale) for w in model.weights])
        save_model(model, str(path))
    assert sorted(everything(tmp_path)) == ["a", "a/model.keras"]
    again = keras.models.load_model(path)
    for old, new in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_models_that_can_not_be_saved(tmp_path):
    class Broken(keras.layers.Layer):
        def call(self, inputs):
            return inputs

        def get_config(self):
            raise Stop

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Broken()])
    (tmp_path / "old.keras").write_text("old")
    for name in ("old.keras", "a/new.keras"):
        with pytest.raises(Stop):
            save_model(model, tmp_path / name)
        assert everything(tmp_path) == {"old.keras": b"old"}


def mine(folder):
    """A folder of the user's."""
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "thesis.txt").write_text("years of work")


class TestFoldersOfTheUser:
    def test_a_file_never_takes_the_place_of_a_folder(self, tmp_path):
        mine(tmp_path / "report.html")
        (tmp_path / "empty").mkdir()
        before = everything(tmp_path)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        for name in ("report.html", "empty"):
            text = f"`path` to leave room for a file.*{name}', which is a folder"
            with pytest.raises(ValueError, match=text):
                write_text(tmp_path / name, "new")
            with pytest.raises(ValueError, match=text):
                save_model(model, tmp_path / name)
            with pytest.raises(ValueError, match=text), staged(tmp_path / name) as new:
                new.write_text("new")
            assert everything(tmp_path) == before

    def test_a_folder_that_appears_meanwhile_stays(self, tmp_path):
        with (
            pytest.raises(ValueError, match="which is a folder and stays"),
            staged(tmp_path / "file") as stage,
        ):
            stage.write_text("new")
            mine(tmp_path / "file")
        found = everything(tmp_path)
        assert found.pop("file/mine/thesis.txt") == b"years of work"
        assert found == {"file": None, "file/mine": None}

    def test_a_folder_never_takes_the_place_of_a_file(self, tmp_path):
        (tmp_path / "model").write_text("mine")
        with (
            pytest.raises(ValueError, match="`path` to leave room for a folder"),
            staged(tmp_path / "model") as stage,
        ):
            write_folder(stage, "new")
        assert everything(tmp_path) == {"model": b"mine"}

    def test_what_is_neither_file_nor_folder_stays(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="which is no file and stays as it is"):
            write_text(tmp_path / "pipe", "new")
        assert (tmp_path / "pipe").is_fifo()

    def test_rooms_are_checked_at_once(self, tmp_path):
        mine(tmp_path / "a" / "small.keras")
        (tmp_path / "a" / "state").write_text("mine")
        (tmp_path / "file").write_text("mine")
        before = everything(tmp_path)
        for folder, names, text in (
            ("a", ["b", "small.keras"], r"`dir` to leave room for a file.*a folder"),
            ("a", ["b", "state/"], r"`dir` to leave room for a folder.*state"),
            (
                "file",
                ["b"],
                r"`dir` to leave room for a folder.*file', which is no folder",
            ),
            ("file/deeper", ["b"], "`dir` to be in a folder.*file' is no folder"),
        ):
            with pytest.raises(ValueError, match=text):
                check_paths("dir", tmp_path / folder, names)
        check_paths("dir", tmp_path / "a", ["b", "c/", "small.keras/"])
        check_paths("dir", tmp_path / "new" / "deeper", ["b", "c/"])
        assert everything(tmp_path) == before

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_is_read_only(self, tmp_path):
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(ValueError, match="`dir` to be where files can be written"):
            check_paths("dir", tmp_path / "locked" / "out", ["a"])


class TestLinks:
    def test_a_link_stays_and_its_file_is_replaced(self, tmp_path):
        (tmp_path / "far").mkdir()
        (tmp_path / "far" / "file").write_text("old")
        (tmp_path / "link.txt").symlink_to(tmp_path / "far" / "file")
        write_text(tmp_path / "link.txt", "new")
        assert (tmp_path / "link.txt").is_symlink()
        assert everything(tmp_path / "far") == {"file": b"new"}
        assert sorted(everything(tmp_path)) == ["far", "far/file", "link.txt"]

    def test_a_link_to_a_folder_is_refused_for_a_file(self, tmp_path):
        mine(tmp_path / "far")
        (tmp_path / "report.html").symlink_to(tmp_path / "far")
        before = everything(tmp_path)
        with pytest.raises(ValueError, match="which is a folder and stays as it is"):
            write_text(tmp_path / "report.html", "new")
        assert everything(tmp_path) == before
        assert (tmp_path / "report.html").is_symlink()

    def test_a_link_to_a_folder_stays_for_a_folder(self, tmp_path):
        write_folder(tmp_path / "far", "old")
        (tmp_path / "model").symlink_to(tmp_path / "far")
        with staged(tmp_path / "model") as stage:
            write_folder(stage, "new")
        assert (tmp_path / "model").is_symlink()
        assert (tmp_path / "far" / "variables" / "data").read_text() == "new"

    @pytest.mark.parametrize("target", ["nowhere", "file"])
    def test_a_link_to_nothing_or_to_itself_is_refused(self, tmp_path, target):
        (tmp_path / "file").symlink_to(tmp_path / target)
        with pytest.raises(ValueError, match="`path` to be no link to nothing"):
            write_text(tmp_path / "file", "new")
        with pytest.raises(ValueError, match="`dir` to be no link to nothing"):
            check_paths("dir", tmp_path, ["file"])
        with pytest.raises(ValueError, match="`dir` to be no link to nothing"):
            check_paths("dir", tmp_path / "file", ["a"])
        assert os.readlink(tmp_path / "file") == str(tmp_path / target)
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


class TestSweep:
    def test_it_removes_what_is_ours_alone(self, tmp_path):
        for name in ("a.keras", "b.keras", "state.json"):
            (tmp_path / f".{name}.abcd_123").mkdir()
            (tmp_path / f".{name}.abcd_123" / name).write_text("half")
        ours = everything(tmp_path)
        (tmp_path / "a.keras").write_text("whole")
        mine(tmp_path / ".a.keras.abcdefgh")  # ours by name, not by what is in it
        mine(tmp_path / ".notes.abcdefgh")
        mine(tmp_path / "far")
        (tmp_path / ".b.keras.12345678").symlink_to(tmp_path / "far")
        (tmp_path / ".b.keras.file5678").write_text("mine")
        (tmp_path / ".b.keras.backup").mkdir()
        theirs = {k: v for k, v in everything(tmp_path).items() if k not in ours}
        sweep(tmp_path, ("*.keras", "state.json"))
        assert everything(tmp_path) == theirs
        sweep(tmp_path / "nowhere", ("*.keras",))

    def test_what_was_put_aside_comes_back(self, tmp_path):
        """A kill between the two renames of a folder."""
        stage = tmp_path / ".model.abcd1234"
        write_folder(stage / "model", "new")
        write_folder(stage / "replaced", "old")
        sweep(tmp_path, ("model",))
        assert (tmp_path / "model" / "variables" / "data").read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
