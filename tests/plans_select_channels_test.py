"""select_channels: what is kept, and what it costs after pruning."""

import keras
import numpy as np
import pytest
from keras import layers
from models import conv_block

import keras_basisprune as kbp


def residual(width=16):
    """Two tied convolutions, one free, depthwise, separable, grouped, dense."""
    inputs = keras.Input((8, 8, 3))
    x = conv_block(inputs, width, "stem")
    y = conv_block(x, 24, "inner")
    y = conv_block(y, width, "outer")
    x = layers.Add()([x, y])
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.SeparableConv2D(20, 3, name="separable")(x)
    x = layers.Conv2D(16, 3, groups=4, name="grouped", activation="relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(5, name="head")(x))


def drawn(model, seed=0):
    count = len(kbp.channel_groups(model))
    return np.random.default_rng(seed).random(count) + 0.1


def shares(model, plan):
    small, before = kbp.cost(kbp.prune(model, plan)), kbp.cost(model)
    return {
        "flops": small.flops / before.flops,
        "params": small.params / before.params,
    }


@pytest.mark.parametrize("of", ["flops", "params"])
@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("keep", [0.75, 0.5, 0.25])
def test_the_pruned_model_costs_what_was_asked_for(of, scope, keep):
    model = residual()
    plan = kbp.select_channels(model, drawn(model), keep, of, scope)
    assert keep - 0.06 <= shares(model, plan)[of] <= keep + 1e-6


@pytest.mark.parametrize("width", [64])
def test_half_the_flops_of_wide_layers_is_half_within_two_percent(width):
    inputs = keras.Input((8, 8, 3))
    x = conv_block(conv_block(inputs, width, "a"), width, "b")
    model = keras.Model(inputs, layers.Conv2D(4, 1, name="head")(x))
    for seed in range(3):
        plan = kbp.select_channels(model, drawn(model, seed), 0.5)
        assert abs(shares(model, plan)["flops"] - 0.5) <= 0.02


def test_channels_leave_by_their_scores_alone_when_ranked_globally():
    model = residual()
    scores = drawn(model)
    plan = kbp.select_channels(model, scores, 0.5, "channels")
    groups = kbp.channel_groups(model)
    free = np.array([g not in groups.pinned for g in range(len(groups))])
    left = np.zeros(len(groups), bool)
    for name, kept in plan.channels.items():
        left[np.delete(groups.layers[name], kept.indices)] = True
    assert left.sum() == pytest.approx(free.sum() / 2, abs=1)
    assert scores[left].max() < scores[free & ~left].min()


def test_local_scope_takes_the_same_share_of_each_layer():
    model = residual()
    scores = drawn(model)
    groups = kbp.channel_groups(model)
    scores[groups.layers["inner"]] *= 1000
    plan = kbp.select_channels(model, scores, 0.5, "channels", scope="local")
    for name in ("stem", "inner", "outer", "separable", "grouped"):
        kept = plan.channels[name]
        assert abs(len(kept.indices) / kept.total - 0.5) <= 0.13
    assert plan.channels["stem"] == plan.channels["outer"]


def test_per_flops_takes_dear_channels_first():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(10, 3, padding="same", name="dear")(inputs)
    x = layers.MaxPooling2D(4)(layers.Conv2D(10, 3, padding="same", name="mid")(x))
    x = layers.Conv2D(10, 1, name="cheap")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    scores = np.ones(len(kbp.channel_groups(model)))
    plan = kbp.select_channels(model, scores, 0.5, "channels", per="flops")
    kept = {name: len(kept.indices) for name, kept in plan.channels.items()}
    assert "cheap" not in kept
    assert min(kept.values()) == 1


def test_limits():
    model = residual()
    limits = kbp.ChannelLimits(min_channels=3, round_to=4, most=0.8, exclude="inner")
    plan = kbp.select_channels(model, drawn(model), 0.7, "flops", limits=limits)
    assert "inner" not in plan.channels
    for kept in plan.channels.values():
        assert len(kept.indices) % 4 == 0
        assert len(kept.indices) >= max(3, 0.2 * kept.total)
    assert shares(model, plan)["flops"] <= 0.7


def test_infinite_scores_stay_and_the_plan_names_what_makes_channels():
    model = residual()
    scores = drawn(model)
    groups = kbp.channel_groups(model)
    scores[groups.layers["stem"][:5]] = np.inf
    plan = kbp.select_channels(model, scores, 0.4)
    assert set(range(5)) <= set(plan.channels["stem"].indices)
    assert not {"stem_bn", "depthwise"} & set(plan.channels)


def test_a_converted_model_loses_channels_but_no_bases():
    converted = kbp.convert(residual(), rank=0.9)
    plan = kbp.select_channels(converted, drawn(converted), 0.6)
    assert "inner_scaling" in plan.channels
    assert not any(name.endswith("_basis") for name in plan.channels)
    assert 0.5 < shares(converted, plan)["flops"] <= 0.6


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keep": 0}, "`keep` to be a float in .*keep=0"),
        ({"keep": 1e-4}, "`keep` to be a share of the flops that can be reached"),
        ({"of": "bytes"}, "`of` to be .* or .*of='bytes'"),
        ({"scope": "all"}, "`scope` to be .* or .*scope='all'"),
        ({"per": "channels"}, "`per` to be .* or .*per='channels'"),
        ({"scores": np.ones(3)}, r"`scores` to be an array of shape \(\d+,\).*\(3,\)"),
    ],
)
def test_what_is_refused(changes, message):
    model = residual()
    given = {"scores": drawn(model), "keep": 0.5, **changes}
    with pytest.raises(ValueError, match=message):
        kbp.select_channels(model, **given)


@pytest.mark.parametrize(
    "limits, message",
    [
        ({"min_channels": 0}, "`min_channels` to be a positive integer.*=0"),
        ({"round_to": 1.5}, "`round_to` to be a positive integer.*=1.5"),
        ({"most": 0}, "`most` to be a float in .*most=0"),
    ],
)
def test_limits_that_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        kbp.ChannelLimits(**limits)


def test_scores_that_are_not_numbers_are_refused():
    model = residual()
    scores = drawn(model)
    scores[3] = np.nan
    with pytest.raises(ValueError, match="`scores`.*with NaN"):
        kbp.select_channels(model, scores, 0.5)


def recurrent(x):
    return layers.LSTM(32)(layers.Conv1D(64, 3, name="wide")(x))


def both_ways(x):
    x = layers.Conv1D(48, 3, name="wide")(x)
    return layers.Bidirectional(layers.GRU(12))(x)


def attentive(x):
    x = layers.Dense(48, name="wide")(x)
    x = x + layers.MultiHeadAttention(4, 8)(x, x)
    x = layers.EinsumDense("abc,cd->abd", (24, 40), activation="relu")(x)
    return layers.GlobalAveragePooling1D()(x)


def wrapped(x):
    x = layers.TimeDistributed(layers.Dense(48, activation="relu"), name="wide")(x)
    x = layers.TimeDistributed(layers.Dense(32, activation="relu"))(x)
    return layers.SimpleRNN(16)(x)


@pytest.mark.parametrize("of", ["flops", "params"])
@pytest.mark.parametrize("body", [recurrent, both_ways, attentive, wrapped])
def test_shares_of_sequences(body, of):
    inputs = keras.Input((24, 8))
    model = keras.Model(inputs, layers.Dense(3)(body(inputs)))
    for keep in (0.9, 0.7, 0.6):
        plan = kbp.select_channels(model, drawn(model), keep, of)
        assert keep - 0.03 <= shares(model, plan)[of] <= keep


def test_what_can_just_be_reached():
    inputs = keras.Input((24, 8))
    model = keras.Model(inputs, layers.Dense(3)(recurrent(inputs)))
    plan = kbp.select_channels(model, drawn(model), 0.318, "params")
    assert len(plan.channels["wide"].indices) == 1
    assert 0.317 < shares(model, plan)["params"] <= 0.318
    with pytest.raises(
        ValueError,
        match=r"keep=0.3; without .* 0.317 is left: 35 groups can't leave \(states of "
        r"`lstm\w*`; output of the model\). Pass keep=0.318 or more.$",
    ):
        kbp.select_channels(model, drawn(model), 0.3, "params")


def test_limits_are_to_blame_only_if_there_are_some():
    model = residual()
    scores = drawn(model)
    tight = kbp.ChannelLimits(most=0.2)
    with pytest.raises(
        ValueError,
        match=r"`limits` keep channels. Pass keep=0.\d+ or more, or wider `limits`.$",
    ):
        kbp.select_channels(model, scores, 0.3, limits=tight)
    idle = kbp.ChannelLimits(min_channels=1)
    for limits in (None, idle):
        with pytest.raises(ValueError, match="`keep` to be a share") as error:
            kbp.select_channels(model, scores, 1e-4, limits=limits)
        assert "`limits`" not in str(error.value)
        assert "scores of" not in str(error.value)


def test_infinite_scores_are_named():
    model = residual()
    scores, groups = drawn(model), kbp.channel_groups(model)
    for name in ("inner", "separable"):
        scores[groups.layers[name]] = np.inf
    for scope in ("global", "local"):
        with pytest.raises(
            ValueError,
            match="scores of `inner`, `separable` are infinite. Pass keep=0.\\d+ or "
            "more, or scores of another criterion.$",
        ):
            kbp.select_channels(model, scores, 0.01, scope=scope)


def test_the_share_that_the_message_names_can_be_reached():
    model = residual()
    with pytest.raises(ValueError, match="Pass keep=") as error:
        kbp.select_channels(model, drawn(model), 1e-4, "params")
    named = float(str(error.value).split("Pass keep=")[1].split()[0])
    plan = kbp.select_channels(model, drawn(model), named, "params")
    assert shares(model, plan)["params"] == pytest.approx(named, abs=1e-3)


def test_where_nothing_may_leave():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(4, name="head")(inputs))
    with pytest.raises(
        ValueError,
        match=r"1.000 is left: 4 groups can't leave \(output of the model\). No "
        r"channel may leave: see `channel_groups\(model\)`.$",
    ):
        kbp.select_channels(model, drawn(model), 0.5)
