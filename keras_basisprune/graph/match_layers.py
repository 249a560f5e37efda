"""Finds layers by name, regular expression, class or predicate."""

import re

import keras

from keras_basisprune.utils.shortened import shortened


def match_layers(layers, patterns, argument) -> list:
    """Finds layers by name, regular expression, class or predicate.

    Args:
        layers: A list of layers.
        patterns: A layer name or regular expression (which must match the whole name),
            a layer class, a predicate `layer -> bool`, or a list of these.
        argument: Name of the argument that `patterns` comes from, for messages.

    Returns:
        The layers that match, pattern by pattern.

    Raises:
        ValueError: If a name or regular expression matches no layer, or a pattern is
            of another kind.
    """
    found = []
    for pattern in check_patterns(argument, patterns):
        hits = [layer for layer in layers if _matches(layer, pattern, argument)]
        if not hits and isinstance(pattern, str | re.Pattern):
            raise ValueError(
                f"Expected `{argument}` to match the name of a layer. Received: "
                f"{argument}={pattern!r}, which matches none of "
                f"[{shortened(repr(layer.name) for layer in layers)}]. A regular "
                "expression must match the whole name."
            )
        found += hits
    return found


def check_patterns(argument, patterns) -> list:
    """Returns the patterns as a list, or raises `ValueError` for another kind."""
    several = isinstance(patterns, list | tuple | set | frozenset)
    found = list(patterns) if several else [patterns]
    for pattern in found:
        named = isinstance(pattern, str | re.Pattern)
        # A layer can be called, but it is not a predicate.
        called = callable(pattern) and not isinstance(pattern, keras.layers.Layer)
        if not (named or called):
            raise ValueError(
                f"Expected `{argument}` to hold names, regular expressions, layer "
                f"classes or predicates. Received: {argument}={pattern!r} (of type "
                f"{type(pattern).__name__}). Pass, for example, `{argument}='conv.*'`."
            )
    return found


def _matches(layer, pattern, argument) -> bool:
    if isinstance(pattern, str):
        return pattern == layer.name or _fullmatch(pattern, layer.name, argument)
    if isinstance(pattern, re.Pattern):
        return bool(pattern.fullmatch(layer.name))
    if isinstance(pattern, type):
        return isinstance(layer, pattern)
    return bool(pattern(layer))


def _fullmatch(pattern, name, argument) -> bool:
    try:
        return bool(re.fullmatch(pattern, name))
    except re.error as error:
        raise ValueError(
            f"Expected `{argument}` to be the name of a layer or a regular expression. "
            f"Received: {argument}={pattern!r}, which is neither ({error}). Pass, for "
            f"example, `{argument}='conv.*'`."
        ) from error
