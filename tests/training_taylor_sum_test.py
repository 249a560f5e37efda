import keras
import numpy as np
import pytest
from diagonal import UNIT_VECTORS, classifier, diagonal, masks
from models import array

from keras_basisprune import L1Thresholding, Plan, scores
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.plans.above_threshold import above_threshold
from keras_basisprune.training._taylor_sum import TaylorSum

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = RNG.normal(size=(20, 6)).astype("float32")
BATCH = 8  # batches of 8, 8 and 4


class Sum(keras.callbacks.Callback):
    """Adds up from the beginning of a fit to its end."""

    def on_train_begin(self, logs=None):
        self.sum = TaylorSum(self.model, trained_masks(trace(self.model)))

    def on_train_end(self, logs=None):
        assert self.sum.ready
        self.scores = self.sum.scores()
        assert not self.sum.ready
        self.sum.remove()


def summed(model, optimizer=None, callbacks=(), policy="float32", **compiled):
    """What `TaylorSum` finds in one epoch, by default without a change of weights."""
    compiled = {"run_eagerly": True, **compiled}
    if compiled.get("jit_compile") is not None:
        compiled["run_eagerly"] = False
    model.compile(optimizer or keras.optimizers.SGD(0.0), "mse", **compiled)
    callback = Sum()
    model.fit(
        *(X, Y),
        batch_size=BATCH,
        callbacks=[callback, *callbacks],
        verbose=0,
        shuffle=False,
    )
    return callback.scores


def close(found, wanted, rtol=1e-4):
    assert list(found) == list(wanted)
    for name in found:
        assert found[name].dtype == np.float64
        assert found[name].max() > 0
        np.testing.assert_allclose(found[name], wanted[name], rtol=rtol, atol=1e-9)


class Explicit(keras.callbacks.Callback):
    """`(s dL/ds)^2` of each batch by TensorFlow's gradients, before the batch."""

    def on_train_begin(self, logs=None):
        self.squares = []

    def on_train_batch_begin(self, batch, logs=None):
        import tensorflow as tf

        part = slice(batch * BATCH, (batch + 1) * BATCH)
        scales = [self.model.get_layer(f"{n}_scaling").scale for n in "ab"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.model(X[part]) - Y[part]) ** 2)
        gradients = tape.gradient(loss, [scale.value for scale in scales])
        pairs = zip(scales, gradients, strict=True)
        self.squares.append([(array(s) * g.numpy()) ** 2 for s, g in pairs])


def test_is_the_mean_over_batches_while_weights_change():
    explicit = Explicit()
    model = diagonal()
    found = summed(model, keras.optimizers.Adam(0.1), [explicit])
    assert len(explicit.squares) == 3
    close(
        found,
        {n: np.mean([s[i] for s in explicit.squares], 0) for i, n in enumerate("ab")},
    )
    assert np.abs(array(model.get_layer("a_scaling").scale) - 1).max() > 0.1


@pytest.fixture(scope="module")
def wanted():
    return scores.taylor(diagonal(), (X, Y), loss="mse", batch_size=BATCH)


@pytest.mark.parametrize(
    "compiled",
    [
        {"run_eagerly": True},
        {"jit_compile": False},
        {"jit_compile": True},
        {"jit_compile": False, "steps_per_execution": 2},
    ],
)
def test_every_way_to_run(compiled, wanted):
    close(summed(diagonal(), **compiled), wanted)


@pytest.mark.parametrize(
    "arguments",
    [
        {"clipnorm": 1e-3},
        {"gradient_accumulation_steps": 2},
        {"loss_scale_factor": 64.0},
        {"use_ema": True},
    ],
)
def test_gradients_are_raw(arguments, wanted):
    close(summed(diagonal(l1=0.1), keras.optimizers.SGD(0.0, **arguments)), wanted)


@pytest.mark.parametrize(
    "regularizer",
    [
        keras.regularizers.L1(0.3),
        keras.regularizers.L2(0.3),
        keras.regularizers.L1L2(0.3, 0.2),
    ],
)
def test_the_regularization_of_scales_does_not_count(regularizer):
    plain = diagonal()
    plain.get_layer("a_scaling").scale.assign([0.5, -2.0, 0.0, 1.0])
    wanted = scores.taylor(plain, (X, Y), loss="mse", batch_size=BATCH)
    model = diagonal()
    model.get_layer("a_scaling").scale.assign([0.5, -2.0, 0.0, 1.0])
    model.get_layer("a_scaling").scale.regularizer = regularizer
    close(summed(model), wanted)
    assert model.losses


def test_refuses_regularizers_of_other_kinds():
    class Own(keras.regularizers.Regularizer):
        def __call__(self, x):
            return keras.ops.sum(x**4)

    model = diagonal()
    model.get_layer("b_scaling").scale.regularizer = Own()
    with pytest.raises(ValueError, match="Received: Own in `b_scaling`. Pass a few"):
        summed(model)
    assert "apply" not in vars(model.optimizer)


def test_masked_bases_score_zero():
    model = diagonal(l1=0.1)
    model.get_layer("a_scaling").mask.assign([1, 0, 1, 1])
    found = summed(model)
    assert found["a"][1] == 0
    assert found["a"][0] > 0


@pytest.mark.parametrize("jit_compile", [None, False])
def test_mixed_float16(jit_compile, wanted):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = diagonal(l1=0.1)
    finally:
        keras.config.set_dtype_policy("float32")
    inner = keras.optimizers.SGD(0.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=256.0)
    found = summed(model, optimizer, jit_compile=jit_compile)
    assert model.optimizer is optimizer
    assert "apply" not in vars(inner)
    close(found, wanted, rtol=0.1)


def test_float16_batches_that_overflow_do_not_count():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = diagonal()
    finally:
        keras.config.set_dtype_policy("float32")
    found = summed(model)  # the loss scale begins at 32,768
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    assert "apply" not in vars(model.optimizer.inner_optimizer)
    finite = int(model.optimizer.iterations)
    assert 0 < finite < 3
    explicit = Explicit()
    summed(diagonal(), callbacks=[explicit])
    last = [s for s in explicit.squares][3 - finite :]
    close(found, {n: np.mean([s[i] for s in last], 0) for i, n in enumerate("ab")}, 0.1)


def test_bfloat16(wanted):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = diagonal()
    finally:
        keras.config.set_dtype_policy("float32")
    close(summed(model), wanted, rtol=0.2)


class Fail(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("out of memory")


def test_the_optimizer_is_left_as_it_was(wanted):
    model = diagonal()
    optimizer = keras.optimizers.SGD(0.0)
    optimizer.build(model.trainable_variables)
    attributes = set(vars(optimizer))
    close(summed(model, optimizer), wanted)
    assert set(vars(optimizer)) == attributes
    with pytest.raises(RuntimeError, match="out of memory"):
        summed(model, optimizer, [Fail()])
    close(summed(model, optimizer), wanted)  # counted once, not twice
    assert set(vars(optimizer)) == attributes
    model.fit(X, Y, verbose=0)
    assert int(optimizer.iterations) == 3 * 3 + 1


def test_state_goes_round():
    model = diagonal()
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    one = TaylorSum(model, trained_masks(trace(model)))
    model.train_on_batch(X, Y)
    state = one.state()
    assert set(state) == {"taylor_a", "taylor_b", "taylor_steps"}
    assert state["taylor_steps"] == 1
    other = TaylorSum(model, trained_masks(trace(model)))
    assert not other.ready
    other.restore(state)
    assert other.ready
    close(other.scores(), one.scores())


@pytest.mark.parametrize("arguments", [{}, {"data": (X, Y)}])
def test_the_callback_masks_by_it(arguments):
    """Without data, from the second epoch on; weights do not change here."""
    model = diagonal(l1=0.1)
    wanted = scores.taylor(model, (X, Y), loss="mse", batch_size=20)
    plan = above_threshold(wanted, threshold=0.2)
    kept = sum(len(x.indices) for x in plan.bases.values())
    assert 2 < kept < 6
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    callback = L1Thresholding(0.2, score="taylor", **arguments)
    history = model.fit(
        *(X, Y),
        batch_size=20,
        epochs=1 if arguments else 2,
        callbacks=[callback],
        verbose=0,
    ).history
    assert history["kept_bases"] == ([kept] if arguments else [6, kept])
    assert Plan.from_masks(model) == plan


def test_the_callback_serves_two_fits():
    model = classifier(rate=0.1)
    callback = L1Thresholding(0.0, score="taylor", unit="step")
    for _ in range(2):
        model.fit(*UNIT_VECTORS, epochs=2, callbacks=[callback], verbose=0)
        assert "apply" not in vars(model.optimizer)
    assert masks(model) == {"a": "1111"}
