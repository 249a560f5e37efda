"""What is said when training ends and nothing was masked."""

import re
import warnings

import keras
import numpy as np
import pytest
from diagonal import UNIT_VECTORS, classifier, diagonal, masks

from keras_basisprune import L1Thresholding, scores

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.zeros((8, 6), "float32")


def told(callback, model=None, rate=0.0, **kwargs):
    """The warnings of a training of two steps, or of two steps per epoch."""
    model = model or diagonal()
    model.compile(keras.optimizers.SGD(rate), "mse", run_eagerly=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y, batch_size=4, callbacks=[callback], verbose=0, **kwargs)
    texts = [str(w.message) for w in caught]
    return [text for text in texts if "L1Thresholding" in text]


def weakest(scope, cost):
    """The share of the weakest energy, worked out by NumPy."""
    model = diagonal()
    found = {name: np.array(v) for name, v in scores.energy(model).items()}
    if cost:
        for name in found:
            n = np.prod(model.get_layer(f"{name}_basis").kernel.shape[:-1])
            found[name] = found[name] / (n + model.get_layer(f"{name}_scaling").filters)
    tops = {name: values.max() for name, values in found.items()}
    if scope == "global":
        tops = dict.fromkeys(tops, max(tops.values()))
    return min(values.min() / tops[name] for name, values in found.items())


@pytest.mark.parametrize(
    ("scope", "cost"), [("local", None), ("global", None), ("global", "params")]
)
def test_it_says_how_far_the_weakest_basis_was(scope, cost):
    callback = L1Thresholding(1e-4, score="energy", scope=scope, cost=cost)
    (text,) = told(callback)
    assert text.startswith("`L1Thresholding` has masked nothing")
    share = float(re.search(r"has ([\d.e-]+) of the score", text)[1])
    assert share == pytest.approx(weakest(scope, cost), rel=5e-3)
    assert "(of `a`)" in text
    assert "the last `threshold` was 0.0001." in text
    assert "smallest is now 1." in text
    for change in ("epochs", "`l1` in `convert`", "learning rate", "docs/training.md"):
        assert change in text
    # What it says is so: a little more than that share, and something is masked.
    assert (
        told(L1Thresholding(share * 1.01, score="energy", scope=scope, cost=cost)) == []
    )
    (text,) = told(L1Thresholding(share * 0.99, score="energy", scope=scope, cost=cost))
    assert "has masked nothing" in text


def test_it_says_how_far_the_scales_have_come():
    model = diagonal()
    (text,) = told(L1Thresholding(0.0), model, rate=1e-2)
    pairs = [model.get_layer(f"{name}_scaling").scale for name in "ab"]
    least = min(float(np.abs(keras.ops.convert_to_numpy(s)).min()) for s in pairs)
    assert least < 1
    assert f"smallest is now {least:.2g}." in text


def test_a_schedule_counts_where_it_has_come_to():
    rising = keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 1.0, power=1.0)
    (text,) = told(L1Thresholding(rising), epochs=2)
    assert "the last `threshold` was 0.002." in text  # step 2 of 1000


def test_shares_are_told_as_shares():
    (text,) = told(L1Thresholding(lambda step: (True, 0.01 * step)), epochs=2)
    assert "The last `threshold` was a share of 0.02 of the bases" in text


@pytest.mark.parametrize("arguments", [{"start": 5}, {"unit": "step", "start": 9}])
def test_masking_that_was_never_due(arguments):
    (text,) = told(L1Thresholding(0.9, **arguments))
    assert "due for masking: check `start`" in text


def test_masking_that_was_taken_back():
    model = classifier()
    callback = L1Thresholding(0.6, start=1, monitor="accuracy", max_drop=0.1)
    with pytest.warns(UserWarning, match="undone all its masks") as caught:
        model.fit(*UNIT_VECTORS, epochs=3, callbacks=[callback], verbose=0)
    (text,) = [str(w.message) for w in caught if "L1Thresholding" in str(w.message)]
    assert "`accuracy` was worse than 1 by more than max_drop=0.1" in text
    assert masks(model) == {"a": "1111"}


def test_a_score_of_ones_own_is_not_asked_once_more():
    asked = []

    def score(model):
        asked.append(1)
        return scores.magnitude(model)

    (text,) = told(L1Thresholding(1e-4, score=score))
    assert asked == [1]
    assert "of the score" not in text
    assert "Raise `threshold`" in text


def test_nothing_is_said_where_something_was_masked():
    model = diagonal()
    assert told(L1Thresholding(0.3), model) == []
    assert told(L1Thresholding(0.0), model) == []  # it was masked before
