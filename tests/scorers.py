"""A `Scorer` as a search makes it, for tests."""

import numpy as np

from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.graph.output_kinds import output_kinds
from keras_basisprune.search.metrics.chosen_metrics import chosen_metrics
from keras_basisprune.search.scorer import Scorer


def scorer(model, data):
    """A `Scorer` by the metric that fits model and data."""
    examples = read_examples("validation", model, data)
    outputs = output_kinds(model, examples.first)
    constants = [np.zeros(5)]
    labelled = [examples.labelled]
    metrics = chosen_metrics("auto", "auto", outputs, labelled, False, constants)
    return Scorer(model, examples, metrics, outputs)
