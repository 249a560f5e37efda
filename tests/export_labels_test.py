"""Names of classes inside `.tflite` files."""

import zipfile

import keras
import numpy as np
import pytest
from by_interpreter import outputs

import keras_basisprune as kbp
from keras_basisprune.export import predict_tflite, read_labels

NAMES = ("Katze", "собака", "bird & <b>", "a, b")
X = np.random.default_rng(0).standard_normal((9, 5)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])


@pytest.mark.parametrize("form", ["float32", "float16", "int8"])
def test_labels_stand_in_the_file_and_the_file_still_runs(model, tmp_path, form):
    paths = [tmp_path / name for name in ("with.tflite", "without.tflite")]
    options = {"quantization": form, "representative_data": X, "tolerance": None}
    record = kbp.export_tflite(model, paths[0], labels=NAMES, **options)
    kbp.export_tflite(model, paths[1], **options)
    assert read_labels(paths[0]) == NAMES
    assert read_labels(str(paths[1])) == ()
    np.testing.assert_array_equal(outputs(paths[0], X), outputs(paths[1], X))
    np.testing.assert_array_equal(
        predict_tflite(paths[0], X, verbose=0), outputs(paths[0], X)
    )
    content = [path.read_bytes() for path in paths]
    assert content[0].startswith(content[1])  # the model itself is unchanged
    assert record.bytes == len(content[0])
    assert kbp.measure.latency(paths[0], runs=1).litert[1].runs == 1
    with zipfile.ZipFile(paths[0]) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.testzip() is None
    kbp.export_tflite(model, paths[1], labels=list(NAMES), **options)
    assert paths[1].read_bytes() == content[0]  # whenever it is written


def test_one_sigmoid_has_two_classes(tmp_path):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, "sigmoid")])
    kbp.export_tflite(model, tmp_path / "a.tflite", labels=["no", "yes"])
    assert read_labels(tmp_path / "a.tflite") == ("no", "yes")


def test_maps_of_classes(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(3, 1)])
    kbp.export_tflite(model, tmp_path / "a.tflite", labels=["sky", "road", "car"])
    assert read_labels(tmp_path / "a.tflite") == ("sky", "road", "car")


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (NAMES[:3], "`labels` to hold a name for each class of an output.*3 names"),
        ([], r"`labels` to hold the names.*labels=\[\]"),
        ("Bird", "`labels` to hold the names of the classes, strings of one line"),
        (["a", "b", "c", ""], "strings of one line each"),
        (["a", "b", "c", "d\r"], "strings of one line each"),
        ([1, 2, 3, 4], "strings of one line each"),
        (7, "labels=7"),
    ],
)
def test_what_is_no_list_of_names(model, tmp_path, labels, text):
    with pytest.raises(ValueError, match=text):
        kbp.export_tflite(model, tmp_path / "a.tflite", labels=labels)
    assert not (tmp_path / "a.tflite").exists()


def test_other_files_have_no_labels(tmp_path):
    with pytest.raises(ValueError, match="`path` to be an existing"):
        read_labels(tmp_path / "a.tflite")
    (tmp_path / "a.tflite").write_bytes(b"no zip")
    assert read_labels(tmp_path / "a.tflite") == ()
    with zipfile.ZipFile(tmp_path / "a.tflite", "a") as archive:
        archive.writestr("other.txt", "a\n")
    assert read_labels(tmp_path / "a.tflite") == ()
