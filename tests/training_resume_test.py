"""Runs that are killed between epochs go on under `BackupAndRestore`."""

import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from diagonal import UNIT_VECTORS, Record, classifier
from lives import LIVES, live
from models import identical

from keras_basisprune import L1Thresholding

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which all runs were killed by one process, and ended by another."""
    folder = tmp_path_factory.mktemp("lives")
    for which, code in (("first", -signal.SIGKILL), ("second", 0)):
        command = [sys.executable, str(HERE / "lives.py"), str(folder), which]
        ended = subprocess.run(
            command,
            env={"PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == code, ended.stderr[-3000:]
        found = [(folder / f"{name}.backup").exists() for name in LIVES]
        assert found == [which == "first"] * len(LIVES)
    return folder


@pytest.mark.parametrize("name", LIVES)
def test_a_resumed_run_ends_like_an_undisturbed_one(name, folder):
    with np.load(folder / f"{name}.npz") as file:
        resumed = dict(file)
    whole = live(name)
    last = LIVES[name][2] + 1
    assert resumed["epochs"].tolist() == whole["epochs"].tolist()[last:] != []
    assert resumed["kept"].tolist() == whole["kept"].tolist()[last:]
    assert resumed["masks"] == whole["masks"]
    assert "0" in str(whole["masks"])
    weights = [key for key in whole if key.startswith("w")]
    for key in weights:
        np.testing.assert_allclose(resumed[key], whole[key], rtol=1e-5, atol=1e-6)


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise InterruptedError("stopped")


def train(model, callbacks, epochs=2):
    return model.fit(
        *UNIT_VECTORS,
        epochs=epochs,
        batch_size=4,
        validation_data=UNIT_VECTORS,
        callbacks=callbacks,
        verbose=0,
    )


@pytest.mark.parametrize("first", [True, False])
def test_any_order_of_callbacks_keeps_the_budget(first, tmp_path):
    """In front of us, `BackupAndRestore` saves before the epoch was judged."""

    def callbacks(*more):
        mine = L1Thresholding(0.3, monitor="val_accuracy", max_drop=0.1)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return [*((mine, backup) if first else (backup, mine)), *more]

    with pytest.raises(InterruptedError):
        train(classifier(), callbacks(Stop()))
    model = classifier()
    history = train(model, callbacks(), epochs=4)
    assert history.epoch[0] == 1
    assert model.evaluate(*UNIT_VECTORS, verbose=0)[1] == 1.0


def test_saved_models_do_not_notice(tmp_path):
    """Files written during training load anywhere, and nothing stays behind."""
    model = classifier(rate=0.1)
    attributes = set(vars(model))
    record = Record()
    train(
        model,
        [
            L1Thresholding(0.3, monitor="val_accuracy", max_drop=0.3),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "{epoch}.weights.h5", save_weights_only=True
            ),
            record,
        ],
    )
    assert not [name for name in set(vars(model)) - attributes if "memory" in name]
    loaded = keras.saving.load_model(tmp_path / "2.keras")
    assert identical(loaded.get_weights(), record.weights[1])
    other = classifier()
    other.load_weights(tmp_path / "1.weights.h5")
    assert identical(other.get_weights(), record.weights[0])
