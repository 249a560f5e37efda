"""Benchmarks in one process, though their flags have the same names."""

import functools
import importlib

from absl import flags


@functools.cache
def benchmark(name):
    """Imports a benchmark with flags of its own.

    Args:
        name: Of the module in `benchmarks/`.

    Returns:
        A pair of the module and its `FlagValues`, at their defaults.
    """
    values = flags.FlagValues()
    kinds = {kind: vars(flags)[kind] for kind in vars(flags) if kind[:7] == "DEFINE_"}
    try:
        for kind, define in kinds.items():
            setattr(flags, kind, functools.partial(define, flag_values=values))
        module = importlib.import_module(f"benchmarks.{name}")
    finally:
        for kind, define in kinds.items():
            setattr(flags, kind, define)
    values.mark_as_parsed()
    return module, values
