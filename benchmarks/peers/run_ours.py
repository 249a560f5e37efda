"""Compresses with this package to shares of the FLOPs, and trains the results.

    python -m benchmarks.peers.run_ours --network=vgg --model=vgg.keras \\
        --data=cifar10.npz --recovery=4000 --output=rows.json
    python -m benchmarks.peers.run_ours --network=vgg --model=vgg.keras \\
        --data=cifar10.npz --recovery=4000 --output=rows.json \\
        --criteria=l2,l2+compensate,bn_scale --shares=0.5,0.25
"""

import functools
import time

import keras
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.peers import common

_NETWORK = flags.DEFINE_enum(
    "network", None, ["mobilenet", "resnet56", "vgg"], "", required=True
)
_MODEL = flags.DEFINE_string("model", None, "The .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "The .npz of the data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON of rows to add to.", required=True)
_RECOVERY = flags.DEFINE_integer("recovery", None, "Training images, all if not set.")
_TRAIN = flags.DEFINE_bool("train", True, "Whether to train the results.")
_SHARES = flags.DEFINE_list("shares", ["0.5", "0.25", "0.1"], "FLOPs to keep.")
_CRITERIA = flags.DEFINE_list(
    "criteria",
    ["regression"],
    "regression: bases. Channels: the same share of every layer by the L2 norm of "
    "filters (l2); ranked over all layers by BatchNorm scales (bn_scale), taylor, or "
    "the loss that remains after compensation (compensated). With +compensate, any of "
    "these compensates before the training.",
)
_GRADIENTS = flags.DEFINE_integer("gradients", 256, "Images for taylor.")


def recover(model: keras.Model, train) -> None:
    """Trains all weights by the recipe of the comparison."""
    x, y = train
    model.trainable = True
    steps = common.EPOCHS * -(-len(x) // common.BATCH)
    rate = keras.optimizers.schedules.CosineDecay(common.RATE, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    for order in common.orders(len(x)):
        model.fit(x[order], y[order], common.BATCH, shuffle=False, verbose=0)


def after_recovery(model: keras.Model, train, test) -> float | None:
    if not _TRAIN.value:
        return None
    recover(model, train)
    return kbp.measure.accuracy(kbp.fold(model), test)


def bases(model: keras.Model, converted, keep: float, train, test) -> dict:
    """Returns a row's figures for fewer bases, by regression."""
    images = train[0][: common.IMAGES]
    start = time.time()
    small = model
    if keep < 1:
        plan = kbp.select_bases(converted, keep=keep, cost="flops")
        small = kbp.convert(model, plan, basis="regression", data=images, verbose=0)
    seconds = time.time() - start
    before = kbp.measure.accuracy(kbp.fold(small), test)
    small = kbp.fold(small, batch_norm=False)
    return dict(
        method="keras_basisprune" if keep < 1 else "Keras",
        criterion="regression" if keep < 1 else "none",
        **_shares(small, model),
        before=before,
        after=after_recovery(small, train, test),
        compress_seconds=seconds,
    )


def channels(model: keras.Model, how: str, keep: float, train, test) -> dict:
    """Returns a row's figures for channels by `criterion[+compensate]`."""
    images = train[0][: common.IMAGES]
    criterion, _, then = how.partition("+")
    select = functools.partial(plan_of, model, criterion, keep, train)
    repeats = common.REPEATS if criterion in ("l2", "bn_scale") else 1
    plan, select_seconds = common.timed(select, repeats)
    small, seconds = common.timed(lambda: kbp.prune(model, plan), common.REPEATS)
    figures = dict(
        method="keras_basisprune",
        criterion=how,
        **_shares(small, model),
        before=kbp.measure.accuracy(small, test),
        new_statistics=kbp.measure.accuracy(
            kbp.surgery.recalibrate(small, images, verbose=0), test
        ),
        select_seconds=list(select_seconds),
        surgery_seconds=list(seconds),
    )
    if then:
        compensate = functools.partial(kbp.compensate, model, plan, images, verbose=0)
        small, seconds = common.timed(compensate, 1)
        figures["compensated"] = kbp.measure.accuracy(small, test)
        figures["compensate_seconds"] = list(seconds)
    return figures | dict(after=after_recovery(small, train, test))


def plan_of(model: keras.Model, criterion: str, keep: float, train) -> kbp.Plan:
    """Scores channels by a criterion, and selects."""
    known = kbp.scores.channels
    if criterion == "l2":
        scores = known.l2_norm(model, aggregate="mean", normalize="mean")
        return kbp.select_channels(model, scores=scores, keep=keep)
    if criterion == "bn_scale":
        scores = known.bn_scale(model, aggregate="mean", normalize="mean")
    elif criterion == "taylor":
        chosen = train[0][: _GRADIENTS.value], train[1][: _GRADIENTS.value]
        scores = known.taylor(model, chosen, loss="sparse_categorical_crossentropy")
    else:
        scores = known.compensated(model, train[0][: common.IMAGES])
    return kbp.select_channels(model, scores=scores, keep=keep, scope="global")


def _shares(small: keras.Model, model: keras.Model) -> dict:
    cost, full = kbp.measure.cost(small), kbp.measure.cost(model)
    return dict(flops=cost.flops / full.flops, params=cost.params / full.params)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    train, test = common.load(_DATA.value, _RECOVERY.value)
    model = keras.saving.load_model(_MODEL.value)
    if "regression" in _CRITERIA.value:
        converted = kbp.convert(model, data=train[0][: common.IMAGES], verbose=0)
    for criterion in _CRITERIA.value:
        for keep in map(float, _SHARES.value):
            keras.utils.set_random_seed(0)
            start = time.time()
            if criterion == "regression":
                row = bases(model, converted, keep, train, test)
            else:
                row = channels(model, criterion, keep, train, test)
            common.add_row(
                _OUTPUT.value,
                network=_NETWORK.value,
                wanted=keep,
                **row,
                seconds=time.time() - start,
            )


if __name__ == "__main__":
    app.run(main)
