"""Names of classes inside `.tflite` files."""

import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from by_interpreter import outputs

import keras_basisprune as kbp
from keras_basisprune.export import predict_tflite, read_labels
from keras_basisprune.export._insert_buffer import insert_buffer
from keras_basisprune.export._metadata_buffer import TensorInfo, metadata_buffer
from keras_basisprune.export.reading.metadata import METADATA, read_metadata

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
    assert content[1] in content[0]  # the model itself is unchanged
    assert (content[0].index(content[1])) % 16 == 0  # and so is its alignment
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
    found = read_metadata(tmp_path / "a.tflite")  # of no axis: it has one place
    assert (found.files, found.outputs[0].labels) == (("labels.txt",), ())


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


def preprocessed(kind):
    """A network of images that takes pixels, or numbers that were scaled before."""
    inputs = keras.Input((8, 6, 3), name="photo")
    x = {
        "rescaling": keras.layers.Rescaling(1 / 127.5, -1),
        "resnet": keras.applications.resnet.preprocess_input,
        "mobilenet": keras.applications.mobilenet.preprocess_input,
        "scaled": lambda x: x,
        "halved": lambda x: x / 2 - 0.5,
    }[kind](inputs)
    x = keras.layers.Conv2D(4, 3)(x)
    heads = {
        "kind": keras.layers.Dense(4, "softmax")(keras.layers.Flatten()(x)),
        "box": keras.layers.Dense(3)(keras.layers.Flatten()(x)),
    }
    return keras.Model(inputs, heads, name=f"from_{kind}")


@pytest.mark.parametrize(
    ("kind", "form", "pixels"),
    [
        ("rescaling", "int8", True),
        ("resnet", "float32", True),
        ("mobilenet", "float16", True),
        ("scaled", "float32", False),
        ("halved", "float32", False),
    ],
)
def test_metadata_say_what_inputs_and_outputs_are(tmp_path, kind, form, pixels):
    model, path = preprocessed(kind), tmp_path / "a.tflite"
    images = np.random.default_rng(1).uniform(0, 255, (9, 8, 6, 3)).astype("float32")
    options = {"quantization": form, "representative_data": images, "tolerance": None}
    record = kbp.export_tflite(model, path, labels=NAMES, **options)
    kbp.export_tflite(model, tmp_path / "b.tflite", **options)
    found = read_metadata(path)
    assert found.name == f"from_{kind}"
    (photo,) = found.inputs
    assert (photo.name, photo.color, photo.size) == ("photo", "RGB", (8, 6))
    assert photo.normalization == (((0.0,), (1.0,)) if pixels else None)
    labels = {one.name: one.labels for one in found.outputs}
    assert labels == {"kind": ("labels.txt",), "box": ()}
    # Each label belongs to the output that the file has at this place.
    details = Interpreter(str(path)).get_output_details()
    places = [int(one["shape"][-1]) for one in details]
    assert [len(one.labels) for one in found.outputs] == [x == 4 for x in places]
    with_labels, without = (
        predict_tflite(tmp_path / name, images, verbose=0)
        for name in ("a.tflite", "b.tflite")
    )
    for name in ("kind", "box"):
        np.testing.assert_array_equal(with_labels[name], without[name])
    assert record.bytes < (tmp_path / "b.tflite").stat().st_size + 2000
    assert read_metadata(tmp_path / "b.tflite") is None


def test_the_tables_are_those_of_the_schema(tmp_path):
    """By hand: the identifier, and the buffer that the model names."""
    model = preprocessed("rescaling")
    kbp.export_tflite(model, tmp_path / "a.tflite", labels=NAMES)
    file = schema.Model.GetRootAs((tmp_path / "a.tflite").read_bytes(), 0)
    named = {
        file.Metadata(at).Name().decode(): file.Metadata(at).Buffer()
        for at in range(file.MetadataLength())
    }
    assert {METADATA, "min_runtime_version"} <= set(named)
    buffer = bytes(file.Buffers(named[METADATA]).DataAsNumpy())
    assert buffer[4:8] == b"M001"
    assert named[METADATA] == file.BuffersLength() - 1
    for text in (b"from_rescaling", b"photo", b"labels.txt", b"1.0.0"):
        assert text in buffer


def test_labels_of_any_name_are_found_by_metadata(tmp_path):
    """As in files of others, whose labels are in `labelmap.txt`."""
    model = preprocessed("scaled")
    kbp.export_tflite(model, tmp_path / "a.tflite")
    output = TensorInfo("kind", labels="labelmap.txt")
    data = metadata_buffer("other", [], [TensorInfo("box"), output], [])
    content = insert_buffer((tmp_path / "a.tflite").read_bytes(), METADATA, data)
    (tmp_path / "a.tflite").write_bytes(content)
    assert read_labels(tmp_path / "a.tflite") == ()
    with zipfile.ZipFile(tmp_path / "a.tflite", "a") as archive:
        archive.writestr("labelmap.txt", "a\nb\n")
    assert read_labels(tmp_path / "a.tflite") == ("a", "b")
