"""The structural search: its floor, steps, order and choices, against other ways."""

import keras
import numpy as np
import pytest
from channel_oracle import zeroed
from contract import same_state, state_of
from families import FAMILIES
from keras import layers
from models import array, outputs, randomize, relative_difference

import keras_basisprune as kbp
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.linalg import removal_order
from keras_basisprune.methods import (
    StructuralSearch,
    compensation_aware,
    tolerated_drops,
)
from keras_basisprune.methods._judged_data import JudgedData
from keras_basisprune.methods._layer_search import LayerSearch, floor_at
from keras_basisprune.methods._row_channels import row_channels
from keras_basisprune.methods._virtual_pruning import VirtualPruning
from keras_basisprune.plans.channel_blocks import channel_blocks
from keras_basisprune.plans.limits import Limits
from keras_basisprune.surgery.linear_call import LinearCall


def drawn(model, count=60, seed=0):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(seed).normal(0.5, 1.0, shape).astype("f")


def perceptron(hidden=12, activation="tanh"):
    inputs = keras.Input((6,))
    x = layers.Dense(hidden, activation=activation, name="made")(inputs)
    x = layers.Dense(8, activation=activation, name="second")(x)
    return randomize(keras.Model(inputs, layers.Dense(5, name="head")(x)))


def virtual(model, x, ridge=0.01):
    traced = trace(model)
    channels = channel_map(traced)
    scores = np.random.default_rng(1).random(channels.count)
    pruning = VirtualPruning(model, traced, channels, [[x]], [[x]], ridge)
    return pruning, channel_blocks(traced, channels, scores)


def left_out(plan, name):
    kept = plan.channels.get(name)
    return set() if kept is None else set(range(kept.total)) - set(kept.indices)


def test_the_floor_falls_linearly_to_the_budget():
    floors = [floor_at(0.9, 0.06, number, 3) for number in (1, 2, 3)]
    np.testing.assert_allclose(floors, [0.88, 0.86, 0.84])


@pytest.mark.parametrize(
    "width, round_to, steps, counts",
    [
        (12, 1, 16, tuple(range(12))),  # one channel has to stay
        (12, 1, 3, (0, 4, 8, 11)),
        (12, 4, 16, (0, 4, 8)),
        (14, 4, 16, (0, 2, 6, 10)),  # 12, 8 or 4 are left
        (40, 4, 5, (0, 8, 16, 24, 32, 36)),
    ],
)
def test_steps(width, round_to, steps, counts):
    model = perceptron(width)
    traced = trace(model)
    channels = channel_map(traced)
    scores = np.random.default_rng(0).random(channels.count)
    limits = Limits(round_to=round_to)
    found = channel_blocks(traced, channels, scores, limits, steps)
    assert [block.name for block in found] == ["made", "second"]
    assert found[0].counts == counts
    assert (np.diff(scores[found[0].groups]) > 0).all()


def test_what_is_excluded_is_in_no_block():
    model = perceptron()
    traced = trace(model)
    channels = channel_map(traced)
    scores = np.arange(channels.count, dtype=float)
    limits = Limits(exclude="made", max_removed=0.5)
    (found,) = channel_blocks(traced, channels, scores, limits)
    assert (found.name, len(found.groups)) == ("second", 4)


def test_channels_leave_in_the_order_of_the_downdated_inverse():
    model = perceptron()
    x = drawn(model, 200)
    config = StructuralSearch(max_drop=0.3)
    plan = compensation_aware(model, x, config=config, verbose=0)
    made = outputs(keras.Model(model.inputs, model.get_layer("made").output), x)[0]
    kernel = array(model.get_layer("second").kernel).astype(np.float64)
    covariance = np.cov(made.astype(np.float64).T, bias=True)
    order, _ = removal_order(covariance, kernel @ kernel.T, 0.01)
    gone = left_out(plan, "made")
    assert 0 < len(gone) < 12
    assert gone == set(order[: len(gone)])


def by_hand(model, x, right, drop, counts):
    """The same search, of networks that are built anew for every trial."""
    baseline = np.mean(outputs(model, x)[0].argmax(-1) == right)
    order = kbp.scores.channels.compensated(model, x)
    groups, kept = kbp.graph.channel_groups(model), {}
    for number, name in enumerate(counts, start=1):
        of = groups.layers[name]
        leaving = np.argsort(order[of], kind="stable")

        def plan(count, name=name, of=of, leaving=leaving, before=kept):
            left = np.sort(leaving[count:])
            return kbp.Plan(
                channels={**before, name: kbp.plans.Kept(tuple(left), len(of))}
            )

        low, high = 0, len(counts[name]) - 1
        while low < high:
            middle = (low + high + 1) // 2
            small = kbp.compensate(
                model, plan(counts[name][middle]), x, ridge=0.01, verbose=0
            )
            score = np.mean(outputs(small, x)[0].argmax(-1) == right)
            enough = score >= baseline - drop * number / len(counts)
            low, high = (middle, high) if enough else (low, middle - 1)
        kept = plan(counts[name][low]).channels
    return {name: k for name, k in kept.items() if len(k.indices) < k.total}


@pytest.mark.parametrize("labelled", [False, True])
def test_the_search_finds_what_a_search_over_built_networks_finds(labelled):
    model = FAMILIES["sequential"]()
    x = drawn(model, 80)
    right = outputs(model, x)[0].argmax(-1)
    if labelled:
        right = np.where(np.arange(80) % 5 == 0, (right + 1) % 4, right)
    data = (x, right) if labelled else x
    config = StructuralSearch(max_drop=0.2)
    plan = compensation_aware(model, data, config=config, verbose=0)
    counts = {"a": range(8), "b": range(8)}
    assert plan.channels
    assert plan.channels == by_hand(model, x, right, 0.2, counts)


@pytest.mark.parametrize("family", ["sequential", "depthwise", "nested"])
def test_virtual_pruning_computes_what_compensate_builds(family):
    model = FAMILIES[family]()
    x, state = drawn(model), state_of(model)
    pruning, blocks = virtual(model, x)
    before = outputs(model, x)[0]
    assert relative_difference(before, pruning.answers()) <= 1e-6
    blocks.sort(key=lambda block: pruning.first_end(block.groups))
    for block in blocks:
        pruning.enter(block.groups)
        pruning.leave(block.groups, block.groups[:5])  # others were tried before
        pruning.leave(block.groups, block.groups[:3])
    groups = kbp.graph.channel_groups(model)
    plan = {
        name: kbp.plans.Kept(tuple(np.flatnonzero(pruning.alive[of])), len(of))
        for name, of in groups.layers.items()
    }
    small = kbp.compensate(model, kbp.Plan(channels=plan), x, ridge=0.01, verbose=0)
    assert relative_difference(before, outputs(small, x)[0]) > 1e-3
    assert relative_difference(outputs(small, x)[0], pruning.answers()) <= 1e-4
    pruning.reset()
    assert relative_difference(before, pruning.answers()) <= 1e-6
    assert same_state(state, state_of(model))


def not_fitted():
    """Channels that are read by what can't be corrected."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="made")(inputs)
    y = layers.Conv2DTranspose(4, 3, padding="same", name="transposed")(x)
    z = layers.Conv2D(4, 3, groups=2, padding="same", name="grouped")(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([y, z]))
    return randomize(keras.Model(inputs, layers.Softmax()(x)))


def test_where_nothing_is_corrected_zeros_are_read():
    model = not_fitted()
    x = drawn(model, 10)
    pruning, (block, *_) = virtual(model, x)
    pruning.enter(block.groups)
    pruning.leave(block.groups, block.groups[:2])
    of = kbp.graph.channel_groups(model).layers["made"]
    kept = tuple(np.flatnonzero(pruning.alive[of]))
    plan = kbp.Plan(channels={"made": kbp.plans.Kept(kept, 8)})
    expected = array(zeroed(model, plan)(x))
    assert relative_difference(outputs(model, x)[0], expected) > 1e-3
    assert relative_difference(expected, pruning.answers()) <= 1e-5


@pytest.mark.parametrize(
    "layer, shape, expected",
    [
        (layers.Conv2D(4, (3, 2), padding="same"), (5, 5, 3), np.tile(range(3), 6)),
        (layers.Conv2D(4, 2, strides=2), (6, 6, 5), np.tile(range(5), 4)),
        (layers.Dense(4), (7,), np.arange(7)),
        (layers.Conv1D(4, 3, padding="causal"), (8, 2), np.tile(range(2), 3)),
        (
            layers.SeparableConv2D(4, 3, depth_multiplier=2),
            (5, 5, 3),
            np.repeat(range(3), 2),
        ),
        (layers.Conv2D(4, 3), (5, 5, 1), np.zeros(9)),
    ],
)
def test_which_channel_a_row_reads(layer, shape, expected):
    layer = type(layer).from_config(layer.get_config())
    inputs = keras.Input(shape)
    model = randomize(keras.Model(inputs, layer(inputs)))
    (call,) = trace(model).calls
    positions = np.arange(int(np.prod(call.outputs.shape[1:-1])))
    found = row_channels(LinearCall(call), (1, *shape), len(shape), positions)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("family", ["residual", "concatenation", "shared"])
def test_a_share_is_met_and_nearly_all_of_it_used(family):
    model = FAMILIES[family]()
    x = drawn(model, 40)
    whole = kbp.measure.cost(model)
    for kind in ("flops", "params"):
        plan = compensation_aware(model, x, keep=0.7, cost=kind, verbose=0)
        left = getattr(kbp.measure.cost(kbp.prune(model, plan)), kind) / getattr(
            whole, kind
        )
        assert 0.5 < left <= 0.7


def test_scores_are_budgets_and_can_be_had_once():
    model = FAMILIES["sequential"]()
    x = drawn(model, 80)
    config = StructuralSearch(max_drop=0.1, drops=(0.1, 0.3, 0.9))
    scores = tolerated_drops(model, x, config=config, verbose=0)
    groups = kbp.graph.channel_groups(model)
    assert np.isinf(scores[list(groups.pinned)]).all()
    plan = compensation_aware(model, x, config=config, verbose=0)
    for name in ("a", "b"):
        least = np.flatnonzero(scores[groups.layers[name]] <= 0.1)
        assert left_out(plan, name) == set(least)
    assert compensation_aware(model, scores=scores, config=config) == plan
    direct = compensation_aware(model, x, keep=0.5, config=config, verbose=0)
    assert compensation_aware(model, keep=0.5, scores=scores) == direct
    order = kbp.scores.channels.compensated(model, x)
    for of in (groups.layers["a"], groups.layers["b"]):
        np.testing.assert_array_equal(np.argsort(scores[of]), np.argsort(order[of]))


def test_limits_are_kept():
    model = FAMILIES["sequential"]()
    x = drawn(model, 40)
    config = StructuralSearch(max_drop=1.0)
    for keep in (None, 0.7):
        limits = Limits(round_to=4)
        given = {"keep": keep, "config": config, "verbose": 0}
        plan = compensation_aware(model, x, limits=limits, **given)
        assert {len(kept.indices) for kept in plan.channels.values()} == {4}
        limits = Limits(exclude="a")
        plan = compensation_aware(model, x, limits=limits, **given)
        assert set(plan.channels) == {"b"}


def test_a_budget_of_all_lets_all_leave_but_one_channel():
    model = FAMILIES["sequential"]()
    config = StructuralSearch(max_drop=1.0)
    plan = compensation_aware(model, drawn(model, 30), config=config, verbose=0)
    assert len(plan.channels["b"].indices) == 1


def test_what_is_judged_on():
    model = FAMILIES["residual"]()
    x = drawn(model, 150)
    labels = np.arange(150) % 4
    data = JudgedData(model, (x, labels), 0.2)  # in batches of 128 and 22
    fitted = [len(arrays[0]) for arrays in data.fitted]
    assert (fitted, [len(arrays[0]) for arrays in data.judged]) == ([102, 18], [26, 4])
    held = np.concatenate([arrays[0] for arrays in data.judged])
    rest = np.concatenate([arrays[0] for arrays in data.fitted])
    places = {image.tobytes(): n for n, image in enumerate(x)}
    chosen, others = ([places[image.tobytes()] for image in of] for of in (held, rest))
    assert sorted(chosen + others) == list(range(150))
    np.testing.assert_array_equal(data.labels, labels[chosen])
    # At random, or one class alone could be judged where they take turns.
    assert set(labels[chosen]) == {0, 1, 2, 3}
    traced = trace(model)
    channels = channel_map(traced)
    pruning = VirtualPruning(model, traced, channels, data.fitted, data.judged, 0.01)
    search = LayerSearch(pruning, [], data)
    assert search.baseline == pytest.approx(
        kbp.measure.accuracy(model, (held, data.labels))
    )
    assert LayerSearch(pruning, [], JudgedData(model, x, 0.2)).baseline == 1.0


@pytest.mark.parametrize("count, judged", [(150, 150), (198, 198), (202, 101)])
def test_half_is_held_out_where_that_is_enough(count, judged):
    model = perceptron()
    data = JudgedData(model, drawn(model, count), StructuralSearch().held_out)
    assert sum(len(arrays[0]) for arrays in data.judged) == judged
    fitted = sum(len(arrays[0]) for arrays in data.fitted)
    assert fitted == (count if judged == count else count - judged)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return tuple(array[20 * number : 20 * number + 20] for array in self.arrays)


FORMS = {
    "triple": lambda x, y, w: (x, y, w),
    "column": lambda x, y, w: (x, y[:, None], w[:, None]),
    "batches": Batches,
    "generator": lambda x, y, w: (
        b for b in zip(*(np.split(a, 6) for a in (x, y, w)), strict=True)
    ),
    "samples": lambda x, y, w: list(zip(x, y, w, strict=True)),
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_and_weights_count_in_every_form(form):
    model = perceptron()
    x = drawn(model, 60)
    rng = np.random.default_rng(3)
    y = rng.integers(0, 5, 60)
    right = outputs(model, x)[0].argmax(-1) == y
    w = rng.uniform(0.5, 1.0, 60) * np.where(right, 1.0, 0.1)
    data = JudgedData(model, FORMS[form](x, y, w), 0.0)
    traced = trace(model)
    pruning = VirtualPruning(
        model, traced, channel_map(traced), data.fitted, data.judged, 0.01
    )
    wanted = (w * right).sum() / w.sum()
    assert wanted > right.mean() + 0.1
    assert LayerSearch(pruning, [], data).baseline == pytest.approx(wanted)
    plain = JudgedData(model, x, 0.0)
    assert LayerSearch(pruning, [], plain).baseline == 1.0


def two_inputs():
    a, b = keras.Input((6,), name="left"), keras.Input((4,), name="right")
    x = layers.Concatenate()([layers.Dense(5)(a), layers.Dense(4)(b)])
    return randomize(keras.Model([a, b], layers.Dense(3)(layers.ReLU()(x))))


def test_labels_of_several_inputs_and_of_a_fixed_batch_size():
    model = two_inputs()
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(30, n)).astype("f") for n in (6, 4)]
    y = rng.integers(0, 3, 30)
    for data in ((tuple(inputs), y), ({"left": inputs[0], "right": inputs[1]}, y)):
        np.testing.assert_array_equal(JudgedData(model, data, 0.0).labels, y)
    fixed = keras.Input(batch_shape=(8, 6))
    x = keras.ops.reshape(layers.Dense(4)(fixed), (8, 4))
    model = randomize(keras.Model(fixed, layers.Dense(3)(x)))
    data = JudgedData(model, (inputs[0], y), 0.0)  # four batches, the last filled up
    np.testing.assert_array_equal(data.labels, y)
    assert data.answers(np.zeros((32, 3))).shape == (30,)
    data = JudgedData(model, (inputs[0], y), 0.5)
    np.testing.assert_array_equal(data.labels, y[:16])
    assert [len(arrays[0]) for arrays in data.fitted] == [8, 8]
    np.testing.assert_array_equal(data.judged[1][0], inputs[0][8:16])


def test_what_weighs_most_decides_how_many_leave():
    model = perceptron()
    x = drawn(model, 80)
    y = outputs(model, x)[0].argmax(-1)
    config = StructuralSearch(max_drop=0.2, held_out=0.0)
    given = {"config": config, "verbose": 0}
    plan = compensation_aware(model, (x, y), **given)
    small = kbp.compensate(model, plan, x, verbose=0)
    wrong = outputs(small, x)[0].argmax(-1) != y
    assert 0 < wrong.sum() <= 16
    weights = np.where(wrong, 1.0, 0.01)
    careful = compensation_aware(model, (x, y, weights), **given)
    assert careful == compensation_aware(model, (x, y, 2 * weights), **given)
    for name in ("made", "second"):
        assert len(left_out(careful, name)) <= len(left_out(plan, name))
    assert careful != plan
    alike = compensation_aware(model, (x, y, np.full(80, 3.0)), **given)
    assert alike == plan


def sigmoid():
    inputs = keras.Input((6,))
    x = layers.Dense(4, name="made")(inputs)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def only_a_head():
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(4, name="head")(inputs), name="flat")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model": only_a_head()}, "`model` to have channels.*'flat'.*output of the"),
        ({"model": sigmoid()}, r"`model` to have one output of shape \(batch, classes"),
        ({"model": None}, "Expected `model` to be a built Functional.*model=None"),
        ({"keep": 0.01}, "`keep` to be a share of the flops that can be reached"),
        ({"keep": 1.5}, r"`keep` to be a float in \(0, 1\].*keep=1.5. 0.25 removes"),
        ({"cost": "joules", "keep": 0.5}, "to be 'flops'.*Received: .*='joules'"),
        ({"config": 0.1}, "`config` to be a `keras_basisprune.StructuralSearch`"),
        ({"data": None}, "`data` to hold arrays of the shapes"),
        ({"data": np.zeros((9, 7), "f")}, "`data`.*shape"),
        ({"data": np.full((9, 6), np.nan, "f")}, "`data`.*NaN"),
        ({"data": (np.zeros((9, 6), "f"), np.arange(9))}, r"`data`.*in \[0, 5\)"),
        ({"data": np.zeros((0, 6), "f")}, "`data` to hold at least one"),
        (
            {"data": (np.zeros((9, 6), "f"), np.zeros(9, int), np.zeros(9))},
            "`data` to hold one weight >= 0 per sample, not all.*9 samples.*Leave",
        ),
        (
            {"data": (np.zeros((9, 6), "f"), np.zeros(9, int), np.ones(8))},
            r"`data` to hold one weight.*9 samples and weights of shape \(8, 1\)",
        ),
        (
            {"data": [(np.zeros((9, 6), "f"), np.zeros((9, 5)))]},
            r"`data` to hold one integer label.*Turn one-hot labels",
        ),
        (
            {
                "data": [
                    (np.zeros((9, 6), "f"), np.zeros(9, int)),
                    *(np.ones((9, 6), "f"),) * 2,
                ]
            },
            "`data` to hold labels .* of all samples or of none",
        ),
    ],
)
def test_what_is_refused(changes, message):
    model = perceptron()
    given = {"model": model, "data": drawn(model, 20), "verbose": 0, **changes}
    state = state_of(model)
    with pytest.raises(ValueError, match=message):
        compensation_aware(**given)
    assert same_state(state, state_of(model))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"max_drop": 2}, r"`max_drop` to be a number in \[0, 1\].*max_drop=2. Pass"),
        ({"max_drop": None}, "`max_drop`.*max_drop=None"),
        ({"drops": (0.1, 0.05)}, r"`drops` to be increasing numbers.*\(0.1, 0.05\)"),
        ({"drops": ()}, r"`drops` to be increasing.*drops=\(\)"),
        (
            {"drops": (0.0, 0.1)},
            r"`drops` to be increasing.*\(0, 1\].*drops=\(0.0, 0.1\)",
        ),
        ({"steps": 0}, "`steps` to be a positive integer.*steps=0"),
        ({"ridge": 0}, "`ridge` to be a positive float.*ridge=0"),
        ({"held_out": 1}, r"`held_out` to be a number in \[0, 1\).*held_out=1"),
    ],
)
def test_options_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        StructuralSearch(**changes)
