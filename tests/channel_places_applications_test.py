"""Scales and gates of `keras.applications`: which channels have them, what they do.

A few families always; all 40 in large runs.
"""

import keras
import numpy as np
import pytest
from models import outputs, relative_difference

import keras_basisprune as kbp
from benchmarks.applications import MODELS, build, random_images, randomize_norms
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import TrainedMask
from keras_basisprune.methods import channel_scaling
from keras_basisprune.methods.channel_gates import channel_gates

# The share of the channels that may leave which can be weighed, where it is not 1:
# LayerNormalization is computed across the others.
LEAST = {"ConvNeXtTiny": 0.97, "ConvNeXtSmall": 0.98, "ConvNeXtBase": 0.98}
LEAST |= {"ConvNeXtLarge": 0.98, "ConvNeXtXLarge": 0.98}


def masks_of(model):
    return {name: part.layer for name, part in trained_masks(trace(model)).items()}


def share_weighed(model, prepared):
    """The share of the channels that may leave which have a scale or gate."""
    groups = kbp.graph.channel_groups(model)
    free = np.ones(len(groups), bool)
    free[list(groups.pinned)] = False
    weighed = np.zeros(len(groups), bool)
    for name, mask in masks_of(prepared).items():
        assert not weighed[groups.layers[name]].any()  # each once
        assert len(groups.layers[name]) == mask.scale.shape[0]
        weighed[groups.layers[name]] = True
    assert free[weighed].all()
    return weighed.sum() / free.sum()


def hold_prepared(model, method):
    """The same function, and masked, pruned and folded ones that agree."""
    images = random_images(model)
    before, prepared = outputs(model, images), method(model)
    assert relative_difference(before, outputs(prepared, images)) <= 1e-5
    rng = np.random.default_rng(0)
    for mask in masks_of(prepared).values():
        count = mask.scale.shape[0]
        mask.scale.assign(rng.uniform(0.8, 1.2, count))
        mask.mask.assign(rng.permutation(count) >= count // 5)
    masked = outputs(prepared, images)
    assert relative_difference(before, masked) > 1e-3
    plan = kbp.Plan.from_masks(prepared)
    small = kbp.prune(prepared, plan)
    assert relative_difference(masked, outputs(small, images)) <= 1e-5
    folded = kbp.fold(small)
    assert relative_difference(masked, outputs(folded, images)) <= 1e-5
    assert not any(isinstance(layer, TrainedMask) for layer in folded.layers)
    assert folded.count_params() < 0.9 * model.count_params()
    return prepared


def hold_application(name, method):
    model = build(name)
    randomize_norms(model)
    share = share_weighed(model, hold_prepared(model, method))
    keras.utils.clear_session()
    print(f"{name}, {method.__name__}: {100 * share:.1f} %")
    assert share == 1 if name not in LEAST else LEAST[name] <= share < 1


@pytest.mark.parametrize(
    ("name", "method"),
    [("DenseNet121", channel_scaling), ("MobileNetV2", channel_gates)],
)
def test_application(name, method):
    hold_application(name, method)


def test_shares():
    model = build("ConvNeXtTiny")
    assert 0.97 <= share_weighed(model, channel_gates(model)) < 1


@pytest.mark.large
@pytest.mark.parametrize("method", [channel_scaling, channel_gates])
@pytest.mark.parametrize("name", MODELS)
def test_all_applications(name, method):
    hold_application(name, method)
