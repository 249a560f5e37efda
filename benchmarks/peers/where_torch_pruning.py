"""Prunes with Torch-Pruning for the table of `benchmarks.where_to_cut`.

    python -m benchmarks.peers.where_torch_pruning --graph=graph.npz --data=some.npz \\
        --range=-1,1 --fit=250 --output_dir=where

The same network (`export_graph`), images and shares of the FLOPs as there. *taylor*
(`GroupTaylorImportance`, gradients of the fitted images with **their labels**, taken
anew at each share) and *bn_scale* (`BNScaleImportance`), both ranked over all layers,
in steps of 1 % of the channels, at most 90 % of those of a layer. Nothing is trained;
since images are at hand, the statistics of BatchNormalization are computed again from
those that are fitted. Rows are added to `--output_dir`, from which `where_to_cut`
makes its table (`--ways=...,taylor,bn_scale`).
"""

import copy
import json
import pathlib
import time

import numpy as np
import torch
import torch_pruning as tp
from absl import app, flags
from torch import nn

from benchmarks.peers import torch_graph, torch_training

_GRAPH = flags.DEFINE_string("graph", None, "Of export_graph.", required=True)
_DATA = flags.DEFINE_string("data", None, "As in where_to_cut.", required=True)
_RANGE = flags.DEFINE_list("range", ["-1", "1"], "As in where_to_cut.")
_SHARES = flags.DEFINE_list("shares", ["0.9", "0.8", "0.7", "0.5"], "Of the FLOPs.")
_CRITERIA = flags.DEFINE_list("criteria", ["taylor", "bn_scale"], "See above.")
_DRAWS = flags.DEFINE_integer("draws", 3, "As in where_to_cut.")
_FIT = flags.DEFINE_integer("fit", 250, "As in where_to_cut.")
_OUTPUT = flags.DEFINE_string("output_dir", "where_to_cut", "Where rows are kept.")
_STEPS = flags.DEFINE_integer("steps", 100, "Steps from all channels to none.")
_MOST = flags.DEFINE_float("max_pruning_ratio", 0.9, "Of the channels of a layer.")


@torch.no_grad()
def answers(model, images) -> np.ndarray:
    """The most likely class of each image."""
    parts = [
        model.eval()(torch_graph.as_tensor(images[start : start + 50])).argmax(1)
        for start in range(0, len(images), 50)
    ]
    return torch.cat(parts).numpy()


@torch.no_grad()
def with_new_statistics(model, images):
    """Returns a copy whose BatchNormalization has the statistics of these images."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().reset_running_stats()
            module.momentum = None
    for start in range(0, len(images), 50):
        model(torch_graph.as_tensor(images[start : start + 50]))
    return model.eval()


def add_gradients(model, images, labels):
    """Computes the gradients of the loss, which taylor reads."""
    model.eval().zero_grad()
    for start in range(0, len(images), 50):
        part = slice(start, start + 50)
        outputs = model(torch_graph.as_tensor(images[part]))
        nn.functional.cross_entropy(outputs, torch.from_numpy(labels[part])).backward()


def networks(model, criterion, shares, images, labels):
    """Yields pairs of a share and a pruned network, and the seconds since the start."""
    start, image = time.time(), torch_graph.as_tensor(images[:1])
    importances = {
        "taylor": tp.importance.GroupTaylorImportance,
        "bn_scale": tp.importance.BNScaleImportance,
    }
    pruner = tp.pruner.BasePruner(
        model,
        image,
        importance=importances[criterion](),
        global_pruning=True,
        pruning_ratio=1.0,
        max_pruning_ratio=_MOST.value,
        iterative_steps=_STEPS.value,
        ignored_layers=[model.classifier],
    )
    before = torch_training.flops(model, image)
    for share in sorted(shares, reverse=True):
        if criterion == "taylor":
            add_gradients(model, images, labels)
        while (now := torch_training.flops(model, image) / before) > share:
            if pruner.current_step >= _STEPS.value:
                return
            pruner.step()
        yield share, with_new_statistics(model, images), now, time.time() - start


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    with np.load(_DATA.value) as arrays:
        parts = [part for part in ("train", "val", "test") if f"x_{part}" in arrays]
        images, labels = (
            np.concatenate([arrays[f"{axis}_{part}"] for part in parts])
            for axis in "xy"
        )
    low, high = map(float, _RANGE.value)
    images = (images * ((high - low) / 255) + low).astype("float32")
    labels = labels.astype("int64")
    original = torch_graph.load(_GRAPH.value)
    shares = list(map(float, _SHARES.value))
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    for draw in range(_DRAWS.value):
        order = np.random.RandomState(draw).permutation(len(images))
        parts = [(images[of], labels[of]) for of in np.split(order, [_FIT.value])]
        wanted = [answers(original, x) for x, _ in parts]
        for criterion in _CRITERIA.value:
            torch.manual_seed(0)
            model = copy.deepcopy(original)
            for keep, small, flops, seconds in networks(
                model, criterion, shares, *parts[0]
            ):
                row = {"way": criterion, "keep": keep, "draw": draw}
                names = ("fitted_", "")
                for name, (x, y), own in zip(names, parts, wanted, strict=True):
                    found = answers(small, x)
                    right, same = np.mean(found == y), np.mean(found == own)
                    row[f"{name}accuracy"] = round(100 * float(right), 2)
                    row[f"{name}agreement"] = round(100 * float(same), 2)
                row |= {"flops": round(flops, 4), "seconds": round(seconds, 1)}
                with (folder / f"rows_torch_{draw}.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    app.run(main)
