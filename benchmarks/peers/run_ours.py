"""Compresses with this package to shares of the FLOPs, and trains what is left.

    python -m benchmarks.peers.run_ours --network=vgg --model=vgg.keras \\
        --data=cifar10.npz --recovery=4000 --output=rows.json
"""

import time

import keras
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.peers import common

_NETWORK = flags.DEFINE_enum("network", None, ["mobilenet", "vgg"], "", required=True)
_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "The .npz of the data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON of rows to add to.", required=True)
_RECOVERY = flags.DEFINE_integer("recovery", None, "Training images, all if not set.")
_SHARES = flags.DEFINE_list("shares", ["0.5", "0.25", "0.1"], "FLOPs to keep.")


def recover(model: keras.Model, train) -> None:
    """Trains all weights by the recipe of the comparison."""
    x, y = train
    model.trainable = True
    steps = common.EPOCHS * -(-len(x) // common.BATCH)
    rate = keras.optimizers.schedules.CosineDecay(common.RATE, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    for order in common.orders(len(x)):
        model.fit(x[order], y[order], common.BATCH, shuffle=False, verbose=0)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    train, test = common.load(_DATA.value, _RECOVERY.value)
    images = train[0][: common.IMAGES]
    model = keras.saving.load_model(_MODEL.value)
    full = kbp.cost(model)
    converted = kbp.convert(model, data=images, verbose=0)
    for keep in map(float, _SHARES.value):
        keras.utils.set_random_seed(0)
        start = time.time()
        small = model
        if keep < 1:
            plan = kbp.allocate(converted, keep, cost="flops", of="model")
            small = kbp.convert(model, plan, "regression", data=images, verbose=0)
        seconds = time.time() - start
        before = kbp.accuracy(kbp.fold(small), test)
        small = kbp.fold(small, batch_norm=False)
        start = time.time()
        recover(small, train)
        cost = kbp.cost(small)
        common.add_row(
            _OUTPUT.value,
            network=_NETWORK.value,
            method="keras_basisprune" if keep < 1 else "Keras",
            criterion="regression" if keep < 1 else "none",
            wanted=keep,
            flops=cost.flops / full.flops,
            params=cost.params / full.params,
            before=before,
            after=kbp.accuracy(kbp.fold(small), test),
            compress_seconds=seconds,
            seconds=time.time() - start,
        )


if __name__ == "__main__":
    app.run(main)
