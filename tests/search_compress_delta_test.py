"""`compress` of networks with a delta applied, and deltas of compressed networks."""

import digits_model
import keras
import numpy as np
import pytest
from models import identical, outputs
from task_networks import made_delta, state

import keras_basisprune as kbp
from keras_basisprune.methods import DiffOptions, diff_pruning


def turned(pair):
    """The task: the same images, with other names for the classes."""
    return pair[0], 9 - pair[1]


@pytest.fixture(scope="module")
def base(digits):
    return digits_model.trained(digits)


@pytest.fixture(scope="module")
def delta(base, digits):
    config = DiffOptions(
        selection="magnitude", epochs=1, fixed_epochs=3, learning_rate=1e-2,
        fixed_rate=1e-2,
    )  # fmt: skip
    return diff_pruning(
        base, turned(digits.train), share=0.05, config=config, verbose=0
    )


def compressed(model, digits, change=turned):
    keras.utils.set_random_seed(0)
    pairs = (change(part) for part in (digits.train, digits.validation))
    return kbp.compress(model, *pairs, max_drop=0.03, methods=["channels"], verbose=0)


def test_a_network_with_a_delta_in_it_is_compressed_like_its_copy(base, delta, digits):
    before, x = state(base), digits.test[0]
    network = delta.apply(base)
    said = kbp.measure.accuracy(network, turned(digits.validation))
    wanted = compressed(network, digits)
    assert wanted.met_budget
    assert wanted.report.params_ratio < 0.9
    score = kbp.measure.accuracy(wanted.model, turned(digits.validation))
    assert wanted.report.extra["accuracy on validation"] == (said, score)
    assert score >= said - 0.03

    delta.apply_in_place(base)
    found = compressed(base, digits)
    assert identical(state(base), state(network))
    assert identical(outputs(found.model, x), outputs(wanted.model, x))
    delta.remove(base)
    assert identical(state(base), before)
    assert identical(outputs(found.model, x), outputs(wanted.model, x))


def test_a_compressed_network_is_the_base_of_tasks(base, digits, tmp_path):
    small = compressed(base, digits, lambda pair: pair).model
    x, before, said = digits.test[0], state(small), outputs(small, digits.test[0])
    made, wanted = made_delta(small)
    config = DiffOptions(selection="magnitude", epochs=1, fixed_epochs=1)
    learned = diff_pruning(
        small, turned(digits.train), share=0.1, config=config, verbose=0
    )
    assert learned.changed == int(0.1 * learned.base_size)
    for delta in (made, learned):
        delta.save(tmp_path / "task.npz")
        delta = kbp.TaskDelta.load(tmp_path / "task.npz")
        network = delta.apply(small)
        told = outputs(network, x)
        assert not np.array_equal(told[0], said[0])
        delta.apply_in_place(small)
        assert identical(state(small), state(network))
        assert identical(outputs(small, x), told)
        delta.remove(small)
        assert identical(state(small), before)
        assert identical(outputs(small, x), said)
        with pytest.raises(ValueError, match="`base` to be the base"):
            delta.apply(base)
    assert identical(state(made.apply(small)), wanted)
    # What is folded keeps the function of the network for the task.
    folded = kbp.fold(learned.apply(small))
    want = outputs(learned.apply(small), x)[0]
    np.testing.assert_allclose(outputs(folded, x)[0], want, atol=1e-5)
