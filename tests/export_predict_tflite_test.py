"""Outputs of `.tflite` files, against the interpreter that the test itself runs."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from by_interpreter import outputs

import keras_basisprune as kbp
from keras_basisprune.export import predict_tflite

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((37, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module", params=["float32", "float16", "dynamic", "int8"])
def path(model, tmp_path_factory, request):
    path = tmp_path_factory.mktemp("files") / f"{request.param}.tflite"
    kbp.export_tflite(
        model,
        path,
        quantization=request.param,
        representative_data=IMAGES,
        tolerance=None,
    )
    return path


def test_outputs_are_those_of_the_interpreter(path):
    expected = outputs(path, IMAGES)
    for workers in (1, 3, 50):
        found = predict_tflite(path, IMAGES, workers=workers, verbose=0)
        np.testing.assert_array_equal(found, expected)
    assert found.dtype == "float32"
    assert found.shape == (37, 5)


def test_outputs_are_near_those_of_keras(model, path):
    bound = {"float32": 1e-6, "float16": 1e-3, "dynamic": 0.05, "int8": 0.05}
    found = predict_tflite(path, IMAGES, verbose=0)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound[path.stem])


def test_forms_of_data(path):
    tf = pytest.importorskip("tensorflow")
    expected = predict_tflite(path, IMAGES, verbose=0)
    labels = np.zeros(len(IMAGES))
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    forms = (
        (IMAGES, labels),
        [IMAGES],
        dataset.batch(10),
        dataset,
        (IMAGES[i : i + 5] for i in range(0, 37, 5)),
    )
    for data in forms:
        found = predict_tflite(path, data, workers=2, verbose=0)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_batch_size_of_the_file(model, tmp_path, batch_size):
    kbp.export_tflite(model, tmp_path / "a.tflite", batch_size=batch_size)
    found = predict_tflite(tmp_path / "a.tflite", IMAGES, workers=3, verbose=0)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def two_headed(outputs_as_dict):
    image, number = keras.Input((4, 4, 1), name="zeta"), keras.Input((3,), name="alpha")
    flat = keras.layers.Flatten()(image)
    both = keras.layers.Concatenate()([flat, number])
    box = keras.layers.Dense(4, name="box")(both)
    kind = keras.layers.Dense(2, activation="sigmoid", name="kind")(flat)
    outputs = {"kind": kind, "box": box} if outputs_as_dict else [kind, box]
    return keras.Model([image, number], outputs)


@pytest.mark.parametrize("quantization", ["float32", "int8"])
@pytest.mark.parametrize("as_dict", [False, True])
def test_several_inputs_and_outputs(tmp_path, quantization, as_dict):
    model = two_headed(as_dict)
    arrays = [IMAGES[:, :4, :4], RNG.uniform(-3, 3, (37, 3)).astype("float32")]
    path = tmp_path / "two.tflite"
    kbp.export_tflite(
        model, path, quantization=quantization, representative_data=arrays
    )
    named = dict(zip(("zeta", "alpha"), arrays, strict=True))
    expected = model.predict(arrays, verbose=0)
    for data in (arrays, named, (named, None)):
        found = predict_tflite(path, data, workers=2, verbose=0)
        if as_dict:
            assert list(found) == ["box", "kind"]
            pairs = [(found[name], expected[name]) for name in found]
        else:
            pairs = list(zip(found, expected, strict=True))
        bound = 1e-5 if quantization == "float32" else 0.15
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)


def test_a_progress_bar_counts_the_samples(path, capsys):
    predict_tflite(path, IMAGES, workers=2)
    assert "37/37" in capsys.readouterr().err
    predict_tflite(path, iter([IMAGES]))
    assert "37sample" in capsys.readouterr().err
    predict_tflite(path, IMAGES, verbose=0)
    assert capsys.readouterr().err == ""


def test_what_is_no_file_or_does_not_fit(path, tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 but no more")
    (tmp_path / "a.keras").write_bytes(b"")
    cases = [
        ((tmp_path / "no.tflite", IMAGES), "`path` to be the path of an existing"),
        ((tmp_path / "a.keras", IMAGES), "existing '.tflite' file. Received: path='/"),
        ((5, IMAGES), "`path` to be the path.*path='int'"),
        ((tmp_path / "broken.tflite", IMAGES), "a file that LiteRT can run.*broken"),
        ((path, IMAGES[:, :5]), "`data` to hold arrays of the shapes.*8, 8, 1"),
        ((path, IMAGES[:0]), "at least one sample"),
        ((path, {"nothing": IMAGES}), "`data` to hold"),
    ]
    for arguments, text in cases:
        with pytest.raises(ValueError, match=text):
            predict_tflite(*arguments, verbose=0)
    with pytest.raises(ValueError, match="`workers` to be an integer in"):
        predict_tflite(path, IMAGES, workers=0, verbose=0)


@pytest.mark.parametrize("names", ["abc", "cab"])
@pytest.mark.parametrize("as_dict", [False, True])
def test_inputs_have_the_order_of_the_model(tmp_path, names, as_dict):
    inputs = {name: keras.Input((4,), name=name) for name in names}
    last = keras.layers.Dense(4)(inputs["b"])  # the converter meets it first
    total = keras.layers.Add()([keras.layers.Dense(4)(last), inputs["c"]])
    made = keras.layers.Subtract()([total, inputs["a"]])
    model = keras.Model(inputs if as_dict else list(inputs.values()), made)
    rng = np.random.default_rng(0)
    given = {name: rng.normal(size=(5, 4)).astype("float32") for name in names}
    in_order = [given[tensor.name] for tensor in model.inputs]
    expected = model.predict(given if as_dict else in_order, verbose=0)
    for form, most in (("float32", 1e-5), ("int8", 0.2)):
        path = tmp_path / f"{form}.tflite"
        kbp.export_tflite(model, path, quantization=form, representative_data=in_order)
        for data in (in_order, given):
            found = predict_tflite(path, data, verbose=0)
            assert np.abs(found - expected).max() <= most
        details = Interpreter(str(path)).get_input_details()
        assert [one["name"].split("_")[-1].split(":")[0] for one in details] == [
            tensor.name for tensor in model.inputs
        ]
