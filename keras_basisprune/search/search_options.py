"""Options of a search."""

import dataclasses

from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of `compress`.

    Attributes:
        samples: Training images that networks are fitted on, at most. More are slower,
            and help a little at small sizes.
        trial_samples: How many of these the networks are fitted on that are only tried.
            The one that is found is fitted again on all `samples` (before it is trained
            with `recover`) and judged again, and so is the next smaller one if that may
            be good enough then; what is better is kept. Methods whose networks are only
            cut, not fitted, are tried with all. `None` to try all networks with all.
        rounds: The most rounds of cutting and training.
        distill: Whether networks are trained towards the outputs of the original (then
            no label of `train` is used) or towards the labels.
        compensation: Whether kernels are corrected when channels are removed.
        round_to: Ranks and channels are multiples of this where possible.
        augment: Whether networks are fitted on images that `recover.augment` has
            changed: for networks that will see other images than those of `train`.
        margin: By how many standard errors (of the loss on `validation`, both networks
            being judged on the same images) networks have to be better than the budget
            demands. The smallest of many networks that were judged by the same images
            loses more on others: with 0, more than the budget in half of all searches
            and more; with 1.5, in one to three of ten, and it is three quarters larger
            (`benchmarks/budget_on_other_images.py`). The more images, the less
            it costs. One more answer than was seen counts as changed, and in later
            rounds the margin is larger, by the root of their number. A metric that
            gives one number for all samples has no error.
        from_logits: Whether outputs for classes, or for yes and no, are logits. `None`:
            what the loss says with which the model was compiled.
    """

    samples: int = 1000
    trial_samples: int | None = 300
    rounds: int = 5
    distill: bool = True
    compensation: bool = True
    round_to: int = 1
    augment: bool = False
    margin: float = 1.5
    from_logits: bool | None = None

    def __post_init__(self):
        for name in ("samples", "rounds", "round_to"):
            check_whole(name, getattr(self, name))
        if self.trial_samples is not None:
            check_whole("trial_samples", self.trial_samples)
        for name in ("distill", "compensation", "augment"):
            check_flag(name, getattr(self, name))
        if self.from_logits is not None:
            check_flag("from_logits", self.from_logits)
        remedy = "It is in standard errors; 0 means no margin."
        check_number("margin", self.margin, "[0, inf)", "a float of 0 or more", remedy)
