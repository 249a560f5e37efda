"""The command `search`."""

import dataclasses
import pathlib

from rich.markup import escape

from keras_basisprune.cli._steps import print_line, read_images, read_model
from keras_basisprune.cli.as_max_drop import as_max_drop
from keras_basisprune.cli.check_answers import check_answers
from keras_basisprune.cli.check_inputs import check_inputs
from keras_basisprune.cli.chosen_flags import chosen_flags
from keras_basisprune.cli.class_names import class_names
from keras_basisprune.cli.image_shape import image_shape
from keras_basisprune.cli.named_metrics import named_metrics
from keras_basisprune.cli.search_flags import recovery, search_options
from keras_basisprune.search.jobs.search_jobs import search_jobs

_OF_CONFIG = ("rounds", "samples", "trial_samples", "round_to", "margin", "distill")
_NAMES = {name: f"config.{name}" for name in _OF_CONFIG}
_NAMES |= {"compensate": "config.compensation"}
_NAMES |= {name: f"recover.{name}" for name in ("learning_rate", "temperature")}


def search(flags, console):
    """Takes part in a search of many jobs, and shows what is known at the end."""
    check_inputs(flags)
    metrics = named_metrics(flags)
    model = read_model(flags, console)
    check_answers(model)
    data = read_images(flags, console, image_shape(flags, model))
    check_answers(model, len(data.class_names))
    chosen = chosen_flags(flags)
    arguments = {
        "metric": metrics[0] if len(metrics) == 1 else metrics,
        "mode": flags.mode,
        "max_drop": as_max_drop(flags.max_drop),
        "cost": flags.cost,
        "methods": flags.methods,
        "recover": recovery(flags),
        "ship": None if flags.ship == "none" else flags.ship,
        "epochs": flags.epochs if flags["epochs"].present else None,
        "seed": flags.seed,
        "time_limit": flags.time_limit,
        "config": search_options(flags),
        "class_names": class_names(data, model),
        "data_name": data.source,
    }
    choices = {_NAMES.get(name, name): _values(name, flags, chosen) for name in chosen}
    found = search_jobs(
        model,
        data.train,
        data.validation,
        test=data.test if len(data.test[1]) else None,
        choices=choices,
        objective=flags.objective,
        output_dir=pathlib.Path(flags.output_dir),
        storage=flags.storage,
        name=flags.study,
        jobs=flags.jobs,
        **{name: value for name, value in arguments.items() if name not in choices},
    )
    console.print(escape(repr(found)), highlight=False, soft_wrap=True)
    if found.best is None:
        print_line("No network is within the budget.", console)
    else:
        print_line(f"Best: {found.best.folder} on {found.best.host}", console)


def _values(name, flags, chosen) -> list:
    """Returns the values of a choice as `compress` takes them."""
    values = chosen[name]
    if name == "ship":
        return [None if value == "none" else value for value in values]
    if name == "recover":
        # The record has all other flags of training.
        other = [value for value in values if value != "none"]
        flags.recover = other[0] if other else "none"
        record = recovery(flags)
        return [
            None if value == "none" else dataclasses.replace(record, weights=value)
            for value in values
        ]
    return values
