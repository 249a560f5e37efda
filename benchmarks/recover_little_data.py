"""Cuts a network on a few hundred unlabelled images, and trains it on the same ones.

MobileNet (alpha 0.25, 224 px, its own 1,000 classes) is cut to a share of its FLOPs
(`select_channels`, `compensate`) on half of the images, and judged on the other half:
divergence from the original, agreement with it, accuracy. For each draw, share and way
one line is appended to `--output`; lines that are there already are not made again.

    python -m benchmarks.pack_to_npz --pack=imagenet500_224.npz.xz --output=images.npz
    python -m benchmarks.recover_little_data --data=images.npz \\
        --weights=mobilenet_0.25_224_imagenet.weights.h5 --output=little_data.jsonl

Ways: `copies=8,ridge=0.03` fits on eight random crops of each image (0: the images
themselves) with that ridge; `+epochs=20,rate=1e-4` trains afterwards, on random crops
towards the original, `keep=0` without keeping the best weights.
"""

import functools
import json
import pathlib
import time

import keras
import numpy as np
from absl import app, flags

import keras_basisprune as kbp

_DATA = flags.DEFINE_string("data", None, "The .npz of images.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "The .weights.h5.", required=True)
_OUTPUT = flags.DEFINE_string("output", "little_data.jsonl", "Where results go.")
_KEEP = flags.DEFINE_list("keep", ["0.8"], "Shares of the FLOPs.")
_DRAWS = flags.DEFINE_integer("draws", 3, "How many times images are divided.")
_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width.")
_WAYS = flags.DEFINE_multi_string(
    "way",
    ["copies=0,ridge=0.01", "copies=0,ridge=0.1", "copies=8,ridge=0.1"],
    "What to do.",
)


def numbers(text) -> dict[str, float]:
    """Reads `name=number,name=number`."""
    pairs = (pair.split("=") for pair in text.split(",") if pair)
    return {name: float(number) for name, number in pairs}


def judged(model, original, images, labels) -> dict[str, float]:
    """Compares a network with the original, and with the labels."""
    found, wanted = (m.predict(images, verbose=0) for m in (model, original))
    logs = np.log(wanted + 1e-30) - np.log(found + 1e-30)
    classes = found.argmax(-1)
    return {
        "divergence": float((wanted * logs).sum(-1).mean()),
        "agreement": float((classes == wanted.argmax(-1)).mean()),
        "accuracy": float((classes == labels).mean()),
    }


def made(original, images, keep, way, seed):
    """Returns the network that a way makes of the original."""
    fit, _, training = way.partition("+")
    fit, training = numbers(fit), numbers(training)
    crops = functools.partial(kbp.data.random_crops, seed=None)
    plan = kbp.select_channels(original, keep=keep, data=images)
    data = images
    if copies := int(fit["copies"]):
        data = kbp.data.random_crops(images, copies=copies, seed=seed)
    small = kbp.compensate(original, plan, data, ridge=fit["ridge"], verbose=0)
    if training:
        config = kbp.Recovery(
            epochs=int(training["epochs"]),
            learning_rate=training["rate"],
            augment=crops,
            keep_best=bool(training.get("keep", 1)),
            seed=seed,
        )
        kbp.recover(small, images, teacher=original, config=config, verbose=2)
    return small


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    output, shape = pathlib.Path(_OUTPUT.value), (_SIZE.value, _SIZE.value, 3)
    lines = output.read_text("utf-8").splitlines() if output.exists() else []
    known = {tuple(json.loads(line)["what"]) for line in lines}
    with np.load(_DATA.value) as file:
        names = [name[2:] for name in file if name[:2] == "x_"]
        images = np.concatenate([file[f"x_{name}"] for name in names])
        labels = np.concatenate([file[f"y_{name}"] for name in names])
    images = keras.ops.image.resize(images.astype("float32"), shape[:2])
    images = keras.ops.convert_to_numpy(images) / 127.5 - 1
    original = keras.applications.MobileNet(shape, alpha=0.25, weights=None)
    original.load_weights(_WEIGHTS.value)
    for draw in range(_DRAWS.value):
        order = np.random.default_rng(draw).permutation(len(images))
        ours, others = np.split(order, 2)
        for keep, way in ((k, w) for k in _KEEP.value for w in _WAYS.value):
            what = [_SIZE.value, draw, keep, way]
            if tuple(what) in known:
                continue
            start = time.perf_counter()
            small = made(original, images[ours], float(keep), way, draw)
            found = {
                "what": what,
                "seconds": round(time.perf_counter() - start, 1),
                "others": judged(small, original, images[others], labels[others]),
                "fitted": judged(small, original, images[ours], labels[ours]),
            }
            line = json.dumps(found)
            print(line, flush=True)
            with output.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    app.run(main)
