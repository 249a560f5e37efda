import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers, ops
from models import nested, none_sizes, plain, siamese
from nested_models import with_an_unread_output

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.graph.trace import trace


def names(traced):
    return [call.op.name for call in traced.calls]


class Counted(keras.layers.Layer):
    """Counts what is done to layers of its class."""

    counts = {}

    @classmethod
    def count(cls, what):
        cls.counts[what] = cls.counts.get(what, 0) + 1

    @classmethod
    def from_config(cls, config):
        cls.count("from_config")
        return super().from_config(config)

    def build(self, input_shape):
        self.count("build")
        self.factor = self.add_weight(shape=(), name="factor")

    def compute_output_shape(self, input_shape):
        self.count("compute_output_shape")
        return input_shape

    def call(self, inputs):
        return inputs * self.factor


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


class Overridden(keras.Model):
    """Built like a Functional model, and computes something else."""

    def __init__(self):
        inputs = keras.Input((3,))
        super().__init__(inputs, layers.Dense(2)(inputs))

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training, mask)


def test_calls_in_order_of_execution():
    inputs = keras.Input((4,), name="in")
    x = layers.Dense(3, name="a")(inputs)
    y = layers.Dense(3, name="b")(x)
    model = keras.Model(inputs, {"sum": x + y, "a": x})
    traced = trace(model)
    assert names(traced)[:2] == ["a", "b"]
    assert [isinstance(c.op, layers.Layer) for c in traced.calls] == [True, True, False]
    a, b, add = traced.calls
    assert a.input_tensors == [traced.inputs]
    assert add.input_tensors == [*a.output_tensors, *b.output_tensors]
    assert traced.outputs == {"sum": add.outputs, "a": a.outputs}
    assert [layer.name for layer in traced.input_layers] == ["in"]
    consumers, producers = traced.consumers(), traced.producers()
    assert consumers[id(a.outputs)] == [b, add]
    assert producers[id(b.outputs)] is b
    assert id(traced.inputs) not in producers
    assert id(add.outputs) not in consumers


def test_operations_are_the_models_own_and_gain_no_node():
    model = plain()
    before = {layer.name: layer.output for layer in model.layers}
    traced = trace(model)
    assert all(call.op is model.get_layer(call.op.name) for call in traced.calls)
    assert all(layer.output is before[layer.name] for layer in model.layers)
    shapes = [call.outputs.shape for call in traced.calls]
    assert shapes == [layer.output.shape for layer in model.layers[1:]]


def test_nested_models_are_inlined_with_their_names():
    traced = trace(nested())
    convolutions = [c for c in traced.calls if isinstance(c.op, layers.Conv2D)]
    assert [c.scope for c in convolutions] == [
        ("outer",),
        ("outer", "stem"),
        ("outer", "inner"),
        (),
    ]
    assert {c.op.name for c in convolutions} == {"conv"}
    assert not any(isinstance(c.op, keras.Model) for c in traced.calls)
    producers = traced.producers()
    for call in traced.calls[1:]:  # every tensor but the input has a maker
        assert all(id(tensor) in producers for tensor in call.input_tensors)


def test_a_shared_nested_model_is_inlined_once_per_call():
    traced = trace(siamese())
    first, second = (c for c in traced.calls if c.op.name == "a")
    assert first.op is second.op
    assert first.outputs is not second.outputs
    assert len(traced.input_layers) == len(traced.inputs) == 2


def test_inputs_and_outputs_of_identity_models():
    inner_inputs = keras.Input((3,))
    identity = keras.Model(inner_inputs, inner_inputs)
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    x = identity(identity(b))
    traced = trace(keras.Model([a, b], [x, a, identity(a) + x]))
    assert [type(c.op).__name__ for c in traced.calls] == ["Add"]
    a, b = traced.inputs
    assert traced.outputs[0] is b
    assert traced.outputs[1] is a
    assert traced.calls[0].input_tensors == [a, b]


def test_input_shape_replaces_unknown_sizes():
    traced = trace(none_sizes(), input_shape=(20, 10, 3))
    assert traced.inputs.shape == (None, 20, 10, 3)
    assert [c.outputs.shape for c in traced.calls if c.op.name == "b"] == [
        (None, 9, 4, 4)
    ]
    with pytest.raises(ValueError, match=r"`input_shape=None`.*2 inputs.*keras.Input"):
        trace(siamese(), input_shape=(8, 8, 3))


def test_what_a_nested_model_is_called_with_finds_its_inputs_by_name():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    difference = keras.Model([b, a], b - a)
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    traced = trace(keras.Model([x, y], difference({"a": x, "b": y})))
    assert traced.calls[0].input_tensors == traced.inputs[::-1]


def test_a_cast_stands_for_the_conversion_at_the_border_of_a_nested_model():
    inner_inputs = keras.Input((3,))
    inner = keras.Model(inner_inputs, inner_inputs * 2)
    inputs = keras.Input((3,), dtype="uint8")
    traced = trace(keras.Model(inputs, inner(inputs)))
    assert [type(c.op).__name__ for c in traced.calls] == ["Cast", "Multiply"]
    assert traced.calls[0].outputs.dtype == "float32"
    assert traced.calls[1].input_tensors == [traced.calls[0].outputs]


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        (None, None, None),
        (False, None, False),
        (None, True, True),
        (False, True, False),
    ],
)
def test_training_given_to_a_nested_model_reaches_its_layers(given, own, expected):
    norm, relu = layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")
    own = {} if own is None else {"training": own}
    given = {} if given is None else {"training": given}
    inner_inputs = keras.Input((3,))
    inner = keras.Model(inner_inputs, relu(norm(inner_inputs, **own)))
    inputs = keras.Input((3,))
    traced = trace(keras.Model(inputs, inner(inputs, **given)))
    calls = {call.op.name: call for call in traced.calls}
    assert calls["norm"].kwargs.get("training") is expected
    assert "training" not in calls["relu"].kwargs


def test_subclassed_and_unbuilt_models_are_refused():
    subclassed = Subclassed()
    subclassed(ops.ones((1, 3)))
    message = "`model` to be a built Functional or Sequential.*Received.*type {}.*{}"
    for model, name, remedy in (
        (subclassed, "Subclassed", r"keras.Model\(inputs, outputs\)"),
        (Overridden(), "Overridden", r"keras.Model\(inputs, outputs\)"),
        (keras.Sequential([layers.Dense(2)]), "Sequential", r"model.build\(input_sh"),
        (keras.Sequential(), "Sequential", r"leading `keras.Input\(shape\)`"),
        (layers.Dense(2), "Dense", "That is a layer"),
        ("model.keras", "str", r"`keras.models.load_model\(path\)`"),
    ):
        with pytest.raises(ValueError, match=message.format(name, remedy)):
            trace(model)


def test_a_nested_model_with_a_call_of_its_own_is_one_call():
    inputs = keras.Input((3,))
    traced = trace(keras.Model(inputs, layers.ReLU()(Overridden()(inputs))))
    assert [type(c.op).__name__ for c in traced.calls] == ["Overridden", "ReLU"]


def test_a_sequential_model_with_several_outputs():
    model = keras.Sequential([keras.Input((4, 2)), layers.LSTM(3, return_state=True)])
    traced = trace(model)
    assert [t.shape for t in traced.outputs] == [(None, 3)] * 3


@pytest.mark.parametrize("nesting", [1, 3])
def test_each_layer_is_read_once(nesting):
    counts = []
    for depth in (20, 40):
        x = inputs = keras.Input((3,))
        for _ in range(depth // 4):
            x = Counted()(x)
        for _ in range(3):
            y = inner_inputs = keras.Input((3,))
            for _ in range(depth // 4):
                y = Counted()(y)
            inner = keras.Model(inner_inputs, y)
            for _ in range(nesting - 1):
                inner_inputs = keras.Input((3,))
                inner = keras.Model(inner_inputs, inner(inner_inputs))
            x = inner(x)
        model = keras.Model(inputs, x)
        Counted.counts = {}
        traced = trace(model)
        counts.append(dict(Counted.counts))
        assert len(traced.calls) == depth
    assert counts == [{"compute_output_shape": 20}, {"compute_output_shape": 40}]


def test_calls_that_no_output_follows_from_are_left_out():
    model = with_an_unread_output()
    found = names(trace(model))
    assert found == ["trunk", "read", "head", "pool", "top"]
    inner = model.get_layer("inner")
    assert "unread_bn" in names(trace(inner))
    assert found == names(trace(flatten(model)))


@pytest.mark.parametrize("kind", [plain, nested, siamese])
def test_a_model_is_read_once(kind):
    model = kind()
    assert trace(model) is trace(model)
    assert trace(model) is not trace(kind())
    model.set_weights([2 * weight for weight in model.get_weights()])
    model.layers[-1].trainable = False
    assert trace(model) is trace(model)


def test_sizes_that_are_given_are_not_remembered():
    model = none_sizes()
    before = trace(model)
    sized = trace(model, input_shape=(20, 10, 3))
    assert sized is not trace(model, input_shape=(20, 10, 3))
    assert trace(model) is before
    assert before.inputs.shape == (None, None, None, 3)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_sequential_model_that_gains_or_loses_a_layer_is_read_anew(depth):
    inner = model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a")])
    for _ in range(depth):
        if depth == 1:
            model = keras.Sequential([keras.Input((4,)), model])
        else:
            inputs = keras.Input((4,))
            model = keras.Model(inputs, model(inputs))
    before = trace(model)
    assert names(before) == ["a"]
    inner.add(layers.Activation("tanh", name="b"))
    assert names(trace(model)) == ["a", "b"]
    assert trace(model) is trace(model)
    inner.pop()
    assert names(trace(model)) == ["a"]
    inner.pop()
    inner.add(layers.Dense(3, name="a"))  # of the same name, and another layer
    assert trace(model).calls[0].op is inner.layers[0]
    assert trace(model).calls[0].op is not before.calls[0].op


def test_layers_of_a_new_dtype_are_read_anew():
    model = plain()
    assert trace(model).calls[0].outputs.dtype == "float32"
    model.layers[1].dtype_policy = "mixed_float16"
    assert trace(model).calls[0].outputs.dtype == "float16"


def _called_in_another_graph():
    """A model that its own layer leads back to: both are in one more graph."""
    inputs = keras.Input((3,))
    hidden = layers.Dense(3)(inputs)
    model = keras.Model(inputs, layers.Dense(3)(hidden))
    model(hidden)
    return model


@pytest.mark.parametrize("make", [plain, nested, siamese, _called_in_another_graph])
def test_a_model_goes_with_its_trace(make):
    model = make()
    known = [weakref.ref(model), weakref.ref(trace(model))]
    del model
    gc.collect()
    assert [one() for one in known] == [None, None]


def test_what_is_remembered_is_no_part_of_the_model(tmp_path):
    model = nested()
    trace(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    copy = keras.models.clone_model(model)
    for other in (loaded, copy):
        assert trace(other) is not trace(model)
        assert names(trace(other)) == names(trace(model))
    x = np.random.default_rng(0).random((2, *model.input_shape[1:]), dtype="float32")
    np.testing.assert_array_equal(loaded(x), model(x))
