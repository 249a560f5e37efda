import keras
import numpy as np
import pytest
from contract import mask_half
from keras import layers
from models import (
    array,
    conv1d,
    frozen,
    identical,
    nested,
    outputs,
    plain,
    randomize,
    relative_difference,
    sample,
    shared,
)

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace

TOLERANCE = 1e-5


def pairs(model):
    return basis_pairs(trace(model))


def ranks(model):
    return {name: pair.rank for name, pair in pairs(model).items()}


def set_mask(model, name, mask):
    pairs(model)[name].scaling.mask.assign(np.array(mask, "float32"))


@pytest.mark.parametrize("make", [plain, conv1d, nested, shared])
def test_pruned_equals_masked(make):
    converted = kbp.convert(randomize(make()))
    mask_half(converted)
    x = sample(converted)
    masked = outputs(converted, x)
    pruned = kbp.prune(converted)
    assert relative_difference(masked, outputs(pruned, x)) <= TOLERANCE
    kept = {name: int(p.mask.sum()) for name, p in pairs(converted).items()}
    assert ranks(pruned) == kept
    assert all(pair.mask.all() for pair in pairs(pruned).values())


def test_columns_scales_and_rows_of_the_kept_bases_stay():
    converted = kbp.convert(randomize(plain()))
    mask_half(converted)
    before, after = pairs(converted)["wide"], pairs(kbp.prune(converted))["wide"]
    kept = np.flatnonzero(before.mask)
    for old, new, cut in (
        (before.basis.kernel, after.basis.kernel, np.s_[..., kept]),
        (before.scaling.kernel, after.scaling.kernel, np.s_[kept]),
        (before.scaling.scale, after.scaling.scale, np.s_[kept]),
        (before.scaling.bias, after.scaling.bias, np.s_[:]),
    ):
        np.testing.assert_array_equal(array(old)[cut], array(new))
    assert after.scaling.filters == before.scaling.filters == 6


def test_the_given_model_is_not_changed():
    converted = kbp.convert(randomize(plain()))
    mask_half(converted)
    x, weights = sample(converted), [array(v) for v in converted.variables]
    before = outputs(converted, x)
    pruned = kbp.prune(converted)
    for v in pruned.weights:
        v.assign(np.zeros(v.shape))
    assert identical(weights, [array(v) for v in converted.variables])
    assert identical(before, outputs(converted, x))


def test_an_explicit_plan():
    converted = kbp.convert(randomize(plain()))
    plan = kbp.Plan(
        bases={"wide": kbp.plans.Kept((1, 4), 6), "block": kbp.plans.Kept((0,), 5)}
    )
    pruned, x = kbp.prune(converted, plan), sample(converted)
    assert ranks(pruned) == {"first": 8, "wide": 2, "block": 1}
    set_mask(converted, "wide", [0, 1, 0, 0, 1, 0])
    set_mask(converted, "block", [1, 0, 0, 0, 0])
    expected = outputs(converted, x)
    assert relative_difference(expected, outputs(pruned, x)) <= TOLERANCE


def test_a_plan_keeps_masks_as_they_are():
    converted = kbp.convert(randomize(plain()))
    set_mask(converted, "wide", [1, 0, 1, 1, 1, 1])
    plan = kbp.Plan(bases={"wide": kbp.plans.Kept((0, 1, 2), 6)})
    pruned = kbp.prune(converted, plan)
    assert pairs(pruned)["wide"].mask.tolist() == [True, False, True]


def test_an_empty_plan_changes_nothing():
    converted = kbp.convert(randomize(plain()))
    mask_half(converted)
    pruned, x = kbp.prune(converted, kbp.Plan()), sample(converted)
    assert ranks(pruned) == ranks(converted)
    assert identical(outputs(converted, x), outputs(pruned, x))


def test_round_to_keeps_the_strongest_masked_bases_and_lets_them_act():
    converted = kbp.convert(randomize(plain()))
    set_mask(converted, "first", [0, 1, 0, 0, 0, 1, 0, 0])
    set_mask(converted, "wide", [1, 0, 0, 0, 0, 0])
    pruned = kbp.prune(converted, round_to=4)
    assert ranks(pruned) == {"first": 4, "wide": 4, "block": 5}
    assert all(pair.mask.all() for pair in pairs(pruned).values())
    # Singular values descend: the strongest masked bases are the first ones.
    set_mask(converted, "first", [1, 1, 1, 0, 0, 1, 0, 0])
    set_mask(converted, "wide", [1, 1, 1, 1, 0, 0])
    x = sample(converted)
    expected = outputs(converted, x)
    assert relative_difference(expected, outputs(pruned, x)) <= TOLERANCE
    assert ranks(kbp.prune(converted, round_to=8))["first"] == 8


def test_all_bases_of_a_layer_masked():
    converted = kbp.convert(randomize(plain()))
    set_mask(converted, "first", [0] * 8)
    x = sample(converted)
    masked = outputs(converted, x)
    for arguments in ({}, {"round_to": 4}):
        pruned = kbp.prune(converted, **arguments)
        assert identical(masked, outputs(pruned, x))
        assert not pairs(pruned)["first"].mask.any()
    assert ranks(kbp.prune(converted))["first"] == 1
    for pair in pairs(converted).values():
        pair.scaling.mask.assign(np.zeros(pair.rank))
    masked = outputs(converted, x)
    for small in (kbp.prune(converted), kbp.fold(kbp.prune(converted))):
        assert relative_difference(masked, outputs(small, x)) <= TOLERANCE
        again = outputs(small, sample(converted, seed=1))  # whatever comes in
        assert relative_difference(masked, again) <= TOLERANCE


def test_pruning_twice_changes_nothing():
    converted = kbp.convert(randomize(plain()))
    mask_half(converted)
    once = kbp.prune(converted)
    twice, x = kbp.prune(once), sample(converted)
    configs = [[layer.get_config() for layer in m.layers] for m in (once, twice)]
    assert configs[0] == configs[1]
    assert identical(outputs(once, x), outputs(twice, x))


def test_a_pruned_model_can_be_trained_saved_and_pruned_again(tmp_path):
    converted = kbp.convert(randomize(frozen()), l1=1e-3)
    mask_half(converted)
    pruned = kbp.prune(converted)
    assert {v.path for v in pruned.trainable_variables} == {
        v.path for v in converted.trainable_variables
    }
    x = sample(pruned, batch=8)
    pruned.compile(keras.optimizers.Adam(0.1), "mse")
    losses = [pruned.train_on_batch(x, np.zeros((8, 2))) for _ in range(3)]
    assert losses[2] < losses[0]
    pruned.save(tmp_path / "pruned.keras")
    loaded = keras.saving.load_model(tmp_path / "pruned.keras")
    assert identical(outputs(pruned, x), outputs(loaded, x))
    set_mask(loaded, "first", [1, 0, 0, 0])
    assert ranks(kbp.prune(loaded))["first"] == 1


def test_separable_convolutions_lose_pointwise_bases():
    x = inputs = keras.Input((9, 9, 4))
    x = layers.SeparableConv2D(6, 3, depth_multiplier=2, name="conv")(x)
    converted = kbp.convert(randomize(keras.Model(inputs, x)))
    set_mask(converted, "conv", [1, 0, 1, 0, 0, 0])
    pruned, x = kbp.prune(converted), sample(converted)
    assert pruned.get_layer("conv_depthwise").kernel.shape == (3, 3, 4, 2)
    assert pruned.get_layer("conv_basis").kernel.shape == (1, 1, 8, 2)
    expected = outputs(converted, x)
    assert relative_difference(expected, outputs(pruned, x)) <= TOLERANCE


@pytest.mark.parametrize(
    ("plan", "round_to", "message"),
    [
        (
            kbp.Plan(bases={"head": kbp.plans.Kept((0,), 4)}),
            1,
            r"`plan` to name decomposed layers.*`head`.*'first', 'wide', 'block'",
        ),
        (
            kbp.Plan(bases={"wide": kbp.plans.Kept((0,), 5)}),
            1,
            r"`plan` to count 6 bases in `wide`.*total=5",
        ),
        (
            kbp.Plan(channels={"wide": kbp.plans.Kept((0,), 6)}),
            1,
            r"`plan` to name layers .* that output channels.*`wide`.*wide_scaling",
        ),
        ({"wide": [0]}, 1, r"`plan` to be a `keras_basisprune.Plan`.*of type dict"),
        (kbp.Plan(), 8, r"`round_to=1` together with `plan`.*round_to=8.*from_masks"),
        (None, 0, r"`round_to` to be a positive integer.*round_to=0"),
    ],
)
def test_what_is_refused(plan, round_to, message):
    converted = kbp.convert(plain())
    with pytest.raises(ValueError, match=message):
        kbp.prune(converted, plan, round_to=round_to)


def test_models_that_are_not_converted_are_refused():
    message = r"a converted model.*without BasisScalingConv.*convert\(model\)"
    with pytest.raises(ValueError, match=message):
        kbp.prune(plain())
    with pytest.raises(ValueError, match=message):
        kbp.prune(kbp.fold(kbp.convert(plain())))


def test_the_energy_that_left_is_remembered():
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3)])
    converted = kbp.convert(model)
    scaling = converted.layers[-1]
    scaling.mask.assign([1.0, 0.0, 1.0, 0.0])
    squares = (scaling.kernel.numpy().astype("float64") ** 2).sum(axis=1)
    share = squares[[0, 2]].sum() / squares.sum()
    masked = kbp.describe(converted).layers[0].energy
    pruned = kbp.describe(kbp.prune(converted)).layers[0].energy
    assert masked == pytest.approx(share, abs=1e-6)
    assert pruned == pytest.approx(share, abs=1e-6)
