"""Plans for channels: what is cut, and what is refused."""

import keras
import numpy as np
import pytest
from channel_oracle import residual
from keras import layers
from models import identical, outputs, randomize, sample

import keras_basisprune as kbp


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (
            {"a": kbp.plans.Kept((0, 1), 4), "c": kbp.plans.Kept((1, 2), 4)},
            r"tied channels alike.*one that `[ac]` keeps and `[ac]` removes",
        ),
        (
            {"d": kbp.plans.Kept((0, 1), 5)},
            r"channels of `d` that can't be removed.*\(output of the model\)",
        ),
        (
            {"add": kbp.plans.Kept((0,), 4)},
            r"that output channels.*`add`; there are \['a', ",
        ),
        (
            {"e": kbp.plans.Kept((0,), 4)},
            r"that output channels.*`e`; there are \['a', 'bn'",
        ),
        ({"b": kbp.plans.Kept((0,), 4)}, r"count 2 channels of `b`.*total=4"),
    ],
)
def test_plans_that_are_refused(channels, message):
    with pytest.raises(ValueError, match=message):
        kbp.prune(residual(), kbp.Plan(channels=channels))


def test_no_channel_left():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="a")(x)
    x = layers.Conv2D(3, 1, name="b")(x[..., 2:])
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    plan = kbp.Plan(channels={"a": kbp.plans.Kept((0, 1), 4)})
    with pytest.raises(ValueError, match=r"keep a channel of every.*none of `get_item"):
        kbp.prune(model, plan)
    with pytest.raises(ValueError, match="at least one"):
        kbp.plans.Kept((), 4)


def test_tied_channels_need_not_be_named_twice():
    model = randomize(residual())
    plans = [
        kbp.Plan(channels=dict.fromkeys(names, kbp.plans.Kept((0, 3), 4)))
        for names in (["a"], ["bn"], ["c"], ["a", "bn", "c"])
    ]
    x, pruned = sample(model), [kbp.prune(model, plan) for plan in plans]
    assert all(identical(outputs(pruned[0], x), outputs(p, x)) for p in pruned[1:])
    assert [pruned[0].get_layer(name).filters for name in "abcd"] == [2, 2, 2, 5]


def test_what_is_cut_is_what_was_there():
    model = randomize(residual())
    plan = kbp.Plan(
        channels={"a": kbp.plans.Kept((0, 3), 4), "b": kbp.plans.Kept((1,), 2)}
    )
    small = kbp.prune(model, plan)
    for name, cut in {
        "a": np.s_[..., [0, 3]],
        "b": np.s_[:, :, [0, 3], 1:],
        "c": np.s_[:, :, 1:, [0, 3]],
        "d": np.s_[:, :, [0, 3], :],
    }.items():
        kernels = [m.get_layer(name).kernel.numpy() for m in (model, small)]
        np.testing.assert_array_equal(kernels[0][cut], kernels[1])
    for weight in ("gamma", "beta", "moving_mean", "moving_variance"):
        values = [getattr(m.get_layer("bn"), weight).numpy() for m in (model, small)]
        np.testing.assert_array_equal(values[0][[0, 3]], values[1])


def test_the_given_model_is_not_changed():
    model = randomize(residual())
    x, weights = sample(model), [w.numpy() for w in model.weights]
    before = outputs(model, x)
    small = kbp.prune(model, kbp.Plan(channels={"a": kbp.plans.Kept((0, 3), 4)}))
    for weight in small.weights:
        weight.assign(np.zeros(weight.shape))
    assert identical(weights, [w.numpy() for w in model.weights])
    assert identical(before, outputs(model, x))
