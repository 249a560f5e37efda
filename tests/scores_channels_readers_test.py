"""compensated for every kind of layer that reads channels, against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, outputs, randomize

import keras_basisprune as kbp
from keras_basisprune.graph.rules import registry


def drawn(shape, count=80, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("f")


def flat(values):
    """One row for each sample and position."""
    return np.asarray(values, np.float64).reshape(-1, values.shape[-1])


def made(x, filters, conv=layers.Conv2D):
    return conv(filters, 1, activation="tanh", name="made")(x)


def blocks_of_two(values):
    """A map of twice the size, as rows of the four pixels of each old one."""
    count, height, width, channels = values.shape
    values = values.reshape(count, height // 2, 2, width // 2, 2, channels)
    return values.transpose(0, 1, 3, 2, 4, 5).reshape(-1, 4 * channels)


# Each case: shape of the input; what makes and reads channels; of the values that are
# read and made, pairs of what is multiplied and what it has to give (one pair for each
# part that is read by itself), and the unit of each column of the former.
def transposed(x):
    return layers.Conv2DTranspose(3, 2, strides=2, name="read")(made(x, 5))


def of_transposed(layer, read, wanted):
    return [(flat(read), blocks_of_two(wanted), range(5))]


def transposed_1d(x):
    x = made(x, 4, layers.Conv1D)
    return layers.Conv1DTranspose(3, 1, use_bias=False, name="read")(x)


def dense_like(count):
    return lambda layer, read, wanted: [(flat(read), flat(wanted), range(count))]


def grouped(x):
    return layers.Conv2D(4, 1, groups=2, name="read")(made(x, 6))


def of_grouped(layer, read, wanted):
    read, wanted = flat(read), flat(wanted)
    return [
        (read[:, :3], wanted[:, :2], range(3)),
        (read[:, 3:], wanted[:, 2:], range(3)),
    ]


def flattened(x):
    return layers.Dense(7, name="read")(layers.Flatten()(made(x, 3)))


def of_flattened(layer, read, wanted):
    return [(flat(read), flat(wanted), list(range(3)) * 4)]


def separable(x):
    return layers.SeparableConv2D(3, 1, depth_multiplier=2, name="read")(made(x, 4))


def of_separable(layer, read, wanted):
    depthwise = array(layer.depthwise_kernel).reshape(-1)
    return [
        (
            np.repeat(flat(read), 2, 1) * depthwise,
            flat(wanted),
            [0, 0, 1, 1, 2, 2, 3, 3],
        )
    ]


def einsum(x):
    return layers.EinsumDense("...x,xy->...y", 3, name="read")(made(x, 5))


def timed(x):
    x = layers.TimeDistributed(layers.Dense(5, activation="tanh"), name="made")(x)
    return layers.TimeDistributed(layers.Conv1D(3, 1), name="read")(x)


def lstm(x):
    return layers.LSTM(3, name="read")(made(x, 5, layers.Conv1D))


def of_recurrent(*paths):
    def by_kernels(layer, read, wanted):
        cells = [getattr(layer, path).cell if path else layer.cell for path in paths]
        kernels = np.hstack([array(cell.kernel) for cell in cells]).astype(np.float64)
        return [(flat(read), flat(read) @ kernels, range(5))]

    return by_kernels


def bidirectional(x):
    x = made(x, 5, layers.Conv1D)
    return layers.Bidirectional(layers.GRU(2), name="read")(x)


def self_attention(x):
    x = made(x, 5, layers.Conv1D)
    return layers.MultiHeadAttention(2, 3, output_shape=4, name="read")(x, x)


def of_heads(layer, read, wanted):
    parts = (layer.query_dense, layer.key_dense, layer.value_dense)
    given = np.hstack([array(part(read)).reshape(-1, 6) for part in parts])
    return [(flat(read), given.astype(np.float64), range(5))]


def cross_attention(x):
    return layers.MultiHeadAttention(2, 3, output_shape=4, name="read")(
        value=made(x, 5, layers.Conv1D), query=x
    )


def of_keys(layer, read, wanted):
    parts = (layer.key_dense, layer.value_dense)
    given = np.hstack([array(part(read)).reshape(-1, 6) for part in parts])
    return [(flat(read), given.astype(np.float64), range(5))]


CASES = {
    "transposed": ((3, 3, 2), transposed, of_transposed),
    "transposed_1d": ((6, 3), transposed_1d, dense_like(4)),
    "grouped": ((3, 3, 2), grouped, of_grouped),
    "flattened": ((2, 2, 3), flattened, of_flattened),
    "separable": ((3, 3, 2), separable, of_separable),
    "einsum": ((3, 2, 2), einsum, dense_like(5)),
    "timed": ((3, 4, 2), timed, dense_like(5)),
    "lstm": ((6, 3), lstm, of_recurrent("")),
    "bidirectional": (
        (6, 3),
        bidirectional,
        of_recurrent("forward_layer", "backward_layer"),
    ),
    "self_attention": ((6, 3), self_attention, of_heads),
    "cross_attention": ((6, 3), cross_attention, of_keys),
}


def remains(parts, kept):
    """The share of what is wanted that the kept units can't give."""
    left = total = 0.0
    for features, wanted, units in parts:
        features, wanted = features - features.mean(0), wanted - wanted.mean(0)
        chosen = np.isin(list(units), kept)
        total += (wanted**2).sum()
        if chosen.any():
            found = np.linalg.lstsq(features[:, chosen], wanted, rcond=None)[0]
            wanted = wanted - features[:, chosen] @ found
        left += (wanted**2).sum()
    return left / total


@pytest.mark.parametrize("name", CASES)
def test_scores_are_what_least_squares_leaves(name):
    shape, build, by_hand = CASES[name]
    inputs = keras.Input(shape)
    model = randomize(keras.Model(inputs, build(inputs)), seed=2)
    layer, x = model.get_layer("read"), drawn(shape)
    source = model.get_layer("made").output
    if name == "flattened":
        source = layer.input
    read, wanted = outputs(keras.Model(inputs, [source, model.output]), x)
    parts = by_hand(layer, read, wanted)
    scores = kbp.scores.channels.compensated(model, x, ridge=1e-10)
    mine = scores[kbp.graph.channel_groups(model).layers["made"]]
    kept = sorted(set(parts[0][2]))
    mine = mine[: len(kept)]  # those of a grouped convolution are tied
    for unit in np.argsort(mine):
        losses = {u: remains(parts, [k for k in kept if k != u]) for u in kept}
        assert min(losses, key=losses.get) == unit
        np.testing.assert_allclose(mine[unit], losses[unit], rtol=1e-4)
        kept.remove(unit)
    assert mine.max() == pytest.approx(1.0, rel=1e-4)  # nothing is left


def generator():
    x = inputs = keras.Input((8,))
    x = layers.Dense(4 * 4 * 12, activation="relu", name="dense")(x)
    x = layers.Reshape((4, 4, 12))(x)
    for name, filters in (("up1", 10), ("up2", 6)):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", name=name)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(3, 3, padding="same", activation="tanh", name="out")(x)
    return randomize(keras.Model(inputs, x))


def test_a_generator_is_pruned():
    model, noise = generator(), drawn((8,))
    groups = kbp.graph.channel_groups(model)
    scores = kbp.scores.channels.compensated(model, noise)
    free = np.delete(scores, list(groups.pinned))
    assert len(free) == 12 + 10 + 6 and np.isfinite(free).all()
    plan = kbp.select_channels(model, scores=scores, keep=0.5, scope="global")
    small = kbp.prune(model, plan)
    assert kbp.measure.cost(small).flops / kbp.measure.cost(
        model
    ).flops == pytest.approx(0.5, abs=0.03)
    assert small.output_shape == (None, 16, 16, 3)


@pytest.mark.parametrize(
    "criterion", ["compensated", "activation", "taylor", "l1_norm"]
)
def test_channels_of_recurrent_attention_and_wrapped_layers_are_scored(criterion):
    x = inputs = keras.Input((5, 6, 4))
    x = layers.TimeDistributed(layers.TimeDistributed(layers.Dense(5)), name="deep")(x)
    x = layers.TimeDistributed(layers.SeparableConv1D(4, 3), name="timed")(x)
    x = layers.Reshape((5, 16))(x)
    x = layers.Conv1D(6, 1, name="conv")(x)
    x = layers.GroupQueryAttention(3, 4, 2, name="queries")(x, x)
    x = layers.Dense(5, name="dense")(x)
    x = layers.Bidirectional(layers.GRU(3))(x)
    model = randomize(keras.Model(inputs, layers.Dense(2)(x)))
    score, data = getattr(kbp.scores.channels, criterion), drawn((5, 6, 4), 20)
    given = {
        "l1_norm": (),
        "taylor": ((data, np.zeros((20, 2), "f")),),
    }.get(criterion, (data,))
    options = {"loss": "mse"} if criterion == "taylor" else {}
    scores, groups = score(model, *given, **options), kbp.graph.channel_groups(model)
    assert np.isfinite(np.delete(scores, list(groups.pinned))).all()
    for name in ("deep", "timed", "conv", "queries", "dense"):
        assert groups.prunable(name).all()


def test_channels_first_and_a_layer_that_is_called_twice():
    """The same network with its channels first scores the same."""
    first = {"data_format": "channels_first"}
    separable = {"padding": "same", "depth_multiplier": 2}
    found = []
    for shape, kwargs in (((5, 4, 3), {}), ((3, 5, 4), first)):
        inputs = keras.Input(shape)
        x = layers.Conv2D(6, 1, name="made", **kwargs)(inputs)
        again = layers.SeparableConv2D(6, 1, name="again", **separable, **kwargs)
        x = again(again(x))
        model = keras.Model(inputs, layers.Conv2D(2, 1, **kwargs)(x))
        randomize(model)
        data = drawn((5, 4, 3))
        data = np.moveaxis(data, 3, 1) if kwargs else data
        scores = kbp.scores.channels.compensated(model, data)
        found.append(scores[kbp.graph.channel_groups(model).layers["made"]])
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(*found, rtol=1e-3)


def test_what_nothing_reads_scores_zero():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(6, 1, name="made")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x[..., 2:]))
    scores = kbp.scores.channels.compensated(model, drawn((6, 6, 3)))
    mine = scores[kbp.graph.channel_groups(model).layers["made"]]
    assert (mine[:2] == 0).all() and (mine[2:] > 0).all()


class Mixer(keras.layers.Layer):
    """A user's dense layer."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.mix = self.add_weight(shape=(shape[-1], self.units), name="mix")

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.mix)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.fixture
def mixer():
    """A model with a user's layer that has a rule."""

    @kbp.graph.channel_rule(Mixer)
    class MixerRule:
        def propagate(self, layer, inputs, flow):
            return kbp.graph.Channels(flow.make(layer.units), inputs[0].axis)

        def cut(self, layer, kept_in, kept_out):
            mix = kept_out[0].take(kept_in[0].take(layer.mix, 0))
            return {"units": len(kept_out[0])}, {"mix": mix}

    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, name="a")(x)
    x = Mixer(5, name="mixer")(x)
    x = layers.BatchNormalization()(layers.Conv2D(6, 1, name="b")(x))
    yield randomize(keras.Model(inputs, layers.Conv2D(2, 1, name="c")(x)))
    del registry._RULES[Mixer]


@pytest.mark.parametrize(
    ("criterion", "unscored", "words"),
    [
        ("l1_norm", ["mixer"], "5 groups of `mixer` (of type Mixer), of which no filt"),
        ("l2_norm", ["mixer"], "5 groups of `mixer` (of type Mixer), of which no filt"),
        ("fpgm", ["mixer"], "5 groups of `mixer` (of type Mixer), of which no filters"),
        (
            "bn_scale",
            ["a", "mixer"],
            "9 groups of `a` (of type Conv2D), `mixer` (of type Mixer), that no Batch",
        ),
        (
            "compensated",
            ["a"],
            "4 groups that are read by `mixer` (of type Mixer). They score `inf`",
        ),
        ("activation", [], None),
        ("taylor", [], None),
    ],
)
def test_who_stays_unscored_is_named(mixer, criterion, unscored, words, recwarn):
    data = drawn((6, 6, 3), 20)
    given = {
        "activation": (data,),
        "compensated": (data,),
        "taylor": ((data, np.zeros((20, 6, 6, 2), "f")),),
    }.get(criterion, ())
    options = {"loss": "mse"} if criterion == "taylor" else {}
    scores = getattr(kbp.scores.channels, criterion)(mixer, *given, **options)
    groups = kbp.graph.channel_groups(mixer)
    for name in ("a", "mixer", "b"):
        infinite = name in unscored
        assert np.isinf(scores[groups.layers[name]]).all() == infinite
        assert np.isfinite(scores[groups.layers[name]]).all() != infinite
    found = [w for w in recwarn if f"`{criterion}` can score" in str(w.message)]
    assert len(found) == (words is not None)
    if words:
        assert words in str(found[0].message)
        assert "Score them with `scores.channels.activation`" in str(found[0].message)
        assert found[0].filename == __file__


def test_queries_of_plain_attention_are_named():
    inputs = keras.Input((6, 3))
    q, v = (layers.Conv1D(4, 1, name=name)(inputs) for name in "qv")
    x = layers.Attention(name="attention")([q, v, q])
    model = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.warns(UserWarning, match=r"4 groups that are read by `attention` \(of"):
        scores = kbp.scores.channels.compensated(model, drawn((6, 3)))
    groups = kbp.graph.channel_groups(model).layers
    assert np.isinf(scores[groups["q"]]).all()
    assert np.isfinite(scores[groups["v"]]).all()
    with pytest.raises(ValueError, match="scores of `q` are infinite.*, or scores of"):
        kbp.select_channels(
            model, scores=scores, keep=0.2, cost="params", scope="global"
        )


def test_factors_inside_of_wrappers_count():
    x = inputs = keras.Input((5, 6, 3))
    x = layers.Conv2D(4, 1, name="made")(x)
    norm = layers.TimeDistributed(layers.BatchNormalization(), name="norm")
    model = randomize(keras.Model(inputs, layers.Conv2D(2, 1)(norm(x))))
    scores = kbp.scores.channels.bn_scale(model)
    np.testing.assert_allclose(
        scores[kbp.graph.channel_groups(model).layers["made"]],
        np.abs(array(model.get_layer("norm").layer.gamma)),
    )
