"""How the difference of a task is learned."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.shown import shown

# What each number must be, and an example.
_RANGES = {
    "learning_rate": ("(0, inf)", "1e-3"),
    "gate_rate": ("(0, inf)", "0.1"),
    "l0": ("[0, inf)", "40.0"),
    "clip": ("(0, inf)", "1.0"),
    "fixed_rate": ("(0, inf)", "1e-3"),
    "momentum": ("[0, 1]", "0.9"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffOptions:
    """How `diff_pruning` learns a difference.

    The defaults are for convolutional networks and some thousand samples. Adam moves
    `log alpha` by about `gate_rate` per step, so that a gate takes `start / gate_rate`
    steps, 50, to close: with fewer than some hundred steps, take more epochs, or gates
    hardly choose. A large pre-trained transformer takes lower rates: the paper has 1e-5
    and 5e-5 for one, in three epochs each.

    Raises `ValueError` if a value is out of its range.

    Attributes:
        selection: What chooses the weights that may differ: `"gates"`, hard-concrete
            gates that train with the difference, as published; or `"magnitude"`, the
            size of a difference that was trained without gates.
        structured: One more gate for weights that belong together, multiplied with
            their own: `None` for none, `"tensor"`, or `"channel"` for one per output
            channel.
        batch_norm: What of BatchNormalization belongs to the task and is stored whole,
            beside the share: `"frozen"`, nothing: statistics stay those of the base, in
            training, too; `"statistics"`; or `"whole"`, `gamma` and `beta` as well.
            Statistics of small batches and small maps are noise: they can cost more
            than a small share gains. With `share=1` they help, or lower rates do.
        epochs: Epochs in which the difference of all weights is learned.
        learning_rate: Initial rate of Adam, for the difference and the head; it falls
            to zero by a cosine.
        gate_rate: Rate of Adam for the gates' `log alpha`.
        start: Initial `log alpha`; at 5, 99 % of the gates are open.
        l0: Factor of the expected share of weights that differ, in the loss: the
            larger, the fewer gates stay open. Divided by the number of weights, it is
            the paper's lambda.
        clip: The largest norm of all gradients together; larger ones are scaled down.
        fixed_epochs: Epochs in which the chosen weights train on.
        fixed_rate: Initial rate of Adam in these, for the chosen weights and the head;
            it falls to zero, too.
        momentum: Highest momentum of BatchNormalization's moving statistics while the
            model trains.
        batch_size: Samples per training step; a model that was built for one size has
            that.
        augment: A function of a batch of images, or a layer such as
            `keras.layers.RandomFlip()`; `None` for no augmentation.
        seed: Integer that determines gates, order, augmentation and dropout.

    Example:

    >>> config = DiffOptions(epochs=10, fixed_epochs=10, structured="channel")
    >>> delta = diff_pruning(model, (x, y), share=0.005, config=config)
    """

    selection: str = "gates"
    structured: str | None = None
    batch_norm: str = "frozen"
    epochs: int = 5
    learning_rate: float = 1e-3
    gate_rate: float = 0.1
    start: float = 5.0
    l0: float = 40.0
    clip: float = 1.0
    fixed_epochs: int = 5
    fixed_rate: float = 1e-3
    momentum: float = 0.9
    batch_size: int = 32
    augment: Callable[[np.ndarray], Any] | None = None
    seed: int = 0

    def __post_init__(self):
        check_choice("selection", self.selection, ("gates", "magnitude"))
        check_choice("structured", self.structured, (None, "tensor", "channel"))
        kinds = ("statistics", "whole", "frozen")
        check_choice("batch_norm", self.batch_norm, kinds)
        for name in ("epochs", "fixed_epochs", "batch_size"):
            check_whole(name, getattr(self, name), remedy="Start with the default.")
        check_whole("seed", self.seed, 0)
        check_number("start", self.start, "[-20, 20]", "", "Start with 5.0.")
        for name, (interval, example) in _RANGES.items():
            expected = f"a finite number in {interval}"
            remedy = f"Start with {example}."
            check_number(name, getattr(self, name), interval, expected, remedy)
        if self.augment is not None and not callable(self.augment):
            raise ValueError(
                "Expected `augment` to be None, a function of a batch of images, or a "
                f"layer. Received: augment={shown(self.augment)}. Pass one such as "
                "`keras.layers.RandomFlip()`."
            )
