"""compensate: nothing is lost where the others can stand in for what leaves."""

import keras
import numpy as np
import pytest
from channel_twins import twinned
from keras import layers
from models import array, conv_block, outputs, relative_difference, sample
from nested_models import NESTED

import keras_basisprune as kbp
from benchmarks.applications import FAMILIES, MODELS, build, randomize_norms
from benchmarks.applications import random_images as images_of

# ConvNeXt computes statistics across channels, which change when some leave.
EXACT = [names[0] for family, names in FAMILIES.items() if family != "ConvNeXt"]


def drawn_of(shape, seed=0):
    return np.random.default_rng(seed).normal(0.5, 1.0, shape).astype("f")


def drawn(model, count=40, seed=0):
    return drawn_of((count, *model.input_shape[1:]), seed)


def lost(model, plan, x, **given):
    """What pruning and compensation change of the outputs, relatively."""
    before = outputs(model, x)
    pruned = relative_difference(before, outputs(kbp.prune(model, plan), x))
    small = kbp.compensate(model, plan, x, verbose=0, **given)
    return pruned, relative_difference(before, outputs(small, x))


def keep(indices, total):
    return kbp.plans.Kept(tuple(indices), total)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_linear_combinations_cost_nothing(padding):
    inputs = keras.Input((7, 7, 4))
    x = layers.Conv2D(6, 3, padding=padding, use_bias=False, name="made")(inputs)
    x = layers.Conv2D(5, 3, padding=padding, activation="relu", name="read")(x)
    model = keras.Model(inputs, x)
    kernel = array(model.get_layer("made").kernel)
    kernel[..., 4] = 2 * kernel[..., 0] - kernel[..., 1]
    kernel[..., 5] = 0.5 * kernel[..., 2] + kernel[..., 3] - kernel[..., 0]
    model.get_layer("made").kernel.assign(kernel)
    plan = kbp.Plan(channels={"made": keep(range(4), 6)})
    pruned, compensated = lost(model, plan, drawn(model), ridge=1e-9)
    assert pruned > 0.05
    assert compensated <= 1e-5


def test_a_separable_convolution_may_be_called_twice():
    inputs = keras.Input((7, 7, 4))
    x = layers.Conv2D(6, 3, use_bias=False, name="made")(inputs)
    read = layers.SeparableConv2D(5, 3, padding="same", name="read")
    halves = [read(x), read(layers.MaxPooling2D(2)(x))]
    model = keras.Model(inputs, [layers.GlobalAveragePooling2D()(y) for y in halves])
    kernel = array(model.get_layer("made").kernel)
    kernel[..., 5] = kernel[..., 2]
    model.get_layer("made").kernel.assign(kernel)
    filters = array(read.depthwise_kernel)
    filters[..., 5, :] = filters[..., 2, :]  # so that one can stand in for the other
    read.depthwise_kernel.assign(filters)
    plan = kbp.Plan(channels={"made": keep(range(5), 6)})
    pruned, compensated = lost(model, plan, drawn(model), ridge=1e-9)
    assert pruned > 0.05
    assert compensated <= 1e-5


def test_the_corrected_kernel_is_that_of_least_squares():
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="tanh", name="made")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="read")(x))
    x = drawn(model, 200)
    plan = kbp.Plan(channels={"made": keep((0, 2, 3), 5)})
    small = kbp.compensate(model, plan, x, ridge=1e-10, verbose=0)
    probe = keras.Model(model.inputs, model.get_layer("made").output)
    made = outputs(probe, x)[0][:, [0, 2, 3]].astype(np.float64)
    design = np.concatenate([made, np.ones((len(made), 1))], axis=1)
    found = np.linalg.lstsq(design, outputs(model, x)[0], rcond=None)[0]
    read = small.get_layer("read")
    np.testing.assert_allclose(array(read.kernel), found[:-1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(array(read.bias), found[-1], rtol=1e-3, atol=1e-4)


def test_a_strong_ridge_only_moves_the_bias():
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="relu", name="made")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="read")(x))
    x = drawn(model, 100)
    plan = kbp.Plan(channels={"made": keep((0, 2, 3), 5)})
    small = kbp.compensate(model, plan, x, ridge=1e9, verbose=0)
    pruned = kbp.prune(model, plan)
    np.testing.assert_allclose(
        array(small.get_layer("read").kernel),
        array(pruned.get_layer("read").kernel),
        atol=1e-6,
    )
    difference = outputs(model, x)[0] - outputs(small, x)[0]
    np.testing.assert_allclose(difference.mean(0), 0, atol=1e-5)


def wide(count, seed):
    """A network whose last layer reads many channels, and images for it."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(48, 3, 2, padding="same", activation="relu", name="a")(inputs)
    x = layers.Conv2D(96, 3, 2, padding="same", activation="relu", name="b")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(20, name="read")(x))
    return model, drawn(model, count, seed)


@pytest.mark.parametrize("seed", range(3))
def test_few_images_are_not_learned_by_heart(seed):
    model, x = wide(30, seed)
    others = drawn(model, 200, seed + 50)
    plan = kbp.Plan(channels={"b": keep(range(64), 96)})

    def error(network, images):
        pair = outputs(model, images)[0], outputs(network, images)[0]
        return np.mean((pair[0] - pair[1]) ** 2)

    fixed = kbp.compensate(model, plan, x, ridge=1e-4, verbose=0)
    chosen = kbp.compensate(model, plan, x, verbose=0)
    pruned = kbp.prune(model, plan)
    assert error(fixed, x) < 0.2 * error(chosen, x)  # by heart
    assert error(chosen, others) < 0.8 * error(fixed, others)
    assert error(chosen, others) < 0.9 * error(pruned, others)


@pytest.mark.parametrize("behind", [(), (layers.Activation("linear"),)])
def test_outputs_inside_vary_as_much_as_the_original_ones(behind):
    """Those of the whole network do not: there, least squares has the least error."""
    model, x = wide(400, 1)
    read = layers.Dense(5, name="last")(layers.ReLU()(model.output))
    for layer in behind:
        read = layer(read)
    model = keras.Model(model.input, read)
    plan = kbp.Plan(channels={"b": keep(range(80), 96)})
    networks = [
        model,
        kbp.compensate(model, plan, x, ridge=0.1, verbose=0),
        kbp.compensate(model, plan, x, verbose=0),
    ]
    inside = [keras.Model(m.input, m.get_layer("read").output) for m in networks]
    before, without, after = (outputs(m, x)[0] for m in inside)
    wanted = before.std(0)
    assert (without.std(0) < 0.95 * wanted).any()
    np.testing.assert_allclose(after.std(0), wanted, rtol=1e-3)
    np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-5)
    whole = [outputs(m, x)[0].std(0) for m in networks]
    assert (whole[2] < whole[0]).all()


def test_means_are_kept_by_the_batch_normalization_behind():
    inputs = keras.Input((8, 8, 3))
    x = conv_block(conv_block(inputs, 8, "a"), 6, "b")
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    x = drawn(model)
    plan = kbp.Plan(channels={"a": keep(range(5), 8)})
    small = kbp.compensate(model, plan, x, verbose=0)
    probes = [keras.Model(m.inputs, m.get_layer("b_bn").output) for m in (model, small)]
    means = [outputs(probe, x)[0].mean((0, 1, 2)) for probe in probes]
    np.testing.assert_allclose(means[1], means[0], atol=1e-5)
    assert "bias" not in [w.name for w in small.get_layer("b").weights]


def test_bases_and_channels_of_a_converted_model_in_one_pass():
    inputs = keras.Input((8, 8, 3))
    x = conv_block(conv_block(conv_block(inputs, 16, "a"), 16, "b"), 12, "c")
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    x = drawn(model, 64)
    converted = kbp.convert(model, data=x, verbose=0)
    bases = kbp.select_bases(converted, keep=0.6, cost="params").bases
    scores = np.random.default_rng(0).random(len(kbp.graph.channel_groups(converted)))
    channels = kbp.select_channels(
        converted, scores=scores, keep=0.7, cost="channels", scope="global"
    ).channels
    plan = kbp.Plan(bases=bases, channels=channels)
    small = kbp.compensate(converted, plan, x, verbose=0)
    errors = [
        np.mean((outputs(model, x)[0] - outputs(other, x)[0]) ** 2)
        for other in (kbp.prune(converted, plan), small)
    ]
    assert errors[1] < 0.5 * errors[0]
    folded = kbp.fold(small)
    assert relative_difference(outputs(small, x), outputs(folded, x)) <= 1e-5


def test_order_and_batches_do_not_matter_and_the_model_stays():
    inputs = keras.Input((9, 9, 3))
    x = conv_block(conv_block(inputs, 8, "a"), 6, "b")
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    x = drawn(model, 50)
    plan = kbp.Plan(channels={"a": keep(range(4), 8)})
    before = outputs(model, x)[0]
    one = outputs(kbp.compensate(model, plan, x, verbose=0), x)
    turned = [x[::-1][start : start + 7] for start in range(0, 50, 7)]
    other = outputs(kbp.compensate(model, plan, iter(turned), verbose=0), x)
    assert relative_difference(one, other) <= 1e-5
    np.testing.assert_array_equal(outputs(model, x)[0], before)


def test_a_plan_for_nothing_changes_nothing():
    inputs = keras.Input((9, 9, 3))
    model = keras.Model(inputs, conv_block(inputs, 4, "a"))
    x = drawn(model)
    groups = kbp.graph.channel_groups(model)
    assert not groups.prunable("a").any()  # outputs of the model
    plan = kbp.Plan(channels={"a": keep(range(4), 4)})
    assert lost(model, plan, x) == (0.0, 0.0)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"ridge": 0}, "`ridge` to be a positive float.*ridge=0"),
        ({"data": np.zeros((2, 3), "f")}, "`data` to hold arrays of the shapes"),
        ({"plan": kbp.Plan(channels={"b": keep((0,), 6)})}, "`plan`.*can't be removed"),
    ],
)
def test_what_is_refused(changes, message):
    inputs = keras.Input((9, 9, 3))
    model = keras.Model(inputs, conv_block(conv_block(inputs, 8, "a"), 6, "b"))
    plan = kbp.Plan(channels={"a": keep(range(4), 8)})
    given = {"plan": plan, "data": drawn(model), "verbose": 0, **changes}
    with pytest.raises(ValueError, match=message):
        kbp.compensate(model, **given)


@pytest.mark.parametrize("kind", NESTED)
def test_nested_models_are_compensated_like_flat_ones(kind):
    model = NESTED[kind]()
    flat, x = kbp.graph.flatten(model), sample(model, batch=60)
    scores = np.random.default_rng(3).random(len(kbp.graph.channel_groups(model)))
    plan = kbp.select_channels(model, scores=scores, keep=0.5, scope="global")
    nested, flattened = (kbp.compensate(m, plan, x, verbose=0) for m in (model, flat))
    before, after = outputs(model, x), outputs(nested, x)
    assert relative_difference(outputs(flattened, x), after) <= 1e-6

    def error(found):
        pairs = zip(before, found, strict=True)
        return sum(np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in pairs)

    assert error(after) < 0.6 * error(outputs(kbp.prune(model, plan), x))


def test_a_shared_layer_is_fitted_on_the_first_of_its_arguments():
    """Whatever the depth of the calls, and however deep they are nested."""
    one, two = keras.Input((6,)), keras.Input((6,))
    inner_inputs = keras.Input((5,))
    read = layers.Dense(3, name="read")
    made = layers.Dense(5, activation="tanh", name="made")
    far = layers.Dense(6, name="far")(layers.Dense(6, name="farther")(one))
    inner = keras.Model(inner_inputs, read(inner_inputs))
    model = keras.Model([one, two], [inner(made(two)), inner(made(far))])
    x = [v[0] for v in np.split(drawn_of((2, 200, 6)), 2)]
    plan = kbp.Plan(channels={"made": keep((0, 2, 3), 5)})
    small = kbp.compensate(model, plan, x, ridge=1e-10, verbose=0)
    inputs = array(made(x[1]))[:, [0, 2, 3]].astype(np.float64)
    design = np.concatenate([inputs, np.ones((200, 1))], axis=1)
    found = np.linalg.lstsq(design, outputs(model, x)[0], rcond=None)[0]
    fitted = small.get_layer("read")
    np.testing.assert_allclose(array(fitted.kernel), found[:-1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(array(fitted.bias), found[-1], rtol=1e-3, atol=1e-4)


def hold_twins(name):
    """Copies of kept channels leave, and outputs stay."""
    model = build(name)
    randomize_norms(model)
    images = images_of(model)
    x = np.concatenate([images, -images, images / 2, images / 4])
    plan = twinned(model)
    assert sum(k.total - len(k.indices) for k in plan.channels.values()) > 100
    pruned, compensated = lost(model, plan, x, ridge=1e-9)
    assert pruned > 1e-3
    assert compensated <= 1e-4
    keras.utils.clear_session()


@pytest.mark.parametrize("name", EXACT)
def test_application(name):
    hold_twins(name)


@pytest.mark.large
@pytest.mark.parametrize("name", [n for n in MODELS if not n.startswith("ConvNeXt")])
def test_every_application(name):
    hold_twins(name)
