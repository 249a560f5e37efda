"""Options of training after pruning."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_number import check_number, is_number
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.shown import shown

# Smallest and largest value of each number, and an example.
_RANGES = {
    "epochs": (1, 2**31 - 1, "5"),
    "learning_rate": (0.0, math.inf, "1e-3"),
    "warmup": (0.0, 1.0, "0.1"),
    "batch_size": (1, 2**31 - 1, "32"),
    "momentum": (0.0, 1.0, "0.9"),
    "temperature": (1e-3, 1e3, "1.0"),
    "seed": (0, 2**31 - 1, "0"),
    "initial_epoch": (0, 2**31 - 1, "0"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recovery:
    """Options of `recover`.

    Raises `ValueError` if a value is out of its range.

    Attributes:
        weights: `"all"`: every weight that its layer has created as trainable,
            regardless of the `trainable` flags (in BasisScalingConv that is the scales:
            its other weights train when it is folded); or `"scales"`: the weights of
            BasisScalingConv and BatchNormalization layers, and of the last layer with
            weights.
        epochs: Number of epochs.
        learning_rate: Highest rate of Adam; it falls to zero by a cosine.
        warmup: Share of the steps, in [0, 1], in which the rate rises from zero to its
            highest, in a line. The first steps of Adam change every weight by the full
            rate, however little the loss depends on it: what was fitted in closed form
            would be lost. `None` is 0.1 in `recover`, and 0 in `compress`, whose cuts
            are so strong that large steps help.
        batch_size: Images per training step. A model with a fixed batch size gets
            batches of that size, the last of an epoch filled up with its first images.
        augment: A function of a batch of images, or a `keras.layers.Layer` such as
            `keras.layers.RandomFlip()`, that returns a changed batch; `None` for no
            augmentation. The images of an epoch are made before it and held in memory,
            in the dtype that `augment` returns: 4 bytes per value with Keras' layers.
        momentum: Highest momentum of BatchNormalization's moving statistics while the
            model trains. Pruning changes the statistics at once; with the 0.999 of
            MobileNetV2 they would lag behind for epochs.
        temperature: Softens the probabilities of the teacher and of the model; used
            with a teacher only.
        seed: Integer that determines order, augmentation and dropout.
        initial_epoch: The first epoch's number, so that TensorBoard and the order of
            images can continue where an earlier training has ended.
        keep_best: Whether the best weights are restored at the end: those of the epoch
            with the best `val_accuracy`, and of equals the least `val_loss`; without
            labels the least `val_loss`. The weights before training count, too, so
            that a model never ends worse than it began. `None`: with a teacher.
        from_logits: Whether outputs for classes, or for yes and no, are logits. `None`:
            what the loss says with which the model was compiled.
        class_weight: Dict from integer labels to weights of the samples of that class,
            as in `fit`, for training by labels (or samples that have some); `None` for
            equal weights.
        validation_split: Share of `train`, in [0, 1), that is set aside for that where
            no validation is given. These images are augmented, too, and with a teacher
            cropped at random if there is no `augment`: a network that was fitted on
            them knows them by heart, but not changed. Of data that are read batch by
            batch, 300 at most are used, and they train, too. 0 sets nothing aside, and
            then `keep_best` needs a validation.
        quantize: Whether each training of `compress(..., ship="int8")` is followed by
            quantization-aware training (`quantize_aware`): a third as many epochs, at a
            tenth of the rate. The network that rounds is the one that is judged and
            ships. For `recover`, call `quantize_aware` first.
    """

    weights: str = "all"
    epochs: int = 5
    learning_rate: float = 1e-3
    warmup: float | None = None
    batch_size: int = 32
    augment: Callable[[np.ndarray], Any] | None = None
    momentum: float = 0.9
    temperature: float = 1.0
    seed: int = 0
    initial_epoch: int = 0
    keep_best: bool | None = None
    validation_split: float = 0.1
    from_logits: bool | None = None
    class_weight: dict[int, float] | None = None
    quantize: bool = False

    def __post_init__(self):
        remedy = "Leave it out for 'all'."
        check_choice("weights", self.weights, ("all", "scales"), remedy)
        for name in _RANGES:
            if name != "warmup" or self.warmup is not None:
                _check_number(name, getattr(self, name))
        if self.keep_best is not None:
            check_flag("keep_best", self.keep_best)
        if self.from_logits is not None:
            check_flag("from_logits", self.from_logits)
        check_flag("quantize", self.quantize)
        if self.quantize and self.weights != "all":
            raise ValueError(
                "Expected `weights` to be 'all' when `quantize` is true, since a "
                "network that rounds has no scales. Received: "
                f"weights={self.weights!r}. Leave out one of them."
            )
        _check_class_weight(self.class_weight)
        share, remedy = self.validation_split, "Start with 0.1."
        check_number("validation_split", share, "[0, 1)", remedy=remedy)
        if self.augment is not None and not callable(self.augment):
            raise ValueError(
                "Expected `augment` to be None, a function of a batch of images, or a "
                f"layer. Received: augment={shown(self.augment)}. Pass one such as "
                "`keras.layers.RandomFlip()`."
            )


def _check_class_weight(weights):
    """Raises `ValueError` unless weights of classes are as `fit` takes them.

    Args:
        weights: What should be a dict from integers to numbers of 0 or more, or `None`.
    """
    if weights is None:
        return
    if isinstance(weights, dict) and weights:
        fits = all(
            is_number(key, "[0, inf)")
            and key == int(key)
            and is_number(value, "[0, inf)")
            for key, value in weights.items()
        )
        if fits:
            return
    raise ValueError(
        "Expected `class_weight` to be a dict from classes (0, 1, ...) to numbers >= "
        f"0, or None. Received: class_weight={shown(weights)}. Pass {{0: 1.0, 1: 5.0}},"
        " say."
    )


def _check_number(name, value):
    least, most, example = _RANGES[name]
    remedy = f"Start with {example}."
    if isinstance(least, int):
        check_whole(name, value, least, most, remedy)
    else:
        end = ")" if most == math.inf else "]"
        interval = f"[{least}, {most}{end}"
        check_number(name, value, interval, f"a float in {interval}", remedy)
