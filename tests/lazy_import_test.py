"""Processes of their own: what is imported, and when.

The command line shows help without Keras; everywhere else `import keras_basisprune`
registers its layer with Keras.
"""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_basisprune as kbp

ROOT = pathlib.Path(kbp.__file__).parent.parent
HEAVY = {"keras", "tensorflow", "jax", "torch", "numpy", "scipy", "plotly", "PIL"}


def python(code, folder=ROOT):
    """What a fresh process that runs `code` prints; it must print no errors."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--help"], 0, "Commands:"),
        (["compress", "--help"], 0, "--max_drop"),
        (["compress", "--help"], 0, "channel_gates, compensation_aware,"),
        (["inspekt", "--model=x"], 2, ""),
        (["inspect", "--modle=x"], 2, ""),
    ],
)
def test_help_and_wrong_flags_need_no_keras(words, code, text):
    found = python(
        f"sys.argv = ['bin/keras-basisprune', *{words}]; "
        "from keras_basisprune.cli.main import main; "
        f"assert main() == {code}; print('modules:', *sys.modules)"
    )
    output, _, loaded = found.partition("modules:")
    assert text in output
    assert "keras_basisprune.cli.main" in loaded.split()
    assert HEAVY & set(loaded.split()) == set()


def test_help_may_be_read_in_part():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "keras_basisprune.cli", "--help"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_python_m_needs_no_keras_for_help():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "keras_basisprune.cli", "-h"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "Commands:" in done.stdout
    assert "keras_basisprune.cli.main" in loaded
    assert HEAVY & loaded == set()


def test_modules_of_the_user_find_all_names_on_the_command_line():
    found = python(
        "sys.argv = ['keras-basisprune']; import keras_basisprune as kbp; "
        "assert 'keras' not in sys.modules; "
        "from keras_basisprune import Plan, linalg, scores; "
        "assert not hasattr(kbp, 'missing') and not hasattr(kbp, '_missing'); "
        "print(kbp.__version__, scores.energy.__name__, linalg.__name__, *kbp.__all__)"
    )
    version, energy, linalg, *names = found.split()
    assert version == kbp.__version__
    assert (energy, linalg) == ("energy", "keras_basisprune.linalg")
    assert names == list(kbp.__all__)


def test_the_import_registers_the_layer_and_loads_what_only_some_need_later(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = kbp.convert(
        keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs)), verbose=0
    )
    model.save(tmp_path / "converted.keras")
    model.save(tmp_path / "converted.h5")
    x = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    np.save(tmp_path / "x.npy", x)
    found = python(
        "import keras_basisprune; print(*sys.modules); import keras, numpy as np; "
        "[np.save(f'y_{kind}.npy', keras.models.load_model("
        "f'converted.{kind}', compile=False).predict("
        "np.load('x.npy'), verbose=0)) for kind in ('keras', 'h5')]",
        tmp_path,
    )
    for kind in ("keras", "h5"):
        y = np.load(tmp_path / f"y_{kind}.npy")
        np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=1e-6)
    loaded = set(found.split("\n")[0].split())
    assert {"keras", "keras_basisprune.layers"} <= loaded
    assert {"plotly", "jinja2"} & loaded == set()
