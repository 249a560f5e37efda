"""One contract over every kind of model."""

import keras
import pytest
from contract import hold_contract
from models import KINDS, randomize, sample

INCLUDE = {"dense": keras.layers.Dense, "masked": keras.layers.Dense}


@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind, tmp_path):
    model = randomize(KINDS[kind]())
    arguments = {"include": INCLUDE[kind]} if kind in INCLUDE else {}
    described = hold_contract(model, sample(model), tmp_path, **arguments)
    assert described.decomposed
