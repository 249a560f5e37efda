"""What the outputs of a model are: classes, yes or no, numbers, or directions."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.examples.per_output import output_names
from keras_basisprune.graph.compiled_losses import (
    compiled_losses,
    from_logits,
    loss_name,
)
from keras_basisprune.graph.run_examples import outputs_of
from keras_basisprune.graph.trace import is_from_keras, trace

_AT_ONCE = 32  # samples that are run together

# Names of losses, without underscores, by what they are for.
_LOSSES = {
    "classes": ("categorical", "kldivergence"),
    "binary": ("binary", "dice", "tversky"),
    "directions": ("cosine",),
    "numbers": ("squared", "absolute", "huber", "logcosh", "poisson", "mse", "mae"),
}
# What only moves or keeps values, so that the activation before it counts.
_KEEPING = (
    "Reshape",
    "Flatten",
    "Permute",
    "Dropout",
    "Identity",
    "Squeeze",
    "ExpandDims",
    "Transpose",
    "Cropping2D",
    "Cropping1D",
    "GetItem",
    "FakeQuantize",
    "FixedFakeQuantize",
)


@dataclasses.dataclass(frozen=True)
class Output:
    """One output of a model.

    Attributes:
        name: Its name, as targets are passed by name.
        kind: `"classes"` (one number for each class, on the last axis), `"binary"`
            (each number says yes or no), `"numbers"`, or `"directions"` (vectors whose
            length does not matter).
        logits: Whether numbers for classes, or for yes and no, are logits; `None` if
            that is not known.
        shape: Tuple, its shape without the batch axis, `None` for sizes that may be
            any.
    """

    name: str
    kind: str
    logits: bool | None
    shape: tuple[int | None, ...]

    @property
    def is_map(self) -> bool:
        """Whether there is an answer for each place of an image."""
        return len(self.shape) > 2

    @property
    def threshold(self) -> float:
        """What the number of a "yes" exceeds."""
        return 0.0 if self.logits else 0.5


def output_kinds(model, batch, told=None) -> tuple[Output, ...]:
    """Finds out what the outputs of a model are.

    Outputs that are not negative and sum to 1 are probabilities of classes, and those
    of a sigmoid are binary. What the loss says with which the model was compiled, or
    the labels of the first samples, goes first where the two can't be told apart:
    linear outputs are logits for such a loss, or for integer labels without the last
    axis; a sigmoid that is fitted to other numbers than 0 and 1 is a number.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        batch: A `Batch` of some samples, with targets if there are any.
        told: Whether outputs are logits, if the caller knows.

    Returns:
        A tuple of `Output`s.
    """
    few = batch[: fixed_batch(model) or 8]
    values = first_outputs(model, few.inputs)
    losses, _ = compiled_losses(model)
    names, traced = output_names(model), trace(model)
    targets = few.targets or [None] * len(names)
    found = []
    for place, tensor in enumerate(keras.tree.flatten(traced.outputs)):
        said = loss_name(losses[place])
        wanted = next((k for k, v in _LOSSES.items() if any(n in said for n in v)), "")
        logits = from_logits(losses[place]) if said else told
        last = _activation(traced, tensor)
        kind, logits = _kind(
            values[place], last, wanted, logits or told, targets[place]
        )
        found.append(Output(names[place], kind, logits, tuple(tensor.shape[1:])))
    return tuple(found)


def first_outputs(model, inputs) -> list[np.ndarray]:
    """Returns the outputs of a model for some samples, one array per output."""
    size = fixed_batch(model) or min(len(inputs[0]), _AT_ONCE)
    return [array.astype("float32") for array in outputs_of(model, inputs, size)]


def _kind(values, last, wanted, logits, targets) -> tuple[str, bool | None]:
    """Returns the kind of an output, and whether it holds logits."""
    several = values.ndim > 1 and values.shape[-1] > 1
    shares = several and values.min() >= 0
    shares = shares and np.allclose(values.sum(-1), 1.0, atol=1e-2)
    if wanted == "directions" or last == "unitnormalization":
        return "directions", False
    if shares and wanted not in ("numbers", "binary"):
        return "classes", False
    if last == "sigmoid":
        return _of_sigmoid(values, several, wanted, targets)
    if wanted in ("classes", "binary") and (logits or wanted == "binary"):
        return wanted, bool(logits)
    places = targets is not None and targets.dtype.kind in "iub"
    sparse = places and several and np.shape(targets) != values.shape
    if sparse and wanted != "numbers":
        return "classes", logits or (False if shares else None)
    if logits:
        same = targets is not None and np.shape(targets) == values.shape
        multi = same and not np.allclose(np.sum(targets, -1), 1.0)
        return ("binary" if multi or not several else "classes"), True
    return ("numbers", False) if wanted != "classes" else ("classes", False)


def _of_sigmoid(values, several, wanted, targets) -> tuple[str, bool]:
    if targets is None:
        return ("numbers" if wanted == "numbers" else "binary"), False
    sparse = targets.dtype.kind in "iub" and several and targets.shape != values.shape
    if sparse and targets.size * values.shape[-1] == values.size:
        return "classes", False
    yes_or_no = np.isin(targets, (0, 1)).all()
    outside = np.min(targets) < 0 or np.max(targets) > 1  # masks of 255
    if wanted == "binary" or yes_or_no or outside:
        return "binary", False
    return "numbers", False


def _activation(traced, tensor) -> str:
    """Returns the name of the activation that an output ends in, without underscores.

    Operations that only move values are looked through.
    """
    made = traced.producers()
    while id(tensor) in made:
        call = made[id(tensor)]
        op, name = call.op, type(call.op).__name__
        own = getattr(op, "activation", None)
        linear = own is None or own is keras.activations.linear
        if not linear:
            return getattr(own, "__name__", type(own).__name__).replace("_", "").lower()
        keeps = name in _KEEPING or (name == "Activation" and linear)
        if not (is_from_keras(type(op)) and keeps):
            return name.replace("_", "").lower()
        if not call.input_tensors:
            return ""
        tensor = call.input_tensors[0]
    return ""
