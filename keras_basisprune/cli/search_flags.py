"""Options of a search, by flags."""

from keras_basisprune.cli._steps import augment
from keras_basisprune.search.search_options import SearchOptions
from keras_basisprune.training.recovery import Recovery


def recovery(flags):
    """Returns the `Recovery` for training after each cut; `None` for no training."""
    if flags.recover == "none":
        return None
    return Recovery(
        weights=flags.recover,
        epochs=flags.epochs,
        learning_rate=flags.learning_rate,
        batch_size=flags.batch_size,
        augment=augment(flags),
        temperature=flags.temperature,
        seed=flags.seed,
        quantize=flags.quantize,
    )


def search_options(flags) -> SearchOptions:
    """Returns the options of the search."""
    return SearchOptions(
        samples=flags.samples,
        trial_samples=flags.trial_samples,
        rounds=flags.rounds,
        distill=flags.distill,
        compensation=flags.compensate,
        round_to=flags.round_to,
        augment=flags.augment_fit,
        margin=flags.margin,
    )
