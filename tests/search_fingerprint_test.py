"""Tests of what tells one function or layer from another."""

import functools
import json

import keras
import numpy as np
import pytest

from keras_basisprune.search.fingerprint import fingerprint


def _function(text):
    space = {"__name__": "theirs"}
    exec(text, space)
    return space["f"]


class _Callable:
    def __call__(self, images):
        return images

    def method(self, images):
        return images


@pytest.mark.parametrize("value", [None, 3, 0.5, "all", True])
def test_what_json_knows_is_itself(value):
    assert fingerprint(value) is value


def test_numpys_numbers_are_pythons():
    assert fingerprint(np.int64(5)) == 5
    assert type(fingerprint(np.int64(5))) is int
    assert type(fingerprint(np.float32(0.5))) is float


def _layers():
    return [
        keras.layers.RandomFlip("horizontal"),
        keras.Sequential(
            [keras.layers.RandomFlip("horizontal"), keras.layers.RandomZoom(0.1)]
        ),
        keras.layers.Pipeline([keras.layers.RandomRotation(0.1)]),
    ]


@pytest.mark.parametrize("place", range(3))
def test_a_layer_is_known_again_whatever_its_name_and_calls(place):
    first, second = (_layers()[place] for _ in range(2))
    first(np.zeros((2, 8, 8, 3), "float32"), training=True)
    assert fingerprint(first) == fingerprint(second)


def test_layers_that_differ_are_told_apart():
    kinds = [
        *_layers(),
        keras.layers.RandomFlip("vertical"),
        keras.layers.Pipeline([keras.layers.RandomRotation(0.2)]),
    ]
    assert len({fingerprint(kind) for kind in kinds}) == len(kinds)


def test_functions_are_their_code_wherever_it_stands():
    one = _function("def f(x):\n    return [x * 2 for _ in range(3)]")
    moved = _function("\n\n\ndef f(x):\n\n    return [x * 2 for _ in range(3)]")
    other = _function("def f(x):\n    return [x * 3 for _ in range(3)]")
    longer = _function("def f(x):\n    return [x * 2 for _ in range(4)]")
    assert fingerprint(one) == fingerprint(moved)
    assert len({fingerprint(f) for f in (one, other, longer)}) == 3


def test_partials_methods_and_objects():
    thing = _Callable()
    half, third = (functools.partial(np.multiply, x) for x in (0.5, 0.3))
    found = [fingerprint(x) for x in (thing, thing.method, half, third, _Callable)]
    assert fingerprint(_Callable()) == found[0] == found[4]
    assert len(set(found)) == 4
    assert fingerprint(functools.partial(np.multiply, 0.5)) == found[2]
    json.dumps(found)
