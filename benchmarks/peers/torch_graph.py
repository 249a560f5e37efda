"""A network of `export_graph` in PyTorch."""

import json

import numpy as np
import torch
from torch import nn

TOLERANCE = 1e-3  # of the outputs, probabilities


class Graph(nn.Module):
    """The calls of a Keras network; modules have the names of its layers.

    Args:
        arrays: The entries of the file that `export_graph` wrote.

    Raises:
        ValueError: If there is a layer that PyTorch is not taught here.
    """

    def __init__(self, arrays):
        super().__init__()
        self._calls = json.loads(str(arrays["graph"]))
        for call in self._calls:
            weights = {
                key.split("/")[1]: array
                for key, array in arrays.items()
                if key.split("/")[0] == call["name"]
            }
            module = _module(call, weights)
            if module is not None:
                self.add_module(_name(call), module)

    @property
    def classifier(self) -> nn.Module:
        """The last layer with weights, whose outputs are the classes."""
        with_kernels = (nn.Conv2d, nn.Linear)
        return [m for m in self.modules() if isinstance(m, with_kernels)][-1]

    def forward(self, x):
        values = {0: x}
        for call in self._calls:
            reads = [values[number] for number in call["reads"]]
            module = getattr(self, _name(call), None)
            x = _merged(call, reads) if module is None else module(*reads)
            values[call["returns"]] = x
        return x


def load(path: str) -> Graph:
    """Builds the network of a file, and checks it.

    Raises:
        AssertionError: If its outputs are not those of Keras.
    """
    with np.load(path) as file:
        arrays = dict(file)
    model = Graph(arrays).eval()
    with torch.no_grad():
        found = torch.softmax(model(as_tensor(arrays["check_images"])), 1).numpy()
    worst = np.abs(found - arrays["check_outputs"]).max()
    assert worst < TOLERANCE, f"{path}: outputs off by {worst:.1e} from Keras"
    print(f"{path}: outputs at most {worst:.1e} from Keras", flush=True)
    return model


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """Returns images in NHWC as floats in NCHW."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()


class _Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self._function = function

    def forward(self, x):
        return self._function(x)


def _name(call):
    return f"layer_{call['name'].replace('.', '_')}"


def _merged(call, reads):
    if call["class"] == "Add":
        return sum(reads[1:], reads[0])
    if call["class"] == "Concatenate":
        return torch.cat(reads, 1)
    raise ValueError(f"Layer {call['name']!r} ({call['class']}) is not known here.")


def _module(call, weights):
    """Returns the module of a call with one input, or `None`."""
    kind, config = call["class"], call["config"]
    if kind in ("Conv2D", "DepthwiseConv2D"):
        return _convolution(kind, config, call["shape"], weights)
    if kind == "Dense":
        cin, cout = weights["kernel"].shape
        dense = nn.Linear(cin, cout, bias="bias" in weights)
        return _activated(_filled(dense, weights["kernel"].T, weights), config)
    if kind == "BatchNormalization":
        return _normalization(config, weights)
    if kind == "ReLU":
        return nn.ReLU6() if config["max_value"] == 6 else nn.ReLU()
    if kind == "Activation":
        return nn.Sequential(*_activations(config["activation"]))
    if kind == "Rescaling":
        scale, offset = config["scale"], config["offset"]
        return _Lambda(lambda x: x * scale + offset)
    if kind in ("TrueDivide", "Subtract"):
        (number,) = call["numbers"]
        if kind == "TrueDivide":
            return _Lambda(lambda x: x / number)
        return _Lambda(lambda x: x - number)
    if kind == "GlobalAveragePooling2D":
        kept = config["keepdims"]
        return _Lambda(lambda x: x.mean((2, 3), keepdim=kept))
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        pool = nn.MaxPool2d if kind == "MaxPooling2D" else nn.AvgPool2d
        assert config["padding"] == "valid", "padded pooling is not known here"
        return pool(tuple(config["pool_size"]), tuple(config["strides"]))
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = config["padding"]
        return nn.ZeroPad2d((left, right, top, bottom))
    if kind in ("Reshape", "Flatten"):
        assert np.prod(call["shape"][:-1]) == 1, "only 1x1 maps are flattened here"
        return nn.Flatten()
    if kind == "Dropout":
        return nn.Identity()  # nothing is trained
    return None


def _convolution(kind, config, shape, weights):
    by_channel = kind == "DepthwiseConv2D"
    kernel = weights["kernel"]
    height, width, cin, cout = kernel.shape
    strides = tuple(config["strides"])
    if by_channel:
        assert cout == 1, "a depth multiplier is not known here"
        conv = nn.Conv2d(cin, cin, (height, width), strides, groups=cin)
        kernel = kernel.transpose(2, 3, 0, 1)
    else:
        conv = nn.Conv2d(cin, cout, (height, width), strides)
        kernel = kernel.transpose(3, 2, 0, 1)
    if "bias" not in weights:
        conv.bias = None
    parts = [_filled(conv, kernel, weights)]
    if config["padding"] == "same":
        pad = []
        for size, window, step in zip(shape[:2], (height, width), strides, strict=True):
            total = max((-(-size // step) - 1) * step + window - size, 0)
            pad = [total // 2, total - total // 2, *pad]
        if any(pad):
            parts.insert(0, nn.ZeroPad2d(tuple(pad)))
    return _activated(nn.Sequential(*parts), config)


def _activated(module, config):
    found = _activations(config["activation"])
    return nn.Sequential(module, *found) if found else module


def _activations(name):
    if name in ("linear", "softmax"):  # the outputs are logits
        return []
    return [{"relu": nn.ReLU, "relu6": nn.ReLU6}[name]()]


@torch.no_grad()
def _filled(module, kernel, weights):
    module.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
    if "bias" in weights:
        module.bias.copy_(torch.from_numpy(weights["bias"]))
    return module


@torch.no_grad()
def _normalization(config, weights):
    count = len(weights["moving_mean"])
    norm = nn.BatchNorm2d(count, config["epsilon"], 1 - config["momentum"])
    pairs = {
        norm.weight: weights.get("gamma", np.ones(count, "float32")),
        norm.bias: weights.get("beta", np.zeros(count, "float32")),
        norm.running_mean: weights["moving_mean"],
        norm.running_var: weights["moving_variance"],
    }
    for tensor, array in pairs.items():
        tensor.copy_(torch.from_numpy(array))
    return norm
