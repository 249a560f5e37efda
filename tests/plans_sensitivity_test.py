"""sensitivity: losses that cutting, compensating and running the network also give."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers
from models import randomize

import keras_basisprune as kbp
from keras_basisprune.plans.sensitivity import split_samples as splitting

QUIET = {"verbose": 0}


def images(count=40, size=8, channels=3, seed=0):
    return np.random.default_rng(seed).random(
        (count, size, size, channels), dtype="float32"
    )


def classifier(**head):
    """Two convolutions and a head, so that each block has one reader."""
    head = {"activation": "softmax", **head}
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(12, 3, activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(5, name="head", **head)(x))
    return sharp(randomize(model), "head")


def pooled_maps():
    """One block, read by a convolution that is the last layer with weights."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(10, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, name="maps")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Softmax()(layers.GlobalAveragePooling2D()(x))
    return sharp(randomize(keras.Model(inputs, x)), "maps")


def sharp(model, name, factor=20):
    """Makes the outputs differ more between samples."""
    layer = model.get_layer(name)
    layer.set_weights([factor * weight for weight in layer.get_weights()])
    return model


def residual():
    """A stream of three tied layers, with depthwise and squeeze-and-excite members."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.Conv2D(12, 1, activation="relu", name="expand")(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(4, 1, activation="relu", name="squeeze")(gate)
    gate = layers.Conv2D(12, 1, activation="sigmoid", name="excite")(gate)
    y = layers.Multiply()([y, gate])
    y = layers.Conv2D(8, 1, name="project")(y)
    x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(4, activation="softmax", name="head")(x))
    return sharp(randomize(model), "head")


def halves(model, data, fitted=0.6):
    """The samples that are fitted and judged on, each as one array."""
    parts = splitting.split_samples(model, data, fitted)
    return [np.concatenate([arrays[0] for arrays in part]) for part in parts]


def without(curve, number, model):
    """The plan that cuts one layer alone, by the first channels of a curve."""
    gone = set(curve.order[:number])
    kept = tuple(place for place in range(curve.total) if place not in gone)
    return kbp.Plan(channels={curve.layer: kbp.plans.Kept(kept, curve.total)})


def divergence(wanted, found):
    wanted, found = (np.maximum(x.astype(np.float64), 1e-12) for x in (wanted, found))
    return (wanted * np.log(wanted / found)).sum(-1).mean()


def brute_force(model, curve, number, data, loss=divergence):
    """Cuts, compensates, runs."""
    fit, judge = halves(model, data)
    plan = without(curve, number, model)
    small = kbp.compensate(model, plan, fit, ridge=0.01, verbose=0)
    return loss(model.predict(judge, verbose=0), small.predict(judge, verbose=0))


@pytest.mark.parametrize(("make", "place"), [(classifier, 1), (pooled_maps, 0)])
def test_losses_are_those_of_networks_that_are_cut_and_compensated(make, place):
    model, data = make(), images()
    found = kbp.sensitivity(model, data, shares=(0.5, 0.25), **QUIET)
    curve = found.curves[place]
    assert len(curve.losses) == 2
    for number, loss in zip(curve.removed, curve.losses, strict=True):
        expected = brute_force(model, curve, number, data)
        assert expected > 1e-5
        assert loss == pytest.approx(expected, rel=0.02)


def test_tied_layers_are_cut_together_and_all_of_their_readers_are_corrected():
    model, data = residual(), images()
    for name in ("stem", "depthwise", "project"):  # each channel of the stream twice
        weights = [np.array(weight) for weight in model.get_layer(name).get_weights()]
        for weight in weights:
            if name == "depthwise" and weight.ndim == 4:
                weight[:, :, 4:] = weight[:, :, :4]
            else:
                weight[..., 4:] = weight[..., :4]
        model.get_layer(name).set_weights(weights)
    groups = kbp.graph.channel_groups(model)
    scores = np.full(len(groups), np.inf)
    scores[groups.layers["stem"]] = np.arange(8)
    given = {"scores": scores, "shares": (0.75, 0.5, 0.25)}
    (stream,) = kbp.sensitivity(model, data, **given, **QUIET).curves
    assert (stream.layer, stream.order) == ("stem", (0, 1, 2, 3, 4, 5, 6))
    assert stream.losses[1] < 1e-3 * stream.losses[2]
    small = kbp.prune(model, without(stream, 4, model))
    judge = halves(model, data)[1]
    wanted, others = (one.predict(judge, verbose=0) for one in (model, small))
    assert stream.losses[1] < 1e-3 * divergence(wanted, others)


@pytest.mark.parametrize("name", ["stem", "expand"])
def test_losses_in_a_residual_network_are_near_those_of_cut_networks(name):
    model, data = residual(), images(80)
    found = kbp.sensitivity(model, data, shares=(0.25,), **QUIET)
    assert [curve.layer for curve in found.curves] == ["stem", "expand", "squeeze"]
    (curve,) = [curve for curve in found.curves if curve.layer == name]
    expected = brute_force(model, curve, curve.removed[0], data)
    assert expected / 3 < curve.losses[0] < expected * 3


def test_layers_that_compensate_does_not_correct_read_zeros():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="first")(inputs)
    x = layers.Conv2DTranspose(6, 3, activation="relu", name="transposed")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(3, activation="softmax", name="head")(x)
    model, data = sharp(randomize(keras.Model(inputs, x)), "head"), images()
    curve = kbp.sensitivity(model, data, shares=(0.5,), **QUIET).curves[0]
    assert curve.layer == "first"
    small = kbp.prune(model, without(curve, 4, model))
    judge = halves(model, data)[1]
    expected = divergence(
        model.predict(judge, verbose=0), small.predict(judge, verbose=0)
    )
    assert expected > 1e-4
    assert curve.losses[0] == pytest.approx(expected, rel=1e-3)


def squares(wanted, found):
    wanted, found = wanted.astype(np.float64), found.astype(np.float64)
    return ((wanted - found) ** 2).sum() / ((wanted - wanted.mean(0)) ** 2).sum()


def sigmoids(wanted, found):
    pairs = np.stack([wanted, 1 - wanted], -1), np.stack([found, 1 - found], -1)
    return divergence(*pairs) * wanted.shape[-1]


@pytest.mark.parametrize(
    ("activation", "loss"),
    [(None, squares), ("sigmoid", sigmoids), ("softmax", divergence)],
)
def test_what_is_compared_depends_on_the_outputs(activation, loss):
    model, data = classifier(activation=activation), images()
    curve = kbp.sensitivity(model, data, shares=(0.25,), **QUIET).curves[1]
    expected = brute_force(model, curve, curve.removed[0], data, loss)
    assert curve.losses[0] == pytest.approx(expected, rel=0.02)


def test_maps_are_compared_at_each_position_and_outputs_are_summed():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="first")(inputs)
    maps = layers.Conv2D(4, 1, activation="softmax", name="maps")(x)
    pooled = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, [maps, layers.Dense(2, name="numbers")(pooled)])
    model, data = randomize(model), images()
    curve = kbp.sensitivity(model, data, shares=(0.25,), **QUIET).curves[0]
    fit, judge = halves(model, data)
    plan = without(curve, curve.removed[0], model)
    small = kbp.compensate(model, plan, fit, ridge=0.01, verbose=0)
    wanted, found = (one.predict(judge, verbose=0) for one in (model, small))
    each = divergence(wanted[0], found[0]), squares(wanted[1], found[1])
    assert min(each) > 1e-5
    assert curve.losses[0] == pytest.approx(sum(each), rel=0.02)


def test_the_model_is_unchanged_to_the_bit_and_the_result_is_reproducible():
    model, data = residual(), images()
    before = [np.array(weight) for weight in model.get_weights()]
    one = kbp.sensitivity(model, data, shares=(0.5,), **QUIET)
    two = kbp.sensitivity(model, iter([data[:25], data[25:]]), shares=[0.5], **QUIET)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert one == kbp.sensitivity(model, data, shares=(0.5,), **QUIET)
    for a, b in zip(one.curves, two.curves, strict=True):
        np.testing.assert_allclose(a.losses, b.losses, rtol=0.05, atol=1e-6)


def test_a_record_goes_to_json_and_back():
    found = kbp.sensitivity(classifier(), images(), **QUIET)
    again = kbp.Sensitivity.from_json(found.to_json())
    assert again == found
    assert again.to_json() == found.to_json()
    for text in ("", "{}", '{"version": 2, "curves": []}', "[]", None):
        with pytest.raises(ValueError, match=r"Expected `text`.*Received: "):
            kbp.Sensitivity.from_json(text)


def test_a_network_cut_before_is_compared_with_the_original():
    model, data = classifier(), images()
    whole = kbp.sensitivity(model, data, shares=(0.5,), **QUIET)
    assert whole.loss == 0.0
    curve = whole.curves[1]
    fit, _ = halves(model, data)
    small = kbp.compensate(model, without(curve, 6, model), fit, ridge=0.01, verbose=0)
    found = kbp.sensitivity(small, data, shares=(0.5,), original=model, **QUIET)
    assert found.loss == pytest.approx(curve.losses[0], rel=0.02)


def test_losses_are_interpolated_along_the_errors():
    curve = kbp.plans.LossCurve(
        layer="a",
        kind="channels",
        total=6,
        order=(5, 0, 3, 1, 2),
        errors=(0.1, 0.2, 0.4, 0.8, 1.6),
        removed=(2, 4),
        losses=(0.3, 4.8),
    )
    expected = [0.0, 0.15, 0.3, 1.2, 4.8, 19.2]
    np.testing.assert_allclose(curve.expected(), expected, rtol=1e-4)
    assert curve.at((1, 2, 3, 4)) == pytest.approx(0.3, rel=1e-4)
    found = kbp.Sensitivity((curve, dataclasses.replace(curve, layer="b")), 0.25)
    plan = kbp.Plan(channels={"a": kbp.plans.Kept((1, 2, 4), 6)})
    assert found.predicted(plan) == pytest.approx(1.45, rel=1e-4)
    assert found.predicted(kbp.Plan()) == 0.25


def test_a_picture_of_the_curves(tmp_path):
    curve = kbp.plans.LossCurve("a", "bases", 3, (2, 1), (0.1, 0.2), (1,), (0.3,))
    path = tmp_path / "losses.svg"
    found = kbp.Sensitivity((curve,))
    assert kbp.plans.plot_sensitivity(found, path) == path
    assert path.read_text(encoding="utf-8").count("<path") > 4
    with pytest.raises(ValueError, match="Expected `sensitivity` to have curves"):
        kbp.plans.plot_sensitivity(kbp.Sensitivity(()), path)


def useless():
    """A network whose second block hardly matters."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(inputs)
    y = layers.Conv2D(16, 3, padding="same", activation="relu", name="idle")(x)
    y = layers.Conv2D(16, 3, padding="same", name="faint")(y)
    x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(4, activation="softmax", name="head")(x))
    model = sharp(randomize(model), "head")
    faint = model.get_layer("faint")
    faint.set_weights([1e-4 * weight for weight in faint.get_weights()])
    return model


def test_a_block_that_does_not_matter_is_cut_first():
    model, data = useless(), images()
    found = kbp.sensitivity(model, data, **QUIET)
    plan = kbp.select_channels(model, keep=0.55, sensitivity=found)
    assert list(plan.channels) == ["idle"]
    small = kbp.compensate(model, plan, data, ridge=0.01, verbose=0)
    cost = kbp.measure.cost
    assert cost(small).flops <= 0.55 * cost(model).flops
    assert cost(small).flops >= 0.5 * cost(model).flops
    assert found.predicted(plan) < 1e-4
    same = kbp.select_channels(model, keep=0.55, data=data)
    assert found.predicted(same) > 10 * found.predicted(plan)


def test_limits_hold():
    model, data = useless(), images()
    found = kbp.sensitivity(model, data, **QUIET)
    limits = kbp.Limits(exclude="idle", round_to=4)
    plan = kbp.select_channels(model, keep=0.6, sensitivity=found, limits=limits)
    assert "idle" not in plan.channels
    assert {len(kept.indices) % 4 for kept in plan.channels.values()} == {0}
    limits = kbp.Limits(max_removed=0.25)
    plan = kbp.select_channels(model, keep=0.7, sensitivity=found, limits=limits)
    assert min(len(kept.indices) for kept in plan.channels.values()) >= 12
    with pytest.raises(ValueError, match="Expected `keep` to be a share"):
        kbp.select_channels(model, keep=0.1, sensitivity=found, limits=limits)


@pytest.mark.parametrize("cost", ["flops", "params", "channels"])
def test_the_predicted_loss_is_the_least_of_all_widths(cost):
    """All pairs of widths of two layers, counted by hand."""
    model, data = classifier(), images()
    found = kbp.sensitivity(model, data, **QUIET)
    plan = kbp.select_channels(model, keep=0.5, sensitivity=found, cost=cost)
    first, second = (curve.expected() for curve in found.curves)

    def price(a, b):
        if cost == "channels":
            return a + b
        places = {"flops": (64, 36, 1), "params": (1, 1, 1)}[cost]
        norm = 4 * a if cost == "params" else 0
        bias = b + 5 if cost == "params" else 0
        scale = 2 if cost == "flops" else 1
        products = places[0] * 27 * a + places[1] * 9 * a * b + places[2] * 5 * b
        return scale * products + norm + bias

    losses = {
        (a, b): first[8 - a] + second[12 - b]
        for a in range(1, 9)
        for b in range(1, 13)
        if price(a, b) <= 0.5 * price(8, 12) * (1 + 1e-9)
    }
    assert found.predicted(plan) <= 1.25 * min(losses.values())


def test_steps_reach_the_share_and_say_what_was_measured():
    model, data = classifier(), images()
    plan = kbp.plans.select_in_steps(model, data, keep=0.4, step=0.3, verbose=0)
    cost = kbp.measure.cost
    small = kbp.compensate(model, plan, data, ridge=0.01, verbose=0)
    assert 0.3 < cost(small).flops / cost(model).flops <= 0.4
    assert plan == kbp.plans.select_in_steps(model, data, keep=0.4, step=0.3, verbose=0)
    once = kbp.plans.select_in_steps(model, data, keep=0.4, step=1.0, verbose=0)
    found = kbp.sensitivity(model, data, **QUIET)
    assert once == kbp.select_channels(model, keep=0.4, sensitivity=found)


def test_what_can_not_be_measured_is_refused():
    model, data = classifier(), images(10)
    found = kbp.sensitivity(model, data, **QUIET)
    with pytest.raises(ValueError, match="Expected `what` to be"):
        kbp.sensitivity(model, data, what="ranks", **QUIET)
    for shares in ((), (0.5, 1.0), (0.0,), 0.5, "0.5", (None,)):
        with pytest.raises(ValueError, match="Expected `shares` to be floats"):
            kbp.sensitivity(model, data, shares=shares, **QUIET)
    with pytest.raises(ValueError, match="Expected `data` to hold two samples"):
        kbp.sensitivity(model, data[:1], **QUIET)
    with pytest.raises(ValueError, match="Expected `data` to hold arrays"):
        kbp.sensitivity(model, data[:, :4], **QUIET)
    with pytest.raises(ValueError, match="channels of `first`, which is not there"):
        kbp.select_channels(residual(), keep=0.5, sensitivity=found)
    curve = dataclasses.replace(found.curves[0], total=9)
    wrong = kbp.Sensitivity((curve,))
    with pytest.raises(ValueError, match="9 channels of `first`, which has 8"):
        kbp.select_channels(model, keep=0.5, sensitivity=wrong)
    with pytest.raises(ValueError, match="Expected `threshold` to be None"):
        kbp.select_channels(model, threshold=0.5, sensitivity=found)
    with pytest.raises(ValueError, match="none of channels"):
        kbp.select_channels(model, keep=0.5, sensitivity=kbp.Sensitivity(()))


@pytest.mark.parametrize("name", ["first", "second"])
def test_losses_of_bases_are_those_of_converted_networks(name):
    model, data = classifier(), images()
    found = kbp.sensitivity(model, data, what="bases", shares=(0.6,), **QUIET)
    curves = {curve.layer: curve for curve in found.curves}
    assert list(curves) == ["first", "second"]
    curve = curves[name]
    assert curve.order == tuple(range(curve.total - 1, 0, -1))
    (number,), (loss,) = curve.removed, curve.losses
    rank = curve.total - number
    plan = kbp.Plan(bases={name: kbp.plans.Kept(tuple(range(rank)), curve.total)})
    fit, judge = halves(model, data)
    small = kbp.convert(
        model, plan, basis="activations", data=fit, include=name, verbose=0
    )
    wanted, now = (one.predict(judge, verbose=0) for one in (model, small))
    expected = divergence(wanted, now)
    assert expected > 1e-5
    assert loss == pytest.approx(expected, rel=0.02)
    assert found.predicted(plan) == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize("converted", [False, True])
def test_bases_leave_where_the_outputs_lose_least(converted):
    model, data = useless(), images()
    found = kbp.sensitivity(model, data, what="both", **QUIET)
    assert {curve.kind for curve in found.curves} == {"channels", "bases"}
    given = kbp.convert(model, data=data, verbose=0) if converted else model
    plan = kbp.select_bases(given, keep=0.6, sensitivity=found)
    whole = {curve.layer for curve in found.curves if curve.kind == "bases"}
    assert set(plan.bases) == whole
    cut = {name: len(kept.indices) for name, kept in plan.bases.items()}
    assert cut["idle"] < 16 and cut["faint"] < 16
    small = kbp.fold(kbp.convert(model, plan, data=data, verbose=0))
    cost = kbp.measure.cost
    assert cost(small).flops <= 0.6 * cost(model).flops
    energies = kbp.select_bases(model, keep=0.6, data=data)
    assert found.predicted(plan) <= found.predicted(energies)


def test_bases_of_another_model_are_refused():
    model, data = classifier(), images()
    found = kbp.sensitivity(model, data, what="bases", **QUIET)
    with pytest.raises(ValueError, match="none of channels"):
        kbp.select_channels(model, keep=0.5, sensitivity=found)
    channels = kbp.sensitivity(model, data, **QUIET)
    with pytest.raises(ValueError, match="none of bases"):
        kbp.select_bases(model, keep=0.5, sensitivity=channels)
    with pytest.raises(ValueError, match="bases of `first`, which is not there"):
        kbp.select_bases(residual(), keep=0.5, sensitivity=found)
    with pytest.raises(ValueError, match="Expected `scores` to be None"):
        kbp.select_bases(model, keep=0.5, sensitivity=found, scores={})
