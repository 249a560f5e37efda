"""Prunes with Torch-Pruning to shares of the FLOPs, and trains the results.

    python -m benchmarks.peers.run_torch_pruning --network=vgg --data=cifar10.npz \\
        --weights=vgg_weights.npz --recovery=4000 --output=rows.json
    python -m benchmarks.peers.run_torch_pruning --network=vgg --data=cifar10.npz \\
        --weights=vgg_weights.npz --recovery=4000 --output=rows.json \\
        --once --criteria=l2,bn_scale,uniform --shares=0.5,0.25
"""

import copy
import time

import numpy as np
import torch
import torch_pruning as tp
from absl import app, flags
from torch import nn

from benchmarks.peers import common, torch_networks, torch_training

_NETWORK = flags.DEFINE_enum(
    "network", None, ["mobilenet", "resnet56", "vgg"], "", required=True
)
_WEIGHTS = flags.DEFINE_string("weights", None, "From export_weights.", required=True)
_DATA = flags.DEFINE_string("data", None, "The .npz of the data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON of rows to add to.", required=True)
_RECOVERY = flags.DEFINE_integer("recovery", None, "Training images, all if not set.")
_TRAIN = flags.DEFINE_bool("train", True, "Whether to train the results.")
_SHARES = flags.DEFINE_list("shares", ["0.5", "0.25", "0.1"], "FLOPs to keep.")
_CRITERIA = flags.DEFINE_list(
    "criteria",
    ["bn_scale", "taylor", "uniform"],
    "BatchNorm scales, Taylor: both ranked globally; the same share of every layer by "
    "their L2 norm of groups (uniform), or by that of this package (l2, with --once); "
    "or none: only the training.",
)
_ONCE = flags.DEFINE_bool(
    "once",
    False,
    "One step from all channels to the share, l2 and bn_scale computed as this package "
    "does; otherwise in steps, bn_scale as theirs.",
)
_STEPS = flags.DEFINE_integer("steps", 100, "Steps from all channels to none.")
_GRADIENTS = flags.DEFINE_integer("gradients", 256, "Images for taylor.")
_MOST = flags.DEFINE_float("max_pruning_ratio", 0.9, "Of the channels of a layer.")


class MeanOfMembers(tp.importance.Importance):
    """The scores of `kbp.scores.channels`, with `aggregate` and `normalize` `"mean"`.

    Args:
        criterion: `"bn_scale"`, or `"l2"` of the filters that compute a channel.
    """

    def __init__(self, criterion: str):
        self._by_scale = criterion == "bn_scale"

    def __call__(self, group):
        members = []
        for dep, indices in group:
            if self._by_scale and isinstance(dep.layer, nn.BatchNorm2d):
                scores = dep.layer.weight.detach().abs()
            elif not self._by_scale and dep.pruning_fn == tp.prune_conv_out_channels:
                scores = dep.layer.weight.detach().flatten(1).norm(dim=1)
            else:
                continue
            members.append((scores / scores.mean())[indices])
        return torch.stack(members).mean(0) if members else None


def importance(criterion: str):
    """Returns the importance of Torch-Pruning that corresponds to a criterion."""
    if _ONCE.value and criterion in ("l2", "bn_scale"):
        return MeanOfMembers(criterion)
    if criterion == "taylor":
        return tp.importance.GroupTaylorImportance()
    if criterion == "bn_scale":
        return tp.importance.BNScaleImportance()
    return tp.importance.GroupMagnitudeImportance(p=2)


def is_global(criterion: str) -> bool:
    return criterion not in ("l2", "uniform")


def gradients(model: nn.Module, train) -> None:
    """Computes the gradients that taylor reads."""
    x, y = train[0][: _GRADIENTS.value], torch.from_numpy(train[1][: _GRADIENTS.value])
    model.eval().zero_grad()
    nn.functional.cross_entropy(model(torch_networks.as_tensor(x)), y).backward()


def in_steps(model: nn.Module, criterion: str, shares, train):
    """Prunes step by step; yields `(share, model, {})` when a share is reached."""
    image = torch_networks.as_tensor(train[0][:1])
    pruner = tp.pruner.BasePruner(
        model,
        image,
        importance=importance(criterion),
        global_pruning=is_global(criterion),
        pruning_ratio=1.0,
        max_pruning_ratio=_MOST.value,
        iterative_steps=_STEPS.value,
        ignored_layers=[model.head],
    )
    before, _ = tp.utils.count_ops_and_params(model, image)
    now = before
    for share in sorted(shares, reverse=True):
        if criterion == "taylor":
            gradients(model, train)
        while now > share * before and pruner.current_step < _STEPS.value:
            pruner.step()
            now, _ = tp.utils.count_ops_and_params(model, image)
        small = copy.deepcopy(model)
        small.zero_grad()
        yield share, small, {}


def at_once(model: nn.Module, criterion: str, shares, train):
    """Prunes in one step; yields `(share, model, seconds)`.

    Bisection finds the smallest number of thousandths of the channels to remove.
    """
    image = torch_networks.as_tensor(train[0][:1])
    whole = torch_training.flops(model, image)
    for share in shares:
        low, high = 0, 999
        while low < high:
            middle = (low + high) // 2
            small, _ = one_step(model, criterion, middle / 1000, train)
            if torch_training.flops(small, image) <= share * whole:
                high = middle
            else:
                low = middle + 1
        if low == 999:
            raise ValueError(f"{criterion} does not reach {share:.0%} of the FLOPs")
        found = [
            one_step(model, criterion, low / 1000, train) for _ in range(common.REPEATS)
        ]
        graph, step = np.median([seconds for _, seconds in found], axis=0)
        times = {"select_seconds": list(graph), "surgery_seconds": list(step)}
        yield share, found[0][0], times


def one_step(model: nn.Module, criterion: str, ratio: float, train):
    """Returns a pruned copy, and the seconds of building the pruner and of its step."""
    small = copy.deepcopy(model)
    image = torch_networks.as_tensor(train[0][:1])
    if criterion == "taylor":
        gradients(small, train)
    start = common.clocks()
    pruner = tp.pruner.BasePruner(
        small,
        image,
        importance=importance(criterion),
        global_pruning=is_global(criterion),
        pruning_ratio=ratio,
        ignored_layers=[small.head],
    )
    built = common.clocks()
    pruner.step()
    seconds = built - start, common.clocks() - built
    small.zero_grad()
    return small, seconds


def add_row(criterion: str, share: float, small: nn.Module, full, data, times) -> None:
    """Measures a pruned network, trains it, and writes both."""
    train, test = data
    start = time.time()
    image = torch_networks.as_tensor(train[0][:1])
    flops, params, conv_flops = torch_training.costs(small, image) / full
    before = torch_training.accuracy(small, test)
    renewed = torch_training.with_new_statistics(small, train[0][: common.IMAGES])
    new_statistics = torch_training.accuracy(renewed, test)
    if _TRAIN.value:
        torch_training.recover(small, train)
    common.add_row(
        _OUTPUT.value,
        network=_NETWORK.value,
        method="Torch-Pruning" if criterion != "none" else "PyTorch",
        criterion=criterion,
        wanted=share,
        flops=conv_flops if _ONCE.value else flops,
        params=params,
        conv_flops=conv_flops,
        before=before,
        new_statistics=new_statistics,
        after=torch_training.accuracy(small, test) if _TRAIN.value else None,
        seconds=time.time() - start,
        **times,
    )


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    train, test = common.load(_DATA.value, _RECOVERY.value)
    original = torch_networks.load(_NETWORK.value, _WEIGHTS.value)
    full = torch_training.costs(original, torch_networks.as_tensor(train[0][:1]))
    shares = [float(share) for share in _SHARES.value]
    for criterion in _CRITERIA.value:
        torch.manual_seed(0)
        model = copy.deepcopy(original)
        found = [(1.0, model, {})]
        if criterion != "none":
            prune = at_once if _ONCE.value else in_steps
            found = prune(model, criterion, shares, train)
        for share, small, times in found:
            add_row(criterion, share, small, full, (train, test), times)


if __name__ == "__main__":
    app.run(main)
