"""What a search shows while it runs."""

import math
import types

import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.methods import METHODS
from keras_basisprune.search.metrics.mean_value import MeanValue
from keras_basisprune.search.progress import Progress
from keras_basisprune.search.trial import Trial


def measure(name):
    return MeanValue(name, name, 0, None, exact=True)


def task(**changes):
    images = np.zeros((100, 2, 2, 1))
    given = {
        "verbose": True,
        "train": np.zeros((400, 2, 2, 1)),
        "validation": images,
        "measure": measure("accuracy"),
        "sign": 1,
        "recovery": kbp.Recovery(epochs=2),
        "rounds": 5,
        "objective": "flops",
        "min_score": 0.89,
        "max_drop": 0.01,
        "distill": True,
        "methods": [METHODS["basis_regression"], METHODS["slimming"]],
    }
    return types.SimpleNamespace(**{**given, **changes})


def trial(score=0.88, kept=0.375, bound=0.05, **seconds):
    trained = "training" in seconds
    return Trial(1, kept, kept, kept, score, 0.01, trained, False, 1.0, seconds, bound)


def lines(capsys):
    return [line.strip() for line in capsys.readouterr().err.split("\r")]


def test_it_says_what_its_figures_are(capsys):
    Progress(task()).close()
    text = capsys.readouterr().err
    assert "Each round (up to 5) cuts networks of several sizes and trains the" in text
    assert "a retry cuts less" in text
    assert "removed   of the FLOPs" in text
    assert "accuracy  on the 100 validation images; in brackets, what others" in text
    assert "time of this round, about, its training included" in text
    other = {"objective": "bytes", "validation": [0] * 7}
    Progress(task(recovery=None, measure=measure("agreement"), **other)).close()
    text = capsys.readouterr().err
    assert "removed   of the bytes" in text
    assert "agreement on the 7 validation images" in text
    assert "train" not in text
    assert "retry" not in text
    Progress(task(verbose=False)).close()
    assert capsys.readouterr().err == ""


def test_time_left_is_that_of_cuts_and_training(capsys):
    progress = Progress(task())
    progress.begin(1, False, 3)
    progress.show(trial(fitting=8.0, evaluation=2.0))
    # Two cuts of ten seconds, and a guess: two epochs of 400 images, at four passes.
    assert lines(capsys)[-1].endswith(
        "62.5% removed, accuracy 0.8800 (0.8500), 01:24 left"
    )
    progress.show(trial(fitting=18.0, evaluation=2.0))
    # The guess is by the last network that was looked at.
    assert lines(capsys)[-1].endswith("01:19 left")
    progress.train()
    assert lines(capsys)[-1].endswith("training, 01:04 left")
    progress.show(trial(0.895, evaluation=2.0, training=30.0))
    last = lines(capsys)[-1]
    assert last.startswith("Round 1 3/4")
    assert last.endswith("62.5% removed, accuracy 0.8950 (0.8500)")
    progress.begin(1, True, 3)
    # Three cuts like the last one, and a training like the last one.
    last = lines(capsys)[-1]
    assert last.startswith("Round 1, retry 0/4")
    assert last.endswith("cutting, 01:30 left")
    progress.close()


def test_epochs_count_down(capsys):
    progress = Progress(task())
    progress.begin(2, False, 3)
    (callback,) = progress.train()
    callback.on_epoch_end(7, {})
    assert "training, epoch 1/2, 00:00 left" in lines(capsys)[-1]
    callback.on_epoch_end(8, {})
    assert "training, epoch 2/2" in lines(capsys)[-1]
    progress.close()


def test_training_before_a_cut_is_said_and_counts_once(capsys):
    progress = Progress(task(recovery=None))
    progress.begin(1, False, 3)
    progress.prepare(METHODS["slimming"])
    assert lines(capsys)[-1].endswith("training by slimming")
    trained = trial(fitting=1.0, evaluation=1.0)
    trained.seconds["training"] = 60.0
    progress.show(trained)  # two cuts of two seconds are left
    assert lines(capsys)[-1].endswith("00:04 left")
    progress.close()


@pytest.mark.parametrize("recovery", [None, kbp.Recovery(epochs=2)])
def test_no_nan(capsys, recovery):
    progress = Progress(task(recovery=recovery))
    progress.begin(1, False, 3)
    for _ in range(3):
        progress.show(trial(math.nan, math.nan, math.nan, fitting=1.0))
    progress.show(trial(0.5, 0.5, 1.0, fitting=1.0, evaluation=0.1))
    progress.close()
    text = capsys.readouterr().err
    assert "nan" not in text
    assert "there is no network of this size" in text
    assert "50.0% removed, accuracy 0.5000 (0.0000)" in text
