"""`ship`: networks are judged as LiteRT files, by the test's own interpreter."""

import datetime
import json
import math
import re
import warnings

import digits_model
import keras
import numpy as np
import pytest
from by_interpreter import classes
from scorers import scorer

import keras_basisprune as kbp
from keras_basisprune.data.evenly_spaced import evenly_spaced
from keras_basisprune.search.folded import Folded
from keras_basisprune.search.judge import Judge
from keras_basisprune.search.objective import Objective
from keras_basisprune.search.run_folder import RunFolder
from keras_basisprune.search.shipped import Shipped

FORMS = ("float32", "float16", "int8")
NAMES = [f"digit {number}" for number in range(10)]


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits)


@pytest.fixture(scope="module")
def shipped_result(model, digits, tmp_path_factory):
    """A search for int8, with its folder."""
    folder = tmp_path_factory.mktemp("shipped")
    result = kbp.compress(
        model,
        digits.train,
        digits.validation,
        max_drop=0.03,
        ship="int8",
        methods=["channels"],
        test=digits.test,
        output_dir=folder,
        config=kbp.SearchOptions(samples=300),
        class_names=NAMES,
        data_name="the digits",
        verbose=0,
    )
    return result, folder


def test_the_budget_holds_for_the_file(shipped_result, model, digits):
    result, folder = shipped_result
    images, labels = digits.validation
    by_file = np.mean(classes(folder / "small_int8.tflite", images) == labels)
    baseline = kbp.measure.accuracy(model, digits.validation)
    assert result.met_budget
    assert by_file >= baseline - 0.03
    assert result.report.extra["accuracy on validation"] == (baseline, by_file)
    on_test = classes(folder / "small_int8.tflite", digits.test[0])
    assert result.report.extra["accuracy on test"][1] == np.mean(
        on_test == digits.test[1]
    )
    size = (folder / "small_int8.tflite").stat().st_size
    assert result.report.extra["LiteRT int8 bytes"][1] == size
    chosen = result.trials[result.details["chosen"]]
    assert (chosen.judged, chosen.score) == ("int8", by_file)
    assert chosen.keras_score == kbp.measure.accuracy(result.model, digits.validation)


def test_only_what_is_good_enough_by_keras_becomes_a_file(shipped_result, digits):
    result, _ = shipped_result
    least, one = result.details["least"], 1 / len(digits.validation[1])
    for trial in result.trials:
        # By default one and a half errors, with one more answer than was seen.
        score = trial.score - 1.5 * math.hypot(trial.error, one)
        if trial.judged == "int8":
            assert trial.keras_score >= least
            assert trial.good_enough == (score >= least)
        else:
            assert trial.judged == "keras" and score < least
            assert np.isnan(trial.keras_score) and not trial.good_enough
    assert {trial.judged for trial in result.trials} == {"int8", "keras"}


def test_the_report_holds_all_forms(shipped_result, digits):
    result, folder = shipped_result
    rows = {(row["model"], row["form"]): row for row in result.details["forms"]}
    assert set(rows) == {("original", "int8"), *(("small", form) for form in FORMS)}
    assert (
        json.loads((folder / "report.json").read_text())["forms"]
        == (result.details["forms"])
    )
    images, labels = digits.validation
    for name, form in (("original", "int8"), ("small", "float32"), ("small", "int8")):
        path = folder / f"{name}_{form}.tflite"
        assert rows[name, form]["bytes"] == path.stat().st_size
        right = classes(path, images) == labels
        assert rows[name, form]["score"] == np.mean(right)
        assert rows[name, form]["milliseconds"] > 0
    small = [rows["small", form]["bytes"] for form in FORMS]
    assert small == sorted(small, reverse=True)
    assert rows["small", "int8"]["in_float"] == {}
    assert rows["small", "int8"]["float_share"] == 0
    assert {row["rounding"] for row in rows.values()} == {None, "compensated"}


def test_the_file_is_that_of_compensated_rounding(model, digits, tmp_path):
    images, network = digits.train[0], kbp.fold(model)
    made = Shipped("int8", images)(network)
    some = evenly_spaced(images)
    assert len(images) > len(some) == 320
    path, rounded = tmp_path / "same.tflite", kbp.quantize_aware(network, some)
    assert kbp.export_tflite(rounded, path).rounding == "given"
    assert made.content == path.read_bytes()
    assert made.record.rounding == "compensated"
    expected = network.predict(some[:64], verbose=0)  # not what the file rounds to
    found = kbp.export.predict_tflite(path, some[:64], verbose=0)
    difference = np.abs(found - expected).max()
    assert made.record.max_abs_difference == pytest.approx(difference, rel=1e-3)
    trained = Shipped("int8", images)(rounded)
    assert trained.content == path.read_bytes()
    assert trained.record.rounding == "trained"


def test_data_and_class_names_travel(shipped_result, digits):
    result, folder = shipped_result
    counts = {
        name: len(getattr(digits, name)[1]) for name in ("train", "validation", "test")
    }
    assert result.details["data"] == {"name": "the digits", **counts}
    assert result.details["class_names"] == NAMES
    for name in ("original_int8", "small_int8", "small_float32"):
        assert kbp.export.read_labels(folder / f"{name}.tflite") == tuple(NAMES)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert '<th scope="row">digit 7</th>' in page
    assert "the digits, 1,259 for train" in page
    date = datetime.datetime.fromisoformat(result.details["date"])
    age = datetime.datetime.now(datetime.UTC) - date
    assert datetime.timedelta(0) <= age + datetime.timedelta(seconds=1)
    assert age < datetime.timedelta(hours=1)


def test_the_result_prints_in_ten_lines(shipped_result):
    result, _ = shipped_result
    lines = str(result).splitlines()
    assert repr(result) == str(result)
    assert 8 <= len(lines) <= 10 and max(map(len, lines)) < 100
    flops = 100 * (1 - result.report.flops_ratio)
    assert lines[0].startswith(f"CompressionResult: {flops:.1f} % of the FLOPs and ")
    assert lines[1].endswith(
        "of accuracy lost (budget 3.0, up to "
        f"{100 * result.trials[result.details['chosen']].bound:.1f} on other images)"
    )
    assert lines[2].split() == [
        "parameters",
        f"{result.report.before.params:,}",
        "→",
        f"{result.report.after.params:,}",
        f"{100 * (1 - result.report.params_ratio):.1f}",
        "%",
    ]
    assert f"{len(result.trials)} networks tried" in lines[-1]
    page = result._repr_html_()
    assert f"<td>{result.report.after.params:,}</td>" in page
    assert page.count("<table>") == 2
    assert "small, int8" in page and "<script" not in page


def test_the_same_search_goes_on_and_another_form_is_refused(
    shipped_result, model, digits
):
    result, folder = shipped_result
    arguments = {
        "max_drop": 0.03,
        "methods": ["channels"],
        "test": digits.test,
        "output_dir": folder,
        "config": kbp.SearchOptions(samples=300),
        "verbose": 0,
    }
    again = kbp.compress(
        model, digits.train, digits.validation, ship="int8", **arguments
    )
    assert [t.score for t in again.trials] == [t.score for t in result.trials]
    assert again.details["forms"][1]["score"] == result.details["forms"][1]["score"]
    with pytest.raises(ValueError, match=r"had another .*ship \(int8\)"):
        kbp.compress(model, digits.train, digits.validation, **arguments)


def wide_range(seed=0):
    """A classifier that is right in float, and lost in int8.

    The class is the sign of a difference of two large numbers, much smaller than a
    step of the integers that stand for them.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (400, 6, 6, 2)).astype("float32")
    y = (x.mean((1, 2))[:, 0] > x.mean((1, 2))[:, 1]).astype(int)
    inputs = keras.Input((6, 6, 2))
    maps = keras.layers.Conv2D(8, 1, activation="relu", name="conv")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    outputs = keras.layers.Dense(2, activation="softmax", name="head")(pooled)
    model = keras.Model(inputs, outputs)
    kernel = np.ones((1, 1, 2, 8), "float32")
    kernel[0, 0, :, 0], kernel[0, 0, :, 1] = (1, 0), (0, 1)
    model.get_layer("conv").set_weights([kernel, np.full(8, 100, "float32")])
    head = np.zeros((8, 2), "float32")
    head[0], head[1] = (-20, 20), (20, -20)
    model.get_layer("head").set_weights([head, np.zeros(2, "float32")])
    return model, x, y


def test_a_network_that_int8_ruins_is_refused():
    model, x, y = wide_range()
    assert kbp.measure.accuracy(model, (x, y)) > 0.99
    data = (x[:200], y[:200]), (x[200:], y[200:])
    options = {"max_drop": 0.05, "methods": ["channels"], "verbose": 0}
    options["config"] = kbp.SearchOptions(rounds=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        as_float = kbp.compress(model, *data, ship="float32", **options)
        as_int8 = kbp.compress(model, *data, ship="int8", **options)
    assert as_float.met_budget and as_float.report.params_ratio < 0.6
    assert not as_int8.met_budget
    judged = [trial for trial in as_int8.trials if trial.judged == "int8"]
    assert judged
    assert all(t.keras_score > 0.94 and t.score < 0.9 for t in judged)


@pytest.mark.parametrize("form", FORMS)
def test_answers_of_a_file_by_hand(model, digits, form, tmp_path):
    images, labels = (array[:90] for array in digits.validation)
    score = scorer(model, (images, labels))
    shipped = Shipped(form, digits.train[0], workers=2)
    folded = Folded(model, score, shipped)
    (tmp_path / "a.tflite").write_bytes(folded.file.content)
    expected = classes(tmp_path / "a.tflite", images) == labels
    np.testing.assert_array_equal(folded.answers_in_file[:, 0] > 0, expected)
    assert folded.compared_in_file() == score.compared(folded.answers_in_file)
    assert folded.compared_in_file()["score"] == np.mean(expected)
    assert folded.as_it_ships is folded.file
    assert folded.file.record.bytes == len(folded.file.content)
    outputs = folded.file.predict(images)
    np.testing.assert_array_equal(outputs.argmax(-1) == labels, expected)
    (again,) = folded.file.run_batch([images[:7]])
    np.testing.assert_array_equal(again, outputs[:7])


def test_bytes_are_those_of_the_form(model, digits, tmp_path):
    sizes, images = [], digits.train[0][:50]
    for form in FORMS:
        shipped = Shipped(form, images)
        network, form = model, form
        if form == "int8":
            network, form = kbp.quantize_aware(model, images, verbose=0), None
        given = {"quantization": form, "tolerance": None}
        size = kbp.export_tflite(network, tmp_path / "a.tflite", **given).bytes
        found = Objective("bytes", export=shipped.export)(model)
        # Names of tensors differ where a bias is zero.
        assert abs(found - size) <= (100 if network is not model else 0)
        sizes.append(size)
    assert sizes == sorted(sizes, reverse=True)


def test_a_file_that_cannot_be_made_is_no_network(model, digits):
    images, labels = (array[:30] for array in digits.validation)
    score = scorer(model, (images, labels))
    shipped = Shipped("int8", digits.train[0][:50])

    def refuse(*_):
        raise ValueError("no integer kernel")

    shipped.write = refuse
    folder = RunFolder(None, {})
    judge = Judge(model, score, Objective("params"), folder, shipped, 0.5)
    with pytest.warns(UserWarning, match="can make no int8 file.*no integer kernel"):
        answer = judge(judge.folded(model), {})
    assert np.isnan(answer["score"]) and answer["judged"] == "int8"
    assert answer["keras_score"] == score.baseline


def recurrent():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.Reshape((6, 24))(x)
    x = keras.layers.LSTM(8)(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


@keras.saving.register_keras_serializable("tests")
class Looped(keras.layers.Layer):
    """Doubles its input in a loop that Keras' own layers don't show."""

    def call(self, x):
        return keras.ops.fori_loop(0, 3, lambda _, value: 2 * value, x)


def looped():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = Looped()(keras.layers.Conv2D(4, 3)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def test_a_loop_has_no_int8_in_the_report(digits, tmp_path):
    images, validation = digits.train[0][:60], digits.validation[0][:60]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = kbp.compress(
            looped(),
            images,
            validation,
            max_drop=0.9,
            methods=["channels"],
            output_dir=tmp_path,
            verbose=0,
        )
    rows = {(row["model"], row["form"]): row for row in result.details["forms"]}
    assert rows["small", "float16"]["score"] > 0
    assert rows["small", "int8"]["bytes"] is None
    assert re.match("ValueError: Expected .*WHILE", rows["small", "int8"]["reason"])
    assert not (tmp_path / "small_int8.tflite").exists()


def attention():
    inputs = keras.Input((8, 8))
    x = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def test_what_would_stay_in_float_is_calibrated(digits, tmp_path):
    images, model = digits.train[0][:40, ..., 0], attention()
    record = kbp.export_tflite(
        model,
        tmp_path / "b.tflite",
        quantization="int8",
        representative_data=images,
        tolerance=None,
    )
    shipped = Shipped("int8", images)
    assert not shipped.calibrate
    shipped.check(model)
    assert shipped.calibrate
    made = shipped(model)
    assert made.content == (tmp_path / "b.tflite").read_bytes()
    assert made.record.rounding == record.rounding == "calibrated"


@pytest.mark.parametrize("form", FORMS)
def test_several_inputs(tmp_path, form):
    one, two = keras.Input((6,), name="b"), keras.Input((6,), name="a")
    outputs = keras.layers.Dense(3)(keras.layers.Concatenate()([one, two]))
    model = keras.Model([one, two], [outputs, keras.layers.Dense(2)(one)])
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((700, 6)).astype("float32") for _ in range(2)]
    expected = model.predict(given, verbose=0)
    bound = {"float32": 1e-5, "float16": 1e-2, "int8": 0.25}[form]
    for samples in (given, dict(zip("ba", given, strict=True))):
        record = Shipped(form, samples).export(model, tmp_path / "a.tflite")
        found = kbp.export.predict_tflite(tmp_path / "a.tflite", samples, verbose=0)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)
        assert record.samples == 64


@pytest.mark.parametrize(
    ("ship", "make", "text"),
    [
        ("int4", None, "Expected `ship` to be .*'int8'.*ship='int4'"),
        (8, None, "Expected `ship` to be"),
        ("int8", looped, "`ship` to be a form that `model` can have.*WHILE"),
        ("int8", recurrent, "`ship` to be a form that `model` can have.*lstm"),
    ],
)
def test_forms_that_cannot_be(model, digits, tmp_path, ship, make, text):
    one = model if make is None else make()
    folder = tmp_path / "out"
    with pytest.raises(ValueError, match=text):
        kbp.compress(one, digits.train, digits.validation, ship=ship, output_dir=folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"class_names": NAMES[:9]}, "`class_names` to hold a name for each.*9 names"),
        ({"class_names": "abcdefghij"}, "`class_names` to hold the names"),
        ({"class_names": [*NAMES[:9], "a\nb"]}, "strings of one line each"),
        ({"class_names": range(10)}, "strings of one line each"),
        ({"data_name": 5}, "`data_name` to be a string"),
    ],
)
def test_names_that_are_none(model, digits, changes, text):
    with pytest.raises(ValueError, match=text):
        kbp.compress(model, digits.train, digits.validation, **changes)


def test_trained_networks_and_bytes_are_those_of_the_file(model, digits, tmp_path):
    result = kbp.compress(
        model,
        tuple(array[:300] for array in digits.train),
        digits.validation,
        max_drop=0.5,  # so that the first attempt is enough
        cost="bytes",
        ship="int8",
        methods=["channels"],
        recover=kbp.Recovery(epochs=6, learning_rate=1e-2, batch_size=16),
        output_dir=tmp_path,
        config=kbp.SearchOptions(samples=100, rounds=1, margin=0.0),
        verbose=0,
    )
    assert result.met_budget
    chosen = result.trials[result.details["chosen"]]
    assert chosen.judged == "int8"
    images, labels = digits.validation
    path = tmp_path / "small_int8.tflite"
    assert chosen.score == np.mean(classes(path, images) == labels)
    before, after = result.report.extra["LiteRT int8 bytes"]
    assert after == path.stat().st_size
    # Measured of files that are rounded to the nearest numbers.
    assert chosen.kept == pytest.approx(after / before, abs=200 / before)
    trained = [trial for trial in result.trials if trial.trained]
    assert trained and {trial.judged for trial in trained} <= {"int8", "keras"}
    # States of older versions, whose int8 files were calibrated, do not go on.
    belongs_to = json.loads((tmp_path / "state" / "state.json").read_text())
    belongs_to = belongs_to["belongs_to"]
    older = {name: x for name, x in belongs_to.items() if name != "rounding"}
    RunFolder(tmp_path / "older", older).remember("question", "answer")
    with pytest.raises(ValueError, match=r"had another rounding \(none\)"):
        RunFolder(tmp_path / "older", belongs_to)
