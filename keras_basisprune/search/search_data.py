"""The data of a search, checked and matched with the outputs of the model."""

import numpy as np

from keras_basisprune.data.examples.array_examples import ArrayExamples
from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.graph.check_labels import check_labels
from keras_basisprune.graph.output_kinds import first_outputs, output_kinds
from keras_basisprune.search.augmented import augmented
from keras_basisprune.search.metrics.chosen_metrics import all_custom, chosen_metrics
from keras_basisprune.search.scorer import Scorer
from keras_basisprune.training.output_losses import distillation_losses, label_losses

_TYPICAL = 256  # samples by whose outputs numbers are scaled


class SearchData:
    """The data of a search, checked and matched with the outputs of the model.

    Args:
        model: The `keras.Model`.
        train: As in `compress`.
        validation: As in `compress`.
        test: As in `compress`.
        metric: As in `compress`. Labels may be anything for functions of one's own.
        recovery: A `Recovery`, or `None`.
        config: `SearchOptions`.
        seed: Integer.

    Attributes:
        train: `ArrayExamples` or `StreamExamples`.
        validation: The same.
        outputs: A tuple of the model's `Output`s.
        constants: List of arrays, the mean of each output.

    Raises:
        ValueError: If data do not fit the model.
    """

    def __init__(self, model, train, validation, test, metric, recovery, config, seed):
        needs = recovery is not None and not config.distill
        free = all_custom(metric)
        own = "needed" if needs else "ignored" if free else "optional"
        self.train = read_examples("train", model, train, own, config.samples, seed)
        judged = "ignored" if free else "optional"
        self.validation = read_examples("validation", model, validation, judged)
        if not self.validation.in_memory and not self.validation.steady:
            raise ValueError(
                "Expected `validation` to give its samples in the same order each time,"
                " so that networks can be compared. Received: "
                f"{type(validation).__name__}, which starts with other samples when it "
                "is read again. Leave out its shuffling."
            )
        self._test = test
        if test is not None:
            wanted = "ignored" if free else "needed"
            self._test = read_examples("test", model, test, wanted)
        told = config.from_logits
        told = recovery.from_logits if told is None and recovery else told
        labelled = self.validation if self.validation.labelled else self.train
        self.outputs = output_kinds(model, labelled.first, told)
        named = {"train": self.train, "validation": self.validation, "test": self._test}
        for name, examples in named.items():
            unused = name == "train" and not examples.in_memory and not needs
            if examples is not None and not unused:
                check_labels(name, examples, self.outputs)
        self._config, self._seed = config, seed
        few = self.train.drawn(_TYPICAL, seed)
        self._typical = first_outputs(model, few)
        self.constants = [np.mean(x, axis=0, dtype=np.float64) for x in self._typical]

    def validation_alone(self, given):
        """Returns `validation` without the model, to be passed to another process.

        Args:
            given: Whether what the user has passed belongs to it.
        """
        data = self.validation
        if data.in_memory:
            data = ArrayExamples(None, data.whole, data.given if given else None)
        return data

    def metrics(self, metric, mode) -> list:
        """Returns the scores that are asked for, see `chosen_metrics`."""
        return self._metrics(metric, mode, self.validation)

    def test_score(self, model, metric, mode) -> Scorer | None:
        """Returns a `Scorer` on the test data; `None` without any."""
        if self._test is None:
            return None
        metrics = self._metrics(metric, mode, self._test)
        return Scorer(model, self._test, metrics, self.outputs, "test", self._seed)

    def losses(self, model, recovery):
        """Returns the `OutputLosses` of training; `None` without training."""
        if recovery is None:
            return None
        if self._config.distill:
            temperature = recovery.temperature
            return distillation_losses(self.outputs, self._typical, temperature)
        return label_losses(model, self.outputs, self.train.first.targets)

    def fitted_on(self, recovery):
        """Returns the samples that networks are fitted on, maybe as training sees them.

        Args:
            recovery: A `Recovery`, or `None`.

        Returns:
            An array, or a list of one per input.

        Raises:
            ValueError: If they can't be changed as they should be.
        """
        arrays = self.train.drawn(self._config.samples, self._seed)
        if not self._config.augment:
            return arrays[0] if len(arrays) == 1 else arrays
        if len(arrays) > 1:
            raise ValueError(
                "Expected `config.augment` to be false for a model with several "
                f"inputs. Received: {len(arrays)} inputs. Change images in the dataset."
            )
        return augmented(arrays[0], recovery)

    def _metrics(self, metric, mode, examples):
        count = len(self.outputs)
        targets = examples.first.targets or [None] * count
        labelled = [labels is not None for labels in targets]
        return chosen_metrics(
            metric, mode, self.outputs, labelled, examples.weighted, self.constants
        )
