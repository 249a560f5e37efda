"""Measures and trains PyTorch networks."""

import copy

import numpy as np
import torch
import torch_pruning as tp
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers import common, torch_networks


@torch.no_grad()
def accuracy(model: nn.Module, test) -> float:
    """Returns the share of the test images that are classified correctly."""
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
    """Returns a copy whose BatchNorm statistics are recomputed, without labels."""
    model = copy.deepcopy(model).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    for start in range(0, len(images), 100):
        model(torch_networks.as_tensor(images[start : start + 100]))
    return model


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


def flops(model: nn.Module, image: torch.Tensor) -> float:
    """Counts FLOPs of convolutions and dense layers as `kbp.measure.cost` does."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(image)
    return counter.get_total_flops()


def costs(model: nn.Module, image: torch.Tensor) -> np.ndarray:
    """Returns multiply-adds and parameters by Torch-Pruning's counter, and `flops`."""
    ops, params = tp.utils.count_ops_and_params(model.eval(), image)
    return np.array([ops, params, flops(model, image)], float)
