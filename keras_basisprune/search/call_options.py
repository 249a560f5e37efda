"""The arguments of `compress`, checked and turned into records."""

import dataclasses

from keras_basisprune.measure.latency_table import LatencyTable
from keras_basisprune.plans.limits import Limits
from keras_basisprune.search.chosen_methods import short_name
from keras_basisprune.search.cutter import CutOptions
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.processes import process_count
from keras_basisprune.utils.shown import shown


def recovery_of(recover, epochs, seed, config, ship=None) -> Recovery | None:
    """Returns the `Recovery` of a search; `None` for no training.

    Args:
        recover: As in `compress`, checked.
        epochs: As in `compress`.
        seed: Integer.
        config: `SearchOptions`.
        ship: As in `compress`.

    Raises:
        ValueError: If `epochs` is no number of epochs, if images shall be augmented
            and `recover` doesn't say how, or if training shall be quantization-aware
            for another form than int8.
    """
    if epochs is not None:
        check_whole("epochs", epochs, remedy="Leave it out for 5.")
    if config.augment and getattr(recover, "augment", None) is None:
        raise ValueError(
            "Expected `recover` to be a Recovery with `augment` when "
            f"`config.augment` is true. Received: recover={shown(recover)}. Pass one, "
            "such as `Recovery(augment=keras.layers.RandomFlip())`."
        )
    if getattr(recover, "quantize", False) and ship != "int8":
        raise ValueError(
            "Expected `ship` to be 'int8' when `recover.quantize` is true: that "
            f"training is for an int8 file. Received: ship={ship!r}. Pass ship='int8', "
            "or leave out `quantize`."
        )
    if recover is None:
        return None
    if not isinstance(recover, Recovery):
        return Recovery(
            weights=recover, epochs=5 if epochs is None else epochs, seed=seed
        )
    changes = {} if epochs is None else {"epochs": epochs}
    return dataclasses.replace(recover, seed=recover.seed or seed, **changes)


def check_recover_and_seed(recover, seed) -> int:
    """Raises `ValueError` unless both are as in `compress`; returns the seed."""
    if not isinstance(recover, Recovery):
        remedy = "Or pass a `keras_basisprune.Recovery`."
        check_choice("recover", recover, (None, "all", "scales"), remedy)
    return check_whole("seed", seed, 0, remedy="0 is as good as any.")


def check_counted(goal):
    """Raises `ValueError` if several processes would each measure times."""
    if goal.kind == "latency" and process_count() > 1:
        raise ValueError(
            "Expected `cost` to be 'flops', 'params' or 'bytes' where "
            f"{process_count()} processes search together, since each would measure "
            "other times. Received: cost='latency'. Search in one process."
        )


def check_classes(chosen, output):
    """Raises `ValueError` unless methods that train have classes to train on."""
    if output.kind == "classes":
        return
    names = [short_name(method) for method in chosen if method.train]
    raise ValueError(
        "Expected `methods` that train networks for a classifier only. Received: "
        f"methods={names} for a model whose output `{output.name}` holds {output.kind}."
        " Leave them out for 'basis' and 'channels', which work for all outputs."
    )


def cut_options(config, goal, state, seed) -> CutOptions:
    """Returns the options of cutting.

    Args:
        config: `SearchOptions`.
        goal: An `Objective`.
        state: The folder of the search's state, which keeps times; or `None`.
        seed: Integer.
    """
    cost = goal.counted
    if goal.kind == "latency":
        cost = goal.table or LatencyTable(state and state / "latency.json")
    limits = Limits(round_to=config.round_to)
    given = config.compensation, seed, config.trial_samples
    return CutOptions(cost, limits, *given)


def check_data_name(data_name):
    """Raises `ValueError` unless it is a string or `None`."""
    if not isinstance(data_name, str | None):
        raise ValueError(
            "Expected `data_name` to be a string. Received: data_name="
            f"{shown(data_name)}. Pass 'EuroSAT', say."
        )
