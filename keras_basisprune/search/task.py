"""The inputs and options of a search."""

import dataclasses

import keras

from keras_basisprune.methods import Method
from keras_basisprune.search.deadline import Deadline


@dataclasses.dataclass(frozen=True)
class Task:
    """The inputs and options of `Rounds`.

    Attributes:
        model: The original classifier.
        train: A pair `(x, y)` of arrays, for training; `y` may be `None`.
        validation: The same, on which networks are judged.
        images: Unlabelled samples, for cutting.
        judge: A `Judge`.
        objective: The cost that is made small, as `compress` calls it.
        min_score: The score that is good enough.
        max_drop: How much less than the original's score that is.
        margin: By how many standard errors a score has to be better than that.
        methods: The `Method`s by which networks are cut, in the order they are tried.
        prepared: Dict by method name of the networks that are prepared already.
        cut_options: `CutOptions` of a `Cutter`.
        recovery: A `Recovery`, or `None` for no training.
        distill: Whether training is towards the original's outputs.
        rounds: The most rounds.
        callbacks: Keras callbacks for training.
        epochs: Number of epochs of training that methods need; `None` for the default
            of each method.
        seed: Integer, the seed of that training.
        verbose: Whether to show progress.
        deadline: A `Deadline`.
    """

    model: keras.Model
    train: tuple
    validation: tuple
    images: object
    judge: object
    objective: str
    min_score: float
    max_drop: float
    margin: float
    methods: tuple[Method, ...]
    prepared: dict[str, keras.Model]
    cut_options: object
    recovery: object
    distill: bool
    rounds: int
    callbacks: tuple
    epochs: int | None
    seed: int
    verbose: bool
    deadline: Deadline
