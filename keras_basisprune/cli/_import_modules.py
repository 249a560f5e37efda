"""Imports custom layers and functions before a model is loaded."""

import importlib
import importlib.util
import inspect
import os
import pathlib
import sys


def import_modules(names) -> dict:
    """Imports modules that define the custom objects of a `.keras` file.

    Objects that they register (`keras.saving.register_keras_serializable`,
    `channel_rule`) are known afterwards. As with `python -m`, the current folder is
    searched first.

    Args:
        names: Iterable of the names of modules, or paths of `.py` files, as given by
            `--import`; each may be several, separated by commas.

    Returns:
        A dict by name of the classes and functions that the modules define themselves,
        for `keras.saving.custom_object_scope`, so that they need not be registered.

    Raises:
        ValueError: If a module can't be found, or fails.
    """
    found = {}
    for name in [part.strip() for text in names for part in text.split(",")]:
        module = import_module(name)
        found |= {
            key: value
            for key, value in vars(module).items()
            if (inspect.isclass(value) or inspect.isfunction(value))
            and value.__module__ == module.__name__
        }
    return found


def import_module(name, flag="--import"):
    """Imports one module.

    Args:
        name: Its name, or the path of a `.py` file.
        flag: The flag that names it, for messages.

    Returns:
        The module.

    Raises:
        ValueError: If it can't be found, or fails.
    """
    path = pathlib.Path(name)
    is_file = path.suffix == ".py" or os.sep in name
    place = str(path.resolve().parent) if is_file else os.getcwd()
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        return _from_file(path) if is_file else importlib.import_module(name)
    except (Exception, SystemExit) as error:  # modules may raise anything
        raise ValueError(
            f"Expected {flag} to name a module that can be imported, or the path of a "
            f".py file. Received: {name}, which failed with {type(error).__name__}: "
            f"{error}. Modules are searched in {os.getcwd()} and where Python searches."
        ) from error


def _from_file(path):
    place = str(path.resolve())
    for known in list(sys.modules.values()):
        if getattr(known, "__file__", None) == place:
            return known  # importing it again would define its classes twice
    # `layers.py` must not replace a module of that name.
    name = path.stem.replace(".", "_")
    found = importlib.util.find_spec(name)
    if name in sys.modules or (found and found.origin != place):
        name = f"{name}_of_{path.resolve().parent.name}"
    spec = importlib.util.spec_from_file_location(name, place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
