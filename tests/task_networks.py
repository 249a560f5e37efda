"""Networks for deltas: subclassed ones, and a stand-in for training."""

import keras
import numpy as np
from families import FAMILIES
from keras import layers
from models import array, identical, randomize

import keras_basisprune as kbp
from keras_basisprune.methods.diff_pruning._copied import copied
from keras_basisprune.methods.diff_pruning._task_weights import task_weights


@keras.saving.register_keras_serializable("task_networks")
class Subclassed(keras.Model):
    """A classifier whose layers can't be read: a loop, a list, a shared layer."""

    def __init__(self, width=6, classes=4, **kwargs):
        super().__init__(**kwargs)
        self.width, self.classes = width, classes
        self.blocks = [layers.Conv2D(width, 3, padding="same") for _ in range(2)]
        self.shared_norm = layers.BatchNormalization()
        self.dropout = layers.Dropout(0.2, seed=1)
        self.head = layers.Dense(classes, activation="softmax", name="head")

    def call(self, x, training=None):
        for block in self.blocks:
            x = keras.ops.relu(self.shared_norm(block(x), training=training))
        x = self.dropout(keras.ops.mean(x, axis=(1, 2)), training=training)
        return self.head(x)

    def get_config(self):
        config = {"width": self.width, "classes": self.classes}
        return {**super().get_config(), **config}


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 6, 6, 3), "float32"))
    return randomize(model)


class Scaled(layers.Layer):
    """A layer with a weight that isn't trained, an integer, and one of bfloat16."""

    def build(self, shape):
        self.offset = self.add_weight(shape[-1:], "zeros", trainable=False)
        self.steps = self.add_weight((), "zeros", dtype="int32", trainable=False)
        self.factor = self.add_weight(shape[-1:], "ones", dtype="bfloat16")

    def call(self, x, training=None):
        if training:
            self.steps.assign(self.steps.value + 1)
            mean = keras.ops.mean(x, axis=(0, 1, 2))
            self.offset.assign(0.9 * self.offset.value + 0.1 * mean)
        return (x - self.offset) * keras.ops.cast(self.factor.value, x.dtype)


def custom():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(6, 3, name="conv")(x)
    x = Scaled(name="scaled")(x)
    x = layers.GlobalAveragePooling2D()(keras.ops.relu(x))
    return randomize(keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x)))


def made_delta(model, head=None, share=0.1, seed=0):
    """A delta with random values, made of the model and of a network for a task.

    It changes a share of each weight that trains, to other bits (the sign of zeros,
    too), half of the weights that don't, and all of the head.

    Returns:
        The `TaskDelta`, and the values of all variables of the network for the task.
        The model is as it was.
    """
    rng, before = np.random.default_rng(seed), state(model)
    tuned = copied(model)
    for weight in task_weights(tuned, head).head:
        weight.assign(rng.standard_normal(weight.shape))
    for number, weight in enumerate(task_weights(tuned, head).base):
        value = array(weight)
        if not keras.backend.is_float_dtype(weight.dtype):
            weight.assign(value + 1)
            continue
        flat = value.reshape(-1)
        chosen = rng.random(flat.size) < share
        if not weight.trainable:
            chosen[:] = number % 2
        drawn = rng.standard_normal(int(chosen.sum()))
        # Variances are not negative.
        flat[chosen] = np.where(weight.trainable, drawn, np.abs(drawn))
        weight.assign(value)
    delta = kbp.TaskDelta.between(model, tuned, head=head)
    assert identical(before, state(model))
    return delta, state(tuned)


def fixed():
    """A network with the same weights on every backend."""
    model, rng = FAMILIES["residual"](), np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.3, weight.shape).astype("float32"))
    return model


def state(model):
    """The values of all variables, random seeds included."""
    return [array(v) for v in model.variables]
