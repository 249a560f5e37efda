"""select_channels: what is kept, and what it costs after pruning."""

import keras
import numpy as np
import pytest
from channel_gain import Gain
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
    count = len(kbp.graph.channel_groups(model))
    return np.random.default_rng(seed).random(count) + 0.1


def shares(model, plan):
    small, before = kbp.measure.cost(kbp.prune(model, plan)), kbp.measure.cost(model)
    return {
        "flops": small.flops / before.flops,
        "params": small.params / before.params,
    }


@pytest.mark.parametrize("of", ["flops", "params"])
@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("keep", [0.75, 0.5, 0.25])
def test_the_pruned_model_costs_what_was_asked_for(of, scope, keep):
    model = residual()
    plan = kbp.select_channels(
        model, scores=drawn(model), keep=keep, cost=of, scope=scope
    )
    assert keep - 0.06 <= shares(model, plan)[of] <= keep + 1e-6


@pytest.mark.parametrize("width", [64])
def test_half_the_flops_of_wide_layers_is_half_within_two_percent(width):
    inputs = keras.Input((8, 8, 3))
    x = conv_block(conv_block(inputs, width, "a"), width, "b")
    model = keras.Model(inputs, layers.Conv2D(4, 1, name="head")(x))
    for seed in range(3):
        plan = kbp.select_channels(
            model, scores=drawn(model, seed), keep=0.5, scope="global"
        )
        assert abs(shares(model, plan)["flops"] - 0.5) <= 0.02


def test_channels_leave_by_their_scores_alone_when_ranked_globally():
    model = residual()
    scores = drawn(model)
    plan = kbp.select_channels(
        model, scores=scores, keep=0.5, cost="channels", scope="global"
    )
    groups = kbp.graph.channel_groups(model)
    free = np.array([g not in groups.pinned for g in range(len(groups))])
    left = np.zeros(len(groups), bool)
    for name, kept in plan.channels.items():
        left[np.delete(groups.layers[name], kept.indices)] = True
    assert left.sum() == pytest.approx(free.sum() / 2, abs=1)
    assert scores[left].max() < scores[free & ~left].min()


def test_local_scope_takes_the_same_share_of_each_layer():
    model = residual()
    scores = drawn(model)
    groups = kbp.graph.channel_groups(model)
    scores[groups.layers["inner"]] *= 1000
    plan = kbp.select_channels(model, scores=scores, keep=0.5, cost="channels")
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
    scores = np.ones(len(kbp.graph.channel_groups(model)))
    plan = kbp.select_channels(
        model,
        scores=kbp.plans.per_cost(model, scores, cost="flops"),
        keep=0.5,
        cost="channels",
        scope="global",
    )
    kept = {name: len(kept.indices) for name, kept in plan.channels.items()}
    assert "cheap" not in kept
    assert min(kept.values()) == 1


@pytest.mark.parametrize("cost", ["flops", "params"])
def test_scores_per_what_a_group_costs(cost):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.Conv2D(4, 1, use_bias=False, name="head")(layers.MaxPooling2D(2)(x))
    model = keras.Model(inputs, x)
    of = kbp.graph.channel_groups(model).layers
    scores = np.full(len(kbp.graph.channel_groups(model)), np.inf)
    scores[of["first"]] = np.arange(1.0, 7)
    each = {"flops": 2 * (64 * 27 + 16 * 4), "params": 27 + 4}[cost]
    found = kbp.plans.per_cost(model, scores, cost=cost)
    np.testing.assert_allclose(found[of["first"]], np.arange(1.0, 7) / each)
    assert np.isinf(found[of["head"]]).all()
    with pytest.raises(ValueError, match="`cost` to be 'flops' or 'params'.*'bytes'"):
        kbp.plans.per_cost(model, scores, cost="bytes")
    with pytest.raises(ValueError, match=r"`scores` to be an array of shape \(\d+,\)"):
        kbp.plans.per_cost(model, scores[1:])


def test_scores_unless_they_are_given():
    model = residual()
    images = np.random.default_rng(0).random((16, *model.input_shape[1:]))
    for data, scores in (
        (None, kbp.scores.channels.l2_norm(model)),
        (images, kbp.scores.channels.compensated(model, images)),
    ):
        plan = kbp.select_channels(model, keep=0.5, data=data)
        assert plan == kbp.select_channels(model, keep=0.5, scores=scores)
        assert plan == kbp.select_channels(model, keep=0.5, scores=scores, data=images)
        assert shares(model, plan)["flops"] <= 0.5
        assert plan != kbp.select_channels(model, keep=0.5, data=data, scope="global")


@pytest.mark.parametrize("scope", ["local", "global"])
def test_thresholds(scope):
    model = residual()
    scores, groups = drawn(model), kbp.graph.channel_groups(model)
    scores[groups.layers["inner"]] *= 1000
    plan = kbp.select_channels(model, threshold=0.5, scores=scores, scope=scope)
    free = np.array([g not in groups.pinned for g in range(len(groups))])
    for name in ("stem", "inner"):
        own = scores[groups.layers[name]]
        most = own.max() if scope == "local" else scores.max()
        kept = np.flatnonzero(own >= 0.5 * most)
        expected = tuple(kept) or (int(np.argmax(own)),)
        assert plan.channels[name].indices == expected
    assert kbp.select_channels(model, threshold=0, scores=scores) == kbp.Plan()
    scores[free] = 1.0
    assert kbp.select_channels(model, threshold=1, scores=scores) == kbp.Plan()


def test_a_threshold_respects_limits():
    model = residual()
    limits = kbp.Limits(min_kept=3, round_to=4, max_removed=0.8, exclude="inner")
    plan = kbp.select_channels(model, threshold=9, scores=drawn(model), limits=limits)
    assert "inner" not in plan.channels
    for kept in plan.channels.values():
        assert len(kept.indices) % 4 == 0
        assert 0.2 * kept.total <= len(kept.indices) <= 0.2 * kept.total + 4


def gains():
    """Two convolutions behind each of which channels are weighed; some are masked."""
    x = inputs = keras.Input((8, 8, 3))
    for name in ("one", "two"):
        x = layers.Conv2D(8, 3, activation="relu", name=name)(x)
        x = Gain(name=f"{name}_gain")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    model.get_layer("one_gain").mask.assign([0, 1, 1, 1, 0, 1, 1, 1])
    return model


def test_masked_channels_leave_in_any_case():
    model = gains()
    for aim in ({"keep": 1.0}, {"threshold": 0.0}):
        for scope in ("local", "global"):
            plan = kbp.select_channels(model, scope=scope, **aim)
            kept = kbp.plans.Kept((1, 2, 3, 5, 6, 7), 8)
            assert plan == kbp.Plan(channels={"one": kept})
    plan = kbp.select_channels(model, keep=0.5)
    assert not {0, 4} & set(plan.channels["one"].indices)
    assert shares(model, plan)["flops"] <= 0.5
    scores = kbp.scores.channels.l2_norm(model)  # which look at no mask
    assert kbp.select_channels(model, keep=1.0, scores=scores) == kbp.Plan()


def test_limits():
    model = residual()
    limits = kbp.Limits(min_kept=3, round_to=4, max_removed=0.8, exclude="inner")
    plan = kbp.select_channels(
        model,
        scores=drawn(model),
        keep=0.7,
        cost="flops",
        limits=limits,
        scope="global",
    )
    assert "inner" not in plan.channels
    for kept in plan.channels.values():
        assert len(kept.indices) % 4 == 0
        assert len(kept.indices) >= max(3, 0.2 * kept.total)
    assert shares(model, plan)["flops"] <= 0.7


def test_infinite_scores_stay_and_the_plan_names_what_makes_channels():
    model = residual()
    scores = drawn(model)
    groups = kbp.graph.channel_groups(model)
    scores[groups.layers["stem"][:5]] = np.inf
    plan = kbp.select_channels(model, scores=scores, keep=0.4, scope="global")
    assert set(range(5)) <= set(plan.channels["stem"].indices)
    assert not {"stem_bn", "depthwise"} & set(plan.channels)


def test_a_converted_model_loses_channels_but_no_bases():
    converted = kbp.convert(residual(), rank=0.9)
    plan = kbp.select_channels(
        converted, scores=drawn(converted), keep=0.6, scope="global"
    )
    assert "inner_scaling" in plan.channels
    assert not any(name.endswith("_basis") for name in plan.channels)
    assert 0.5 < shares(converted, plan)["flops"] <= 0.6


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keep": 0}, "`keep` to be a float in .*keep=0"),
        ({"keep": 1e-4}, "`keep` to be a share of the flops that can be reached"),
        ({"keep": None}, "exactly one of `keep` and `threshold`.*keep=None, thres"),
        ({"threshold": 0.1}, "exactly one of .*keep=0.5, threshold=0.1"),
        ({"keep": None, "threshold": -1}, "`threshold` to be a finite number.*=-1"),
        ({"cost": "bytes"}, "`cost` to be .* or 'channels'.*cost='bytes'.*LatencyTab"),
        ({"cost": "bases"}, "`cost` to be .* or 'channels'.*cost='bases'"),
        ({"scope": "all"}, "`scope` to be .* or .*scope='all'"),
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
        ({"min_kept": 0}, "`min_kept` to be a positive integer.*=0"),
        ({"round_to": 1.5}, "`round_to` to be a positive integer.*=1.5"),
        ({"max_removed": 0}, "`max_removed` to be a float in .*max_removed=0"),
    ],
)
def test_limits_that_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        kbp.Limits(**limits)


def test_scores_that_are_not_numbers_are_refused():
    model = residual()
    scores = drawn(model)
    scores[3] = np.nan
    with pytest.raises(ValueError, match="`scores`.*with NaN"):
        kbp.select_channels(model, scores=scores, keep=0.5, scope="global")


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
        plan = kbp.select_channels(
            model, scores=drawn(model), keep=keep, cost=of, scope="global"
        )
        assert keep - 0.03 <= shares(model, plan)[of] <= keep


def test_what_can_just_be_reached():
    inputs = keras.Input((24, 8))
    model = keras.Model(inputs, layers.Dense(3)(recurrent(inputs)))
    plan = kbp.select_channels(
        model, scores=drawn(model), keep=0.318, cost="params", scope="global"
    )
    assert len(plan.channels["wide"].indices) == 1
    assert 0.317 < shares(model, plan)["params"] <= 0.318
    with pytest.raises(
        ValueError,
        match=r"keep=0.3; the smallest share is 0.317: 35 groups can't be removed "
        r"\(states of `lstm\w*`; output of the model\). Pass keep=0.318 or more.$",
    ):
        kbp.select_channels(
            model, scores=drawn(model), keep=0.3, cost="params", scope="global"
        )


def test_limits_are_to_blame_only_if_there_are_some():
    model = residual()
    scores = drawn(model)
    tight = kbp.Limits(max_removed=0.2)
    with pytest.raises(
        ValueError,
        match=r"`limits` keep channels. Pass keep=0.\d+ or more, or wider `limits`.$",
    ):
        kbp.select_channels(
            model, scores=scores, keep=0.3, limits=tight, scope="global"
        )
    idle = kbp.Limits(min_kept=1)
    for limits in (None, idle):
        with pytest.raises(ValueError, match="`keep` to be a share") as error:
            kbp.select_channels(
                model, scores=scores, keep=1e-4, limits=limits, scope="global"
            )
        assert "`limits`" not in str(error.value)
        assert "scores of" not in str(error.value)


def test_infinite_scores_are_named():
    model = residual()
    scores, groups = drawn(model), kbp.graph.channel_groups(model)
    for name in ("inner", "separable"):
        scores[groups.layers[name]] = np.inf
    for scope in ("global", "local"):
        with pytest.raises(
            ValueError,
            match="scores of `inner`, `separable` are infinite. Pass keep=0.\\d+ or "
            "more, or scores of another criterion.$",
        ):
            kbp.select_channels(model, scores=scores, keep=0.01, scope=scope)


def test_the_share_that_the_message_names_can_be_reached():
    model = residual()
    with pytest.raises(ValueError, match="Pass keep=") as error:
        kbp.select_channels(
            model, scores=drawn(model), keep=1e-4, cost="params", scope="global"
        )
    named = float(str(error.value).split("Pass keep=")[1].split()[0])
    plan = kbp.select_channels(
        model, scores=drawn(model), keep=named, cost="params", scope="global"
    )
    assert shares(model, plan)["params"] == pytest.approx(named, abs=1e-3)


def test_where_nothing_may_leave():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(4, name="head")(inputs))
    with pytest.raises(
        ValueError,
        match=r"share is 1.000: 4 groups can't be removed \(output of the model\). No "
        r"channel may be removed: see `channel_groups\(model\)`.$",
    ):
        kbp.select_channels(model, scores=drawn(model), keep=0.5, scope="global")
