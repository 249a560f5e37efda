"""The command line, as a user would call it, on a tiny model and real digits."""

import json

import keras
import numpy as np
import pytest
import reports
from command_lines import run

import keras_basisprune as kbp
from keras_basisprune.cli.main import define_flags
from keras_basisprune.search.judge import Judge


@pytest.fixture(scope="module")
def model_path(digits, tmp_path_factory):
    """A small classifier that was trained for two epochs."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 3, activation="relu", name="conv1"),
            keras.layers.Conv2D(32, 3, activation="relu", name="conv2"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="head"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*digits.train, epochs=3, verbose=0)
    path = tmp_path_factory.mktemp("cli") / "model.keras"
    model.save(path)
    return str(path)


@pytest.mark.parametrize("words", [(), ("--help",), ("help",), ("-h",)])
def test_help_names_commands_and_flags(capsys, words):
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    for word in ("inspect", "compress", "export", "measure", "--max_drop", "--data"):
        assert word in out


def test_every_flag_is_explained():
    values = define_flags()
    assert all(len(values[name].help) > 10 for name in values)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("inspekt", "--model=x"), "Expected one command of inspect, compress"),
        (("inspect", "measure", "--model=x"), "Received: inspect measure"),
        (("inspect",), "Expected --model: a .keras file, or a Keras Application"),
        (("inspect", "--modle=x"), "Unknown command line flag 'modle'"),
        (("compress", "--model=x", "--epochs=-1"), "epochs"),
        (("measure", "--model=x", "--runs=many"), "runs"),
        (("compress", "--model=MobileNet"), "Expected --data: digits, tfds:NAME"),
    ],
)
def test_wrong_command_lines_exit_with_2_and_one_line(capsys, words, text):
    code, out, err = run(capsys, *words)
    assert code == 2
    assert out == ""
    assert text in err
    assert err.startswith("keras-basisprune: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("inspect", "--model=nothing.keras"),
            "nothing.keras, which is neither a file",
        ),
        (("measure", "--model=nothing.tflite"), "Expected --model to be a file"),
    ],
)
def test_failures_exit_with_1_and_one_line(capsys, words, text):
    code, _, err = run(capsys, *words)
    assert code == 1
    assert text in err
    assert err.count("\n") == 1


def test_inspect_counts_what_a_rank_removes(capsys, model_path):
    code, out, _ = run(capsys, "inspect", f"--model={model_path}", "--rank=4")
    assert code == 0
    # conv1: 4 (9 + 16) = 100 < 144 weights + 16; conv2: 4 (144 + 32) = 704 < 4,608
    row = next(line for line in out.splitlines() if "conv2" in line).split()
    assert row[:4] == ["conv2", "Conv2D", "144x32", "4"]
    assert row[5:7] == ["4,640", "736"]
    assert "2 layers decomposed, 1 left alone" in out


def test_inspect_takes_a_keras_application(capsys):
    code, out, _ = run(capsys, "inspect", "--model=MobileNetV2", "--input_size=32")
    assert code == 0
    assert "35 layers decomposed, 17 left alone" in out


FILES = {
    "original.keras",
    "original_float32.tflite",
    "plans.json",
    "report.html",
    "report.json",
    "report.txt",
    "saved_model",
    "small.keras",
    "small_float32.tflite",
    "small_int8.tflite",
    "state",
}


def test_compress_writes_files_that_agree(capsys, digits, model_path, tmp_path):
    words = (
        "compress",
        f"--model={model_path}",
        "--data=digits",
        f"--output_dir={tmp_path}",
        "--recover=all",
        "--epochs=2",
        "--rounds=1",
        "--samples=300",
        "--max_drop=0.1",
        "--shift=0.1",
        "--contrast=0.2",
        "--temperature=2",
        "--margin=0.5",
        "--time_limit=1h",
        "--augment_fit",
        "--formats=float32,int8,saved_model",
    )
    code, out, _ = run(capsys, *words)
    assert code == 0
    state = json.loads((tmp_path / "state" / "state.json").read_text())
    assert state["belongs_to"]["augment"] is True
    assert state["belongs_to"]["margin"] == 0.5
    assert "with a standard error of" in " ".join(out.split())
    trained = state["belongs_to"]["recovery"]
    assert trained["temperature"] == 2.0
    assert "'height_factor': 0.1" in trained["augment"]
    assert "'factor': [0.2, 0.2]" in trained["augment"]
    assert {path.name for path in tmp_path.iterdir()} == FILES
    small = keras.models.load_model(tmp_path / "small.keras")
    original = keras.models.load_model(tmp_path / "original.keras")
    assert {type(x).__module__.split(".")[0] for x in small.layers} == {"keras"}
    report = json.loads((tmp_path / "report.json").read_text())
    rows = {x["label"]: (x["before"], x["after"]) for x in report["before_after"]}
    pairs = [
        tuple(kbp.measure.accuracy(m, part) for m in (original, small))
        for part in (digits.validation, digits.test)
    ]
    assert rows["accuracy on validation"] == pairs[0]
    assert rows["accuracy on test"] == pairs[1]
    assert pairs[0][1] >= pairs[0][0] - 0.1
    assert rows["FLOPs"] == (
        kbp.measure.cost(original).flops,
        kbp.measure.cost(small).flops,
    )
    assert rows["FLOPs"][1] < 0.5 * rows["FLOPs"][0]
    table = (tmp_path / "report.txt").read_text()
    assert table in out
    assert f"{rows['FLOPs'][1]:,}" in table
    assert f"Report: {tmp_path / 'report.html'}" in out

    # The same call goes on from there, and other arguments are refused.
    code, again, _ = run(capsys, *words)
    assert code == 0
    assert (
        json.loads((tmp_path / "report.json").read_text())["trials"]
        == (report["trials"])
    )
    code, _, err = run(capsys, *words, "--max_drop=0.05")
    assert code == 1
    assert "had another max_drop (0.1)" in err


def test_report_is_written_anew(capsys, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(reports.sample_report()))
    code, out, _ = run(capsys, "report", str(tmp_path))
    assert code == 0
    assert out == f"Report: {tmp_path / 'report.html'}\n"
    assert "<html" in (tmp_path / "report.html").read_text()
    code, _, err = run(capsys, "report", str(tmp_path / "nowhere"))
    assert code == 1
    assert "report.json" in err


def test_export_writes_what_was_asked_for(capsys, digits, model_path, tmp_path):
    code, out, _ = run(
        capsys,
        "export",
        f"--model={model_path}",
        "--formats=float32,float16",
        f"--output_dir={tmp_path}",
    )
    assert code == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        "small_float32.tflite",
        "small_float16.tflite",
    }
    assert "top-1       100.0% the same as Keras" in out


@pytest.mark.parametrize("kinds", ["int8", "float32,int8", "int8,dynamic"])
def test_export_of_int8_without_data_fails_and_writes_nothing(
    capsys, model_path, tmp_path, kinds
):
    code, _, err = run(
        capsys,
        "export",
        f"--model={model_path}",
        f"--formats={kinds}",
        f"--output_dir={tmp_path}",
    )
    assert code == 2
    assert "Expected --data with --formats=int8" in err
    assert list(tmp_path.iterdir()) == []


def test_measure_prints_cost_and_latency(capsys, model_path):
    code, out, _ = run(capsys, "measure", f"--model={model_path}", "--runs=3")
    model = keras.models.load_model(model_path)
    assert code == 0
    assert str(kbp.measure.cost(model)) in out
    assert f"{model.count_params():,} parameters" in out
    assert "LiteRT, 1 thread" in out
    assert np.all([word in out for word in ("LiteRT, 2 threads", "Keras (TensorFlow)")])


QUICK = ("--methods=channels", "--samples=200", "--rounds=1", "--formats=float32")


def test_few_validation_images_are_told(capsys, digits, model_path, tmp_path):
    parts = digits.train, tuple(x[:9] for x in digits.validation), digits.test
    names = ("train", "validation", "test")
    arrays = {}
    for name, (x, y) in zip(names, parts, strict=True):
        arrays |= {f"x_{name}": x, f"y_{name}": y}
    np.savez(tmp_path / "data.npz", **arrays)
    code, out, err = run(
        capsys,
        "compress",
        f"--model={model_path}",
        f"--data={tmp_path / 'data.npz'}",
        f"--output_dir={tmp_path / 'out'}",
        *QUICK,
    )
    assert code == 0, err
    assert "keras-basisprune: Expected `validation` to hold enough images" in err
    assert (
        "Received: 9 images. Even one that loses no answer there may lose up to" in err
    )
    assert "UserWarning" not in err
    said = " ".join(out.split())
    assert "On the 9 validation images" in said
    assert "may be lost, with 95 % confidence" in said
    assert "Nothing is known of" in said
    assert "removed of the FLOPs" in " ".join(err.split())
    assert "nan" not in err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("report.html", "report.html', which is a folder and stays as it is"),
        ("report.txt", "report.txt', which is a folder and stays as it is"),
        ("small_float32.tflite", "tflite', which is a folder and stays as it is"),
        ("saved_model", "Received: 'mine' in it. Move that, choose another --output"),
    ],
)
def test_folders_of_the_user_are_refused_at_once(
    capsys, model_path, tmp_path, name, text
):
    (tmp_path / name / "mine").mkdir(parents=True)
    (tmp_path / name / "mine" / "notes").write_text("mine")
    words = ("compress", f"--model={model_path}", "--data=digits")
    code, out, err = run(capsys, *words, f"--output_dir={tmp_path}")
    assert (code, out) == (1, "")
    assert text in err
    assert err.count("\n") == 1
    assert (tmp_path / name / "mine" / "notes").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_interrupt_says_that_the_command_goes_on(
    capsys, model_path, tmp_path, monkeypatch
):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_basisprune.search.rounds.Rounds.run", interrupted)
    words = (f"--model={model_path}", f"--output_dir={tmp_path / 'out'}")
    code, _, err = run(capsys, "compress", "--data=digits", *words, *QUICK)
    assert code == 1
    assert err.endswith(
        "keras-basisprune: Interrupted. The same command continues from the state in "
        f"{tmp_path / 'out'}.\n"
    )


def test_an_interrupt_leaves_the_best_network_so_far(
    capsys, model_path, tmp_path, monkeypatch
):
    tried = []

    def judged(self, folded, seconds):
        if any(self.is_good(answer) for answer in tried):
            raise KeyboardInterrupt
        tried.append(judge(self, folded, seconds))
        return tried[-1]

    judge = Judge.__call__
    monkeypatch.setattr(Judge, "__call__", judged)
    words = (f"--model={model_path}", f"--output_dir={tmp_path / 'out'}")
    options = ("--samples=200", "--max_drop=0.02", "--methods=channels")
    code, out, err = run(capsys, "compress", "--data=digits", *words, *options)
    assert code == 1
    assert f"The search was interrupted after {len(tried)} network" in err
    assert "the smallest one that was good enough so far is returned" in err
    assert "Interrupted. The same command continues from the state in" in err
    assert "parameters" in out  # the table
    small = keras.models.load_model(tmp_path / "out" / "small.keras")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    kept = min(t["params"] for t in report["trials"] if t["good_enough"])
    before = keras.models.load_model(model_path).count_params()
    assert kbp.measure.cost(small).params / before == pytest.approx(kept, abs=0.02)


def test_a_fixed_batch_size_passes_through_the_commands(capsys, digits, tmp_path):
    inputs = keras.Input(batch_shape=(4, 8, 8, 1))
    x = keras.layers.Conv2D(12, 3, name="conv")(inputs)
    x = keras.layers.Dense(10, "softmax")(keras.ops.reshape(x, (4, -1)))
    model = keras.Model(inputs, x)
    model.save(tmp_path / "fixed.keras")
    named = (f"--model={tmp_path / 'fixed.keras'}", "--data=digits")
    code, out, err = run(capsys, "inspect", *named, "--rank=4")
    assert (code, err) == (0, "")
    assert "1 layers decomposed" in out
    folder = f"--output_dir={tmp_path / 'out'}"
    kinds = "--formats=int8,dynamic,saved_model"
    code, out, err = run(capsys, "export", *named, kinds, folder)
    assert code == 0
    assert err.startswith("keras-basisprune: Expected quantization='dynamic' to turn")
    assert err.count("\n") == 1
    assert "in float    0.0% of FLOPs: nothing" in out
    assert out.count("rounding    compensated") == 1
    assert "of FLOPs: CONV_2D 1" in out
    assert (tmp_path / "out" / "saved_model" / "saved_model.pb").is_file()
    assert run(capsys, "measure", named[0], "--runs=1")[0] == 0
