"""Training that methods need before networks are cut."""

import contextlib
import time
import warnings

from keras_basisprune.search.class_examples import class_examples


class Training:
    """Trains what methods have prepared, once; a `RunFolder` remembers the networks.

    Without labels, the classes that the original predicts are used.

    Args:
        task: A `Task`.
        folder: A `RunFolder`.
        progress: A `Progress`, which shows the training.
    """

    def __init__(self, task, folder, progress):
        self._task, self._folder, self._progress = task, folder, progress
        self._known = None
        self._spent, self._told = 0.0, None  # seconds now, and of the training

    @property
    def expected(self) -> float:
        """The seconds that training a cut network takes, about; NaN if unknown."""
        return self._progress.expected_training

    def __call__(self, number, method, prepared, share):
        """Trains a network, or loads the trained one.

        Args:
            number: Integer, the round.
            method: A `Method` that trains.
            prepared: The network that it has prepared, trained in place.
            share: The share to train it for; `None` for all shares.

        Returns:
            The trained `keras.Model`.
        """
        name = f"round_{number}_{method.name}"
        if share is not None:
            name = f"{name}_{share:.6f}"
        start = time.perf_counter()

        def make():
            task = self._task
            self._progress.prepare(method)
            with warnings.catch_warnings():
                # A share removes something even if training has masked nothing.
                warnings.filterwarnings("ignore", ".*has masked nothing")
                method.train(
                    prepared,
                    self._pair(),
                    keep=share,
                    cost=task.cut_options.cost,
                    epochs=task.epochs,
                    seed=task.seed,
                )
            seconds = time.perf_counter() - start
            self._folder.remember(f"{name} training", {"seconds": seconds})
            return prepared

        found = self._folder.recall_model(name, make, prepared)
        self._told = self._folder.recall(f"{name} training", dict)["seconds"]
        self._spent = time.perf_counter() - start
        return found

    @contextlib.contextmanager
    def timed(self):
        """Times one cut, as a context; fills the dict that it yields at the end."""
        seconds, start = {}, time.perf_counter()
        self._spent, self._told = 0.0, None
        yield seconds
        seconds["fitting"] = time.perf_counter() - start - self._spent
        if self._told is not None:
            seconds["training"] = self._told

    def _pair(self):
        """Returns images and integer labels, which methods train on."""
        if self._known is None:
            self._known = class_examples(self._task.model, self._task.train)
        return self._known
