"""The table of methods, and how one is added: by a file and a row."""

import dataclasses
import pathlib
import re

import keras
import numpy as np
import pytest
from channel_gain import CHANNEL_GAIN
from families import FAMILIES
from method_contract import hold_method

import keras_basisprune as kbp
from keras_basisprune.methods import METHODS, Method
from keras_basisprune.utils.method_names import (
    METHOD_NAMES,
    MethodName,
    named_methods,
)

TABLE = {**METHODS, CHANNEL_GAIN.name: CHANNEL_GAIN}


def test_every_row_says_what_it_is():
    assert list(METHODS) == [row.name for row in METHODS.values()]
    assert kbp.methods.METHODS is METHODS
    for row in METHODS.values():
        assert re.search(r"arXiv:\d{4}\.\d{5}", row.source), row.name
        assert row.removes
    assert {row.name: row.needs for row in METHODS.values() if "data" not in row.needs}
    aliases = {row.alias: row.split for row in METHODS.values() if row.alias}
    assert aliases == {"basis": 0.0, "channels": 1.0}
    with pytest.raises(TypeError):
        METHODS["mine"] = CHANNEL_GAIN


def test_the_command_line_knows_the_same_methods_without_keras():
    assert METHOD_NAMES == tuple(
        MethodName(
            row.name, row.title, row.alias, row.train is not None, row.compensates
        )
        for row in METHODS.values()
    )
    assert named_methods(["slimming", "basis", "x"]) == [
        name for name in METHOD_NAMES if name.short in ("slimming", "basis")
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_added_method_holds_the_contract(family, tmp_path):
    """Nothing in the package knows the method or its layer."""
    found = hold_method(TABLE["channel_gain"], FAMILIES[family](), tmp_path)
    assert set(found) == {"prepared", "pruned", "folded", "original"}


def test_an_added_method_is_trained_and_pruned_like_any_other():
    model = FAMILIES["concatenation"]()
    x = np.random.default_rng(0).normal(size=(16, 6, 6, 3)).astype("float32")
    y = np.arange(16) % 4
    method = TABLE["channel_gain"]
    prepared = method.prepare(model, l1=1e-2)
    prepared.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    callback = kbp.L1Thresholding(0.8, start=2)
    logs = prepared.fit(x, y, epochs=4, verbose=0, callbacks=[callback]).history
    plan = method.plan(prepared)
    kept = sum(len(part.indices) for part in plan.channels.values())
    assert kept == logs["kept_channels"][-1] < logs["kept_channels"][0]
    small = kbp.fold(method.carry_out(prepared, plan))
    before, after = kbp.measure.cost(model).flops, kbp.measure.cost(small).flops
    assert after < before
    answers = prepared.predict(x, verbose=0)
    np.testing.assert_allclose(small.predict(x, verbose=0), answers, atol=1e-5)


def test_the_toy_is_a_file_and_a_row():
    text = pathlib.Path(__file__).with_name("channel_gain.py").read_text()
    assert text.count("Method(") == 1
    package = pathlib.Path(kbp.__file__).parent
    for path in package.rglob("*.py"):
        assert "channel_gain" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "Expected `name` to be a text that is not empty"),
        ("source", None, "Expected `source` to be a text.*source=None"),
        ("needs", ("money",), r"Expected `needs` to be a tuple of some of \('data'"),
        ("removes", "bases", "Expected `removes` to be a tuple.*removes='bases'"),
        ("plan", None, "Expected `plan` to be a function. Received: plan=None"),
        ("scores", 3, r"Expected `scores` to be a function or None\. .*scores=3"),
        ("train", None, "Expected `train` if, and only if, `needs` names 'training'"),
        ("train_each", "yes", "Expected `train_each` to be True or False"),
        ("needs", ("data",), r"Received: train=<function .*needs=\('data',\)"),
    ],
)
def test_rows_that_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(METHODS["slimming"], **{field: value})
    assert isinstance(METHODS["slimming"], Method)


def test_training_for_each_share_takes_training():
    with pytest.raises(ValueError, match="Expected `train` with `train_each=True`"):
        dataclasses.replace(METHODS["basis_regression"], train_each=True)
