"""Tests of quick_ranks, with tables of made-up times."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_basisprune as kbp
from keras_basisprune.measure import LatencyTable
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.quick_ranks import quick_ranks

SIZE, CIN, COUT = 8, 32, 32  # at 3 x 3, full rank is 32, and fold merges from rank 29


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.json"


def converted():
    inputs = keras.Input((SIZE, SIZE, CIN))
    conv = layers.Conv2D(COUT, 3, strides=2, activation="relu", name="conv")
    return kbp.convert(keras.Model(inputs, conv(inputs)))


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
    assert quick_ranks(converted(), first(rank), table) == first(expected)
    assert path.read_bytes() == content  # nothing was measured


def test_the_strongest_bases_come_along(path):
    model = converted()
    scale = np.linspace(0.1, 3.0, COUT)[np.random.default_rng(0).permutation(COUT)]
    model.get_layer("conv_scaling").scale.assign(scale)
    energy = kbp.scores.energy(model)["conv"]
    weak = np.argsort(energy)[:13]  # a plan of its own mind
    plan = Plan(bases={"conv": Kept(tuple(sorted(weak)), COUT)})
    table = filled(path, {13: 3.0, 16: 2.0}, 4.0)
    found = quick_ranks(model, plan, table).bases["conv"].indices
    assert sorted(found) == sorted([*weak, *np.argsort(-energy)[:3]])


def test_masked_bases_stay_away(path):
    model = converted()
    model.get_layer("conv_scaling").mask.assign([1.0] * 14 + [0.0] * 18)
    table = filled(path, {13: 3.0, 14: 2.0}, 1.0)  # what is masked can't be merged
    assert quick_ranks(model, first(13), table) == first(14)


def test_dense_layers_and_shared_layers(path):
    x = inputs = keras.Input((4, 16))
    shared = layers.Conv1D(16, 3, padding="same", name="shared")
    x = shared(layers.MaxPooling1D(2)(shared(x)))
    x = layers.Dense(16, use_bias=False, name="dense")(x)
    out = layers.Dense(20, name="left_alone")(x)
    model = kbp.convert(keras.Model(inputs, out), include=["shared", "dense"])
    table = LatencyTable(path)
    # By the first call: 4 positions, not 2.
    table.record(layers.Conv1D(2, 3, padding="same", use_bias=False), (4, 16), 1.0)
    table.record(layers.Conv1D(16, 1), (4, 2), 1.0)
    for rank, time in ((4, 1.5), (8, 2.5)):
        conv = layers.Conv1D(rank, 3, padding="same", use_bias=False)
        table.record(conv, (4, 16), time - 0.5)
        table.record(layers.Conv1D(16, 1), (4, rank), 0.5)
    table.record(layers.Conv1D(16, 3, padding="same"), (4, 16), 9.0)
    for rank, time in ((3, 1.0), (4, 1.0)):
        table.record(layers.Dense(rank, use_bias=False), (2, 16), time)
        table.record(layers.Dense(16), (2, rank), 1.0)
    table.record(layers.Dense(16), (2, 16), 3.0)
    content = path.read_bytes()
    plan = Plan(
        bases={"dense": Kept((0, 1, 2), 16), "shared": Kept((0, 1), 16)},
        channels={"left_alone": Kept((0, 1), 20)},
    )
    expected = Plan(
        bases={"dense": Kept((0, 1, 2, 3), 16), "shared": Kept((0, 1, 2, 3), 16)},
        channels=plan.channels,
    )
    assert quick_ranks(model, plan, table) == expected
    assert path.read_bytes() == content
    one = Plan(bases={"dense": plan.bases["dense"]})
    assert list(quick_ranks(model, one, table).bases) == ["dense"]
    assert quick_ranks(model, Plan(), table) == Plan()


def test_the_plan_fits_convert(path):
    inputs = keras.Input((SIZE, SIZE, CIN))
    conv = layers.Conv2D(COUT, 3, strides=2, activation="relu", name="conv")
    model = keras.Model(inputs, conv(inputs))
    plan = kbp.allocate(kbp.convert(model), keep=0.5)
    assert len(plan.bases["conv"].indices) == 14
    table = filled(path, {14: 3.0, 16: 2.0}, 2.5)
    plan = quick_ranks(kbp.convert(model), plan, table)
    small = kbp.fold(kbp.convert(model, rank=plan))
    assert small.get_layer("conv_basis").filters == 16


def test_errors():
    model, table = converted(), LatencyTable()
    with pytest.raises(ValueError, match="Received: 3 bases of `conv`, which has 32"):
        quick_ranks(model, Plan(bases={"conv": Kept((0,), 3)}), table)
    with pytest.raises(ValueError, match="1 bases of `other`, which has none"):
        quick_ranks(model, Plan(bases={"other": Kept((0,), 1)}), table)
    for name, count in (("conv_scaling", "32"), ("other", "none")):
        wrong = Plan(channels={name: Kept((0,), 3)})
        with pytest.raises(
            ValueError, match=f"3 channels of `{name}`, which has {count}"
        ):
            quick_ranks(model, wrong, table)
    with pytest.raises(ValueError, match="to be a converted model"):
        quick_ranks(kbp.fold(model), first(3), table)
    inputs = keras.Input((None, None, 3))
    outputs = layers.Conv2D(8, 3, name="conv")(inputs)
    unknown = kbp.convert(keras.Model(inputs, outputs))
    with pytest.raises(ValueError, match="fixed input size"):
        quick_ranks(unknown, Plan(bases={"conv": Kept((0,), 8)}), table)
