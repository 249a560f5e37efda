"""Describes functions, layers and numbers by values that JSON can represent."""

import functools
import hashlib
import types

import keras
import numpy as np

# Entries of a layer's config that don't affect what it computes.
_IGNORED = {"name", "build_config", "build_input_shape"}


def fingerprint(thing):
    """Describes a value, so that values that behave differently can be told apart.

    A layer is described by its config, without names and without what its first call
    adds; a function by its module, name and a checksum of its code; any other callable
    object by its class. Variables in a function's closure, and attributes of a callable
    object, are ignored.

    Args:
        thing: A number, string, `None`, `keras.Layer`, or anything that can be called.

    Returns:
        A value that JSON can represent, the same in every process.

    Example:

    >>> fingerprint(keras.layers.RandomFlip()) == fingerprint(keras.layers.RandomFlip())
    True
    """
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, keras.Layer):
        return f"{type(thing).__name__} {_lasting(thing.get_config())}"
    if isinstance(thing, functools.partial):
        inner = fingerprint(thing.func)
        return f"partial {inner} {thing.args} {sorted(thing.keywords.items())}"
    if isinstance(thing, types.MethodType):
        return f"{_place(type(thing.__self__))} {fingerprint(thing.__func__)}"
    if isinstance(thing, types.FunctionType):
        code = hashlib.sha256(repr(_code(thing.__code__)).encode()).hexdigest()
        return f"{_place(thing)} {code[:16]}"
    if callable(thing):
        return _place(thing if isinstance(thing, type) else type(thing))
    return thing


def _lasting(config):
    if isinstance(config, dict):
        kept = {k: v for k, v in config.items() if k not in _IGNORED}
        return {k: _lasting(v) for k, v in kept.items()}
    if isinstance(config, list | tuple):
        return [_lasting(v) for v in config if not _is_input(v)]
    return config


def _is_input(config) -> bool:
    """Returns whether this is the `InputLayer` that a first call gives a Sequential."""
    return isinstance(config, dict) and config.get("class_name") == "InputLayer"


def _code(code):
    """Returns the content of a code object, without its line numbers."""
    constants = [
        _code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts
    ]
    return code.co_code.hex(), code.co_names, code.co_varnames, constants


def _place(thing) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
