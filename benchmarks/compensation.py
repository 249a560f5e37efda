"""Compares compensation with pruning by L1 norm and retraining: time, data, accuracy.

    python -m benchmarks.compensation --model=baseline.keras --data=eurosat.npz \\
        --keep=0.75,0.5,0.25 --epochs=10

The claims of compensation-aware pruning (CaP, arXiv:2108.13728) are 95 % less time and
90 % less data, at equal or better accuracy. At each share of the FLOPs:

- *L1 norm*: channels are removed by the L1 norm of their filters, each layer loses the
  same share; all weights are trained again on all training images with labels.
- *L1 norm, recalibrated*, *L1 norm, compensated*: the same channels are removed;
  statistics of BatchNormalization are recomputed, or kernels are corrected, on a tenth
  of the images, without labels. Nothing is trained.
- *compensated*: the channels that the others can best replace are removed, and kernels
  are corrected, on the same tenth.
- *CaP's search*: the number of channels of each layer is found by the agreement of the
  network with the original (`methods.compensation_aware`); kernels are corrected, on
  the same tenth.

Prints a Markdown table: test accuracy, and seconds from the original to the result.
"""

import logging
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

_MODEL = flags.DEFINE_string("model", None, "A .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_KEEP = flags.DEFINE_list("keep", ["0.75", "0.5", "0.25"], "Shares of the FLOPs.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Epochs of training again; 0: none.")
_RATE = flags.DEFINE_float("rate", 1e-3, "Initial rate of Adam in these.")
_SHARE = flags.DEFINE_float("share", 0.1, "Share of the images for compensation.")


def by_norm(model, keep):
    """Returns the plan by L1 norm, with the same share of each layer."""
    scores = kbp.scores.channels.l1_norm(model, aggregate="mean", normalize="mean")
    return kbp.select_channels(model, scores=scores, keep=keep)


def trained(model, train):
    """Trains all weights for some epochs on all images."""
    keras.utils.set_random_seed(0)
    steps = _EPOCHS.value * -(-len(train[0]) // 32)
    rate = keras.optimizers.schedules.CosineDecay(_RATE.value, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(*train, epochs=_EPOCHS.value, batch_size=32, verbose=0)
    return model


def ways(model, train, keep):
    """Returns the rows: names, numbers of images, functions that make networks."""
    few = train[0][: int(_SHARE.value * len(train[0]))]

    def compensated():
        scores = kbp.scores.channels.compensated(model, few)
        plan = kbp.select_channels(model, scores=scores, keep=keep)
        return kbp.compensate(model, plan, few, verbose=0)

    def searched():
        plan = kbp.methods.compensation_aware(
            model,
            few,
            keep=keep,
            config=kbp.methods.StructuralSearch(held_out=0.0),  # as in docs/results.md
            verbose=0,
        )
        return kbp.compensate(model, plan, few, verbose=0)

    def recalibrated():
        return kbp.surgery.recalibrate(
            kbp.prune(model, by_norm(model, keep)), few, verbose=0
        )

    def corrected():
        return kbp.compensate(model, by_norm(model, keep), few, verbose=0)

    def again():
        return trained(kbp.prune(model, by_norm(model, keep)), train)

    found = [
        ("L1 norm, recalibrated", len(few), recalibrated),
        ("L1 norm, compensated", len(few), corrected),
        ("compensated", len(few), compensated),
        ("CaP's search", len(few), searched),
    ]
    if _EPOCHS.value:
        name = f"L1 norm, {_EPOCHS.value} epochs with labels"
        found.append((name, len(train[0]), again))
    return found


def main(_):
    logging.getLogger("tensorflow").setLevel("ERROR")  # quiet compiling
    model = keras.models.load_model(_MODEL.value)
    size, channels = model.input_shape[1], model.input_shape[-1]
    data = kbp.load_data(_DATA.value, image_size=size, channels=channels)
    order = np.random.default_rng(0).permutation(len(data.train[0]))
    train = tuple(part[order] for part in data.train)
    print(f"{data}\nbaseline: {kbp.measure.accuracy(model, data.test):.4f}")
    before = kbp.measure.cost(model)
    print("| FLOPs | how | images | parameters | test accuracy | seconds |")
    print("|---:|---|---:|---:|---:|---:|", flush=True)
    for keep in map(float, _KEEP.value):
        for name, count, make in ways(model, train, keep):
            start = time.time()
            small = make()
            seconds, after = time.time() - start, kbp.measure.cost(small)
            print(
                f"| {after.flops / before.flops:.1%} | {name} | {count:,} | "
                f"{after.params / before.params:.1%} | "
                f"{kbp.measure.accuracy(small, data.test):.4f} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
