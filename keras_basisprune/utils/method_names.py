"""Names of the methods, for modules that must not import Keras.

`methods/table.py` holds the methods; a test compares the two.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class MethodName:
    """A method as the command line sees it.

    Attributes:
        name: The name of its row in `METHODS`.
        title: A description in a few words.
        alias: Another name; empty for none.
        trains: Whether it trains, on labels.
        compensates: Whether it corrects kernels when channels are removed.
    """

    name: str
    title: str
    alias: str = ""
    trains: bool = False
    compensates: bool = False

    @property
    def short(self) -> str:
        """The alias, or the name without one."""
        return self.alias or self.name


METHOD_NAMES = (
    MethodName("basis_weights", "Basis scaling of weights", trains=True),
    MethodName("basis_activations", "Basis scaling of activations"),
    MethodName(
        "basis_regression",
        "Bases by reduced-rank regression, layer after layer",
        "basis",
    ),
    MethodName("slimming", "Network slimming", trains=True),
    MethodName("channel_scaling", "Channel scaling", trains=True),
    MethodName(
        "channel_gates",
        "Channel gates: an architecture apart from its weights",
        trains=True,
    ),
    MethodName(
        "compensated_channels",
        "Channels that the others can replace",
        "channels",
        compensates=True,
    ),
    MethodName(
        "compensation_aware",
        "As many channels of each layer as the accuracy allows",
        compensates=True,
    ),
    MethodName(
        "double_pruning", "Double pruning: channels, then bases", compensates=True
    ),
)


def named_methods(names) -> list[MethodName]:
    """Returns the methods with the given names or aliases; unknown ones are ignored.

    Args:
        names: An iterable of strings.

    Returns:
        A list in the order of `METHOD_NAMES`.
    """
    given = set(names)
    return [row for row in METHOD_NAMES if given & {row.name, row.alias}]
