"""Several networks of a search at once, in processes of their own."""

import os
import threading
import time

import digits_model
import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_basisprune as kbp
from keras_basisprune.search.smallest_share import smallest_share
from keras_basisprune.search.workers import trial_workers
from keras_basisprune.search.workers.likely_attempts import likely_attempts


class Doubled(keras.layers.Layer):
    """A layer that is not registered with Keras."""

    def call(self, x):
        return 2 * x


def halved(x):
    """A function that is not registered either."""
    return x / 2


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits)


@pytest.fixture(scope="module")
def own_layers(model):
    """The same function, through layers of one's own."""
    x = keras.layers.Activation(halved)(Doubled()(model.output))
    return keras.Model(model.input, x)


def search(model, digits, **arguments):
    train, validation = digits.train[0][:300], digits.validation
    options = kbp.SearchOptions(samples=200)
    given = {"max_drop": 0.05, "config": options, "verbose": 0, **arguments}
    return kbp.compress(model, train, given.pop("validation", validation), **given)


def figures(result):
    """Shares and scores of all networks; of those that a worker has made, rounded."""
    return [
        (one.round, one.method, one.kept, one.score, one.samples, one.good_enough)
        for one in result.trials
    ]


@pytest.fixture(scope="module")
def alone(own_layers, digits):
    return search(own_layers, digits)


def test_two_workers_find_what_one_finds(own_layers, digits, alone, tmp_path):
    # A dataset, which is written to files for them.
    stream = tf.data.Dataset.from_tensor_slices(digits.validation).batch(48)
    both = search(own_layers, digits, workers=2, output_dir=tmp_path, validation=stream)
    assert figures(both) == figures(alone)
    assert len(both.trials) > 5
    assert both.report.after == alone.report.after
    for one, other in zip(
        both.model.get_weights(), alone.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    # The state belongs to both: one process reads what two have written.
    again = search(own_layers, digits, output_dir=tmp_path, validation=stream)
    assert [one.seconds for one in again.trials] == [one.seconds for one in both.trials]


@pytest.mark.large
def test_training_and_files_that_ship(model, digits):
    """Rounds whose network is not the original, and a metric of a script's own."""
    seen = len(digits.validation[1])

    def right(network, data):
        images, labels = data
        found = np.asarray(network.predict(images, verbose=0)).argmax(-1)
        assert len(labels) == seen
        return (found == labels).astype(float)

    arguments = {
        "metric": right,
        "mode": "max",
        "ship": "float32",
        "recover": kbp.Recovery(epochs=1),
        "methods": ["channels"],
        "config": kbp.SearchOptions(samples=100, rounds=2),
    }
    one, two = (search(model, digits, workers=w, **arguments) for w in (1, 2))
    # Until the first training, which threads may round otherwise.
    first = [trial for trial in one.trials if trial.round == 1]
    count = [trial.trained for trial in first].index(True)
    assert count >= 3
    for a, b in zip(one.trials[:count], two.trials[:count], strict=True):
        assert (a.round, a.method, a.judged) == (b.round, b.method, b.judged)
        assert a.kept == pytest.approx(b.kept, abs=1e-6)
    assert max(trial.round for trial in two.trials) == 2 or len(two.plans) == 1
    accuracy = kbp.measure.accuracy(two.model, digits.validation)
    assert accuracy >= kbp.measure.accuracy(model, digits.validation) - 0.05


def test_what_cannot_be_passed_on_is_refused_and_leaves_nothing(
    model, digits, tmp_path
):
    lock = threading.Lock()

    def metric(network, data):
        return float(lock.locked())

    with pytest.raises(ValueError, match="pickled.*workers=1"):
        search(model, digits, metric=metric, mode="max", workers=2)
    stream = tf.data.Dataset.from_tensor_slices(digits.validation).batch(64)
    own = {"metric": lambda *_: 0.5, "mode": "max"}
    with pytest.raises(ValueError, match="pickled.*PyDataset.*workers=1"):
        search(model, digits, validation=stream, workers=2, **own)
    with pytest.raises(ValueError, match="`workers` to be 1 for cost='latency'"):
        search(model, digits, cost="latency", workers=2, output_dir=tmp_path / "new")
    with pytest.raises(ValueError, match=r"`workers` to be an integer in \[1, 256\]"):
        search(model, digits, workers=0)
    assert not (tmp_path / "new").exists()


def test_a_worker_that_dies_is_named(model, digits):
    mother = os.getpid()

    def metric(network, data):
        if os.getpid() != mother:
            os._exit(3)
        return 0.5

    with pytest.raises(RuntimeError, match="worker has ended by itself.*fewer"):
        search(model, digits, metric=metric, mode="max", workers=2)


def held(megabytes, seconds, store=[]):  # noqa: B006
    store.append(np.ones(megabytes << 17))
    time.sleep(seconds)
    return os.getpid()


def test_a_process_whose_memory_grows_goes_on():
    executor = trial_workers._executor(1)
    found = {executor.submit(held, *size).result() for size in ((1, 0), (400, 1.1))}
    found.add(executor.submit(held, 1, 0).result())
    executor.shutdown(kill_workers=True)
    assert len(found) == 1 and found != {os.getpid()}


def test_likely_attempts_by_hand():
    def find(attempt):
        return smallest_share(attempt, 0.5, ("a", "b"), 3, 0.01)

    middle, low, high = (0.01 ** (part / 4) for part in (2, 3, 1))
    outcomes = (1.0, 0.0)
    first = likely_attempts(find, {}, outcomes, 3)
    assert first == [
        (pytest.approx(middle), "a"),
        (pytest.approx(low), "a"),
        (pytest.approx(high), "a"),
    ]
    # The third share decides: where it fails, the other method is tried there.
    known = {first[0]: 0.0, first[2]: 0.0}
    third = (pytest.approx(0.01 ** (1 / 8)), "a")
    assert likely_attempts(find, known, outcomes, 5) == [third, (third[0], "b")]
    known[likely_attempts(find, known, outcomes, 1)[0]] = 1.0
    assert likely_attempts(find, known, outcomes, 5) == []
