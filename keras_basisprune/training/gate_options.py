"""How channel gates train."""

import dataclasses

from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole

# What each number must be, and an example.
_RANGES = {
    "learning_rate": ("(0, inf)", "1e-3"),
    "travel": ("(0, inf)", "6.0"),
    "pressure": ("(0, inf)", "1.0"),
    "noise": ("[0, inf)", "0.3"),
    "ramp": ("(0, 1]", "0.4"),
    "settled": ("(0, 1]", "0.6"),
    "momentum": ("[0, 1]", "0.9"),
}


@dataclasses.dataclass(frozen=True)
class GateOptions:
    """How `train_gates` trains.

    Raises `ValueError` if a value is out of its range.

    Attributes:
        weights: Whether what else is trainable in the model trains together with the
            gates; if not, the gates alone, and BatchNormalization runs in inference.
        epochs: Number of epochs.
        batch_size: Images per training step. A model that runs on batches of its own
            size only gets those.
        learning_rate: Initial rate of Adam for the weights; it falls to zero by a
            cosine.
        travel: How far logits move in all steps together: each step of gradient descent
            has this root mean square, divided by the number of steps. Gates begin at a
            logit of 1.
        pressure: Initial factor of the penalty on the expected cost. It rises while
            the cost is above the annealed target, and falls while it is below.
        noise: Scale of the logistic noise by which gates open and close at random in
            each step: one with the logit `x` is open with the probability
            `sigmoid(x / noise)`. 0 for none.
        ramp: Share of the steps in which the target falls from the whole cost to what
            is asked for, by the same factor in each step.
        settled: Share of the steps after which gates don't change any more; the weights
            train to the end.
        momentum: Highest momentum of BatchNormalization's moving statistics, while the
            model trains.
    """

    weights: bool = True
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    travel: float = 6.0
    pressure: float = 1.0
    noise: float = 0.3
    ramp: float = 0.4
    settled: float = 0.6
    momentum: float = 0.9

    def __post_init__(self):
        object.__setattr__(self, "weights", check_flag("weights", self.weights))
        for name, example in (("epochs", "10"), ("batch_size", "32")):
            check_whole(name, getattr(self, name), remedy=f"Start with {example}.")
        for name, (interval, example) in _RANGES.items():
            expected = f"a finite number in {interval}"
            value = getattr(self, name)
            remedy = f"Start with {example}."
            check_number(name, value, interval, expected, remedy)
