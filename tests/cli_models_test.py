"""Models from people's disks: damaged, of other kinds, with layers of their own."""

import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from command_lines import refused, run

import keras_basisprune as kbp
from keras_basisprune.cli import check_inputs

OWN = '''
import keras

class Scale(keras.layers.Layer):
    """Not registered."""

    def build(self, shape):
        self.factor = self.add_weight(shape=shape[-1:], initializer="uniform")

    def call(self, x):
        return x * (1 + self.factor)


@keras.saving.register_keras_serializable("mine")
class Shift(Scale):
    def call(self, x):
        return x + self.factor


def double(x):
    return 2 * x
'''


def network(*first, shape=(8, 8, 1)):
    return keras.Sequential(
        [
            keras.Input(shape),
            *first,
            keras.layers.Conv2D(6, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def known_objects() -> dict:
    """The classes that Keras finds by name at present, those of the package too."""
    return dict(keras.saving.get_custom_objects())


def forget_all_but(known):
    """Makes Keras know what it knew, and no more."""
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(known)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of models; what their own layers are is in `mine.py` alone."""
    keras.utils.set_random_seed(0)
    root = tmp_path_factory.mktemp("models")
    network().save(root / "plain.keras")
    network(shape=(None, None, 3)).save(root / "open.keras")
    network(keras.layers.Lambda(lambda x: 2 * x)).save(root / "lambda.keras")
    recurrent = [keras.layers.Reshape((8, 8)), keras.layers.LSTM(4)]
    keras.Sequential(
        [keras.Input((8, 8, 1)), *recurrent, keras.layers.Dense(10, "softmax")]
    ).save(root / "lstm.keras")
    namespace, known = {"__name__": "mine"}, known_objects()
    exec(OWN, namespace)
    activation = keras.layers.Activation(namespace["double"])
    layers = namespace["Scale"](), namespace["Shift"](), activation
    network(*layers).save(root / "own.keras")
    forget_all_but(known)
    for name in ("mine", "layers"):
        (root / f"{name}.py").write_text(OWN)
    (root / "broken.py").write_text("1 / 0")
    (root / "leaves.py").write_text("import sys; sys.exit(3)")
    (root / "lenient.py").write_text(
        "import keras\nkeras.config.enable_unsafe_deserialization()"
    )
    return root


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    """In the folder; what an import has left behind is removed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before, known = set(sys.modules), known_objects()
    yield
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    forget_all_but(known)


def truncated(path, whole):
    path.write_bytes(whole[: len(whole) // 2])


def flipped(path, whole):
    changed = bytearray(whole)
    changed[len(whole) // 3] ^= 255
    path.write_bytes(changed)


BROKEN = {
    "truncated.keras": (truncated, r"is damaged, or no .keras file: [\d,]+ bytes that"),
    "flipped.keras": (flipped, r"is damaged \(the checksum of .* is wrong\)"),
    "empty.keras": (lambda path, whole: path.touch(), "it is empty. Save it again"),
    "text.keras": (
        lambda path, whole: path.write_text("a"),
        "1 bytes that are not a",
    ),
    "text.h5": (
        lambda path, whole: path.write_text("a"),
        "failed with OSError: Unable",
    ),
    "folder.keras": (lambda path, whole: path.mkdir(), "a folder. Keras 3 can't load"),
    "pipe.keras": (lambda path, whole: os.mkfifo(path), "where there is no file"),
    "link.keras": (lambda path, whole: path.symlink_to("x"), "where there is no file"),
    "model.txt": (
        lambda path, whole: path.touch(),
        "name is of another kind",
    ),
    "model.tflite": (lambda path, whole: path.touch(), "a LiteRT file, whose layers"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", ["inspect", "export"])
def test_files_that_cant_be_loaded(capsys, folder, tmp_path, name, command):
    make, text = BROKEN[name]
    make(tmp_path / name, (folder / "plain.keras").read_bytes())
    words = (f"--output_dir={tmp_path / 'out'}",) if command == "export" else ()
    code, err = refused(capsys, command, f"--model={tmp_path / name}", *words)
    assert code == 1
    place = f"to be a file that Keras can load. Received: {tmp_path / name}, "
    assert err.partition(place)[2]
    assert re.search(text, err), err
    assert not (tmp_path / "out").exists()


def test_layers_of_ones_own_need_an_import(capsys):
    code, err = refused(capsys, "inspect", "--model=own.keras")
    assert code == 1
    assert "own.keras, which needs 'Scale', a class or function that Keras" in err
    assert "Pass --import=MODULE, the module (or .py file) that defines it." in err


@pytest.mark.parametrize(
    "given",
    [
        ("--import=mine",),
        ("--import=mine.py",),
        ("--import=./mine.py",),
        ("--import=layers.py",),
        ("--import=os, mine",),
        ("--import=os", "--import={folder}/mine.py"),
    ],
)
def test_import(capsys, folder, given):
    given = [word.format(folder=folder) for word in given]
    code, out, err = run(capsys, "inspect", "--model=own.keras", *given)
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if "conv" in line).split()
    assert row[:3] == ["conv", "Conv2D", "9x6"]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("nothing", "ModuleNotFoundError: No module named 'nothing'. Modules are se"),
        ("nothing.py", "FileNotFoundError"),
        ("broken", "ZeroDivisionError: division by zero"),
        ("broken.py", "ZeroDivisionError: division by zero"),
        ("leaves.py", "SystemExit: 3"),
        ("a b", "No module named 'a b'"),
    ],
)
def test_imports_that_fail(capsys, module, text):
    code, err = refused(capsys, "inspect", "--model=own.keras", f"--import={module}")
    assert code == 1
    assert "Expected --import to name a module that can be imported, or the" in err
    assert f"Received: {module}, which failed with " in err
    assert text in err


def test_lambda_layers_need_trust(capsys):
    words = ("measure", "--model=lambda.keras", "--runs=1")
    code, err = refused(capsys, *words)
    assert code == 1
    assert "lambda.keras, which holds code (a Lambda layer). If you trust it" in err
    try:
        code, _, err = run(capsys, *words, "--import=lenient.py")
        assert code == 0, err
    finally:
        keras.utils.clear_session()  # in which that is kept


def computed(path, x):
    """What a LiteRT file makes of samples, one after the other."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for sample in x:
        interpreter.set_tensor(into["index"], sample[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(out["index"])[0])
    return np.array(found)


def spawned(folder, *words):
    """A command in a process of its own, in which no one has quietened TensorFlow."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(pathlib.Path(kbp.__file__).parent.parent),
    }
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, "-m", "keras_basisprune.cli", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_in_a_process_of_its_own(folder, tmp_path):
    words = ("export", "--model=own.keras", f"--output_dir={tmp_path / 'out'}")
    failed = spawned(folder, *words)
    assert failed.returncode == 1
    assert "which needs 'Scale'" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1, failed.stderr
    assert not (tmp_path / "out").exists()
    done = spawned(folder, *words, "--import=mine", "--formats=float32")
    assert (done.returncode, done.stderr) == (0, "")
    namespace = {"__name__": "mine"}
    exec(OWN, namespace)
    model = keras.models.load_model("own.keras", custom_objects=namespace)
    x = np.random.default_rng(0).random((5, 8, 8, 1), "float32")
    found = computed(tmp_path / "out" / "small_float32.tflite", x)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-6)


def test_models_of_any_size_need_an_input_size(capsys, tmp_path):
    out = f"--output_dir={tmp_path / 'out'}"
    for words in (
        ("export", out),
        ("measure",),
        ("inspect", "--data=digits"),
        ("compress", "--data=digits", out),
    ):
        code, err = refused(capsys, words[0], "--model=open.keras", *words[1:])
        assert code == 1
        assert "Expected --input_size, since --model takes images of any size" in err
    assert not (tmp_path / "out").exists()
    words = ("--model=open.keras", "--input_size=12")
    assert run(capsys, "export", *words, out)[0] == 0
    model = keras.models.load_model("open.keras")
    x = np.random.default_rng(0).random((3, 12, 12, 3), "float32")
    found = computed(tmp_path / "out" / "small_float32.tflite", x)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-6)
    _, printed, _ = run(capsys, "measure", *words, "--runs=1")
    assert str(kbp.measure.cost(model, input_shape=(12, 12, 3))) in printed


@pytest.mark.parametrize(
    ("model", "size", "text"),
    [
        ("plain", 16, "for a model of images of shape (8, 8, 1)"),
        ("own", 9, "for a model of images of shape (8, 8, 1)"),
    ],
)
def test_an_input_size_that_is_not_the_models(capsys, model, size, text):
    words = (f"--model={model}.keras", f"--input_size={size}", "--import=mine")
    code, err = refused(capsys, "inspect", *words)
    assert code == 1
    assert f"Expected no --input_size {text}. Received: --input_size={size}" in err
    assert run(capsys, "inspect", words[0], "--input_size=8", "--import=mine")[0] == 0


@pytest.mark.parametrize("command", ["export", "compress"])
def test_what_int8_cant_hold_is_told_before_anything(capsys, tmp_path, command):
    code, err = refused(
        capsys,
        command,
        "--model=lstm.keras",
        "--data=digits",
        "--formats=float32,int8",
        f"--output_dir={tmp_path / 'out'}",
    )
    assert code == 1
    assert "the recurrent layers ['lstm" in err
    assert not (tmp_path / "out").exists()


def test_exports_appear_together_or_not_at_all(capsys, tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "mine").touch()
    words = ("export", "--model=plain.keras", f"--output_dir={tmp_path}")
    code, err = refused(capsys, *words)
    assert code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["saved_model"]
    assert run(capsys, *words, "--formats=float32")[0] == 0
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["saved_model", "small_float32.tflite"]


LOGS = ("compress", "--model=nothing.keras", "--data=digits")


@pytest.mark.parametrize("place", ["mine.py", "mine.py/deeper"])
def test_tensorboard_needs_a_folder(capsys, folder, place):
    code, err = refused(capsys, *LOGS, f"--tensorboard={place}")
    assert code == 1
    assert f"Received: {place}, but {folder / 'mine.py'} is not a folder" in err


def test_tensorboard_must_be_installed(capsys, monkeypatch):
    monkeypatch.setattr(check_inputs.importlib.util, "find_spec", lambda name: None)
    code, err = refused(capsys, *LOGS, "--tensorboard=logs")
    assert code == 1
    assert "--tensorboard needs TensorBoard, which is not installed. Run: pip" in err


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--data=nowhere", "Received: nowhere, which doesn't exist"),
        ("--data=\udcff\nx", r"Received: \udcff x, which doesn't exist"),
        ("--data=mine.py", "Expected --data to be 'digits', 'tfds:NAME', the path"),
        ("--max_images=3", "Expected --max_images to be an integer >= 10"),
    ],
)
def test_data_that_is_not_there(capsys, flag, text):
    words = ("inspect", "--model=plain.keras", "--data=digits", flag)
    code, err = refused(capsys, *words)
    assert code == 1
    assert text in err


@pytest.mark.parametrize("weights", ["nowhere.h5", "."])
def test_weights_that_are_no_file(capsys, weights):
    words = ("inspect", "--model=MobileNet", f"--weights={weights}")
    code, err = refused(capsys, *words)
    assert code == 1
    assert f"Received: {weights}, which is not a file" in err


def test_debug_shows_where(capsys):
    with pytest.raises(ValueError, match="neither a file"):
        run(capsys, "inspect", "--model=nothing.keras", "--debug")
