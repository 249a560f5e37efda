"""Finds the sum that a layer's output goes into."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.norm_factor import norm_factor
from keras_basisprune.graph.rules import rule_of


@dataclasses.dataclass(frozen=True)
class JoinedBranch:
    """A layer's output `y` goes into a sum as `factor * y + constant`.

    Attributes:
        factor: Array of shape `(cout,)`, the factors of BatchNormalization; of shape
            `(1,)` without BatchNormalization.
        others: The other `KerasTensor`s that are added.
    """

    factor: np.ndarray
    others: list


def joined_branch(call, consumers, results=()) -> JoinedBranch | None:
    """Finds the sum that a convolution's output goes into, as in residual networks.

    On the way there may be BatchNormalization in inference, and layers that do nothing
    in inference (dropout). Anything else ends the search, such as a second reader, or
    an output of the model.

    Args:
        call: The `Call` of a convolution or dense layer without activation.
        consumers: The trace's `consumers()`.
        results: The `id`s of the model's output tensors.

    Returns:
        A `JoinedBranch`, or `None` if there is no such sum of tensors of one shape.
    """
    tensor = call.output_tensors[0]
    factor = np.ones(1)
    while True:
        readers = consumers.get(id(tensor), ())
        alone = len(readers) == 1 and id(tensor) not in results
        if not alone or readers[0].kwargs.get("training"):
            return None
        reader = readers[0]
        rule = rule_of(reader.op)
        if rule is not None and rule.adds:
            others = [t for t in reader.input_tensors if t is not tensor]
            same = all(t.shape == tensor.shape for t in others)
            shapes_fit = (
                len(others) == len(reader.input_tensors) - 1 and others and same
            )
            return JoinedBranch(factor, others) if shapes_fit else None
        if type(reader.op) is keras.layers.BatchNormalization:
            if reader.op.axis not in (_channel_axis(call.op), _last(call.op, tensor)):
                return None
            factor = factor * norm_factor(reader.op)
        elif rule is None or not rule.idle:
            return None
        tensor = reader.output_tensors[0]


def _channel_axis(layer):
    return 1 if getattr(layer, "data_format", "") == "channels_first" else -1


def _last(layer, tensor):
    return 1 if _channel_axis(layer) == 1 else len(tensor.shape) - 1
