"""The contract again, with bases taken of data."""

import keras
import pytest
from contract import hold_contract
from models import KINDS, randomize, sample

INCLUDE = {"dense": keras.layers.Dense, "masked": keras.layers.Dense}


@pytest.mark.parametrize("basis", ["activations", "regression"])
@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind, basis, tmp_path):
    model = randomize(KINDS[kind]())
    arguments = {"include": INCLUDE[kind]} if kind in INCLUDE else {}
    data = sample(model, seed=1, batch=20)
    described = hold_contract(
        model, sample(model), tmp_path, basis=basis, data=data, verbose=0, **arguments
    )
    assert described.decomposed
