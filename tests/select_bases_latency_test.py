"""select_bases by milliseconds, with tables of made-up times."""

import keras
import numpy as np
import pytest
from allocation import Proportional
from keras import layers
from models import KINDS, randomize

import keras_basisprune as kbp
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import LatencyTable
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans._part_costs import part_costs
from keras_basisprune.plans._parts import parts_of
from keras_basisprune.utils.cannot_reach import CannotReach

SIZE, CIN, COUT = 8, 32, 32  # at 3 x 3, full rank is 32, and fold merges from rank 29


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.json"


def network():
    inputs = keras.Input((SIZE, SIZE, CIN))
    conv = layers.Conv2D(COUT, 3, strides=2, activation="relu", name="conv")
    return keras.Model(inputs, conv(inputs))


def converted():
    return kbp.convert(network())


def filled(path, times, merged):
    """A table of the milliseconds that the layer takes at some ranks, and as one."""
    table = LatencyTable(path)
    shape = (SIZE, SIZE, CIN)
    for rank, time in times.items():
        basis = layers.Conv2D(rank, 3, strides=2, use_bias=False)
        table.record(basis, shape, time * 0.75)
        table.record(layers.Conv2D(COUT, 1), (3, 3, rank), time * 0.25)
    table.record(layers.Conv2D(COUT, 3, strides=2), shape, merged)
    return table


def first(count):
    return Plan(bases={"conv": Kept(tuple(range(count)), COUT)})


def choose(model, table, rank, **given):
    """The plan where the budget is that of so many bases."""
    share = min(1.0, rank * (9 * CIN + COUT) / (9 * CIN * COUT))
    given = {"scores": {"conv": np.arange(COUT, 0.0, -1.0)}, **given}
    return kbp.select_bases(model, keep=share, cost=table, **given)


@pytest.mark.parametrize(
    ("rank", "times", "merged", "expected"),
    [
        # An odd rank is slower than an even one.
        (13, {13: 3.0, 16: 2.0}, 4.0, 16),
        (13, {13: 2.0, 16: 2.5}, 4.0, 13),
        # The multiples of 4, 8 and 16 above.
        (9, {9: 4.0, 12: 3.0, 16: 3.5}, 8.0, 12),
        (3, {3: 4.0, 4: 4.0, 8: 2.0, 16: 3.0}, 8.0, 8),
        (16, {16: 4.0, 20: 3.0, 24: 2.0}, 8.0, 24),
        # Alike within 2 %: the highest rank.
        (13, {13: 1.0, 16: 1.0}, 8.0, 16),
        (13, {13: 1.0, 16: 1.019}, 8.0, 16),
        (13, {13: 1.0, 16: 1.021}, 8.0, 13),
        (3, {3: 1.0, 4: 1.01, 8: 1.0, 16: 1.5}, 8.0, 8),
        # The undecomposed layer is the fastest, or as fast.
        (13, {13: 3.0, 16: 2.0}, 1.0, 32),
        (13, {13: 3.0, 16: 2.0}, 2.03, 32),
        (13, {13: 3.0, 16: 2.0}, 2.05, 16),
        # 29 bases and more are merged.
        (27, {27: 4.0, 28: 3.0}, 3.5, 28),
        (28, {28: 3.0}, 3.5, 28),
        (29, {}, 3.5, 32),
        (32, {}, 3.5, 32),
    ],
)
def test_the_fastest_rank(path, rank, times, merged, expected):
    table = filled(path, times, merged)
    content = path.read_bytes()
    assert choose(converted(), table, rank) == first(expected)
    assert choose(network(), table, rank) == first(expected)
    assert path.read_bytes() == content  # nothing was measured


def test_the_best_bases_come_along(path):
    scores = np.random.default_rng(0).permutation(np.linspace(0.1, 3.0, COUT))
    table = filled(path, {13: 3.0, 16: 2.0}, 4.0)
    for model in (converted(), network()):
        plan = choose(model, table, 13, scores={"conv": scores})
        assert plan.bases["conv"].indices == tuple(np.sort(np.argsort(-scores)[:16]))


@pytest.mark.parametrize(
    ("limits", "rank", "expected"),
    [
        ({"round_to": 16}, 20, 16),  # 20 would be faster, and 24 too
        ({"round_to": 4}, 17, 20),
        ({"min_kept": 20}, 20, 20),
        ({"exclude": "conv"}, 32, 32),
        ({"max_removed": 0.5}, 16, 20),
    ],
)
def test_limits(path, limits, rank, expected):
    times = {16: 3.0, 17: 9.0, 20: 2.0, 24: 2.9, 32: 9.0}
    table, limits = filled(path, times, 4.0), kbp.Limits(**limits)
    assert choose(network(), table, rank, limits=limits) == first(expected)
    found = choose(converted(), table, rank, limits=limits)
    assert found == first(expected)


def test_a_threshold_is_raised_too(path):
    table = filled(path, {13: 3.0, 16: 2.0, 20: 2.5}, 4.0)
    given = {"cost": table, "scores": {"conv": np.arange(COUT, 0.0, -1.0)}}
    for scope in ("local", "global"):
        plan = kbp.select_bases(network(), threshold=20 / COUT, scope=scope, **given)
        assert plan == first(16)


def test_masked_bases_stay_away(path):
    model = converted()
    model.get_layer("conv_scaling").mask.assign([1.0] * 14 + [0.0] * 18)
    table = filled(path, {13: 3.0, 14: 2.0}, 1.0)  # what is masked can't be merged
    assert choose(model, table, 13, scores=None) == first(14)


def test_dense_layers_and_shared_layers(path):
    x = inputs = keras.Input((4, 16))
    shared = layers.Conv1D(16, 3, padding="same", name="shared")
    x = shared(layers.MaxPooling1D(2)(shared(x)))
    x = layers.Dense(16, use_bias=False, name="dense")(x)
    out = layers.Dense(20, name="left_alone")(x)
    plain = keras.Model(inputs, out)
    model = kbp.convert(plain, include=["shared", "dense"])
    table = LatencyTable(path)
    # Ranks go by the first call: 4 positions, not 2. Both count for the budget.
    table.record(layers.Conv1D(2, 3, padding="same", use_bias=False), (4, 16), 1.0)
    table.record(layers.Conv1D(16, 1), (4, 2), 1.0)
    for rank, time in ((4, 1.5), (8, 2.5)):
        conv = layers.Conv1D(rank, 3, padding="same", use_bias=False)
        table.record(conv, (4, 16), time - 0.5)
        table.record(layers.Conv1D(16, 1), (4, rank), 0.5)
    table.record(layers.Conv1D(16, 3, padding="same"), (4, 16), 9.0)
    table.record(layers.Conv1D(16, 3, padding="same"), (2, 16), 3.0)
    for rank, time in ((3, 1.0), (4, 1.0)):
        table.record(layers.Dense(rank, use_bias=False), (2, 16), time)
        table.record(layers.Dense(16), (2, rank), 1.0)
    table.record(layers.Dense(16), (2, 16), 3.0)
    table.record(layers.Dense(20), (2, 16), 5.0)
    content = path.read_bytes()
    # Two bases of 12 ms, three of 3 ms, and 5 ms that stay.
    budget = 12.0 * 2 * (48 + 16) / (48 * 16) + 3.0 * 3 * 32 / 256 + 5.0
    scores = {"dense": np.zeros(16), "shared": np.zeros(16)}
    scores["dense"][:3], scores["shared"][:2] = 1.0, 8.0
    scores["dense"][3:], scores["shared"][2:] = 1e-9, 1e-9
    expected = Plan(
        bases={"dense": Kept((0, 1, 2, 3), 16), "shared": Kept((0, 1, 2, 3), 16)}
    )
    for given in (model, plain):
        plan = kbp.select_bases(
            given, keep=(budget + 1e-6) / 20.0, cost=table, scores=scores
        )
        assert plan == expected
        with pytest.raises(CannotReach, match="share of the milliseconds that can be"):
            kbp.select_bases(given, keep=5.5 / 20.0, cost=table, scores=scores)
    assert path.read_bytes() == content


def test_the_plan_fits_convert(path):
    model = network()
    keep = 14 * (9 * CIN + COUT) / (9 * CIN * COUT)
    table = filled(path, {14: 3.0, 16: 2.0}, 2.5)
    images = np.random.default_rng(0).random((20, SIZE, SIZE, CIN), dtype="float32")
    for given in ({}, {"data": images}):
        plan = kbp.select_bases(model, keep=keep, cost=table, **given)
        assert len(plan.bases["conv"].indices) == 16
        small = kbp.fold(kbp.convert(model, plan, verbose=0, **given))
        assert small.get_layer("conv_basis").filters == 16
        again = kbp.convert(model, keep=keep, cost=table, verbose=0, **given)
        assert kbp.fold(again).get_layer("conv_basis").filters == 16


def test_every_call_counts(tmp_path):
    """As it was before it was decomposed, whatever stands at its output."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(64, 3, padding="same", name="wide")(x)
    shared = layers.Conv2D(64, 3, padding="same", name="shared")
    x = shared(shared(x))
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="same")(x)
    x = layers.Conv2D(4, 1, strides=4, name="narrow")(x)
    model = keras.Model(inputs, x)
    table = LatencyTable(tmp_path / "table.json", threads=2)
    conv = layers.Conv2D
    table.record(conv(64, 3, padding="same"), (16, 16, 3), 1.0)
    table.record(conv(64, 3, padding="same"), (16, 16, 64), 2.0)
    table.record(conv(4, 1, strides=4), (16, 16, 64), 0.5)
    content = (tmp_path / "table.json").read_bytes()
    for given in (model, kbp.convert(model)):
        traced = trace(given)
        parts = parts_of(given, traced)
        whole, rest = part_costs(given, traced, parts, table)
        assert whole == {"wide": 1.0, "shared": 4.0, "same": 2.0, "narrow": 0.5}
        assert rest == 0.0
    assert (tmp_path / "table.json").read_bytes() == content


@pytest.mark.parametrize("kind", ["separable", "plain", "nested", "custom", "conv1d"])
def test_the_whole_model_counts(kind):
    """With BatchNormalization folded, and the first half of separable convolutions."""
    model, table = randomize(KINDS[kind]()), Proportional([2.0])
    found = []
    for given in (model, kbp.convert(model)):
        traced = trace(given)
        whole, rest = part_costs(given, traced, parts_of(given, traced), table)
        found.append((whole, pytest.approx(rest)))
        total = kbp.measure.predicted_latency(model, table)
        assert rest + sum(whole.values()) == pytest.approx(total)
    assert found[0][0] == pytest.approx(found[1][0])
    keep = 0.9
    plans = [
        kbp.select_bases(given, keep=keep, cost=table)
        for given in (model, kbp.convert(model))
    ]
    assert plans[0] == plans[1]


def test_measured_on_this_machine():
    table = LatencyTable(runs=5)
    model = network()
    plan = kbp.select_bases(model, keep=0.5, cost=table)
    rank = len(plan.bases["conv"].indices)
    assert rank >= 14
    assert plan == kbp.select_bases(kbp.convert(model), keep=0.5, cost=table)


def test_errors():
    inputs = keras.Input((None, None, 3))
    unknown = keras.Model(inputs, layers.Conv2D(8, 3, name="conv")(inputs))
    for model in (unknown, kbp.convert(unknown)):
        with pytest.raises(ValueError, match="fixed input size.*Received: .* `conv`"):
            kbp.select_bases(model, keep=0.5, cost=LatencyTable())
