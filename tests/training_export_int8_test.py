"""Which int8 file is written: compensated, or calibrated where that holds more."""

import keras
import numpy as np
import pytest
from by_interpreter import outputs

import keras_basisprune as kbp
from keras_basisprune.training.quantization.export_int8 import export_int8


def network(dtype=None):
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, activation="relu", dtype=dtype)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    """A layer of one's own, which `quantize_aware` leaves in float."""

    def call(self, x):
        return keras.ops.silu(x) * 2


def with_a_layer_of_its_own():
    inputs = keras.Input((6, 6, 2))
    x = Doubled()(keras.layers.Conv2D(4, 3)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(x))
    return keras.Model(inputs, keras.layers.Dense(3)(x))


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.standard_normal((40, 6, 6, 2)).astype("float32")


@pytest.mark.parametrize("rounding", ["compensated", "nearest"])
def test_rounded_as_asked_for(images, tmp_path, rounding):
    model, path = network(), tmp_path / "a.tflite"
    weights = model.get_weights()
    record = export_int8(model, path, images, rounding=rounding, samples=images)
    rounded = kbp.quantize_aware(model, images, rounding=rounding, verbose=0)
    kbp.export_tflite(rounded, tmp_path / "b.tflite")
    assert path.read_bytes() == (tmp_path / "b.tflite").read_bytes()
    assert (record.rounding, record.float_ops) == (rounding, {})
    difference = np.abs(outputs(path, images) - model.predict(images, verbose=0))
    assert record.max_abs_difference == pytest.approx(difference.max(), rel=1e-3)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_calibrated_where_more_would_stay_in_float(images, tmp_path):
    model, paths = with_a_layer_of_its_own(), [tmp_path / f"{x}.tflite" for x in "ab"]
    record = export_int8(model, paths[0], images)
    given = {"quantization": "int8", "representative_data": images}
    same = kbp.export_tflite(model, paths[1], **given)
    assert record.rounding == same.rounding == "calibrated"
    assert (record.path, record.float_ops) == (str(paths[0]), {})
    assert paths[0].read_bytes() == paths[1].read_bytes()
    left = kbp.quantize_aware(model, images, verbose=0)
    assert kbp.export_tflite(left, paths[1]).float_share > same.float_share + 0.01


def test_calibrated_where_rounding_is_refused(images, tmp_path):
    model, paths = network(), [tmp_path / f"{x}.tflite" for x in "ab"]
    # As a network is that `quantize_aware` refuses.
    with pytest.raises(ValueError, match="`rounding` to be"):
        kbp.quantize_aware(model, images, rounding="new")
    assert export_int8(model, paths[0], images, rounding="new").rounding == "calibrated"
    assert export_int8(model, paths[1], images, calibrate=True).rounding == "calibrated"
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_is_quantization_aware_is_written_as_it_is(images, tmp_path):
    model = kbp.quantize_aware(network(), images, rounding="nearest", verbose=0)
    paths = [tmp_path / f"{x}.tflite" for x in "ab"]
    assert export_int8(model, paths[0], images).rounding == "trained"
    assert kbp.export_tflite(model, paths[1]).rounding == "given"
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_half_precision_is_rounded_in_float32(images, tmp_path):
    model, path = network("mixed_float16"), tmp_path / "a.tflite"
    record = export_int8(model, path, images)
    assert (record.rounding, record.float_ops) == ("compensated", {})
    expected = model.predict(images, verbose=0)
    assert np.abs(outputs(path, images) - expected).max() < 0.1


def test_no_file_if_neither_can_be_written(tmp_path):
    model, path = network(), tmp_path / "a.tflite"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="within `tolerance`"):
        export_int8(model, path, np.ones((4, 6, 6, 2), "float32"), tolerance=0.0)
    assert path.read_bytes() == b"before"


def test_numbers_are_not_cut_off(tmp_path):
    """One answer of many is far from the others, and is kept."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Reshape((1, 1))(_sum(inputs)))
    x = np.random.default_rng(0).uniform(-1, 1, (320, 2)).astype("float32")
    x[100] = 10
    rounded = kbp.quantize_aware(model, x, verbose=0)
    expected = x.sum(1)
    found = rounded.predict(x, verbose=0).ravel()
    # Half a step for the inputs' and the outputs' range each.
    assert np.abs(found - expected).max() < 0.5 * (2 * 11 + 22) / 255 + 0.05


def _sum(inputs):
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    return layer(inputs)
