"""What a `BeamSource` refuses, before anything is read or written."""

import sys

import keras
import numpy as np
import pytest

import keras_basisprune as kbp


def test_arguments_are_checked_at_the_start(tmp_path):
    pytest.importorskip("apache_beam")
    (tmp_path / "file").write_bytes(b"")
    for given, told in (
        ({"shard_size": 0}, "`shard_size`"),
        ({"retries": -1}, "`retries`"),
        ({"image_size": 0}, "`image_size`"),
        ({"options": 3}, "`options` to be `PipelineOptions`"),
        ({"work_dir": tmp_path / "file"}, "`work_dir` to leave room for a folder"),
    ):
        given = {"source": "photos", "work_dir": tmp_path / "work", **given}
        with pytest.raises(ValueError, match=told):
            kbp.data.BeamSource(**given)
    assert not (tmp_path / "work").exists()


def test_without_beam_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r'pip install "keras-basisprune\[beam\]"'):
        kbp.data.BeamSource("photos", work_dir=tmp_path / "work")


def test_functions_that_need_the_samples_name_it(tmp_path):
    pytest.importorskip("apache_beam")
    np.save(tmp_path / "images.npy", np.zeros((3, 6, 6, 3), np.uint8))
    source = kbp.data.BeamSource(tmp_path / "images.npy", work_dir=tmp_path / "work")
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    for function in (
        kbp.sensitivity,
        kbp.surgery.recalibrate,
        kbp.scores.channels.activation,
    ):
        with pytest.raises(ValueError, match="`data` to .*BeamSource"):
            function(model, data=source)
    assert not (tmp_path / "work").exists()
