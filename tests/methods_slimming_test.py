import keras
import numpy as np
import pytest
from keras import layers
from models import (
    array,
    identical,
    outputs,
    randomize,
    relative_difference,
    sample,
)
from small_channels import LOSS, images, small

import keras_basisprune as kbp
from keras_basisprune.layers import SlimmingRegularizer
from keras_basisprune.methods import slimming


def norms(model):
    return [x for x in model.layers if isinstance(x, layers.BatchNormalization)]


def test_equals_the_original_and_adds_the_factors_to_the_loss():
    model = small()
    model.get_layer("a_bn").gamma.assign([-2.0, 0.5, 1.0])
    slim = slimming(model, l1=0.01)
    x, _ = images(4)
    assert identical(outputs(model, x), outputs(slim, x))
    assert identical(model.get_weights(), slim.get_weights())
    factors = [np.abs(array(layer.gamma)).sum() for layer in norms(model)]
    assert len(factors) == 2
    np.testing.assert_allclose(float(sum(slim.losses)), 0.01 * sum(factors), rtol=1e-6)


def test_the_given_model_is_not_changed():
    model = small()
    slim = slimming(model, l1=1e-3)
    assert model.losses == []
    assert all(layer.gamma_regularizer is None for layer in norms(model))
    slim.get_layer("a_bn").gamma.assign(np.zeros(3))
    assert array(model.get_layer("a_bn").gamma).all()


def test_training_shrinks_the_factors_that_bn_scale_then_reads():
    model = small()
    x, y = images(16)
    plain = slimming(model, l1=1e-9)
    slim = slimming(model, l1=0.5)
    found = []
    for trained in (plain, slim):
        trained.compile(keras.optimizers.SGD(0.02), LOSS)
        trained.fit(x, y, batch_size=4, epochs=5, verbose=0, shuffle=False)
        scores = kbp.scores.channels.bn_scale(trained)
        found.append(scores[np.isfinite(scores)].sum())
    assert found[1] < 0.8 * found[0]


def test_what_stays_is_not_regularized():
    """Channels of the output can't leave; what a layer has else is kept."""
    x = inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(3, 1)(x)
    x = layers.BatchNormalization(
        epsilon=0.1, name="inside", gamma_regularizer=keras.regularizers.L2(1.0)
    )(x)
    x = layers.BatchNormalization(scale=False, name="without")(x)
    x = layers.BatchNormalization(name="last")(layers.Conv2D(2, 1)(x))
    slim = slimming(randomize(keras.Model(inputs, x)), l1=0.25)
    inside = slim.get_layer("inside")
    assert isinstance(inside.gamma_regularizer, keras.regularizers.L1)
    assert float(inside.gamma_regularizer.l1) == 0.25
    assert inside.epsilon == 0.1
    assert slim.get_layer("without").gamma_regularizer is None
    assert slim.get_layer("last").gamma_regularizer is None


def preactivated():
    """BatchNormalization that can't be folded, one with a regularizer of its own."""
    x = inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(4, 1, name="a")(x)
    own = keras.regularizers.L2(0.5)
    for name, regularizer in (("first", own), ("second", None)):
        x = layers.ReLU()(x)
        x = layers.BatchNormalization(gamma_regularizer=regularizer, name=name)(x)
        x = layers.Conv2D(4, 1, activation="relu", name=f"{name}_conv")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(3, name="head")(x)))


def regularizers(model):
    return [layer.gamma_regularizer for layer in norms(model)]


@pytest.mark.parametrize("way", ["folded", "pruned and folded", "by the row", "loaded"])
def test_the_former_regularizers_come_back(way, tmp_path):
    model = preactivated()
    slim = slimming(model, l1=0.25)
    assert [type(found) for found in regularizers(slim)] == [SlimmingRegularizer] * 2
    if way == "loaded":
        slim.save(tmp_path / "slim.keras")
        slim = keras.saving.load_model(tmp_path / "slim.keras")
    row = kbp.methods.METHODS["slimming"]
    plan = kbp.Plan(channels={"a": kbp.plans.Kept((0, 2), 4)})
    made = {
        "folded": lambda: kbp.fold(slim),
        "pruned and folded": lambda: kbp.fold(kbp.prune(slim, plan)),
        "by the row": lambda: row.carry_out(slim, plan),
        "loaded": lambda: kbp.fold(row.carry_out(slim, plan)),
    }[way]()
    first, second = regularizers(made)
    assert type(first) is keras.regularizers.L2
    assert second is None
    own = 0.5 * (array(made.get_layer("first").gamma) ** 2).sum()
    np.testing.assert_allclose(float(sum(made.losses)), own, rtol=1e-6)
    x = sample(model)
    whole = kbp.prune(slim, plan) if way != "folded" else slim
    assert relative_difference(outputs(whole, x), outputs(made, x)) <= 1e-6


def test_nested_and_shared():
    norm = layers.BatchNormalization(name="bn")
    conv = layers.Conv2D(3, 1, name="conv")
    inner = keras.Sequential([keras.Input((4, 4, 2)), conv, norm], name="inner")
    a, b = keras.Input((4, 4, 2)), keras.Input((4, 4, 2))
    x = layers.Add()([inner(a), inner(b)])
    model = keras.Model([a, b], layers.Conv2D(2, 1)(x))
    slim = slimming(randomize(model), l1=0.1)
    x = sample(model)
    assert identical(outputs(model, x), outputs(slim, x))
    np.testing.assert_allclose(
        float(sum(slim.losses)), 0.1 * np.abs(array(norm.gamma)).sum(), rtol=1e-6
    )


@pytest.mark.parametrize("l1", [0, -1.0, np.nan, np.inf, "1e-4", None, True])
def test_refuses_a_bad_strength(l1):
    with pytest.raises(ValueError, match="Expected `l1` to be a finite number > 0"):
        slimming(small(), l1=l1)


def test_refuses_a_model_without_batch_normalization():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="plain")
    with pytest.raises(ValueError, match="model='plain', which has none"):
        slimming(model, l1=1e-4)
    pinned = keras.Sequential([keras.Input((3,)), layers.BatchNormalization()])
    with pytest.raises(ValueError, match="on channels that may be removed"):
        slimming(pinned, l1=1e-4)
