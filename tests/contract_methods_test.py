"""The table of methods: one contract for every row, on every family of models."""

import pytest
from families import FAMILIES
from method_contract import hold_method, hold_training_again

import keras_basisprune as kbp
from keras_basisprune.methods import Method


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", kbp.methods.METHODS)
def test_contract(name, family, tmp_path):
    row = kbp.methods.METHODS[name]
    found = hold_method(row, FAMILIES[family](), tmp_path)
    # The others correct weights by what the data say: there is nothing to compare with.
    only_cut = "training" in row.needs or row.carry_out is Method.carry_out
    assert ("pruned" in found) == only_cut


@pytest.mark.parametrize(
    "name", [n for n, row in kbp.methods.METHODS.items() if row.train]
)
def test_training_follows_from_the_seed(name):
    hold_training_again(kbp.methods.METHODS[name], FAMILIES["residual"]())
