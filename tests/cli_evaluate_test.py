"""`evaluate`, `compare`, `--version`, and help of each command."""

import importlib
import json
import subprocess
import sys

import digits_model
import keras
import numpy as np
import pytest
import reports
from by_interpreter import classes
from command_lines import refused, run

import keras_basisprune as kbp
from keras_basisprune.cli._table import COMMANDS, FLAGS
from keras_basisprune.version import __version__


@pytest.fixture(scope="module")
def files(digits, tmp_path_factory):
    """A network of digits as `.keras`, float32 and int8 files."""
    folder = tmp_path_factory.mktemp("evaluate")
    model = digits_model.trained(digits, epochs=1)
    model.save(folder / "model.keras")
    for form in ("float32", "int8"):
        kbp.export_tflite(
            model,
            folder / f"{form}.tflite",
            quantization=form,
            representative_data=digits.train[0][:100],
            tolerance=None,
        )
    return folder


def shares(out):
    """The accuracy and the number of images that were printed."""
    words = " ".join(out.split()).split("accuracy ")[1].split()
    return words[0], int(words[2].replace(",", ""))


def test_files_are_scored_on_the_test_images(capsys, files, digits):
    images, labels = digits.test
    code, out, _ = run(
        capsys, "evaluate", f"--model={files / 'model.keras'}", "--data=digits"
    )
    assert code == 0
    model = keras.models.load_model(files / "model.keras")
    share = kbp.measure.accuracy(model, digits.test)
    assert shares(out) == (f"{share:.4f}", len(labels))
    assert "in float" not in out
    for form in ("float32", "int8"):
        path = files / f"{form}.tflite"
        code, out, _ = run(
            capsys, "evaluate", f"--model={path}", "--data=digits", "--workers=2"
        )
        assert code == 0
        share = np.mean(classes(path, images) == labels)
        assert shares(out) == (f"{share:.4f}", len(labels))
        assert f"{path.stat().st_size:,} bytes" in out
        assert ("in float  0.0% of FLOPs: nothing" in out) == (form == "int8")


def test_splits_and_other_data(capsys, files, digits, tmp_path):
    path = files / "int8.tflite"
    words = ("evaluate", f"--model={path}")
    everything = digits.train, digits.validation, digits.test
    counts = [len(part[1]) for part in everything]
    for split, count in zip(
        ("train", "validation", "test", "all"), (*counts, sum(counts)), strict=True
    ):
        _, out, _ = run(capsys, *words, "--data=digits", f"--split={split}")
        assert shares(out)[1] == count
    x, y = digits.validation
    arrays = {"x_train": x, "y_train": y, "x_test": x[:40], "y_test": y[:40]}
    np.savez(tmp_path / "mine.npz", **arrays)
    code, out, err = run(capsys, *words, f"--data={tmp_path / 'mine.npz'}")
    assert code == 0, err
    share = np.mean(classes(path, x[:40]) == y[:40])
    assert shares(out) == (f"{share:.4f}", 40)


def test_other_classes_than_those_of_the_data_are_told(capsys, files, tmp_path):
    model = keras.models.load_model(files / "model.keras")
    names = [str(number) for number in range(10)]
    for labels in (names, [*names[:8], "9", "8"]):
        kbp.export_tflite(model, tmp_path / "a.tflite", labels=labels)
        _, out, _ = run(
            capsys, "evaluate", f"--model={tmp_path / 'a.tflite'}", "--data=digits"
        )
        told = "names other classes than the data: '9' where these have '8'" in out
        assert told == (labels != names)


def test_one_sigmoid_for_two_classes(capsys, tmp_path):
    inputs = keras.Input((4, 4, 1))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(mean))
    model.layers[-1].set_weights([np.ones((1, 1)), np.full(1, -100.0)])
    model.save(tmp_path / "one.keras")
    y = np.arange(20) % 2
    wrong = np.arange(20) < 3
    x = np.where(y ^ wrong, 200, 20)[:, None, None, None] * np.ones((1, 4, 4, 1))
    parts = {f"x_{n}": x.astype("uint8") for n in ("train", "val", "test")}
    np.savez(
        tmp_path / "a.npz", **parts, **{f"y_{n}": y for n in ("train", "val", "test")}
    )
    _, out, _ = run(
        capsys,
        "evaluate",
        f"--model={tmp_path / 'one.keras'}",
        f"--data={tmp_path / 'a.npz'}",
    )
    assert shares(out) == ("0.8500", 20)


def test_own_layers_are_imported(capsys, files, digits, tmp_path):
    (tmp_path / "my_own_layers_for_evaluate.py").write_text(
        "import keras\n\n\nclass Doubled(keras.layers.Layer):\n"
        "    def call(self, x):\n        return 2 * x\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        doubled = importlib.import_module("my_own_layers_for_evaluate").Doubled()
        model = keras.models.load_model(files / "model.keras")
        keras.Model(model.inputs, doubled(model.output)).save(tmp_path / "own.keras")
    finally:
        sys.path.remove(str(tmp_path))
    words = ("evaluate", f"--model={tmp_path / 'own.keras'}", "--data=digits")
    code, err = refused(capsys, *words)
    assert code == 1 and "Pass --import=MODULE" in err
    own = tmp_path / "my_own_layers_for_evaluate.py"
    code, out, err = run(capsys, *words, f"--import={own}")
    assert code == 0, err
    assert shares(out)[0] == f"{kbp.measure.accuracy(model, digits.test):.4f}"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--data=digits",), 2, "Expected --model"),
        (("--model=MobileNet", "--data=digits"), 2, "--model of evaluate to be a .ker"),
        (("--model=a.tflite",), 2, "evaluate scores on these images"),
        (("--model=a.tflite", "--data=digits", "--split=x"), 2, "--split to be one of"),
        (
            ("--model=a.tflite", "--data=digits", "--import=os"),
            2,
            "--import with a .tf",
        ),
        (
            ("--model=a.keras", "--data=digits", "--workers=2"),
            2,
            "--workers with a .ke",
        ),
        (("--model=a.tflite", "--data=digits"), 1, "--model to be the path of an exis"),
    ],
)
def test_wrong_command_lines(capsys, words, code, text):
    found, err = refused(capsys, "evaluate", *words)
    assert found == code
    assert text in err


def test_outputs_that_do_not_fit_the_classes(capsys, tmp_path):
    inputs = keras.Input((8, 8, 1))
    few = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
    keras.Model(inputs, few).save(tmp_path / "few.keras")
    maps = keras.layers.Conv2D(10, 1)(inputs)
    keras.Model(inputs, maps).save(tmp_path / "maps.keras")
    for name, shape in (("few", "(3,)"), ("maps", "(8, 8, 10)")):
        words = (f"--model={tmp_path / name}.keras", "--data=digits")
        code, _, err = run(capsys, "evaluate", *words)
        assert code == 1
        assert "a number for each of the 10 classes of --data (0, 1, 2, 3, 4, .." in err
        assert f"outputs of shape {shape}" in err


def test_two_folders_as_text_and_page(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, cost in (("a", "flops"), ("b", "bytes")):
        (tmp_path / name).mkdir()
        report = reports.sample_report(arguments={"cost": cost})
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    code, out, err = run(capsys, "compare", "a", "b")
    assert (code, err) == (0, "")
    text = str(kbp.report.compare_reports("a", "b"))
    assert out == f"{text}\n\nPage: comparison.html\n"
    assert "Arguments that differ" in (tmp_path / "comparison.html").read_text()
    code, out, _ = run(capsys, "compare", "a", "b", "--output=sub/page.html")
    assert code == 0
    assert (tmp_path / "sub" / "page.html").is_file()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (
            (),
            2,
            "Expected two folders, each with a report.json of compress. Received: n",
        ),
        (("a",), 2, "Received: a. Pass compare DIR DIR."),
        (("a", "b", "c"), 2, "Received: a b c. Pass"),
        (("a", "b", "--output=page.txt"), 2, "--output of compare to end with .html"),
        (("a", "b", "--model=x.keras"), 2, "--model, which is for"),
        (("nowhere", "b"), 1, "report.json"),
    ],
)
def test_what_cannot_be_compared(capsys, words, code, text):
    found, err = refused(capsys, "compare", *words)
    assert found == code
    assert text in err


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"keras-basisprune {__version__}\n", "")
    assert (
        run(capsys, "compress", "--version")[1] == f"keras-basisprune {__version__}\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_its_own_flags(capsys, command):
    for words in ((command, "--help"), ("help", command)):
        code, out, err = run(capsys, *words)
        assert (code, err) == (0, "")
        assert out.startswith(f"keras-basisprune {command}\n")
        shown = {
            line.split()[0] for line in out.splitlines() if line.startswith("  --")
        }
        assert {name.replace("[no]", "") for name in shown} == {
            f"--{flag.name}" for flag in FLAGS if command in flag.commands
        }


def test_every_command_that_loads_a_model_imports_modules():
    flags = {flag.name: flag.commands for flag in FLAGS}
    assert set(flags["model"]) <= set(flags["import"])
    assert set(flags["encoder"]) <= set(flags["import"])


def test_help_and_version_import_neither_keras_nor_tensorflow():
    code = (
        "import sys; sys.argv[0] = 'keras-basisprune'\n"
        "from keras_basisprune.cli.main import main\n"
        "for words in (['--help'], ['--version'], ['help', 'compress'], []):\n"
        "    assert main(['keras-basisprune', *words]) == 0\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'scipy', 'ai_edge_litert'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
