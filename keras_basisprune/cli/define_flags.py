"""The flags as absl knows them."""

from absl import flags

from keras_basisprune.cli._table import FLAGS


def define_flags() -> flags.FlagValues:
    """The flags of all commands, a fresh set."""
    values = flags.FlagValues()
    flags.DEFINE_bool(
        "help", False, "Show this text.", flag_values=values, short_name="h"
    )
    for flag in FLAGS:
        define = getattr(flags, f"DEFINE_{flag.kind}")
        bounds = {}
        if flag.kind in ("integer", "float"):
            bounds = dict(zip(("lower_bound", "upper_bound"), flag.range, strict=True))
        define(flag.name, flag.default, flag.help, flag_values=values, **bounds)
    return values
