"""Defines the flags for absl."""

from absl import flags

from keras_basisprune.cli._table import FLAGS


def define_flags() -> flags.FlagValues:
    """Returns a new set of the flags of all commands."""
    values = flags.FlagValues()
    flags.DEFINE_bool(
        "help", False, "Show this text.", flag_values=values, short_name="h"
    )
    flags.DEFINE_bool("version", False, "Print the version.", flag_values=values)
    for flag in FLAGS:
        define = getattr(flags, f"DEFINE_{flag.kind}")
        bounds = {}
        if flag.kind in ("integer", "float"):
            bounds = dict(zip(("lower_bound", "upper_bound"), flag.range, strict=True))
        define(flag.name, flag.default, flag.help, flag_values=values, **bounds)
    return values
