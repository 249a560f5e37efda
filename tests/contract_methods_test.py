"""The table of methods: one contract for every row, on every family of models."""

import pytest
from families import FAMILIES
from method_contract import hold_method

import keras_basisprune as kbp


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", kbp.METHODS)
def test_contract(name, family, tmp_path):
    found = hold_method(kbp.METHODS[name], FAMILIES[family](), tmp_path)
    # The others correct weights by what the data say: there is nothing to compare with.
    only_cut = name in (
        *("basis_weights", "basis_activations"),
        *("channel_gates", "slimming"),
    )
    assert ("pruned" in found) == only_cut
