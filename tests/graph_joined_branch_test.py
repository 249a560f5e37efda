import keras
import numpy as np
import pytest
from models import array, randomize

from keras_basisprune.graph.joined_branch import joined_branch
from keras_basisprune.graph.trace import trace

layers = keras.layers


def convolved(inputs, filters=4, name="conv"):
    return layers.Conv2D(filters, 3, padding="same", name=name)(inputs)


def normed(x, name="bn", **arguments):
    return layers.BatchNormalization(name=name, **arguments)(x)


def network(path, shape=(6, 6, 3), make=convolved):
    """A model of `path(y, side, inputs)`, `y` and `side` made by convolutions."""
    inputs = keras.Input(shape)
    outputs = path(make(inputs), make(inputs, name="side"), inputs)
    return randomize(keras.Model(inputs, outputs))


def found(model, name="conv"):
    """The `JoinedBranch` of one layer, and the model's trace."""
    traced = trace(model)
    call = next(call for call in traced.calls if call.op.name == name)
    return joined_branch(call, traced.consumers()), traced


def by_definition(norm):
    """What one BatchNormalization multiplies by."""
    factor = 1 / np.sqrt(array(norm.moving_variance) + norm.epsilon)
    return factor * array(norm.gamma) if norm.scale else factor


def hold_factor(model, branch, channel_axis=-1):
    """A change of the layer's bias comes out multiplied by the factor."""
    layer = model.get_layer("conv")
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape[1:]))
    before = array(model(x))
    change = np.linspace(-1.0, 2.0, layer.bias.shape[0])
    layer.bias.assign_add(change)
    moved = np.moveaxis(array(model(x)) - before, channel_axis, -1)
    expected = np.broadcast_to(branch.factor * change, moved.shape)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=2e-6)


JOINED = {
    "add": lambda y, side, _: layers.Add()([y, side]),
    "second": lambda y, side, _: layers.Add()([side, y]),
    "operator": lambda y, side, _: y + side,
    "right operator": lambda y, side, _: side + y,
    "ops": lambda y, side, _: keras.ops.add(side, y),
    "norm": lambda y, side, _: layers.Add()([normed(y), side]),
    "norm without scale": lambda y, side, _: side + normed(y, scale=False),
    "norm without center": lambda y, side, _: normed(y, center=False) + side,
    "dropout": lambda y, side, _: layers.Add()([layers.Dropout(0.5)(y), side]),
    "spatial dropout": lambda y, side, _: layers.SpatialDropout2D(0.5)(y) + side,
    "identity": lambda y, side, _: layers.Identity()(y) + side,
    "norm and dropout": lambda y, side, _: layers.Dropout(0.5)(normed(y)) + side,
    "dropout and norm": lambda y, side, _: normed(layers.Dropout(0.5)(y)) + side,
    "two norms": lambda y, side, _: normed(normed(y), "bn2", epsilon=0.1) + side,
    "other normed": lambda y, side, _: y + layers.ReLU()(normed(side)),
    "inference": lambda y, side, _: (
        normed(y) + layers.Dropout(0.5)(side, training=False)
    ),
}


@pytest.mark.parametrize("kind", JOINED)
def test_finds_the_sum(kind):
    model = network(JOINED[kind])
    branch, traced = found(model)
    norms = [x for x in model.layers if isinstance(x, layers.BatchNormalization)]
    on_the_way = [] if kind == "other normed" else norms
    expected = np.prod([np.ones(4), *map(by_definition, on_the_way)], axis=0)
    np.testing.assert_allclose(branch.factor * np.ones(4), expected, rtol=1e-6)
    assert branch.factor.dtype == np.float64
    (other,) = branch.others
    assert other.shape == (None, 6, 6, 4)
    kinds = {"other normed": layers.ReLU, "inference": layers.Dropout}
    maker = traced.producers()[id(other)].op
    assert type(maker) is kinds.get(kind, layers.Conv2D)
    assert maker.name != "conv"
    hold_factor(model, branch)


def test_several_others():
    model = network(lambda y, side, x: layers.Add()([side, normed(y), x]), (6, 6, 4))
    branch, traced = found(model)
    makers = traced.producers()
    assert makers[id(branch.others[0])].op.name == "side"
    assert branch.others[1] is traced.inputs
    hold_factor(model, branch)


def test_both_branches_see_each_other():
    model = network(lambda y, side, _: normed(y) + normed(side, "bn2"))
    (one, traced), (other, _) = found(model), found(model, "side")
    makers = traced.producers()
    assert makers[id(one.others[0])].op.name == "bn2"
    assert len(other.others) == 1
    np.testing.assert_allclose(
        other.factor, by_definition(model.get_layer("bn2")), rtol=1e-6
    )


def test_the_first_sum_ends_the_search():
    model = network(lambda y, side, x: normed(y + side) + x, (6, 6, 4))
    branch, traced = found(model)
    assert traced.producers()[id(branch.others[0])].op.name == "side"
    np.testing.assert_array_equal(branch.factor * np.ones(4), np.ones(4))


def test_dense_layers():
    def dense(inputs, name="conv"):
        return layers.Dense(5, name=name)(inputs)

    for shape in ((3,), (7, 3)):
        for axis in (-1, len(shape)):
            model = network(
                lambda y, side, _, at=axis: normed(y, axis=at) + side, shape, dense
            )
            branch, _ = found(model)
            assert branch.factor.shape == (5,)
            hold_factor(model, branch)


def test_conv1d_and_conv3d():
    for kind, sizes in ((layers.Conv1D, (8,)), (layers.Conv3D, (4, 4, 4))):

        def conv(inputs, name="conv", kind=kind):
            return kind(4, 3, padding="same", name=name)(inputs)

        model = network(lambda y, side, _: side + normed(y), (*sizes, 3), conv)
        branch, _ = found(model)
        hold_factor(model, branch)


def first_conv(inputs, name="conv"):
    arguments = {"padding": "same", "data_format": "channels_first"}
    return layers.Conv2D(4, 3, name=name, **arguments)(inputs)


def test_channels_first():
    model = network(
        lambda y, side, _: side + normed(y, axis=1), (3, 6, 6), make=first_conv
    )
    branch, _ = found(model)
    norm = model.get_layer("bn")
    np.testing.assert_allclose(branch.factor, by_definition(norm), rtol=1e-6)
    hold_factor(model, branch, channel_axis=1)


def test_norm_of_another_axis():
    assert found(network(lambda y, s, _: normed(y, axis=1) + s))[0] is None
    assert found(network(lambda y, s, _: normed(y, axis=2) + s))[0] is None
    first = network(lambda y, s, _: normed(y, axis=-1) + s, (3, 6, 6), first_conv)
    assert found(first)[0] is None


def pooled(x):
    """Of shape `(1, 1, 4)`: stretched over the positions when it is added."""
    return layers.GlobalAveragePooling2D(keepdims=True)(x)


def read_twice(x, side):
    return [x + side, layers.ReLU()(x)]


APART = {
    "activation": lambda y, side, _: layers.ReLU()(y) + side,
    "activation behind norm": lambda y, side, _: layers.ReLU()(normed(y)) + side,
    "pooling": lambda y, side, _: layers.MaxPooling2D(1)(y) + side,
    "other norm": lambda y, side, _: layers.LayerNormalization()(y) + side,
    "two readers": lambda y, side, _: read_twice(y, side),
    "two readers of norm": lambda y, side, _: read_twice(normed(y), side),
    "two sums": lambda y, side, x: [y + side, side + y],
    "norm in training": lambda y, side, _: (
        side + layers.BatchNormalization()(y, training=True)
    ),
    "dropout in training": lambda y, side, _: (
        side + layers.Dropout(0.5)(y, training=True)
    ),
    "stretched addend": lambda y, side, _: y + pooled(side),
    "one of two stretched": lambda y, side, x: layers.Add()([y, side, pooled(side)]),
    "constant": lambda y, side, _: [y + 1.0, side],
    "constant array": lambda y, side, _: [y + np.ones(4, "float32"), side],
    "itself": lambda y, side, _: [y + y, side],
    "itself in layer": lambda y, side, _: layers.Add()([y, side, y]),
    "difference": lambda y, side, _: y - side,
    "subtracted": lambda y, side, _: layers.Subtract()([side, y]),
    "average": lambda y, side, _: layers.Average()([y, side]),
    "product": lambda y, side, _: layers.Multiply()([y, side]),
    "factor": lambda y, side, _: y * 2.0 + side,
    "concatenated": lambda y, side, _: layers.Concatenate()([y, side]),
    "no reader": lambda y, side, _: [y, side],
}


@pytest.mark.parametrize("kind", APART)
def test_finds_no_sum(kind):
    model = network(APART[kind])
    branch, traced = found(model)
    assert any(call.op.name == "conv" for call in traced.calls)
    assert branch is None


def test_neither_of_unequal_shapes_is_found():

    def narrow(inputs, name="conv"):
        return convolved(inputs, 4 if name == "conv" else 1, name)

    model = network(lambda y, side, _: y + side, make=narrow)
    assert model.output_shape == (None, 6, 6, 4)
    assert found(model)[0] is None
    assert found(model, "side")[0] is None


@pytest.mark.parametrize("training", [None, False, True])
def test_in_a_nested_model(training):
    inner_inputs = keras.Input((6, 6, 4))
    inner = keras.Model(inner_inputs, normed(convolved(inner_inputs)))
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, inner(inputs, training=training) + inputs)
    branch, traced = found(randomize(model))
    if training:  # the batch's own statistics, not the moving ones
        assert branch is None
    else:
        assert branch.others[0] is traced.inputs
        expected = by_definition(inner.get_layer("bn"))
        np.testing.assert_allclose(branch.factor, expected, rtol=1e-6)
