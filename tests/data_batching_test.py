"""Models with a fixed batch size: the same values as with an open one."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_basisprune as kbp
from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.full_batches import full_batches
from keras_basisprune.data.batching.run_batches import run_batches
from keras_basisprune.graph.running import predict

SIZES = [1, 2, 5]
CHANNELS = kbp.scores.channels


def net(batch, bound):
    """A classifier with squeeze-and-excite; a `bound` one keeps to its batch size."""
    keras.utils.set_random_seed(3)
    size = batch if bound else -1
    inputs = keras.Input(batch_shape=(batch, 6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    gate = layers.Dense(8, "sigmoid", name="gate")(layers.GlobalAveragePooling2D()(x))
    x = layers.Multiply()([x, ops.reshape(gate, (size, 1, 1, 8))])
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="second")(x)
    x = ops.reshape(layers.BatchNormalization()(x), (size, 6 * 6 * 6))
    return keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x), name="net")


def pair(batch, bound=True):
    """A model with a fixed batch size, and the same with an open one."""
    rng = np.random.default_rng(4)
    model, free = net(batch, bound), net(None, False)
    free.set_weights([rng.uniform(0.05, 0.3, w.shape) for w in free.get_weights()])
    model.set_weights(free.get_weights())
    return model, free


def samples(count, seed=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6, 6, 3)).astype("float32")


def labels(count):
    return np.arange(count) % 3


def outputs(model, images):
    return predict(model, images)


def close(one, other, atol=1e-5):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=atol)


def plan_of(model):
    return kbp.select_channels(
        model, scores=CHANNELS.l2_norm(model), keep=0.6, scope="global"
    )


# Which models are bound to their batch size.


def nested(batch, bound):
    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, net(batch, bound)(inputs))


def stateful(batch):
    inputs = keras.Input(batch_shape=(batch, 4, 3))
    return keras.Model(inputs, layers.LSTM(2, stateful=True)(inputs))


def two_inputs(batch, bound):
    one, other = keras.Input(batch_shape=(batch, 4)), keras.Input((4,))
    joined = ops.reshape(one, (batch, 4)) if bound else one
    return keras.Model([one, other], {"sum": joined + other, "other": other})


def sequential(batch, bound):
    back = layers.Lambda(lambda x: ops.reshape(x, (batch if bound else -1, 12)))
    return keras.Sequential([keras.Input(batch_shape=(batch, 4, 3)), back])


@pytest.mark.parametrize("batch", SIZES)
@pytest.mark.parametrize("make", [net, nested, two_inputs, sequential])
def test_only_layers_bind_a_model_to_its_batch_size(make, batch):
    assert fixed_batch(make(batch, True)) == batch
    assert fixed_batch(make(batch, False)) is None


def test_stateful_layers_and_open_or_unknown_sizes():
    assert fixed_batch(stateful(2)) == 2
    assert fixed_batch(net(None, False)) is None
    inputs = keras.Input(batch_shape=(2, None, None, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs))
    assert fixed_batch(keras.Model(inputs, pooled)) is None


# Batches of one size.


def test_samples_are_repeated_from_the_beginning():
    array = np.arange(5)
    assert fill_up(array, 4).tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert fill_up(array[:1], 3).tolist() == [0, 0, 0]
    assert fill_up(array, 5) is array and fill_up(array, None) is array


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([3, 4, 3], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 4, 5]]),
        ([9], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 4, 5, 6]]),
        ([8], [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ([1, 1], [[0, 1, 0, 1]]),
        ([], []),
    ],
)
def test_batches_are_joined_cut_and_filled_up(lengths, expected):
    ends = np.cumsum([0, *lengths])
    parts = [np.arange(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    made = list(full_batches(([part, -part] for part in parts), 4))
    assert [one.tolist() for one, _ in made] == expected
    assert all(np.array_equal(one, -other) for one, other in made)


def test_batches_of_other_image_sizes_are_not_joined():
    small, large = np.zeros((3, 2, 2)), np.ones((2, 4, 4))
    made = [one.shape for (one,) in full_batches([[small], [large]], 2)]
    assert made == [(2, 2, 2), (2, 2, 2), (2, 4, 4)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 9])
def test_a_function_of_one_size_runs_on_any_number(size):
    seen = []

    def run(arrays):
        seen.append(len(arrays[0]))
        return [arrays[0] + arrays[1], arrays[0] * 2]

    one, other = np.arange(7), np.arange(7) * 10
    total, double = run_batches(run, [one, other], size)
    assert total.tolist() == (one + other).tolist()
    assert double.tolist() == (one * 2).tolist()
    assert set(seen) == {size}


# The same values as with an open batch size.


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("batch", SIZES)
def test_predictions_and_accuracy(batch, bound):
    model, free = pair(batch, bound)
    images = samples(11)
    close(predict(model, images), free.predict(images, verbose=0))
    answers = free.predict(images, verbose=0).argmax(-1)
    answers[:3] = (answers[:3] + 1) % 3
    assert kbp.measure.accuracy(model, (images, answers)) == pytest.approx(8 / 11)


CLOSED_FORM = {
    "compensate": lambda m, x: kbp.compensate(m, plan_of(m), x, verbose=0),
    "recalibrate": lambda m, x: kbp.surgery.recalibrate(m, x, verbose=0),
    "activations": lambda m, x: kbp.convert(m, 3, data=x, verbose=0),
    "regression": lambda m, x: kbp.convert(m, 3, basis="regression", data=x, verbose=0),
    "compensated": lambda m, x: CHANNELS.compensated(m, x),
    "activation": lambda m, x: CHANNELS.activation(m, x),
}


@pytest.mark.parametrize("step", CLOSED_FORM)
@pytest.mark.parametrize(("batch", "bound"), [(5, False), (1, True), (5, True)])
def test_what_is_taken_of_data(step, batch, bound):
    model, free = pair(batch, bound)
    images, others = samples(23), samples(4, seed=6)
    # What a bound model sees: the last batch filled up with samples of the one before.
    seen = [one for (one,) in full_batches([[images]], batch)] if bound else [images]
    found = CLOSED_FORM[step](model, images)
    expected = CLOSED_FORM[step](free, np.concatenate(seen))
    if isinstance(found, keras.Model):
        found, expected = outputs(found, others), outputs(expected, others)
    close(found, expected, atol=1e-4)


def test_datasets_are_cut_to_the_batch_size():
    model, free = pair(5)
    images = samples(20)
    batches = [images[:3], images[3:11], images[11:]]
    found = CHANNELS.activation(model, batches)
    close(found, CHANNELS.activation(free, images))


def test_gradients():
    batch = 2
    model, free = pair(batch)
    data, loss = (samples(10), labels(10)), "sparse_categorical_crossentropy"
    close(
        CHANNELS.taylor(model, data, loss=loss),
        CHANNELS.taylor(free, data, loss=loss, batch_size=batch),
    )
    found = kbp.scores.taylor(kbp.convert(model), data, loss=loss)
    expected = kbp.scores.taylor(kbp.convert(free), data, loss=loss, batch_size=batch)
    for name, values in expected.items():
        close(found[name], values)


def test_gradients_of_an_incomplete_batch_are_those_of_it_filled_up():
    model, free = pair(5)
    loss, whole = "sparse_categorical_crossentropy", fill_up(np.arange(7), 5)
    data = samples(7), labels(7)
    found = CHANNELS.taylor(model, data, loss=loss)
    filled = data[0][whole], data[1][whole]
    close(found, CHANNELS.taylor(free, filled, loss=loss, batch_size=5))


@pytest.mark.parametrize("augment", [None, lambda images: images[:, ::-1]])
def test_training_takes_the_batch_size_of_the_model(augment):
    model, free = pair(5)
    teacher = pair(2)[0]
    config = kbp.Recovery(epochs=1, augment=augment)
    same = kbp.Recovery(epochs=1, augment=augment, batch_size=5)
    images = samples(20)
    found = []
    for one, recovery in ((model, config), (free, same)):
        small = kbp.surgery.recalibrate(one, images * 2, verbose=0)
        validation = samples(7), labels(7)
        history = kbp.recover(
            small, images, validation, teacher=teacher, config=recovery, verbose=0
        )
        found.append((history.history, outputs(small, images)))
    for name in ("loss", "val_loss", "val_accuracy", "val_agreement"):
        close(found[0][0][name], found[1][0][name])
    close(found[0][1], found[1][1], atol=1e-4)


def test_training_on_incomplete_batches():
    model, _ = pair(5)
    data = samples(7), labels(7)
    before = outputs(model, data[0])
    kbp.recover(model, data, data, config=kbp.Recovery(epochs=2), verbose=0)
    after = outputs(model, data[0])
    assert after.shape == (7, 3) and np.isfinite(after).all()
    assert np.abs(after - before).max() > 1e-3
    converted = kbp.convert(model, l1=1e-3)
    history = kbp.sparsify(
        converted, data, data, config=kbp.Recipe(epochs=1), verbose=0
    )
    assert np.isfinite(history.history["val_loss"]).all()
    assert outputs(kbp.fold(kbp.prune(converted)), data[0]).shape == (7, 3)


def test_sparsify_equals_that_of_an_open_batch_size():
    found = []
    for model, size in zip(pair(5), (32, 5), strict=True):
        converted = kbp.convert(model, l1=1e-3)
        data, recipe = (samples(20), labels(20)), kbp.Recipe(epochs=1, batch_size=size)
        keras.utils.set_random_seed(0)
        kbp.sparsify(converted, data, data, config=recipe, verbose=0)
        found.append(outputs(converted, data[0]))
    close(*found, atol=1e-4)


def test_compress_finds_the_same_network():
    results = []
    for model in pair(5):
        images = samples(40)
        # Answers that are right more often than not, so that there is what to lose.
        answers = outputs(model, images).argmax(-1)
        data = images, np.where(np.arange(40) % 4, answers, labels(40))
        results.append(
            kbp.compress(
                model, images, data, max_drop=0.2, methods=["channels"], verbose=0
            )
        )
    found, expected = results
    assert found.met_budget == expected.met_budget
    assert (
        kbp.measure.cost(found.model).params == kbp.measure.cost(expected.model).params
    )
    images = samples(9)
    close(outputs(found.model, images), outputs(expected.model, images), atol=1e-3)


# Files.


def run_file(path, images):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    return next(iter(run(**{next(iter(run.get_input_details())): images}).values()))


@pytest.mark.parametrize("batch", [1, 5])
def test_exports_equal_the_model_with_an_open_batch_size(batch, tmp_path):
    import tensorflow as tf

    model, free = pair(batch)
    images = samples(11)
    expected = free.predict(images, verbose=0)[:batch]
    saved = kbp.export_saved_model(model, tmp_path / "saved", samples=images)
    assert saved.samples == 11 and saved.max_relative_difference < 1e-5
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    close(loaded.serve(images[:batch]), expected)
    for kind in ("float32", "float16"):
        path = tmp_path / f"{kind}.tflite"
        record = kbp.export_tflite(model, path, quantization=kind, samples=images)
        assert record.samples == 11
        close(run_file(path, images[:batch]), expected, 1e-2 * (kind == "float16"))


@pytest.mark.parametrize("batch", [1, 5])
def test_int8_files_equal_those_of_the_model_with_an_open_batch_size(batch, tmp_path):
    found = []
    for at, one in enumerate(pair(batch)):
        path, images = tmp_path / f"{at}.tflite", samples(11)
        options = {"batch_size": batch, "integer_io": False}
        kbp.export_tflite(
            one, path, quantization="int8", representative_data=images, **options
        )
        found.append(run_file(path, images[:batch]))
    assert found[0].shape == (batch, 3)
    close(*found, atol=1 / 128)


def test_dynamic_files_and_default_samples(tmp_path):
    model, _ = pair(5)
    with pytest.warns(UserWarning, match="dynamic.*none of the weights as integers"):
        record = kbp.export_tflite(model, tmp_path / "a.tflite", quantization="dynamic")
    assert record.samples == 32 and record.max_relative_difference < 1e-4
    assert kbp.export_saved_model(model, tmp_path / "saved").samples == 32
    assert kbp.measure.latency(model, runs=1, warmup=0, threads=1).litert[1].runs == 1


def test_inputs_that_are_open_take_over_the_batch_size(tmp_path):
    one, other = keras.Input((4,), name="a"), keras.Input(batch_shape=(3, 4), name="b")
    model = keras.Model(
        [one, other], layers.Dense(2)(one) + ops.reshape(other, (3, 4))[:, :2]
    )
    data = [np.random.default_rng(i).normal(size=(7, 4)) for i in (0, 1)]
    for record in (
        kbp.export_tflite(model, tmp_path / "a.tflite", samples=data),
        kbp.export_saved_model(model, tmp_path / "saved", samples=data),
    ):
        assert record.samples == 7 and record.max_relative_difference < 1e-5


def test_a_bound_model_inside_an_open_one(tmp_path):
    _, free = pair(2)
    inner = pair(2)[0]
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, inner(inputs))
    images = samples(7)
    close(predict(model, images), free.predict(images, verbose=0))
    saved = kbp.export_saved_model(model, tmp_path / "saved", samples=images)
    file = kbp.export_tflite(model, tmp_path / "a.tflite", samples=images)
    assert max(saved.max_relative_difference, file.max_relative_difference) < 1e-5
