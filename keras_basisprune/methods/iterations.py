"""How `prune_iteratively` goes on."""

import dataclasses

from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole

_OPTIONAL = {"l1": 1e-3, "max_drop": 0.01, "baseline": 0.9}  # and an example of each


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iterations:
    """How `prune_iteratively` goes on, and when it ends.

    Raises `ValueError` if a value is out of its range.

    Attributes:
        keep: Float in (0, 1): share of the cost that stays in each iteration, the
            strongest by what was trained; `None` for what was not masked in training.
        least_removed: Float in [0, 1): an iteration that removes less than this share
            of what there was before it is the last.
        cost: `"params"` or `"flops"`: what these shares are counted in.
        most: Integer, iterations at most.
        epochs: Epochs of training per iteration; `None` for those of the method.
        l1: Strength of the regularization; `None` for that of the method.
        max_drop: Float: an iteration after which the accuracy on `validation` is lower
            by more than this is taken back, and is the last. `None` doesn't look.
        baseline: Accuracy from which `max_drop` counts; `None`: that of the given
            model.
        seed: Integer; each iteration has one of its own that follows from it.
    """

    keep: float | None = None
    least_removed: float = 0.05
    cost: str = "params"
    most: int = 10
    epochs: int | None = None
    l1: float | None = None
    max_drop: float | None = None
    baseline: float | None = None
    seed: int = 0

    def __post_init__(self):
        if self.keep is not None:
            remedy = "Start with 0.7, or leave it out for what training masks."
            check_number("keep", self.keep, "(0, 1)", remedy=remedy)
        remedy = "Start with 0.05."
        check_number("least_removed", self.least_removed, "[0, 1)", remedy=remedy)
        check_choice("cost", self.cost, ("params", "flops"))
        check_whole("most", self.most, remedy="Start with 10.")
        check_whole("seed", self.seed, 0, remedy="Start with 0.")
        if self.epochs is not None:
            check_whole("epochs", self.epochs, remedy="Leave it out for the method's.")
        for name, example in _OPTIONAL.items():
            if getattr(self, name) is not None:
                interval = "[0, inf)" if name == "l1" else "[0, 1]"
                remedy = f"Leave it out, or start with {example}."
                check_number(name, getattr(self, name), interval, remedy=remedy)
