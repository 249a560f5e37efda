"""The whole path on one backend; run by `backends_test.py` in a process of its own.

KERAS_BACKEND=jax python tests/backend_steps.py numbers.json
"""

import json
import pathlib
import sys
import tempfile

import keras
import numpy as np
from channel_gain import CHANNEL_GAIN
from channel_oracle import random_plan, zeroed
from contract import mask_half
from families import FAMILIES
from method_contract import tried_on_one_family_each
from models import (
    KINDS,
    array,
    identical,
    outputs,
    plain,
    randomize,
    relative_difference,
    sample,
)
from stacks import residual

import keras_basisprune as kbp

TABLE = {**kbp.methods.METHODS, CHANNEL_GAIN.name: CHANNEL_GAIN}  # one added
KINDS_TRIED = (
    "plain",
    "separable",
    "siamese",
    "channels_first",
    "mixed_bfloat16",
)


def layer_differences():
    """Largest differences of `BasisScalingConv` to NumPy, per data format and rank."""
    rng = np.random.default_rng(0)
    found = {}
    for data_format, axis in (("channels_last", -1), ("channels_first", 1)):
        for spatial in range(4):
            x = rng.standard_normal((2, *(5, 6, 7)[:spatial], 4)).astype("float32")
            layer = kbp.BasisScalingConv(3, activation="tanh", data_format=data_format)
            layer.build(np.moveaxis(x, -1, axis).shape)
            weights = [rng.standard_normal(v.shape) for v in layer.weights]
            layer.set_weights(weights)
            named = {v.name: w for v, w in zip(layer.weights, weights, strict=True)}
            y = (x * (named["scale"] * named["mask"])) @ named["kernel"] + named["bias"]
            result = array(layer(np.moveaxis(x, -1, axis)))
            result = np.moveaxis(result, axis, -1)
            found[f"{data_format} {spatial}"] = relative_difference(np.tanh(y), result)
    return found


def model_differences(kind):
    """Differences between the forms of one model, and whether what must is equal."""
    model = randomize(KINDS[kind]())
    x = sample(model)
    before, state = outputs(model, x), [array(v) for v in model.variables]
    flat, converted = kbp.graph.flatten(model), kbp.convert(model)
    found = {
        "flat": relative_difference(before, outputs(flat, x)),
        "converted": relative_difference(before, outputs(converted, x)),
    }
    mask_half(converted)
    masked, pruned = outputs(converted, x), kbp.prune(converted)
    folded = kbp.fold(pruned)
    found["pruned"] = relative_difference(masked, outputs(pruned, x))
    found["folded"] = relative_difference(masked, outputs(folded, x))
    same = identical(state, [array(v) for v in model.variables])
    same = same and relative_difference(before, outputs(model, x)) == 0.0
    return found, same


def data_differences(basis):
    """Of bases of data: at full rank, after folding, and what rank 4 loses."""
    model = residual()
    x, fresh = sample(model, batch=70), sample(model, seed=3, batch=20)
    before = outputs(model, fresh)
    full, small = (
        kbp.convert(model, rank, basis=basis, data=x, verbose=0) for rank in (None, 4)
    )
    after = outputs(small, fresh)
    return {
        "full": relative_difference(before, outputs(full, fresh)),
        "folded": relative_difference(after, outputs(kbp.fold(small), fresh)),
        "lost": relative_difference(before, after),
    }


def channel_differences():
    """Pruned channels against the oracle, and what criteria and compensation give."""
    model = randomize(residual())
    x = sample(model, batch=70)
    y = outputs(model, x)[0] * 0.5
    before, count = outputs(model, x), len(kbp.graph.channel_groups(model))
    plan = random_plan(model, seed=1)
    wanted = [array(zeroed(model, plan)(x))]
    pruned = kbp.prune(model, plan)
    found = kbp.compensate(model, plan, x, verbose=0)
    scores = {
        "taylor": kbp.scores.channels.taylor(model, (x, y), loss="mse"),
        "activation": kbp.scores.channels.activation(model, x),
        "compensated": kbp.scores.channels.compensated(model, x),
    }
    return {
        "oracle": relative_difference(wanted, outputs(pruned, x)),
        "pruned": float(np.mean((before[0] - outputs(pruned, x)[0]) ** 2)),
        "compensated": float(np.mean((before[0] - outputs(found, x)[0]) ** 2)),
        "scores": {
            name: [len(s) == count, float(s[np.isfinite(s)].sum())]
            for name, s in scores.items()
        },
    }


def saved_difference():
    model = randomize(plain())
    converted, x = kbp.convert(model), sample(model)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        converted.save(path)
        loaded = keras.saving.load_model(path)
        return relative_difference(outputs(converted, x), outputs(loaded, x))


def taylor_difference():
    """The Taylor score of a linear model with a squared loss, against NumPy."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(4, name="dense")(inputs))
    converted = kbp.convert(randomize(model), include="dense")
    _, basis, scaling = converted.layers
    scale = rng.uniform(0.5, 1.5, 4)
    scaling.scale.assign(scale)
    x, y = rng.standard_normal((8, 6)), rng.standard_normal((8, 4))
    features = x @ array(basis.kernel).astype("float64")
    kernel = array(scaling.kernel).astype("float64")
    errors = (features * scale) @ kernel + array(scaling.bias) - y
    gradient = (2.0 / errors.size) * np.sum(features * (errors @ kernel.T), axis=0)
    data = (x.astype("float32"), y.astype("float32"))
    scores = kbp.scores.taylor(converted, data, loss="mse", batch_size=8)["dense"]
    return relative_difference((scale * gradient) ** 2, scores)


def training():
    """One epoch per score; the original trains beside its converted model."""
    model = randomize(plain())
    converted = kbp.convert(model, l1=1e-4)
    x = sample(model, batch=32)
    y = np.random.default_rng(1).integers(0, 4, 32)
    before = outputs(model, x)
    found = {"kept": [sum(len(p) for p in masks(converted))], "losses": []}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for score, data in (("magnitude", None), ("taylor", (x, y))):
        callback = kbp.L1Thresholding(0.7, score=score, data=data)
        converted.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
        history = converted.fit(
            x, y, batch_size=8, epochs=1, verbose=0, callbacks=[callback]
        ).history
        found["kept"].append(int(sum(p.sum() for p in masks(converted))))
        assert history["kept_bases"] == [found["kept"][-1]]
        found["losses"].append(history["loss"][0])
    found["original"] = relative_difference(before, outputs(model, x))
    trained = outputs(converted, x)
    pruned = kbp.prune(converted)
    folded = kbp.fold(pruned)
    found["pruned"] = relative_difference(trained, outputs(pruned, x))
    found["folded"] = relative_difference(trained, outputs(folded, x))
    for other in (model, pruned, folded):  # no model may take another's weights along
        other.compile(keras.optimizers.SGD(1e-3), loss)
        other.fit(x, y, epochs=1, verbose=0)
    found["converted"] = relative_difference(trained, outputs(converted, x))
    found["folded only"] = all(
        type(layer).__module__.startswith("keras.") for layer in folded.layers
    )
    return found


def fixed_batch_differences():
    """A model that is bound to its batch size, against one that is not."""
    models = []
    for size in (4, None):
        inputs = keras.Input(batch_shape=(size, 6, 6, 2))
        x = keras.layers.Conv2D(6, 3, name="first")(inputs)
        x = keras.layers.Conv2D(4, 3, name="second")(x)
        x = keras.ops.reshape(x, (size or -1, 16))
        outputs_of = keras.layers.Dense(3, "softmax", name="head")(x)
        models.append(keras.Model(inputs, outputs_of))
    bound, free = models
    free.set_weights(randomize(bound).get_weights())
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((9, 6, 6, 2)).astype("float32"), np.arange(9) % 3
    plan = kbp.select_channels(
        free, scores=kbp.scores.channels.l2_norm(free), keep=0.6, scope="global"
    )
    loss = "sparse_categorical_crossentropy"
    data, taylor = (x[:8], y[:8]), kbp.scores.channels.taylor
    return {
        "accuracy": abs(
            kbp.measure.accuracy(bound, (x, y)) - kbp.measure.accuracy(free, (x, y))
        ),
        "compensate": relative_difference(
            outputs(kbp.compensate(free, plan, x[:8], verbose=0), x[:4]),
            outputs(kbp.compensate(bound, plan, x[:8], verbose=0), x[:4]),
        ),
        "taylor": relative_difference(
            finite(taylor(free, data, loss=loss, batch_size=4)),
            finite(taylor(bound, data, loss=loss)),
        ),
    }


def finite(scores):
    return [scores[np.isfinite(scores)]]


def masks(model):
    return [
        array(layer.mask)
        for layer in model.layers
        if isinstance(layer, kbp.BasisScalingConv)
    ]


def main(path):
    keras.utils.set_random_seed(0)
    numbers = {
        "backend": keras.backend.backend(),
        "layer": layer_differences(),
        "models": {kind: model_differences(kind) for kind in KINDS_TRIED},
        "data": {b: data_differences(b) for b in ("activations", "regression")},
        "channels": channel_differences(),
        "fixed batch": fixed_batch_differences(),
        "methods": tried_on_one_family_each(TABLE, FAMILIES),
        "saved": saved_difference(),
        "taylor": taylor_difference(),
        "training": training(),
    }
    pathlib.Path(path).write_text(json.dumps(numbers), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
