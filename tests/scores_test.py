import keras
import numpy as np
import pytest
from models import array, identical

from keras_basisprune import convert, scores

LOSS = "sparse_categorical_crossentropy"


def diagonal():
    """A converted model: singular values 4, 3, 2, 1 in `a` and 3, 0 in `b`."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, name="a"),
            keras.layers.Dense(2, name="b"),
            keras.layers.Softmax(dtype="float32"),
        ]
    )
    model.get_layer("a").kernel.assign(np.diag([4.0, 3, 2, 1]))
    model.get_layer("b").kernel.assign(np.diag([3.0, 0, 0, 0])[:, :2])
    return convert(model, include=keras.layers.Dense)


def with_policy(dtype):
    """The same under a dtype policy."""
    keras.config.set_dtype_policy(dtype)
    try:
        return diagonal()
    finally:
        keras.config.set_dtype_policy("float32")


def convolutional():
    """A converted model with BatchNormalization and two convolutions of the weights."""
    x = inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(5, 3, name="a", kernel_regularizer="l2")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Conv2D(4, 2, activation="relu", name="b")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(3, activation="softmax", name="head")(x)
    model = convert(keras.Model(inputs, outputs), l1=0.1)
    rng = np.random.default_rng(0)
    for name in ("a_scaling", "b_scaling"):
        scale = model.get_layer(name).scale
        scale.assign(rng.normal(size=scale.shape))
    model.get_layer("bn").moving_mean.assign(rng.normal(size=5))
    return model


def images(count=20):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, 6, 6, 2)).astype("float32")
    return x, rng.integers(0, 3, count)


def test_magnitude_by_hand():
    model = diagonal()
    found = scores.magnitude(model)
    assert list(found) == ["a", "b"]
    np.testing.assert_allclose(found["a"], [1, 0.75, 0.5, 0.25], rtol=1e-6)
    np.testing.assert_allclose(found["b"], [1, 0], atol=1e-7)
    model.get_layer("a_scaling").scale.assign([0.5, -2.0, 1.0, 1.0])
    np.testing.assert_allclose(
        scores.magnitude(model)["a"], [2 / 6, 1, 2 / 6, 1 / 6], rtol=1e-6
    )
    model.get_layer("a_scaling").mask.assign([1, 0, 1, 1])
    np.testing.assert_allclose(scores.magnitude(model)["a"], [1, 0, 1, 0.5], rtol=1e-6)


def test_energy_by_hand():
    model = diagonal()
    found = scores.energy(model)
    np.testing.assert_allclose(found["a"], np.array([16, 9, 4, 1]) / 30, rtol=1e-6)
    np.testing.assert_allclose(found["b"], [1, 0], atol=1e-7)
    model.get_layer("a_scaling").scale.assign([0.5, -2.0, 1.0, 1.0])
    model.get_layer("a_scaling").mask.assign([1, 1, 1, 0])
    np.testing.assert_allclose(
        scores.energy(model)["a"], np.array([4, 36, 4, 0]) / 44, rtol=1e-6
    )


@pytest.mark.parametrize("name", ["a", "b"])
def test_against_numpy(name):
    model = convolutional()
    mask = np.ones(array(model.get_layer(f"{name}_scaling").mask).shape)
    mask[1] = 0
    model.get_layer(f"{name}_scaling").mask.assign(mask)
    layer = model.get_layer(f"{name}_scaling")
    # Singular values of the merged kernel's factors, by NumPy's own decomposition.
    basis = array(model.get_layer(f"{name}_basis").kernel)
    whole = basis.reshape(-1, basis.shape[-1]) @ array(layer.kernel)
    sigma = np.linalg.svd(whole, compute_uv=False)[: len(mask)]
    strength = np.abs(array(layer.scale)) * sigma * mask
    np.testing.assert_allclose(
        scores.magnitude(model)[name], strength / strength.max(), rtol=1e-4
    )
    np.testing.assert_allclose(
        scores.energy(model)[name], strength**2 / np.sum(strength**2), rtol=1e-4
    )


@pytest.mark.parametrize("score", [scores.magnitude, scores.energy])
def test_a_layer_masked_throughout_scores_zero(score):
    model = diagonal()
    model.get_layer("a_scaling").mask.assign(np.zeros(4))
    np.testing.assert_array_equal(score(model)["a"], np.zeros(4))
    assert score(model)["b"].max() == 1


@pytest.mark.parametrize("score", [scores.magnitude, scores.energy])
@pytest.mark.parametrize("dtype", ["mixed_float16", "bfloat16"])
def test_low_precision(score, dtype):
    found = score(with_policy(dtype))
    assert found["a"].dtype == np.float64
    np.testing.assert_allclose(found["a"], score(diagonal())["a"], rtol=1e-2)


@pytest.mark.parametrize("score", [scores.magnitude, scores.energy])
def test_an_ordinary_model_has_no_scores(score):
    assert score(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])) == {}


def explicit(model, x, y, batch_size):
    """`E[(s dL/ds)^2]` over batches, by TensorFlow's own gradients."""
    import tensorflow as tf

    names = ["a", "b"]
    scales = [model.get_layer(f"{name}_scaling").scale for name in names]
    sums, steps = dict.fromkeys(names, 0.0), 0
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        with tf.GradientTape() as tape:
            probabilities = model(x[part], training=False)
            losses = keras.losses.sparse_categorical_crossentropy(
                y[part], probabilities
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [scale.value for scale in scales])
        for name, scale, gradient in zip(names, scales, gradients, strict=True):
            sums[name] += (array(scale).astype(np.float64) * gradient.numpy()) ** 2
        steps += 1
    return {name: total / steps for name, total in sums.items()}


def test_taylor_against_explicit_gradients():
    model = convolutional()
    model.get_layer("b_scaling").mask.assign([1, 0, 1, 1])
    x, y = images(20)
    before = model.get_weights()
    flags = [weight.trainable for weight in model.weights]
    found = scores.taylor(model, (x, y), loss=LOSS, batch_size=8)
    assert identical(model.get_weights(), before)
    assert [weight.trainable for weight in model.weights] == flags
    assert model.get_layer("a_scaling").scale.regularizer is not None
    wanted = explicit(model, x, y, 8)  # batches of 8, 8 and 4
    assert list(found) == ["a", "b"]
    for name in found:
        assert found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4)
        assert found[name].max() > 0
    assert found["b"][1] == 0


def test_taylor_takes_what_fit_takes():
    import tensorflow as tf

    model = convolutional()
    x, y = images(16)
    wanted = scores.taylor(model, (x, y), loss=LOSS, batch_size=8)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    found = scores.taylor(model, dataset, loss=keras.losses.get(LOSS))
    weighted = scores.taylor(model, (x, y, np.full(16, 2.0)), loss=LOSS, batch_size=8)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5)
        np.testing.assert_allclose(weighted[name], 4 * wanted[name], rtol=1e-4)


def test_taylor_leaves_the_compiled_model_alone():
    model = diagonal()
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, LOSS)
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    scores.taylor(model, (x, np.arange(8) % 2), loss=model.loss)
    assert model.optimizer is optimizer
    assert int(optimizer.iterations) == 0
    assert not optimizer.built


def test_taylor_under_mixed_float16():
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = np.arange(64) % 2
    wanted = scores.taylor(diagonal(), (x, y), loss=LOSS, batch_size=4)
    found = scores.taylor(with_policy("mixed_float16"), (x, y), loss=LOSS, batch_size=4)
    np.testing.assert_allclose(found["a"], wanted["a"], rtol=0.05, atol=1e-4)


def test_taylor_refuses_gradients_that_are_not_finite():
    x = np.full((4, 4), np.nan, np.float32)
    with pytest.raises(ValueError, match="Expected `data` to give finite gradients"):
        scores.taylor(diagonal(), (x, np.zeros(4, int)), loss=LOSS)


def test_taylor_refuses_an_ordinary_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="plain")
    with pytest.raises(ValueError, match="model='plain', without BasisScalingConv"):
        scores.taylor(model, (np.zeros((1, 3)), np.zeros(1)), loss=LOSS)
