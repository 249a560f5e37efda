"""What a search works on."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Task:
    """What `Rounds` works on.

    Attributes:
        model: The original classifier.
        train: A pair `(x, y)` of arrays, for training; `y` may be `None`.
        validation: The same, on which networks are judged.
        images: Unlabelled samples, for cutting.
        judge: A `Judge`.
        objective: What is to become small, as `compress` calls it.
        least: The score that is good enough.
        max_drop: How much less than the original's that is.
        margin: By how many standard errors a score has to be better than that.
        splits: How much of a cut channels take, in the order they are tried.
        cut_options: `CutOptions` of a `Cutter`.
        recovery: A `Recovery`, or `None` for no training.
        distill: Whether training is towards the original's outputs.
        rounds: The most rounds.
        callbacks: Keras callbacks for training.
        verbose: Whether to show progress.
    """

    model: keras.Model
    train: tuple
    validation: tuple
    images: object
    judge: object
    objective: str
    least: float
    max_drop: float
    margin: float
    splits: tuple[float, ...]
    cut_options: object
    recovery: object
    distill: bool
    rounds: int
    callbacks: tuple
    verbose: bool
