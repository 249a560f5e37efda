"""Data sets of TensorFlow Datasets, prepared by it from files of this machine."""

import json
import os

import keras
import numpy as np
import pytest
from command_lines import run

import keras_basisprune as kbp
from keras_basisprune.data import load_data

pytest.importorskip("tensorflow_datasets")
import local_builders  # noqa: E402  # registers the data sets


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The folder of prepared data sets, and the arrays that were written to files."""
    files, folder = (tmp_path_factory.mktemp(name) for name in ("files", "tfds"))
    patch = pytest.MonkeyPatch()
    patch.setenv("LOCAL_SHAPES", str(files))
    patch.setenv("TFDS_DATA_DIR", str(folder))
    yield folder, local_builders.write_files(files)
    patch.undo()


def by_pixels(images, labels):
    """The pairs of images and labels in an order that doesn't depend on theirs."""
    return sorted(
        (image.astype("uint8").tobytes(), int(label))
        for image, label in zip(images, labels, strict=True)
    )


@pytest.mark.parametrize(
    "name", ["local_shapes", "local_shapes/all", "local_shapes/all:1.2.0"]
)
def test_a_builder_is_prepared_by_its_name(stored, name):
    folder, expected = stored
    data = load_data(f"tfds:{name}")
    assert (folder / "local_shapes" / "all" / "1.2.0" / "dataset_info.json").is_file()
    assert data.class_names == local_builders.NAMES
    assert data.source == f"tfds:{name}"
    assert data.description == (
        "local_shapes/all/1.2.0 of TensorFlow Datasets; CC BY 4.0"
    )
    for split, pair in expected.items():
        found = getattr(data, split)
        assert found[0].dtype == "float32"
        assert by_pixels(*found) == by_pixels(*pair)


def test_splits_that_a_builder_lacks_are_taken_from_its_only_one(stored):
    _, expected = stored
    data = load_data("tfds:local_shapes/few", validation_split=0.2, test_split=0.2)
    parts = data.train, data.validation, data.test
    assert [len(part[1]) for part in parts] == [18, 6, 6]
    together = (np.concatenate(part) for part in zip(*parts, strict=True))
    assert by_pixels(*together) == by_pixels(*expected["train"])


def test_sixteen_bits_and_hidden_labels(stored):
    data = load_data("tfds:local_depths", channels=1, validation_split=0.2)
    parts = data.train, data.validation, data.test
    assert [len(part[1]) for part in parts] == [12, 4, 4]
    images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    assert sorted(images[:, 0, 0, 0]) == list(range(20))  # 257 * n of 65,535
    np.testing.assert_array_equal(images[:, 0, 0, 0].astype(int) % 2, labels)
    assert (images == images[:, :1, :1]).all()
    assert data.description.endswith("no licence is stated")


def test_images_are_fitted(stored):
    _, expected = stored
    data = load_data("tfds:local_shapes", image_size=6, channels=1, max_images=4)
    assert data.train[0].shape == (4, 6, 6, 1)
    assert sorted(data.train[1]) == [0, 0, 1, 1]
    means = expected["train"][0].mean((1, 2, 3))
    assert means.min() - 5 < data.train[0].mean() < means.max() + 5


def test_a_builder_that_fails_says_what_to_do(stored, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("LOCAL_SHAPES")
    with pytest.raises(OSError, match="is prepared or can be.*LOCAL_SHAPES.*TFDS_DATA"):
        load_data("tfds:local_shapes")
    with pytest.raises(ValueError, match="spec='tfds:local_shapes/none'"):
        load_data("tfds:local_shapes/none")


def test_class_names_travel_to_report_and_files(stored, tmp_path, capsys):
    _, expected = stored
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(16, 3, activation="relu", name="conv1")(x)
    x = keras.layers.Conv2D(16, 3, activation="relu", name="conv2")(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(*expected["train"], epochs=15, verbose=0)
    model.save(tmp_path / "shapes.keras")
    out = tmp_path / "out"
    words = (f"--model={tmp_path / 'shapes.keras'}", "--data=tfds:local_shapes")
    code, _, err = run(
        capsys,
        "compress",
        *words,
        f"--output_dir={out}",
        "--methods=channels",
        "--max_drop=0.2",
        "--rounds=1",
        "--ship=int8",
        "--formats=float32",
    )
    assert code == 0, err
    report = json.loads((out / "report.json").read_text())
    assert report["class_names"] == list(local_builders.NAMES)
    counts = {name: len(pair[1]) for name, pair in expected.items()}
    assert report["data"] == {"name": "tfds:local_shapes", **counts}
    assert '<th scope="row">circle</th>' in (out / "report.html").read_text()
    for name in ("small_int8", "small_float32", "original_int8"):
        path = out / f"{name}.tflite"
        assert kbp.export.read_labels(path) == local_builders.NAMES
    code, said, err = run(
        capsys,
        "evaluate",
        f"--model={out / 'small_int8.tflite'}",
        "--data=tfds:local_shapes",
        "--split=validation",
    )
    assert code == 0, err
    rows = {(row["model"], row["form"]): row["score"] for row in report["forms"]}
    assert f"accuracy  {rows['small', 'int8']:.4f} on 10 validation images" in said
    assert os.path.getsize(out / "small_int8.tflite") > 0
