import dataclasses
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_basisprune.export import TFLiteExport, export_tflite


def conv_net(dtype=None, batch=None, size=32):
    """Convolution, depthwise and pointwise convolution, BatchNormalization, Dense."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(batch_shape=(batch, size, size, 3), name="image")
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", dtype=dtype)(inputs)
    x = keras.layers.BatchNormalization(dtype=dtype)(x)
    x = keras.layers.ReLU(6.0, dtype=dtype)(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", dtype=dtype)(x)
    x = keras.layers.Conv2D(128, 1, activation="relu", dtype=dtype)(x)
    x = keras.layers.Conv2D(64, 3, strides=2, activation="relu", dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Dense(10, dtype=dtype)(x), name="net")


def dense_net(units=3, inputs=4):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units)])


def images(count, size=32, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size, size, 3)).astype("float32")


def run_file(path, *arrays):
    """An independent reading of a float file with one output, sample by sample."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    details = sorted(interpreter.get_input_details(), key=lambda one: one["name"])
    rows = []
    for row in zip(*arrays, strict=True):
        for detail, sample in zip(details, row, strict=True):
            interpreter.set_tensor(detail["index"], sample[None])
        interpreter.invoke()
        output = interpreter.get_output_details()[0]["index"]
        rows.append(interpreter.get_tensor(output)[0])
    return np.stack(rows)


@pytest.fixture(scope="module")
def net():
    return conv_net()


@pytest.fixture(scope="module")
def exports(net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    data = images(40)
    return {
        kind: export_tflite(
            net, folder / f"{kind}.tflite", quantization=kind, representative_data=data
        )
        for kind in ("float32", "float16", "dynamic", "int8")
    }


def test_float32_file_equals_keras(net, exports):
    data = images(5, seed=7)
    expected = net.predict(data, verbose=0)
    np.testing.assert_allclose(
        run_file(exports["float32"].path, data), expected, rtol=0, atol=1e-5
    )


def test_record_holds_the_measured_difference(net, exports):
    data = images(40)[:32]
    expected = keras.ops.convert_to_numpy(net(data))
    difference = np.abs(run_file(exports["float32"].path, data) - expected).max()
    record = exports["float32"]
    assert record.samples == 32
    assert record.max_abs_difference == pytest.approx(difference, rel=0.5)
    scale = np.abs(expected).max()
    assert record.max_relative_difference == pytest.approx(
        record.max_abs_difference / scale, rel=1e-5
    )
    assert record.max_relative_difference < 1e-6
    assert record.top1_agreement == 1.0


def test_bytes_shrink_with_the_quantization(exports):
    sizes = {kind: record.bytes for kind, record in exports.items()}
    assert sizes["float32"] == os.path.getsize(exports["float32"].path)
    assert 0.45 < sizes["float16"] / sizes["float32"] < 0.6
    assert 0.2 < sizes["dynamic"] / sizes["float32"] < 0.35
    assert 0.2 < sizes["int8"] / sizes["float32"] < 0.35


def test_differences_are_far_below_the_default_tolerances(exports):
    limits = {"float32": 1e-5, "float16": 4e-3, "dynamic": 4e-2, "int8": 0.1}
    for kind, limit in limits.items():
        assert exports[kind].max_relative_difference < limit


def test_ops_are_built_in_and_counted(exports):
    record = exports["float32"]
    assert record.builtin_ops_only
    assert record.other_ops == ()
    assert record.ops["CONV_2D"] == 3
    assert record.ops["DEPTHWISE_CONV_2D"] == 1
    assert record.ops["FULLY_CONNECTED"] == 1
    assert record.gpu_compatible
    assert record.gpu_messages == ()


def test_int8_file_is_integer_from_end_to_end(exports):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(exports["int8"].path)
    interpreter.allocate_tensors()
    ends = interpreter.get_input_details() + interpreter.get_output_details()
    assert [end["dtype"] for end in ends] == [np.int8, np.int8]
    assert [tuple(end["shape"]) for end in ends] == [(1, 32, 32, 3), (1, 10)]
    assert set(exports["int8"].ops) <= {
        *("CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED"),
    }


def test_int8_with_float_inputs_and_outputs(net, tmp_path):
    path = tmp_path / "float_io.tflite"
    data = images(20)
    record = export_tflite(
        net, path, quantization="int8", representative_data=data, integer_io=False
    )
    expected = keras.ops.convert_to_numpy(net(data))
    difference = np.abs(run_file(path, data) - expected).max()
    assert record.max_abs_difference == pytest.approx(difference, rel=1e-4)
    assert record.ops["QUANTIZE"] == 1
    assert record.ops["DEQUANTIZE"] == 1


def test_record_reads_well(exports):
    text = str(exports["int8"])
    assert "int8, " in text and "CONV_2D 3" in text and "top-1" in text
    with pytest.raises(dataclasses.FrozenInstanceError):
        exports["int8"].bytes = 0


def test_model_is_unchanged(net, exports):
    fresh = conv_net()
    for before, after in zip(fresh.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert len(exports) == 4
    assert [layer.name for layer in net.layers][0] == "image"


def test_int8_without_data_is_refused(net, tmp_path):
    with pytest.raises(ValueError, match="Expected `representative_data` for quantiz"):
        export_tflite(net, tmp_path / "deep" / "a.tflite", quantization="int8")
    assert list(tmp_path.iterdir()) == []


def test_refused_export_leaves_nothing(tmp_path):
    path = tmp_path / "new" / "folder" / "a.tflite"
    with pytest.raises(ValueError, match="agree with the Keras model within `toleran"):
        export_tflite(dense_net(), path, quantization="float16", tolerance=1e-9)
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_kept_if_the_export_is_refused(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="tolerance=0"):
        export_tflite(dense_net(), path, quantization="float16", tolerance=0)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_existing_file_is_replaced(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"before")
    record = export_tflite(dense_net(), path)
    assert path.stat().st_size == record.bytes > 100
    assert list(tmp_path.iterdir()) == [path]


def test_nan_weights_are_refused(tmp_path):
    model = dense_net()
    model.set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    with pytest.raises(ValueError, match="NaN or infinite values in layer"):
        export_tflite(model, tmp_path / "a.tflite")
    assert list(tmp_path.iterdir()) == []


def several_inputs(as_dict=False):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="z_image")
    vector = keras.Input((5,), name="a_vector")
    x = keras.layers.Conv2D(8, 3, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Concatenate()([x, keras.layers.Dense(8)(vector)])
    first = keras.layers.Dense(4, name="first")(x)
    second = keras.layers.Dense(7, activation="softmax", name="second")(x)
    if as_dict:
        return keras.Model(
            {"z_image": image, "a_vector": vector}, {"y": first, "b": second}
        )
    return keras.Model([image, vector], [first, second])


def pair(count):
    rng = np.random.default_rng(3)
    return (
        rng.normal(size=(count, 8, 8, 3)).astype("float32"),
        rng.normal(size=(count, 5)).astype("float32"),
    )


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_several_inputs_and_outputs(tmp_path, as_dict, quantization):
    model = several_inputs(as_dict)
    image, vector = pair(24)
    data = {"a_vector": vector, "z_image": image} if as_dict else [image, vector]
    record = export_tflite(
        model,
        tmp_path / "a.tflite",
        quantization=quantization,
        representative_data=data,
    )
    limit = 1e-5 if quantization == "float32" else 0.1
    assert record.max_relative_difference < limit
    assert record.samples == 24
    assert record.ops["CONV_2D"] == 1 and record.ops["FULLY_CONNECTED"] == 3


def test_nested_outputs_are_laid_out(tmp_path):
    inputs = keras.Input((4,))
    first, second = keras.layers.Dense(2), keras.layers.Dense(3)
    model = keras.Model(inputs, {"b": [first(inputs), second(inputs)], "a": inputs})
    record = export_tflite(model, tmp_path / "a.tflite")
    assert record.max_relative_difference < 1e-6


def test_representative_data_as_dataset_generator_and_list_agree(tmp_path):
    model, data = conv_net(size=16), images(12, size=16)
    dataset = tf.data.Dataset.from_tensor_slices((data, np.zeros(12))).batch(5)
    forms = [data, dataset, (batch for batch in np.split(data, 3)), list(data)]
    files = []
    for index, form in enumerate(forms):
        path = tmp_path / f"{index}.tflite"
        assert (
            export_tflite(
                model, path, quantization="int8", representative_data=form
            ).samples
            == 12
        )
        files.append(run_int8(path, data))
    for other in files[1:]:
        np.testing.assert_array_equal(files[0], other)


def run_int8(path, data):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()
    (detail,) = runner.get_input_details().values()
    scale, zero = detail["quantization"]
    rows = np.clip(np.round(data / scale + zero), -128, 127).astype("int8")
    return np.stack([runner(image=row[None])["output_0"] for row in rows])


def test_batch_size_is_written_into_the_file(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    model = dense_net()
    shapes = {}
    for batch in (1, 3, None):
        path = tmp_path / "a.tflite"
        record = export_tflite(model, path, batch_size=batch)
        assert record.max_relative_difference < 1e-6
        (detail,) = Interpreter(str(path)).get_input_details()
        shapes[batch] = detail["shape_signature"].tolist()
        assert record.gpu_compatible is (batch is not None)
    assert shapes == {1: [1, 4], 3: [3, 4], None: [-1, 4]}
    assert "Dynamic shapes" in record.gpu_messages[0]


def test_fixed_batch_of_the_model_is_kept(tmp_path):
    record = export_tflite(conv_net(batch=3, size=16), tmp_path / "a.tflite")
    assert record.max_relative_difference < 1e-5
    assert record.samples == 32


@pytest.mark.parametrize("dtype", ["mixed_float16", "bfloat16"])
def test_half_precision_model_is_exported_in_float32(tmp_path, dtype):
    model = conv_net(dtype, size=16)
    same = conv_net("float32", size=16)
    same.set_weights(model.get_weights())
    data, path = images(4, size=16), tmp_path / "a.tflite"
    record = export_tflite(model, path, samples=data)
    assert record.max_relative_difference < 1e-5
    expected = same.predict(data, verbose=0)
    np.testing.assert_allclose(run_file(path, data), expected, rtol=0, atol=1e-5)
    assert model.layers[1].compute_dtype == dtype.removeprefix("mixed_")


def test_open_spatial_dimensions_need_an_input_shape(tmp_path):
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, x)
    with pytest.raises(ValueError, match="Expected `input_shape` for a model whose"):
        export_tflite(model, tmp_path / "a.tflite")
    with pytest.raises(ValueError, match=r"`input_shape` to fit .*\(16, 16, 1\)"):
        export_tflite(model, tmp_path / "a.tflite", input_shape=(16, 16, 1))
    record = export_tflite(model, tmp_path / "a.tflite", input_shape=(16, 20, 3))
    assert record.max_relative_difference < 1e-5


def test_names_that_signatures_do_not_take(tmp_path):
    first, second = keras.Input((2,), name="class"), keras.Input((2,), name="a b:0")
    model = keras.Model([first, second], keras.layers.Dense(3)(first - second))
    record = export_tflite(model, tmp_path / "a.tflite")
    assert record.max_relative_difference < 1e-6


def test_uint8_images(tmp_path):
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    record = export_tflite(keras.Model(inputs, x), tmp_path / "a.tflite")
    assert record.max_relative_difference < 1e-5
    assert record.top1_agreement is None


def test_tensorflow_ops_are_named_and_only_written_unchecked(tmp_path):
    inputs = keras.Input((8,))
    real, _ = keras.ops.fft((inputs, inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(real))
    with pytest.raises(ValueError, match="it needs .*FFT.*Flex delegate"):
        export_tflite(model, tmp_path / "a.tflite")
    assert list(tmp_path.iterdir()) == []
    record = export_tflite(model, tmp_path / "a.tflite", tolerance=None)
    assert "FlexFFT" in record.other_ops
    assert not record.builtin_ops_only and not record.gpu_compatible
    assert record.max_abs_difference is None and record.samples == 0
    assert "not measured" in str(record)


def test_recurrent_loop_is_refused_for_int8(tmp_path):
    inputs = keras.Input((6, 4))
    model = keras.Model(inputs, keras.layers.Bidirectional(keras.layers.GRU(3))(inputs))
    with pytest.raises(ValueError, match="unroll=True"):
        export_tflite(
            model,
            tmp_path / "a.tflite",
            quantization="int8",
            representative_data=np.zeros((4, 6, 4)),
        )


def test_layers_of_this_package_are_refused(tmp_path):
    class Training(keras.layers.Dense):
        pass

    Training.__module__ = "keras_basisprune.layers.training"
    inner = keras.Sequential([keras.Input((4,)), Training(2, name="scaling")])
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(inputs))
    with pytest.raises(ValueError, match=r"\['scaling'\].*fold\(model\)"):
        export_tflite(model, tmp_path / "a.tflite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "a.bin"}, "`path` to be a file name that ends with '.tflite'"),
        ({"quantization": "int4"}, "`quantization` to be 'float32', .*'int4'"),
        ({"tolerance": -1}, "`tolerance` to be 'auto', None or a number.*-1"),
        ({"batch_size": 0}, "`batch_size` to be an integer in .*batch_size=0"),
        ({"samples": np.zeros((3, 5))}, r"`samples` to hold arrays.*\(3, 5\)"),
        ({"samples": np.zeros((0, 4))}, "`samples` to hold at least one sample"),
        ({"samples": np.full((3, 4), np.nan)}, "`samples` to hold finite numbers"),
        ({"samples": 7}, "`samples` to hold arrays"),
        ({"representative_data": [1.0, 2.0]}, "`representative_data` to hold arrays"),
        ({"model": "net"}, "`model` to be a built Functional or Sequential"),
        ({"model": keras.Sequential()}, "`model` to be a built Functional or Seq"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, arguments, message):
    arguments = {"model": dense_net(), "path": "a.tflite", **arguments}
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=message):
        export_tflite(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_path_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "a.tflite").mkdir()
    with pytest.raises(ValueError, match="a folder"):
        export_tflite(dense_net(), tmp_path / "a.tflite")


def test_nothing_is_printed(tmp_path, capfd):
    record = export_tflite(dense_net(), tmp_path / "a.tflite")
    assert isinstance(record, TFLiteExport)
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err == ""


def small_net(*stack, shape=(8, 8, 3)):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(shape), *stack])


def unit_samples(model, count=4):
    rng = np.random.default_rng(2)
    return rng.normal(size=(count, *model.input_shape[1:])).astype("float32")


def quantized(model, tmp_path, quantization, **options):
    data = unit_samples(model)
    return export_tflite(
        model,
        tmp_path / "a.tflite",
        quantization=quantization,
        representative_data=data,
        tolerance=None,
        **options,
    )


def conv3d_net():
    return small_net(
        keras.layers.Conv3D(4, 2),
        keras.layers.Conv3D(6, 2),
        keras.layers.Flatten(),
        keras.layers.Dense(2),
        shape=(4, 4, 4, 2),
    )


# FLOPs of the network above: kernel times positions, twice.
CONV3D = 2 * (2**3 * 2 * 4 * 3**3 + 2**3 * 4 * 6 * 2**3)
DENSE = 2 * 6 * 2**3 * 2


def test_int8_in_name_only_is_said(tmp_path):
    with pytest.warns(
        UserWarning, match=r"'int8'.*97% of the FLOPs in float \(CONV_3D"
    ):
        record = quantized(conv3d_net(), tmp_path, "int8")
    assert record.float_ops == {"CONV_3D": 2}
    assert record.float_share == pytest.approx(CONV3D / (CONV3D + DENSE), abs=0.02)
    # The kernels stay; the dense layer's 96 weights don't.
    floats = 2**3 * 2 * 4 + 2**3 * 4 * 6
    assert record.integer_weights == pytest.approx(96 / (96 + floats), abs=0.02)
    assert f"in float    {record.float_share:.1%} of FLOPs: CONV_3D 2" in str(record)
    assert "Pass quantization='float16'" in record.in_float


def test_int8_of_a_transposed_convolution_of_volumes(tmp_path):
    layer = keras.layers.Conv3DTranspose(4, 3, strides=2)
    with pytest.warns(
        UserWarning, match=r"none of the weights as integers \(CONV_3D_T"
    ):
        record = quantized(small_net(layer, shape=(3, 3, 3, 2)), tmp_path, "int8")
    assert record.float_ops == {"CONV_3D_TRANSPOSE": 1}
    assert (record.float_share, record.integer_weights) == (1.0, 0.0)


def test_int8_of_a_plain_network_leaves_nothing_in_float(net, tmp_path, recwarn):
    record = quantized(net, tmp_path, "int8")
    assert (record.float_ops, record.float_share) == ({}, 0.0)
    assert record.integer_weights == 1.0 and not record.in_float
    assert "in float    0.0% of FLOPs: nothing" in str(record)
    floating = quantized(net, tmp_path, "int8", integer_io=False)
    assert (floating.float_ops, floating.float_share) == ({}, 0.0)
    assert not [w for w in recwarn if "integers of the model" in str(w.message)]


@pytest.mark.parametrize("batch", [None, 3])
def test_little_in_float_is_named_without_a_warning(tmp_path, recwarn, batch):
    model = small_net(
        keras.layers.Conv2D(16, 3),
        keras.layers.LayerNormalization(),
        keras.layers.Conv2D(16, 3, activation="elu"),
    )
    record = quantized(model, tmp_path, "int8", batch_size=batch)
    assert {"ELU", "NEG"} == set(record.float_ops)
    assert 0 < record.float_share < 0.02 and not record.in_float
    assert "of FLOPs: ELU 1, NEG 1" in str(record)
    assert not [w for w in recwarn if "integers of the model" in str(w.message)]


def test_dynamic_that_quantizes_nothing_is_said(tmp_path):
    with pytest.warns(UserWarning, match="'dynamic'.*none of the weights.*1,024"):
        record = quantized(dense_net(), tmp_path, "dynamic")
    assert record.float_ops == {"FULLY_CONNECTED": 1}
    assert (record.float_share, record.integer_weights) == (1.0, 0.0)
    assert "integers    0.0% of the weights" in str(record)


def test_dynamic_of_a_larger_network(net, tmp_path, recwarn):
    record = quantized(net, tmp_path, "dynamic")
    # Of 16x16 positions in the first two layers, 7x7 in the last: by hand.
    small = 2 * 16 * 16 * (3 * 3 * 3 * 16 + 3 * 3 * 16) + 2 * 64 * 10
    large = 2 * 16 * 16 * 16 * 128 + 2 * 7 * 7 * 3 * 3 * 128 * 64
    assert record.float_ops == {
        "CONV_2D": 1,
        "DEPTHWISE_CONV_2D": 1,
        "FULLY_CONNECTED": 1,
    }
    assert record.float_share == pytest.approx(small / (small + large), rel=0.02)
    assert record.integer_weights > 0.95 and not record.in_float
    assert not [w for w in recwarn if "integers of the model" in str(w.message)]


def test_a_loop_counts_as_often_as_it_runs(tmp_path):
    steps, units = 6, 32
    model = small_net(
        keras.layers.LSTM(units), keras.layers.Dense(40), shape=(steps, 2)
    )
    record = quantized(model, tmp_path, "dynamic")
    # In float: the inputs' kernel of 2 x 128 weights; as integers: the 32 x 128 of the
    # state, both at each step, and the dense layer, once.
    floats, whole = steps * 2 * 4 * units, steps * 4 * units**2 + units * 40
    once = 2 * 4 * units / (2 * 4 * units + 4 * units**2 + units * 40)
    assert record.float_share > 1.1 * once
    assert record.float_ops == {"FULLY_CONNECTED": 1}
    assert record.float_share == pytest.approx(floats / (floats + whole), rel=0.1)


def test_attention_multiplies_in_float_when_only_weights_are_integers(tmp_path):
    inputs = keras.Input((8, 32))
    attended = keras.layers.MultiHeadAttention(2, 16)(inputs, inputs)
    model = keras.Model(inputs, attended)
    record = quantized(model, tmp_path, "dynamic")
    products, projections = 2 * 2 * (8 * 8 * 32), 4 * 2 * (8 * 32 * 32)
    assert record.float_ops == {"BATCH_MATMUL": 2}
    whole = products + projections
    assert record.float_share == pytest.approx(products / whole, rel=0.03)
    assert quantized(model, tmp_path, "int8").float_ops == {}


@pytest.mark.parametrize("quantization", [None, "float16"])
def test_files_that_are_float_on_purpose_have_nothing_to_say(tmp_path, quantization):
    record = export_tflite(
        conv3d_net(), tmp_path / "a.tflite", quantization=quantization
    )
    assert (record.float_ops, record.float_share) == ({}, None)
    assert (record.integer_weights, record.in_float) == (None, "")
    assert "in float" not in str(record)
