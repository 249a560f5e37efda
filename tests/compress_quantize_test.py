"""`Recovery(quantize=True)`: rounds end with quantization-aware training."""

import dataclasses
import json
import math
import types

import digits_model
import keras
import numpy as np
import pytest
from by_interpreter import classes, outputs
from models import identical

import keras_basisprune as kbp
from keras_basisprune.layers import QuantizedWeights
from keras_basisprune.search.deadline import Deadline
from keras_basisprune.search.make_quantized import make_quantized
from keras_basisprune.search.make_trained import Shortened
from keras_basisprune.search.quantized_epochs import quantized_epochs
from keras_basisprune.search.run_folder import RunFolder

QUANTIZE = kbp.Recovery(epochs=2, learning_rate=2e-3, quantize=True)


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits)


def run(model, digits, folder, **changes):
    arguments = {
        "max_drop": 0.25,  # so that the first attempt is enough
        "methods": ["channels"],
        "recover": QUANTIZE,
        "ship": "int8",
        "config": kbp.SearchOptions(samples=200, rounds=1, margin=0.0),
        "verbose": 0,
        **changes,
    }
    data = tuple(x[:600] for x in digits.train), digits.validation
    return kbp.compress(model, *data, output_dir=folder, **arguments)


@pytest.fixture(scope="module")
def done(model, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantized")
    return run(model, digits, folder), folder


def test_the_file_reaches_the_score_that_is_told(done, digits):
    result, folder = done
    images, labels = digits.validation
    right = float(np.mean(classes(folder / "small_int8.tflite", images) == labels))
    chosen = result.trials[result.details["chosen"]]
    assert result.met_budget
    assert chosen.trained and chosen.judged == "int8"
    assert result.scores["accuracy"][1] == chosen.score == right
    assert right >= result.scores["accuracy"][0] - 0.25
    by_keras = kbp.measure.accuracy(result.quantized, (images, labels))
    assert chosen.keras_score == by_keras
    (row,) = [
        row
        for row in result.details["forms"]
        if (row["model"], row["form"]) == ("small", "int8")
    ]
    assert row["score"] == right and row["in_float"] == {}


def test_the_file_has_the_ranges_that_were_trained(done, digits, tmp_path):
    result, folder = done
    images = digits.validation[0]
    expected = outputs(folder / "small_int8.tflite", images)
    for network in (
        result.quantized,
        keras.models.load_model(folder / "small_quantized.keras"),
    ):
        kbp.export_tflite(network, tmp_path / "again.tflite")
        np.testing.assert_array_equal(
            outputs(tmp_path / "again.tflite", images), expected
        )
    kbp.export_tflite(
        result.model,
        tmp_path / "calibrated.tflite",
        quantization="int8",
        representative_data=digits.train[0][:200],
    )
    assert (outputs(tmp_path / "calibrated.tflite", images) != expected).any()


def test_the_model_is_the_float_form_of_the_same_network(done, digits):
    result, folder = done
    for network in (result.model, keras.models.load_model(folder / "small.keras")):
        assert all(type(x).__module__.startswith("keras.") for x in network.layers)
        same = kbp.fold(result.quantized)
        assert identical(network.get_weights(), same.get_weights())
    assert any(isinstance(x, QuantizedWeights) for x in result.quantized.layers)
    arguments = result.details["arguments"]
    assert (arguments["quantize"], arguments["epochs"]) == (True, 2)
    trained = sum(trial.trained for trial in result.trials)
    assert len(result.history["loss"]) == trained * (2 + quantized_epochs(QUANTIZE))
    rates = result.history["learning_rate"]
    assert max(rates[2::3]) <= 0.1 * 2e-3 < max(rates[0::3])


class Stopping(keras.callbacks.Callback):
    """Fails at the beginning of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._epoch:
            raise RuntimeError("stopped")


def test_stopped_in_either_training_it_comes_to_the_same(done, model, digits, tmp_path):
    undisturbed, _ = done
    for epoch in (1, 2):  # 2 is the quantization-aware one
        with pytest.raises(RuntimeError, match="stopped"):
            run(model, digits, tmp_path, callbacks=[Stopping(epoch)])
    answers = json.loads((tmp_path / "state" / "state.json").read_text())["answers"]
    assert sum(name.endswith(".keras") for name in answers) == 1
    again = run(model, digits, tmp_path)
    assert again.history == undisturbed.history
    one, other = (
        [repr(dataclasses.replace(t, seconds={})) for t in result.trials]
        for result in (again, undisturbed)
    )
    assert one == other
    ours, theirs = (result.quantized.get_weights() for result in (again, undisturbed))
    assert identical(ours, theirs)
    with pytest.raises(ValueError, match="another quantize"):
        run(model, digits, tmp_path, recover=kbp.Recovery(epochs=2, learning_rate=2e-3))


def test_numbers_of_two_inputs():
    rng = np.random.default_rng(0)
    x = {n: rng.normal(size=(300, 6, 6, 2)).astype("float32") for n in "ab"}
    y = x["a"].mean((1, 2)) + 0.5 * x["b"].mean((1, 2))
    inputs = {name: keras.Input((6, 6, 2), name=name) for name in "ab"}
    maps = [keras.layers.Conv2D(8, 3, activation="relu")(inputs[n]) for n in "ab"]
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(maps))
    model = keras.Model(inputs, keras.layers.Dense(2)(pooled))
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    model.fit(x, y, epochs=3, verbose=0)
    result = kbp.compress(
        model,
        (x, y),
        (x, y),
        ship="int8",
        max_drop="60%",
        methods=["channels"],
        recover=dataclasses.replace(QUANTIZE, epochs=1),
        config=kbp.SearchOptions(samples=100, rounds=1, margin=0.0),
        verbose=0,
    )
    (row,) = [x for x in result.trials if x.trained]
    assert row.judged == "int8" and row.good_enough
    error = np.abs(result.quantized.predict(x, verbose=0) - y).mean()
    assert row.keras_score == pytest.approx(error, rel=1e-3)
    assert row.score == pytest.approx(error, rel=1e-3)


def test_a_network_that_can_not_round_stays_as_it_is(model, digits):
    broken = kbp.fold(model, batch_norm=False)
    bias = np.full_like(broken.get_layer("head").bias, np.nan)
    broken.get_layer("head").bias.assign(bias)
    folder = RunFolder(None, {})
    task = types.SimpleNamespace(images=digits.train[0][:64])
    found = make_quantized(task, folder, None, "name", broken, 1, 0)
    assert not any(isinstance(x, QuantizedWeights) for x in found.layers)
    assert np.isnan(found.predict(task.images, verbose=0)).all()
    made = folder.recall("name training", dict)
    assert made == {"history": {}, "seconds": 0.0}


def test_without_time_the_network_rounds_as_it_is(model, digits):
    folder = RunFolder(None, {})
    task = types.SimpleNamespace(
        recovery=QUANTIZE, images=digits.train[0][:64], deadline=Deadline(0.0)
    )
    progress = types.SimpleNamespace(expected_training=math.nan)
    with pytest.raises(Shortened) as short:
        make_quantized(task, folder, progress, "name", model, 1, 0)
    network, made = short.value.args
    assert made["history"] == {} and made["seconds"] > 0
    assert folder.recall("name training", lambda: "nothing") == "nothing"
    expected = kbp.quantize_aware(model, task.images, verbose=0)
    assert identical(network.get_weights(), expected.get_weights())


@pytest.mark.parametrize("ship", [None, "float32", "float16"])
def test_another_form_is_refused(model, digits, ship):
    told = rf"`ship` to be 'int8' when.*ship='?{ship}"
    with pytest.raises(ValueError, match=told):
        run(model, digits, None, ship=ship)


def test_bad_options():
    with pytest.raises(ValueError, match="`weights` to be 'all' when `quantize`"):
        kbp.Recovery(weights="scales", quantize=True)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="`config.quantize` to be false.*in place"):
        kbp.recover(model, np.ones((4, 2)), teacher=model, config=QUANTIZE)


@pytest.mark.parametrize(("epochs", "more"), [(1, 1), (3, 1), (5, 2), (20, 7)])
def test_a_third_of_the_epochs(epochs, more):
    assert quantized_epochs(kbp.Recovery(epochs=epochs, quantize=True)) == more
    assert quantized_epochs(kbp.Recovery(epochs=epochs)) == 0
    assert quantized_epochs(None) == 0
