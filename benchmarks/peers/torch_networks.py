"""The networks of the comparison in PyTorch, with the weights of the Keras ones.

Modules have the names of the Keras layers. With `"same"` at stride 2, Keras pads only
below and to the right; so do these.
"""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

TOLERANCE = 1e-4
_STRIDED = (2, 4, 6, 12)
_CHANNELS = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
_DEPTHS = (2, 2, 3, 3, 3)
_BLOCKS = 9


class _Scaled(nn.Module):
    def forward(self, x):
        return x / 127.5 - 1


class _Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def mobilenet(weights: dict[str, np.ndarray]) -> nn.Sequential:
    """Builds MobileNet (alpha 1) with pooling, dropout and a dense head."""
    layers = {"scaled": _Scaled()}

    def add(name, cin, cout, size, stride=1, groups=1):
        if stride == 2:
            layers[f"{name}_pad"] = nn.ZeroPad2d((0, 1, 0, 1))
        padding = size // 2 if stride == 1 else 0
        layers[name] = nn.Conv2d(
            cin, cout, size, stride, padding, groups=groups, bias=False
        )
        layers[f"{name}_bn"] = nn.BatchNorm2d(cout, eps=1e-3, momentum=0.01)
        layers[f"{name}_relu"] = nn.ReLU6()

    add("conv1", 3, 32, 3, 2)
    width = 32
    for number, channels in enumerate(_CHANNELS, 1):
        stride = 2 if number in _STRIDED else 1
        add(f"conv_dw_{number}", width, width, 3, stride, width)
        add(f"conv_pw_{number}", width, channels, 1)
        width = channels
    layers["pool"], layers["dropout"] = _Mean(), nn.Dropout(0.2)
    layers["head"] = nn.Linear(width, weights["head/kernel"].shape[1])
    return nn.Sequential(OrderedDict(layers))


def vgg(weights: dict[str, np.ndarray]) -> nn.Sequential:
    """Builds VGG16 with BatchNormalization and one dense layer, as wide as weights."""
    layers, number, width = {"scaled": _Scaled()}, 0, 3
    for stage, depth in enumerate(_DEPTHS, 1):
        for _ in range(depth):
            number += 1
            cout = weights[f"conv_{number}/kernel"].shape[-1]
            layers[f"conv_{number}"] = nn.Conv2d(width, cout, 3, padding=1, bias=False)
            layers[f"bn_{number}"] = nn.BatchNorm2d(cout, eps=1e-3, momentum=0.1)
            layers[f"relu_{number}"] = nn.ReLU()
            width = cout
        layers[f"pool_{stage}"] = nn.MaxPool2d(2)
    layers["pool"] = _Mean()
    layers["head"] = nn.Linear(width, weights["head/kernel"].shape[1])
    return nn.Sequential(OrderedDict(layers))


class _ResNet56(nn.Module):
    """Modules are attributes with the names of the Keras layers."""

    def __init__(self, weights: dict[str, np.ndarray]):
        super().__init__()
        for key, kernel in weights.items():
            name, weight = key.split("/") if "/" in key else (key, "")
            if weight != "kernel" or name == "head":
                continue
            size, _, cin, cout = kernel.shape
            stride = 2 if self._halves(name) else 1
            padding = size // 2 if stride == 1 else 0
            conv = nn.Conv2d(cin, cout, size, stride, padding, bias=False)
            self.add_module(name, conv)
            norm = nn.BatchNorm2d(cout, eps=1e-3, momentum=0.1)
            self.add_module(name.replace("conv", "bn"), norm)
        self.head = nn.Linear(cout, weights["head/kernel"].shape[1])

    @staticmethod
    def _halves(name: str) -> bool:
        stage, *rest = map(int, name.split("_")[1:])
        return stage > 1 and rest in ([0], [1, 1])

    def _make(self, name: str, x):
        conv = getattr(self, name)
        if conv.stride == (2, 2) and conv.kernel_size == (3, 3):
            x = nn.functional.pad(x, (0, 1, 0, 1))
        return getattr(self, name.replace("conv", "bn"))(conv(x))

    def forward(self, x):
        x = torch.relu(self._make("conv_0", x / 127.5 - 1))
        for stage in range(1, 4):
            for block in range(1, _BLOCKS + 1):
                name, shortcut = f"conv_{stage}_{block}", x
                if self._halves(f"{name}_1"):
                    shortcut = self._make(f"conv_{stage}_0", x)
                x = torch.relu(self._make(f"{name}_1", x))
                x = torch.relu(self._make(f"{name}_2", x) + shortcut)
        return self.head(x.mean((2, 3)))


def resnet56(weights: dict[str, np.ndarray]) -> nn.Module:
    """Builds ResNet-56 for 32x32 images with 1x1 projections, as wide as weights."""
    return _ResNet56(weights)


def _copy(module: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Copies the Keras weights of one layer, named as in Keras."""
    if isinstance(module, nn.BatchNorm2d):
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        into = (module.weight, module.bias, module.running_mean, module.running_var)
        arrays = [weights[name] for name in names]
    elif isinstance(module, nn.Linear):
        into = (module.weight, module.bias)
        arrays = [weights["kernel"].T, weights["bias"]]
    else:
        axes = (3, 2, 0, 1) if module.groups == 1 else (2, 3, 0, 1)
        into, arrays = (module.weight,), [weights["kernel"].transpose(axes)]
    for tensor, array in zip(into, arrays, strict=True):
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))


@torch.no_grad()
def load(network: str, path: str) -> nn.Module:
    """Builds `"mobilenet"`, `"resnet56"` or `"vgg"` with weights from `export_weights`.

    Raises:
        AssertionError: If its logits are not those of Keras.
    """
    with np.load(path) as file:
        arrays = dict(file)
    builders = {"mobilenet": mobilenet, "resnet56": resnet56, "vgg": vgg}
    model = builders[network](arrays)
    for name, module in model.named_children():
        found = {
            key.split("/")[1]: array
            for key, array in arrays.items()
            if key.split("/")[0] == name
        }
        if any(True for _ in module.parameters()):
            _copy(module, found)
    model.eval()
    logits = model(as_tensor(arrays["check_images"])).numpy()
    worst = np.abs(logits - arrays["check_logits"]).max()
    assert worst < TOLERANCE, f"{network}: logits off by {worst:.1e} from Keras"
    print(f"{network}: logits at most {worst:.1e} from Keras")
    return model


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """Returns images in NHWC as floats in NCHW."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()
