"""Pruned channels of `keras.applications` against the oracle, all 40 in large runs.

A large run that saw all 40 writes its numbers to docs/channels.md.
"""

import dataclasses
import pathlib

import keras
import pytest
from channel_oracle import random_plan, zeroed
from models import array, relative_difference

import keras_basisprune as kbp
from benchmarks.applications import (
    FAMILIES,
    MODELS,
    build,
    random_images,
    randomize_norms,
)
from benchmarks.channels import measure, write

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "channels.md"


def prepared(name):
    model = build(name)
    randomize_norms(model)
    return model, random_images(model)


def difference(model, plan, small, images):
    wanted = array(zeroed(model, plan)(images))
    return relative_difference(wanted, array(small(images)))


@pytest.mark.parametrize("name", [names[0] for names in FAMILIES.values()])
def test_application(name):
    model, images = prepared(name)
    row, plan, small = measure(name, model)
    assert not row.reasons  # only in- and outputs of the model stay
    assert abs(row.half - 0.5) <= 0.02
    assert difference(model, plan, small, images) <= 1e-5
    plan = random_plan(model, seed=1)
    small = kbp.prune(model, plan)
    assert small.count_params() < 0.8 * model.count_params()
    assert difference(model, plan, small, images) <= 1e-5
    keras.utils.clear_session()


@pytest.fixture(scope="module")
def rows():
    found = []
    yield found
    if len(found) == len(MODELS):
        write(found, PAGE)


@pytest.mark.large
@pytest.mark.parametrize("name", MODELS)
def test_every_application(name, rows):
    model, images = prepared(name)
    row, plan, small = measure(name, model)
    row = dataclasses.replace(row, difference=difference(model, plan, small, images))
    assert not row.reasons
    assert abs(row.half - 0.5) <= 0.02
    assert row.difference <= 1e-5
    rows.append(row)
    keras.utils.clear_session()
