"""The content of `report.json`."""

import dataclasses
import datetime
import importlib.metadata
import math
import os
import platform

import keras

from keras_basisprune.version import __version__

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy")


def document(parts, trials, arguments) -> dict:
    """Collects the content of `report.json`, in values that strict JSON can represent.

    Args:
        parts: Dict of the parts that are known already, by the names of `report.json`.
        trials: A sequence of `Trial`.
        arguments: Dict of the arguments of the call.

    Returns:
        A dict: `parts` with versions, seed, trials and seconds.
    """
    found = {
        "version": 2,
        "versions": _versions(),
        "date": datetime.datetime.now().astimezone().isoformat(" ", "seconds"),
        "seed": arguments["seed"],
        "arguments": arguments,
        **parts,
        "trials": [
            {
                **dataclasses.asdict(trial),
                "seconds": sum(trial.seconds.values()),
            }
            for trial in trials
        ],
        "seconds": _seconds(trials),
    }
    return _strict(found)


def _versions() -> dict[str, str]:
    found = {"keras_basisprune": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {**found, "backend": keras.backend.backend(), "machine": machine}


def _seconds(trials) -> dict[str, float]:
    spent: dict[str, float] = {}
    for trial in trials:
        for name, seconds in trial.seconds.items():
            spent[name] = spent.get(name, 0.0) + seconds
    return {"in all": sum(spent.values()), **spent}


def _strict(value):
    """Returns a value without what strict JSON can't represent."""
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
