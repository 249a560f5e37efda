import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_basisprune.export import export_saved_model


def net(dtype=None):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, activation="relu", dtype=dtype)(inputs)
    x = keras.layers.DepthwiseConv2D(3, dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Dense(5, dtype=dtype)(x))


def test_loaded_folder_equals_keras(tmp_path):
    model, path = net(), tmp_path / "deep" / "folder"
    record = export_saved_model(model, path)
    data = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype("float32")
    loaded = tf.saved_model.load(str(path))
    np.testing.assert_allclose(
        loaded.serve(data).numpy(), model.predict(data, verbose=0), rtol=0, atol=1e-6
    )
    files = [file for file in path.rglob("*") if file.is_file()]
    assert record.files == len(files)
    assert record.bytes == sum(file.stat().st_size for file in files)
    assert record.max_relative_difference < 1e-6
    assert record.samples == 32
    assert "SavedModel" in str(record)
    assert [entry.name for entry in path.parent.iterdir()] == ["folder"]


def test_several_inputs_and_outputs_keep_their_names(tmp_path):
    first, second = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    model = keras.Model(
        {"b": first, "a": second},
        {"z": keras.layers.Dense(2)(first), "y": keras.layers.Dense(4)(second)},
    )
    data = {"a": np.ones((2, 3), "float32"), "b": np.zeros((2, 3), "float32")}
    record = export_saved_model(model, tmp_path / "a", samples=data)
    assert record.samples == 2 and record.max_abs_difference < 1e-6
    loaded = tf.saved_model.load(str(tmp_path / "a"))
    outputs = loaded.serve(data)
    np.testing.assert_allclose(outputs["y"], model(data)["y"], atol=1e-6)
    assert outputs["z"].shape == (2, 2)


def test_half_precision_is_kept(tmp_path):
    record = export_saved_model(net("mixed_float16"), tmp_path / "a")
    assert record.max_relative_difference < 2e-2


def test_open_spatial_dimensions_need_samples(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    with pytest.raises(ValueError, match="Expected `samples` for a model whose input"):
        export_saved_model(model, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    record = export_saved_model(model, tmp_path / "a", samples=np.ones((2, 9, 7, 3)))
    assert record.max_relative_difference < 1e-6


def test_existing_folder_is_only_replaced_on_demand(tmp_path):
    path, model = tmp_path / "a", net()
    export_saved_model(model, path)
    before = (path / "saved_model.pb").stat().st_mtime_ns
    (path / "mark").write_text("old")
    with pytest.raises(ValueError, match="overwrite=True replaces it"):
        export_saved_model(model, path)
    assert (path / "mark").read_text() == "old"
    assert (path / "saved_model.pb").stat().st_mtime_ns == before
    record = export_saved_model(model, path, overwrite=True)
    assert not (path / "mark").exists()
    assert record.max_relative_difference < 1e-6
    assert list(tmp_path.iterdir()) == [path]


def test_other_folders_and_files_are_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    with pytest.raises(ValueError, match="no SavedModel and is never replaced"):
        export_saved_model(net(), tmp_path / "photos", overwrite=True)
    with pytest.raises(
        ValueError, match="leave room for a folder.*no folder and stays"
    ):
        export_saved_model(net(), tmp_path / "photos" / "one.jpg", overwrite=True)
    assert (tmp_path / "photos" / "one.jpg").read_text() == "x"


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "a").mkdir()
    record = export_saved_model(net(), tmp_path / "a")
    assert (tmp_path / "a" / "saved_model.pb").is_file()
    assert record.bytes > 1000


def test_refused_export_leaves_things_as_they_were(tmp_path):
    model, path = net(), tmp_path / "a"
    export_saved_model(model, path)
    names = sorted(file.name for file in path.rglob("*"))
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([np.full(w.shape, 1e30) for w in layer.weights])
    with pytest.raises(ValueError, match="Expected the SavedModel to agree"):
        export_saved_model(model, path, overwrite=True)
    with pytest.raises(ValueError, match="Expected the SavedModel to agree"):
        export_saved_model(model, tmp_path / "b" / "c")
    assert sorted(file.name for file in path.rglob("*")) == names
    assert list(tmp_path.iterdir()) == [path]
