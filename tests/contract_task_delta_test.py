"""What holds for a `TaskDelta` of every kind of model.

The base is untouched; `apply` gives the network of the task and `remove` the base, to
the bit; files hold all of it; and what was trained is what is applied.
"""

import copy
import pickle

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import KINDS, identical, outputs, randomize, sample
from task_networks import custom, made_delta, state, subclassed

import keras_basisprune as kbp
from keras_basisprune.methods import DiffOptions, diff_pruning

OTHERS = {"own layers": custom, "subclassed by hand": subclassed}
ALL = {**KINDS, **FAMILIES, **OTHERS}
# Where the last layers with weights are all there are.
HEADS = {"dictionaries": "dense", "lists": "conv_b"}


def randomized(kind):
    model = ALL[kind]()
    return randomize(model) if kind in KINDS else model


@pytest.mark.parametrize("kind", ALL)
def test_apply_remove_and_files_are_exact(kind, tmp_path):
    model = randomized(kind)
    inputs = sample(model) if hasattr(model, "inputs") and model.inputs else None
    inputs = np.ones((2, 6, 6, 3), "float32") if inputs is None else inputs
    before, said = state(model), outputs(model, inputs)
    delta, wanted = made_delta(model, HEADS.get(kind))
    assert delta.changed > 0
    assert not identical(before, wanted)

    delta.save(tmp_path / "task.npz")
    loaded = kbp.TaskDelta.load(tmp_path / "task.npz")
    assert loaded == delta
    network = loaded.apply(model)
    assert type(network) is type(model) or isinstance(network, keras.Model)
    assert identical(state(network), wanted)
    told = outputs(network, inputs)
    assert identical(state(model), before)
    assert identical(outputs(model, inputs), said)

    for _ in range(2):
        loaded.apply_in_place(model)
        assert identical(state(model), wanted)
        assert identical(outputs(model, inputs), told)
        loaded.remove(model)
        assert identical(state(model), before)
    assert identical(outputs(model, inputs), said)


@pytest.mark.parametrize("kind", ["residual", "nested", *OTHERS])
@pytest.mark.parametrize("batch_norm", ["statistics", "frozen"])
def test_training_leaves_the_base_and_gives_what_it_has_trained(kind, batch_norm):
    model = ALL[kind]()
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    x = (rng.standard_normal((24, 6, 6, 3)) + 2 * y[:, None, None, None]).astype("f4")
    flags = [v.trainable for v in model.variables]
    before = state(model)
    config = DiffOptions(
        epochs=1, fixed_epochs=2, batch_size=8, batch_norm=batch_norm, fixed_rate=1e-2
    )
    delta = diff_pruning(model, (x, y), (x, y), share=0.2, config=config, verbose=0)
    assert identical(state(model), before)
    assert [v.trainable for v in model.variables] == flags
    assert 0 < delta.changed <= 0.2 * delta.base_size
    assert (delta.whole > 0) == (batch_norm == "statistics" or kind == "own layers")

    network = delta.apply(model)
    network.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    found = network.evaluate(x, y, verbose=0, return_dict=True)
    logs = delta.metadata["logs"]
    np.testing.assert_allclose(found["loss"], logs["val_loss"], rtol=1e-5)
    assert found["accuracy"] == pytest.approx(logs["val_accuracy"])
    assert kbp.TaskDelta.between(model, network).changed <= delta.changed


def test_the_same_seed_gives_the_same_delta():
    model = subclassed()
    rng = np.random.default_rng(0)
    data = rng.standard_normal((16, 6, 6, 3)).astype("float32"), np.arange(16) % 4
    first, again, other = (
        diff_pruning(
            model,
            data,
            share=0.1,
            config=DiffOptions(epochs=1, fixed_epochs=1, seed=seed),
            verbose=0,
        )
        for seed in (1, 1, 2)
    )
    assert first == again
    assert hash(first) == hash(again)
    assert first != other


def test_a_delta_is_a_value():
    delta, _ = made_delta(FAMILIES["residual"]())
    assert copy.deepcopy(delta) == delta
    assert pickle.loads(pickle.dumps(delta)) == delta
    with pytest.raises(AttributeError):
        delta.fingerprint = "a"
    with pytest.raises(ValueError, match="read-only"):
        delta.changes[0].values[0] = 1.0
    with pytest.raises(TypeError):
        delta.metadata["a"] = 1
