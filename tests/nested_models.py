"""Models of nested models: side by side, shared, one in the other, with shortcuts.

No two of their layers share a name, so that a plan for one is a plan for it flattened.
"""

import keras
from keras import layers, ops
from models import randomize

SHAPE = (10, 10, 3)


def encoder(name, depth=3, width=8, cin=3, norm=False, separable=False):
    """A nested model of some convolutions, each wider than the last."""
    x = inputs = keras.Input((*SHAPE[:2], cin))
    for number in range(depth):
        kind = layers.SeparableConv2D if separable and number else layers.Conv2D
        own = {"padding": "same", "use_bias": not norm, "name": f"{name}_{number}"}
        x = kind(width + number, 3, **own)(x)
        if norm:
            x = layers.BatchNormalization(name=f"{name}_{number}_bn")(x)
        x = layers.ReLU(name=f"{name}_{number}_relu")(x)
    return keras.Model(inputs, x, name=name)


def headed(inputs, x):
    x = layers.Conv2D(6, 3, activation="relu", name="head")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return randomize(keras.Model(inputs, layers.Dense(3, name="top")(x)))


def side_by_side(**arguments):
    inputs = keras.Input(SHAPE)
    parts = [encoder(name, **arguments)(inputs) for name in ("left", "right")]
    return headed(inputs, layers.Concatenate(name="both")(parts))


def shared(**arguments):
    """An encoder that is called on two inputs, and on one of them turned."""
    one, two = keras.Input(SHAPE, name="one"), keras.Input(SHAPE, name="two")
    both = encoder("both", **arguments)
    parts = [both(two), both(one), both(ops.flip(2 * one, axis=1))]
    return headed([one, two], layers.Concatenate(name="joined")(parts))


def one_in_the_other():
    """Two branches of unequal depth in a nested model, beside a Sequential one."""
    x = inner_inputs = keras.Input(SHAPE)
    parts = [
        encoder("deep", norm=True)(x),
        encoder("flat", depth=1, width=10)(x),
    ]
    inner = keras.Model(inner_inputs, layers.Add(name="sum")(parts), name="inner")
    stack = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(7, 3, padding="same", activation="relu", name="first"),
            layers.BatchNormalization(name="first_bn"),
            layers.Conv2D(9, 3, padding="same", name="second"),
        ],
        name="stack",
    )
    inputs = keras.Input(SHAPE)
    return headed(
        inputs, layers.Concatenate(name="all")([stack(inputs), inner(inputs)])
    )


def around_a_nested_model():
    """A shortcut around a nested model, an input and outputs in dicts."""
    inputs = {
        "image": keras.Input(SHAPE, name="image"),
        "a": keras.Input((4,), name="a"),
    }
    x = layers.Conv2D(9, 3, padding="same", name="stem")(inputs["image"])
    x = x + encoder("branch", depth=2, cin=9, norm=True)(x)
    scale = layers.Dense(9, activation="sigmoid", name="scale")(inputs["a"])
    y = x * layers.Reshape((1, 1, 9), name="as_map")(scale)
    made = {"map": layers.Conv2D(3, 1, name="map")(y), "mean": ops.mean(x, axis=(1, 2))}
    return randomize(keras.Model(inputs, made))


def with_an_unread_output():
    """A nested model, one output of which nobody reads."""
    x = inner_inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, activation="relu", name="trunk")(x)
    unread = layers.Conv2D(7, 3, name="unread")(x)
    unread = layers.BatchNormalization(name="unread_bn")(unread)
    read = layers.Conv2D(6, 3, name="read")(x)
    inner = keras.Model(inner_inputs, [unread, read], name="inner")
    inputs = keras.Input(SHAPE)
    return headed(inputs, inner(inputs)[1])


NESTED = {
    "side by side": side_by_side,
    "with BatchNormalization": lambda: side_by_side(norm=True),
    "shared": shared,
    "shared, with BatchNormalization": lambda: shared(norm=True),
    "shared, separable": lambda: shared(separable=True),
    "one in the other": one_in_the_other,
    "around a nested model": around_a_nested_model,
    "with an unread output": with_an_unread_output,
}
