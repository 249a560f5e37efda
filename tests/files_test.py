"""Files appear whole or not at all."""

import os
import pathlib

import keras
import numpy as np
import pytest

from keras_basisprune.files import save_model, staged, write_text


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
    with pytest.raises(OSError, match="directory"):
        write_text(tmp_path / "file" / "deeper" / "text", "new")
    assert everything(tmp_path) == {"file": b"old"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_is_read_only(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
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
