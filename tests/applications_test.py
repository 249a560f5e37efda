"""The contract over `keras.applications`: one of each family, all 40 in large runs.

A large run that saw all 40 writes its numbers to docs/applications.md.
"""

import pathlib

import keras
import numpy as np
import pytest
from contract import hold_contract, mask_half
from models import outputs, relative_difference

import keras_basisprune as kbp
from benchmarks.applications import (
    FAMILIES,
    MODELS,
    build,
    includes,
    measure_apart,
    random_images,
    randomize_norms,
    write,
)

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "applications.md"
LEFT_ALONE = (
    "depthwise: each channel has a filter of its own",
    "grouped convolution",
    "transposed convolution",
)


def test_the_table_names_every_application():
    public = {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and name[0].isupper()
    }
    assert set(MODELS) == public
    assert len(MODELS) == 40


@pytest.mark.parametrize("name", [names[0] for names in FAMILIES.values()])
def test_application(name, tmp_path):
    model = build(name)
    randomize_norms(model)
    images = random_images(model)
    described = hold_contract(model, images, tmp_path, include=includes(name))
    assert all(x.reason.startswith(LEFT_ALONE) for x in described.left_alone)
    assert len(described.decomposed) >= 13
    keras.utils.clear_session()


ONE_EACH = [names[0] for names in FAMILIES.values()]
SOME = [name for name in ONE_EACH if name.startswith(("MobileNet", "ResNet"))]


@pytest.mark.parametrize(
    ("name", "basis"),
    [
        *((name, "regression") for name in ONE_EACH),
        *((name, "activations") for name in SOME),
        *(
            pytest.param(name, "activations", marks=pytest.mark.large)
            for name in ONE_EACH
            if name not in SOME
        ),
    ],
)
def test_application_by_bases_of_data(name, basis):
    model = build(name)
    randomize_norms(model)
    images = np.concatenate([random_images(model), -random_images(model)])
    converted = kbp.convert(
        model, basis=basis, data=images, include=includes(name), verbose=0
    )
    others = 2 * images[:2]  # beyond the data that the bases are of
    before = outputs(model, others)
    assert relative_difference(before, outputs(converted, others)) <= 1e-5
    mask_half(converted)
    masked = outputs(converted, others)
    folded = kbp.fold(kbp.prune(converted))
    assert relative_difference(masked, outputs(folded, others)) <= 1e-5
    assert folded.count_params() < model.count_params()
    keras.utils.clear_session()


@pytest.fixture(scope="module")
def rows():
    found = []
    yield found
    if len(found) == len(MODELS):
        write(found, PAGE)


@pytest.mark.large
@pytest.mark.parametrize("name", MODELS)
def test_application_in_a_process_of_its_own(name, rows):
    row = measure_apart(name)
    assert max(row.converted, row.pruned, row.folded) <= 1e-5
    assert row.saved
    assert row.decomposed >= 13
    assert all(reason.startswith(LEFT_ALONE) for reason in row.reasons)
    if row.weights > 50e6:  # in small models, Keras' own objects weigh more
        assert row.peak - row.model < 4 * row.weights
    rows.append(row)
