"""Prunes with Torch-Pruning to shares of the FLOPs, and trains what is left.

    python -m benchmarks.peers.run_torch_pruning --network=vgg --data=cifar10.npz \\
        --weights=vgg_weights.npz --recovery=4000 --output=rows.json
"""

import copy
import time

import numpy as np
import torch
import torch_pruning as tp
from absl import app, flags
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers import common, torch_networks

_NETWORK = flags.DEFINE_enum("network", None, ["mobilenet", "vgg"], "", required=True)
_WEIGHTS = flags.DEFINE_string("weights", None, "From export_weights.", required=True)
_DATA = flags.DEFINE_string("data", None, "The .npz of the data.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON of rows to add to.", required=True)
_RECOVERY = flags.DEFINE_integer("recovery", None, "Training images, all if not set.")
_SHARES = flags.DEFINE_list("shares", ["0.5", "0.25", "0.1"], "FLOPs to keep.")
_CRITERIA = flags.DEFINE_list(
    "criteria",
    ["bn_scale", "taylor", "uniform"],
    "BatchNorm scales, Taylor: both ranked globally; the same share of every layer by "
    "L2 norm; or none: only the training.",
)
_STEPS = flags.DEFINE_integer("steps", 100, "Steps from all channels to none.")
_GRADIENTS = flags.DEFINE_integer("gradients", 256, "Images for taylor.")
_MOST = flags.DEFINE_float("max_pruning_ratio", 0.9, "Of the channels of a layer.")


@torch.no_grad()
def accuracy(model: nn.Module, test) -> float:
    model.eval()
    images, labels = test
    right = 0
    for start in range(0, len(labels), 100):
        part = slice(start, start + 100)
        guess = model(torch_networks.as_tensor(images[part])).argmax(1).numpy()
        right += int((guess == labels[part]).sum())
    return right / len(labels)


@torch.no_grad()
def with_new_statistics(model: nn.Module, images) -> nn.Module:
    """A copy whose BatchNorm statistics are estimated anew, without labels."""
    model = copy.deepcopy(model).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    for start in range(0, len(images), 100):
        model(torch_networks.as_tensor(images[start : start + 100]))
    return model


def importance(criterion: str):
    """The importance of their package that a criterion stands for."""
    if criterion == "taylor":
        return tp.importance.GroupTaylorImportance()
    if criterion == "bn_scale":
        return tp.importance.BNScaleImportance()
    return tp.importance.GroupMagnitudeImportance(p=2)


def pruned(model: nn.Module, criterion: str, shares, train):
    """Prunes step by step; yields `(share, model)` when a share is reached."""
    x, y = train[0][: _GRADIENTS.value], torch.from_numpy(train[1][: _GRADIENTS.value])
    x = torch_networks.as_tensor(x)
    pruner = tp.pruner.BasePruner(
        model,
        x[:1],
        importance=importance(criterion),
        global_pruning=criterion != "uniform",
        pruning_ratio=1.0,
        max_pruning_ratio=_MOST.value,
        iterative_steps=_STEPS.value,
        ignored_layers=[model.head],
    )
    before, _ = tp.utils.count_ops_and_params(model, x[:1])
    now = before
    for share in sorted(shares, reverse=True):
        if criterion == "taylor":
            model.eval().zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
        while now > share * before and pruner.current_step < _STEPS.value:
            pruner.step()
            now, _ = tp.utils.count_ops_and_params(model, x[:1])
        small = copy.deepcopy(model)
        small.zero_grad()
        yield share, small


def recover(model: nn.Module, train) -> None:
    """Trains all weights by the recipe of the comparison."""
    x, y = train
    model.train()
    steps = common.EPOCHS * -(-len(x) // common.BATCH)
    optimizer = torch.optim.Adam(model.parameters(), common.RATE, eps=1e-7)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for order in common.orders(len(x)):
        for start in range(0, len(x), common.BATCH):
            chosen = order[start : start + common.BATCH]
            outputs = model(torch_networks.as_tensor(x[chosen]))
            loss = nn.functional.cross_entropy(outputs, torch.from_numpy(y[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def costs(model: nn.Module, shape) -> np.ndarray:
    """Multiply-adds and parameters by their counter, and FLOPs by PyTorch's."""
    image = torch.zeros(1, shape[-1], *shape[:-1])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(image)
    ops, params = tp.utils.count_ops_and_params(model, image)
    return np.array([ops, params, counter.get_total_flops()], float)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    train, test = common.load(_DATA.value, _RECOVERY.value)
    shape = train[0].shape[1:]
    original = torch_networks.load(_NETWORK.value, _WEIGHTS.value)
    full = costs(original, shape)
    for criterion in _CRITERIA.value:
        torch.manual_seed(0)
        model = copy.deepcopy(original)
        found = [(1.0, model)]
        if criterion != "none":
            found = pruned(model, criterion, map(float, _SHARES.value), train)
        for share, small in found:
            start = time.time()
            flops, params, conv_flops = costs(small, shape) / full
            before = accuracy(small, test)
            unlabelled = train[0][: common.IMAGES]
            new_statistics = accuracy(with_new_statistics(small, unlabelled), test)
            recover(small, train)
            common.add_row(
                _OUTPUT.value,
                network=_NETWORK.value,
                method="Torch-Pruning" if criterion != "none" else "PyTorch",
                criterion=criterion,
                wanted=share,
                flops=flops,
                params=params,
                conv_flops=conv_flops,
                before=before,
                new_statistics=new_statistics,
                after=accuracy(small, test),
                seconds=time.time() - start,
            )


if __name__ == "__main__":
    app.run(main)
