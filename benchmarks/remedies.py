"""Cuts and trains a network to given shares with given options, for hard cases.

    python -m benchmarks.remedies --model=eurosat.keras --data=eurosat.npz \\
        --keep=0.3,0.1 --epochs=20 --flip=horizontal_and_vertical

`compress` looks for the smallest network; this makes one network of a given size, with
the same functions, and prints its accuracy. With several shares it is cut to the first,
trained, cut to the next, trained. No label is used, unless with `--nodistill`.
"""

import dataclasses
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp
from benchmarks.augment_flags import augment
from keras_basisprune.methods import METHODS
from keras_basisprune.search.augmented import augmented
from keras_basisprune.search.cutter import CutOptions, Cutter

_MODEL = flags.DEFINE_string("model", None, "A trained .keras file.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in load_data.", required=True)
_KEEP = flags.DEFINE_list("keep", ["0.1"], "Shares to keep of the original.")
_METHODS = flags.DEFINE_list("methods", ["double_pruning"], "One for each cut.")
_COUNTED = flags.DEFINE_enum("counted", "flops", ["flops", "params"], "Shares of what.")
_SAMPLES = flags.DEFINE_integer("samples", 1000, "Images that networks are fitted on.")
_AUGMENT_FIT = flags.DEFINE_bool("augment_fit", False, "Fit on changed images.")
_EPOCHS = flags.DEFINE_list("epochs", ["10"], "Epochs after each cut; 0: none.")
_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Initial learning rate of Adam.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images per step.")
_TEMPERATURE = flags.DEFINE_float("temperature", 1.0, "Of distillation.")
_DISTILL = flags.DEFINE_bool("distill", True, "Towards the original, not labels.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_OUTPUT = flags.DEFINE_string("output", None, "A .keras file for the newest network.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    keras.utils.set_random_seed(_SEED.value)
    original = kbp.fold(keras.models.load_model(_MODEL.value), batch_norm=False)
    data = kbp.load_data(
        _DATA.value,
        image_size=original.input_shape[1:3],
        channels=original.input_shape[3],
        seed=0,
    )
    order = np.random.default_rng(_SEED.value).permutation(len(data.train[0]))
    images = data.train[0][np.sort(order[: _SAMPLES.value])]
    whole = kbp.measure.cost(original)
    print(f"original: {_scores(original, data)}", flush=True)
    network, options = original, CutOptions(_COUNTED.value)
    stages = zip(
        map(float, _KEEP.value),
        _for_all(_METHODS.value),
        _for_all(map(int, _EPOCHS.value)),
        strict=True,
    )
    config = kbp.Recovery(
        learning_rate=_RATE.value,
        batch_size=_BATCH.value,
        augment=augment(),
        temperature=_TEMPERATURE.value,
        seed=_SEED.value,
    )
    if _AUGMENT_FIT.value:
        images = augmented(images, config)
    for number, (keep, name, count) in enumerate(stages):
        start, done = time.time(), getattr(kbp.measure.cost(network), _COUNTED.value)
        share = keep * getattr(whole, _COUNTED.value) / done
        cut = Cutter(network, images, options).cut(share, METHODS[name])
        if cut is None:
            raise SystemExit(
                f"{keep} can't be reached by {name}: what was cut by bases before can "
                "only be cut by channels again "
                "(--methods=double_pruning,compensated_channels)."
            )
        network = kbp.fold(cut.network, batch_norm=False)
        fitted, small = time.time(), kbp.measure.cost(kbp.fold(network))
        print(
            f"{1 - small.params / whole.params:.1%} of the parameters and "
            f"{1 - small.flops / whole.flops:.1%} of the FLOPs removed: "
            f"{_scores(network, data)}; {fitted - start:.0f} s",
            flush=True,
        )
        _save(network)
        if not count:
            continue
        begin = time.time()
        kbp.recover(
            network,
            data.train,
            teacher=original if _DISTILL.value else None,
            config=dataclasses.replace(config, epochs=count, seed=config.seed + number),
            verbose=2,
        )
        print(
            f"{count} epochs: {_scores(network, data)}; {time.time() - begin:.0f} s",
            flush=True,
        )
        _save(network)


def _save(network):
    """Writes the current network, with BatchNormalization, so it can be cut again."""
    if _OUTPUT.value:
        network.save(_OUTPUT.value)


def _for_all(values) -> list:
    """Returns a value for each cut; the last one is used for the rest."""
    values = list(values)
    return values + values[-1:] * (len(_KEEP.value) - len(values))


def _scores(network, data) -> str:
    found = {
        "validation": kbp.measure.accuracy(network, data.validation),
        "test": kbp.measure.accuracy(network, data.test),
    }
    return ", ".join(f"{name} {score:.4f}" for name, score in found.items())


if __name__ == "__main__":
    app.run(main)
