import keras
import numpy as np
import pytest
from keras import layers, ops
from models import (
    KINDS,
    Doubled,
    array,
    custom,
    dictionaries,
    frozen,
    identical,
    nested,
    nested_inference,
    normalization,
    outputs,
    plain,
    randomize,
    relative_difference,
    sample,
    shared,
    siamese,
)

import keras_basisprune as kbp
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.running import run_calls
from keras_basisprune.graph.trace import trace

EXACT = 1e-6  # the same operations, in graphs that may be optimized differently


def kept(layer, name):
    return None


def nested_layers(model):
    return [x for x in model.layers if isinstance(x, keras.Model)]


@pytest.mark.parametrize("kind", KINDS)
def test_flatten_is_equal_to_the_bit(kind):
    model = randomize(KINDS[kind]())
    flat, inputs = kbp.graph.flatten(model), sample(model)
    assert not nested_layers(flat)
    assert identical(outputs(model, inputs), outputs(flat, inputs))
    assert flat.count_params() == model.count_params()
    # Dropout is nowhere: in training, only BatchNormalization differs.
    assert identical(outputs(model, inputs, True), outputs(flat, inputs, True))
    if kind == "siamese":
        return  # which of two calls moves the averages first is not defined
    moved = {array(v).tobytes() for v in model.weights}
    assert moved == {array(v).tobytes() for v in flat.weights}


@pytest.mark.parametrize("make", [nested, nested_inference, frozen, plain, custom])
def test_a_training_step_does_the_same(make):
    model = randomize(make())
    flat, inputs = kbp.graph.flatten(model), sample(model, batch=8)
    targets = np.zeros(outputs(model, inputs)[0].shape)
    losses = []
    for x in (model, flat):
        x.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        losses.append([x.train_on_batch(inputs, targets) for _ in range(2)])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert losses[0][0] != losses[0][1]
    before = sorted(array(v).astype("float64").sum() for v in model.weights)
    after = sorted(array(v).astype("float64").sum() for v in flat.weights)
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-5)


def test_frozen_batch_normalization_stays_in_inference():
    base = plain()
    base.trainable = False
    inputs = keras.Input((9, 9, 3))
    model = randomize(keras.Model(inputs, base(inputs)))
    flat, x = kbp.graph.flatten(model), sample(model)
    assert identical(outputs(flat, x), outputs(flat, x, training=True))
    assert not flat.trainable_variables
    flat.compile("sgd", "mse")
    before = [array(v) for v in flat.weights]
    flat.train_on_batch(x, np.zeros((2, 4)))
    assert identical(before, [array(v) for v in flat.weights])


def test_layers_keep_their_trainable_flags():
    model = frozen()
    thawed = {"wide/kernel", "wide/bias", "top/kernel", "top/bias"}
    assert {v.path for v in model.trainable_variables} == thawed
    flat = kbp.graph.flatten(model)
    assert {v.path for v in flat.trainable_variables} == thawed
    assert not flat.get_layer("block").trainable
    assert not flat.get_layer("bn").trainable


def test_names_that_collide_get_the_nested_models_name():
    flat = kbp.graph.flatten(nested())
    convolutions = [x.name for x in flat.layers if isinstance(x, layers.Conv2D)]
    assert convolutions == ["conv", "stem_conv", "inner_conv", "conv_1"]


def test_shared_layers_stay_shared():
    flat = kbp.graph.flatten(shared())
    assert [x.name for x in flat.layers[2:]] == ["conv", "raw", "bn"]
    flat = kbp.graph.flatten(siamese())
    assert [x.name for x in flat.layers if x.weights] == ["a", "bn", "b"]


def test_weights_are_not_shared_with_the_original():
    model = randomize(plain())
    flat, x = kbp.graph.flatten(model), sample(model)
    before = outputs(model, x)
    assert not {id(v) for v in model.variables} & {id(v) for v in flat.variables}
    for v in flat.weights:
        v.assign(np.zeros(v.shape))
    assert identical(before, outputs(model, x))
    flat = kbp.graph.flatten(model)
    for v in model.weights:
        v.assign(np.zeros(v.shape))
    assert identical(before, outputs(flat, x))


def test_regularizers_constraints_and_policies_are_kept():
    x = inputs = keras.Input((9, 9, 3))
    policies = ("float32", "mixed_float16", "mixed_bfloat16", "float64")
    for i, policy in enumerate(policies):
        x = layers.Conv2D(
            4,
            3,
            name=f"conv{i}",
            kernel_regularizer=keras.regularizers.L2(0.1 + i),
            bias_constraint="non_neg",
            activity_regularizer=keras.regularizers.L1(1e-3),
            dtype=policy,
        )(x)
    model = randomize(keras.Model(inputs, layers.Flatten(dtype="float64")(x)))
    flat, x = kbp.graph.flatten(model), sample(model)
    for i in range(4):
        old, new = model.get_layer(f"conv{i}"), flat.get_layer(f"conv{i}")
        assert new is not old
        assert new.get_config() == old.get_config()
        assert new.dtype_policy.name == old.dtype_policy.name
    outputs(model, x), outputs(flat, x)
    assert len(flat.losses) == len(model.losses) == 8
    np.testing.assert_array_equal(
        [float(a) for a in flat.losses], [float(a) for a in model.losses]
    )


def test_a_dictionary_goes_in_and_out():
    model = randomize(dictionaries())
    flat, x = kbp.graph.flatten(model), sample(model)
    assert set(flat.input) == {"image", "extra"}
    result = flat(x)
    assert set(result) == {"map", "pooled"}
    for key, value in model(x).items():
        np.testing.assert_array_equal(array(value), array(result[key]))


def test_numbers_are_converted_where_a_nested_model_began():
    inner_inputs = keras.Input((3,))
    inner = keras.Model(inner_inputs, inner_inputs * 2 - 1)
    inputs = keras.Input((3,), dtype="uint8")
    model = keras.Model(inputs, inner(inputs))
    x = np.array([[100, 200, 255]], "uint8")
    expected = [[199.0, 399.0, 509.0]]
    np.testing.assert_array_equal(array(model(x)), expected)
    np.testing.assert_array_equal(array(kbp.graph.flatten(model)(x)), expected)


def test_optional_inputs_stay_optional():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b", optional=True)
    model = keras.Model({"a": a, "b": b}, OptionalSum(name="sum")(a, b))
    flat, x = kbp.graph.flatten(model), np.ones((1, 3), "float32")
    for given, expected in ((None, x), (x, 2 * x)):
        np.testing.assert_array_equal(array(flat({"a": x, "b": given})), expected)


class OptionalSum(keras.layers.Layer):
    def call(self, a, b=None):
        return a if b is None else a + b

    def compute_output_shape(self, a_shape, b_shape=None):
        return a_shape


def test_state_outside_of_weights_is_carried_over():
    inputs = keras.Input((3,), dtype="int32")
    lookup = layers.IntegerLookup()
    lookup.adapt(np.array([5, 7, 9, 9]))
    buckets = layers.Discretization(num_bins=3)
    buckets.adapt(np.arange(100.0))
    model = keras.Model(inputs, [lookup(inputs), buckets(inputs)])
    x = np.array([[7, 9, 60]])
    before, after = outputs(model, x), outputs(kbp.graph.flatten(model), x)
    assert identical(before, after)
    assert before[0].tolist() == [[2, 1, 0]]
    assert before[1].tolist() == [[0, 0, 1]]


def test_an_adapted_normalization_is_carried_over():
    model = normalization()
    flat = kbp.graph.flatten(model)
    old, new = (m.layers[1] for m in (model, flat))
    x = np.random.default_rng(0).normal(3.0, 2.0, (50, 6, 6, 3)).astype("float32")
    np.testing.assert_array_equal(array(old(x)), array(new(x)))
    assert abs(array(new(x)).mean()) < 0.1
    assert abs(array(new(x)).std() - 1.0) < 0.1


def test_functions_of_the_user_need_no_registration():
    limit = 2.0

    def halves(x):
        return x * 0.5

    x = inputs = keras.Input((4,))
    x = layers.Lambda(lambda t: ops.minimum(ops.abs(t), limit))(x)
    x = layers.Lambda(lambda t: ops.sum(t, 1), output_shape=lambda s: s[:1])(x)
    x = layers.Dense(3, activation=halves, kernel_initializer=ones)(x[:, None])
    model = keras.Model(inputs, x)
    given = np.array([[-3.0, 1.0, -0.5, 9.0]], "float32")
    np.testing.assert_allclose(array(kbp.graph.flatten(model)(given)), [[2.75] * 3])


def ones(shape, dtype=None):
    return ops.ones(shape, dtype)


def test_training_reaches_the_sublayers_of_a_users_layer():
    inner_inputs = keras.Input((4, 4, 3))
    inner = keras.Model(inner_inputs, Doubled(3)(inner_inputs))
    inputs = keras.Input((4, 4, 3))
    model = randomize(keras.Model(inputs, inner(inputs, training=True)))
    flat, x = kbp.graph.flatten(model), sample(model)
    a, b = array(model(x)), array(flat(x))
    np.testing.assert_array_equal(a, b)
    assert relative_difference(a, outputs(flat, x)[0]) > 0.01  # training=False


def test_a_compiled_model_with_a_loss_of_the_users():
    model = randomize(plain())
    model.compile("adam", lambda y, p: ops.mean((y - p) ** 4), metrics=[metric])
    x = sample(model)
    model.train_on_batch(x, np.zeros((2, 4)))
    flat = kbp.graph.flatten(model)
    assert model.compiled
    assert not flat.compiled
    assert identical(outputs(model, x), outputs(flat, x))


def metric(targets, predictions):
    return ops.mean(ops.abs(predictions))


def test_saved_and_loaded_to_the_bit(tmp_path):
    model = randomize(nested())
    flat, x = kbp.graph.flatten(model), sample(model)
    flat.save(tmp_path / "flat.keras")
    loaded = keras.saving.load_model(tmp_path / "flat.keras")
    assert identical(outputs(flat, x), outputs(loaded, x))


def test_rewrite_replaces_a_layer_by_several():
    model = randomize(plain())
    weights = {"kernel": np.eye(6, dtype="float32")[None, None], "bias": np.ones(6)}

    def replace(layer, name):
        if name != "wide":
            return None
        first = layers.Conv2D.from_config({**layer.get_config(), "name": "block"})
        kernel, bias = array(layer.kernel), array(layer.bias)
        second = NewLayer(layers.Conv2D(6, 1, name="wide"), weights)
        return [NewLayer(first, {"kernel": kernel, "bias": bias - 1.0}), second]

    new, x = rewrite(model, replace), sample(model)
    names = [layer.name for layer in new.layers[1:6]]
    assert names == ["first", "block", "wide", "bn", "block_1"]
    assert relative_difference(outputs(model, x), outputs(new, x)) <= EXACT


def test_rewrite_leaves_layers_out():
    inputs = keras.Input((3,))
    x = layers.Dropout(0.5)(inputs=layers.Dense(3, name="a")(inputs))
    model = keras.Model(inputs, [layers.Activation("relu")(x), x])
    new = rewrite(
        model, lambda layer, _: [] if isinstance(layer, layers.Dropout) else None
    )
    assert [type(x).__name__ for x in new.layers] == [
        "InputLayer",
        "Dense",
        "Activation",
    ]
    x = sample(model)
    assert identical(outputs(model, x), outputs(new, x))


def test_rewrite_asks_once_per_layer_and_replaces_shared_layers_once():
    asked = []

    def replace(layer, name):
        asked.append(name)
        if name != "conv":
            return None
        zeros = {"kernel": np.zeros(layer.kernel.shape), "bias": np.zeros(4)}
        return [NewLayer(layers.Conv2D(4, 3, name="conv"), zeros)]

    model = randomize(shared())
    new = rewrite(model, replace)
    assert asked == ["conv", "raw", "bn"]
    first, conv, second = outputs(new, sample(model))
    assert not conv.any()
    np.testing.assert_array_equal(first, second)


def test_a_layer_without_a_full_config_is_named():
    class Silent(keras.layers.Layer):
        def __init__(self, width):
            super().__init__()
            self.width = width

        def call(self, inputs):
            return inputs

        def get_config(self):
            return super().get_config()

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Silent(3)(inputs))
    with pytest.raises(
        ValueError, match=r"(?s)`silent` \(of type Silent\).*`get_config\(\)"
    ):
        kbp.graph.flatten(model)


def test_a_clone_of_another_shape_is_refused():
    class Wide(keras.layers.Layer):
        def __init__(self, width=1, **kwargs):
            super().__init__(**kwargs)
            self.width = width

        def build(self, input_shape):
            self.factor = self.add_weight(shape=(self.width,))

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            return super().get_config() | {"width": 1}

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Wide(3, name="wide")(inputs))
    with pytest.raises(ValueError, match=r"`wide`.*\(3,\).*\(1,\).*`get_config\(\)`"):
        kbp.graph.flatten(model)


def test_each_layer_is_cloned_once():
    counts = []
    for depth in (25, 50):
        x = inputs = keras.Input((3,))
        for _ in range(depth):
            x = Tallied()(x)
        model = keras.Model(inputs, x)
        Tallied.tally = {"from_config": 0, "build": 0, "call": 0}
        kbp.graph.flatten(model)
        counts.append(dict(Tallied.tally))
    # `call` once to read the model and once to build the clone.
    assert counts == [
        {"from_config": 25, "build": 25, "call": 50},
        {"from_config": 50, "build": 50, "call": 100},
    ]


class Tallied(keras.layers.Layer):
    """Counts what is done to layers of its class; Keras finds its shape by `call`."""

    tally = {}

    @classmethod
    def from_config(cls, config):
        cls.tally["from_config"] += 1
        return super().from_config(config)

    def build(self, input_shape):
        self.tally["build"] = self.tally.get("build", 0) + 1
        self.factor = self.add_weight(shape=(), name="factor")

    def call(self, inputs):
        self.tally["call"] = self.tally.get("call", 0) + 1
        return inputs * self.factor


@pytest.mark.parametrize(
    "kind", ["plain", "siamese", "nested", "dictionaries", "lists"]
)
def test_rewrite_tells_what_each_call_became(kind):
    """The new model's calls in the order of the old ones compute its outputs."""
    model = randomize(KINDS[kind]())
    traced, became = trace(model), {}

    def doubled(layer, name):
        if not isinstance(layer, layers.Conv2D):
            return None
        second = layers.Rescaling(2.0, name=f"{name}_twice")
        return [NewLayer(clone(layer, name)), NewLayer(second)]

    new = rewrite(model, doubled, traced, became=became)
    assert list(became) == [id(call) for call in traced.calls]
    for call in traced.calls:
        kinds = [type(after.op) for after in became[id(call)]]
        more = [layers.Rescaling] if type(call.op) is layers.Conv2D else []
        assert kinds == [type(call.op), *more]
    inputs = keras.tree.flatten(sample(new))
    values = {id(t): [x] for t, x in zip(new.inputs, inputs, strict=True)}
    wanted = [t for t in new.outputs if id(t) not in values]
    calls = [call for after in became.values() for call in after]
    made = run_calls(calls, values, {id(t) for t in wanted})
    expected = dict(zip(map(id, new.outputs), outputs(new, sample(new)), strict=True))
    for tensor in wanted:
        assert relative_difference(expected[id(tensor)], made[id(tensor)][0]) <= EXACT


def test_functions_of_a_loaded_lambda_are_carried_over(tmp_path):
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Lambda(lambda x, by: x * by, arguments={"by": 2.0})(inputs)
    keras.Model(inputs, keras.layers.Conv2D(5, 3)(x)).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras", safe_mode=False)
    x = sample(model)
    assert identical(outputs(model, x), outputs(kbp.graph.flatten(model), x))
